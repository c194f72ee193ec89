"""`lskd status` of a run at work, of a dead one and of one that failed."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import house
from chat.server import Server
from forked import Started, at_work
from lskd.chat.paid import Spent
from lskd.cli.tables import print_status
from lskd.errors import UserError
from lskd.execute import Selection
from lskd.hold import locked
from lskd.holder import LOCK, SESSION, holder
from lskd.run import load
from lskd.status import status
from test_paid import teacher
from typed import lskd

SMALL = Path("small.toml")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    house.build(tmp_path)
    return tmp_path


def told(folder: Path) -> dict[str, Any]:
    """Return what `lskd status --json` says of the small run."""
    result = lskd("status", "small.toml", "--json", folder=folder)
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def stage(found: dict[str, Any], name: str) -> dict[str, Any]:
    (one,) = [one for one in found["stages"] if one["stage"] == name]
    return dict(one)


def until(folder: Path, name: str, run: Started, shards: int = 1) -> dict[str, Any]:
    """Return the status as soon as a stage has so many shards in work."""
    end = time.monotonic() + 60
    while time.monotonic() < end and run.process.is_alive():
        found = told(folder)
        if stage(found, name)["running"] >= shards:
            return found
        time.sleep(0.3)  # to look takes a processor from what is looked at
    raise AssertionError(f"{name} never ran: {run.streams[1].read_text()}")


def test_a_run_at_work_then_killed_then_done_is_told_apart(tmp_path: Path) -> None:
    house.build(tmp_path)
    with Server(latency=20.0) as server:
        change = ("--set", teacher(server), "--set", "dialogue.questions=0")
        with at_work("run", "small.toml", *change, folder=tmp_path) as run:  # which kills it
            running = until(tmp_path, "generate", run, shards=2)
            shown = lskd("status", "small.toml", folder=tmp_path).stdout
        dead = told(tmp_path)
        dead_shown = lskd("status", "small.toml", folder=tmp_path).stdout
        server.reset(0.0)
        assert lskd("run", "small.toml", *change, folder=tmp_path).returncode == 0
    done = told(tmp_path)

    assert running["state"] == "running" and running["holder"]["process"] == run.process.pid
    generate = stage(running, "generate")
    assert generate["state"] == "running" and (generate["running"], generate["missing"]) == (2, 0)
    assert stage(running, "regions")["state"] == "done"
    assert stage(running, "regions")["images_per_second"] > 0
    assert stage(running, "parse")["missing"] == 2
    assert {"generate", "parse", "report"} <= set(running["unknown"])
    assert running["ends"] is not None
    assert f"running: process {run.process.pid}" in shown and "0 of 2, 2 running" in shown

    assert dead["state"] == "stopped" and dead["holder"] is None and dead["ends"] is None
    generate = stage(dead, "generate")
    assert generate["state"] == "missing"
    assert (generate["running"], generate["missing"], generate["cut_off"]) == (0, 2, 2)
    assert "no process is at work" in dead_shown and "2 cut off" in dead_shown

    assert done["state"] == "done" and done["unknown"] == [] and done["seconds_left"] == 0
    assert {one["state"] for one in done["stages"]} == {"done"}
    assert all(one["cut_off"] == 0 for one in done["stages"])
    assert stage(done, "generate")["spans"]["waiting"] > 0


def test_a_failed_shard_and_its_reason_are_told_until_it_is_made(home: Path) -> None:
    Path("prompt.txt").write_text("$observations $nothing")
    change = "generate.id_prompt=prompt.txt"
    with pytest.raises(UserError):
        house.run(SMALL, change)
    found = status(load(SMALL, [change]))
    assert found.state == "stopped"
    (trouble,) = found.errors
    assert (trouble.stage, trouble.shard) == ("generate", "00000")
    assert "it can use" in trouble.text
    (generate,) = [one for one in found.stages if one.stage == "generate"]
    assert (generate.state, generate.failed, generate.missing) == ("failed", 1, 1)
    shown = lskd("status", "small.toml", "--set", change, folder=home).stdout
    assert "generate shard 00000: " in shown and "1 failed" in shown
    Path("prompt.txt").write_text("$observations Write $count triples.")
    house.run(SMALL, change)
    found = status(load(SMALL, [change]))
    assert found.errors == () and found.state == "done"


def test_a_model_that_cannot_be_built_is_an_error_of_the_stage_as_a_whole(home: Path) -> None:
    change = 'models.critic={use="scale_models:Unbuilt"}'
    with pytest.raises(UserError, match="the weights are gone"):
        house.run(SMALL, change)
    found = status(load(SMALL, [change]))
    (trouble,) = found.errors
    assert (trouble.stage, trouble.shard, trouble.text) == ("score", "", "the weights are gone")
    (score,) = [one for one in found.stages if one.stage == "score"]
    assert (score.state, score.failed, score.missing) == ("failed", 0, 2)


def test_what_is_left_is_judged_by_the_shards_that_are_there(home: Path) -> None:
    run = house.run(SMALL, selection=Selection(until="score"))
    run.tables.file(next(s for s in run.stages() if s.name == "score").writes[0], "00001").unlink()
    found = status(load(SMALL))
    (score,) = [one for one in found.stages if one.stage == "score"]
    assert (score.state, score.shards_done, score.missing) == ("missing", 1, 1)
    assert score.seconds_left is not None and 0 < score.seconds_left < 10
    assert found.unknown == ("corpus", "dataset", "report")
    assert found.seconds_left == pytest.approx(score.seconds_left)


def test_a_run_without_a_trace_still_has_a_status(home: Path) -> None:
    run = house.run(SMALL)
    for file in run.own.rglob("trace.jsonl"):
        file.unlink()
    found = status(load(SMALL))
    assert found.state == "done"
    assert all(one.images_per_second is None and one.spans is None for one in found.stages)
    assert all(one.seconds is not None for one in found.stages if one.shards)


def test_a_run_that_never_began_has_a_status(home: Path) -> None:
    found = status(load(SMALL))
    assert found.state == "stopped" and found.holder is None and found.seconds_left == 0
    assert {one.state for one in found.stages} == {"missing"}
    assert "time left not known" in lskd("status", "small.toml", folder=home).stdout


def test_status_says_of_how_many_replies_the_tokens_are_only_a_bound(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = status(load(SMALL))
    print_status(replace(found, paid=Spent(12, 3400, 560, None, uncounted=3, unanswered=0)))
    told = capsys.readouterr().out
    assert "12 paid replies, 3,400 tokens in, 560 out, price unknown" in told
    assert "the server counted no tokens of 3: the most that they can be stands for them" in told
    print_status(replace(found, paid=Spent(12, 3400, 560, 0.5, uncounted=0, unanswered=0)))
    assert "counted no tokens" not in capsys.readouterr().out


def test_a_lock_says_who_holds_it_for_as_long_as_it_is_held(tmp_path: Path) -> None:
    assert holder(tmp_path) is None
    with locked([tmp_path]):
        found = holder(tmp_path)
        assert found is not None and found.session == SESSION and found.process == os.getpid()
        with pytest.raises(UserError, match="another lskd is at work"), locked([tmp_path]):
            pass
        # Who was refused has not taken the name away from the lock.
        assert holder(tmp_path) == found
    assert holder(tmp_path) is None
    (tmp_path / LOCK).write_text("")
    with locked([tmp_path]):
        (tmp_path / LOCK).write_text("")
        unknown = holder(tmp_path)
        assert unknown is not None and unknown.process is None


def test_looking_at_a_run_never_keeps_it_from_beginning(tmp_path: Path) -> None:
    looker = (
        "import time; from pathlib import Path; from lskd.holder import holder\n"
        f"folder = Path({str(tmp_path)!r}); holder(folder); print('looking', flush=True)\n"
        "while True: holder(folder); time.sleep(0.001)"
    )
    command = [sys.executable, "-c", looker]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "looking\n"
            for _ in range(50):
                with locked([tmp_path]):
                    pass
            assert process.poll() is None
        finally:
            process.kill()
