"""A run that pays a teacher: one `--set` away, killed at any moment, never paying twice."""

import base64
import io
import json
import random
import time
from dataclasses import replace
from pathlib import Path

import pytest

import house
from chat.server import Misbehaviour, Server
from forked import at_work
from lskd.chat.paid import spent_so_far
from lskd.marking import mark
from lskd.picture import load as pixels
from lskd.run import Run, load
from lskd.types import Dialogue, Example, Image, Regions, Reject, Reply, Triple
from typed import lskd

KEY = "sk-a-secret-that-must-not-be-found"


def teacher(server: Server, **keys: object) -> str:
    """Return the one change that puts a served model in the teacher's place."""
    settings = {"model": "m", "base_url": server.base_url, "backoff": 0.05, **keys}
    text = ", ".join(f"{key} = {json.dumps(value)}" for key, value in settings.items())
    return f'models.teacher={{use = "lskd.chat.teacher:ChatTeacher", {text}}}'


def tables(run: Run) -> dict[str, list[object]]:
    """Return what a run has made, without the time that each reply took."""
    return {
        "replies": [replace(reply, seconds=0.0) for reply in house.rows(run, Reply)],
        "dialogues": list(house.rows(run, Dialogue)),
        "triples": list(house.rows(run, Triple)),
        "rejects": list(house.rows(run, Reject, "parse")),
        "examples": [replace(example, path="") for example in house.rows(run, Example)],
    }


def test_one_change_of_the_run_file_talks_to_a_server(tmp_path: Path) -> None:
    house.build(tmp_path)
    with Server() as server:
        result = lskd("run", "small.toml", "--set", teacher(server), folder=tmp_path)
        assert result.returncode == 0, result.stderr
        tally = server.tally()
    run = load(tmp_path / "out" / "small")
    replies = house.rows(run, Reply)
    assert len(replies) == 6 * 2 * 3
    assert tally.calls == len(replies) + 6
    assert all(reply.error is None and reply.input_tokens for reply in replies)
    assert house.rows(run, Triple)


def test_a_second_run_asks_nothing_and_a_remade_stage_buys_nothing(tmp_path: Path) -> None:
    house.build(tmp_path)
    with Server() as server:
        change = teacher(server)
        lskd("run", "small.toml", "--set", change, folder=tmp_path)
        before = server.tally().calls
        first = tables(load(tmp_path / "out" / "small"))
        for file in (tmp_path / "out" / "small" / "generate").rglob("*.parquet"):
            file.unlink()
        lskd("run", "small.toml", "--set", change, folder=tmp_path)
        assert server.tally().calls == before
    assert tables(load(tmp_path / "out" / "small")) == first


def test_a_child_run_takes_equal_requests_from_its_parents_journal(tmp_path: Path) -> None:
    house.build(tmp_path)
    (tmp_path / "child.toml").write_text('extends = "small.toml"\n[generate]\nstyles = ["id"]\n')
    with Server() as server:
        change = teacher(server)
        lskd("run", "small.toml", "--set", change, folder=tmp_path)
        (tmp_path / "small.toml").write_text(
            (tmp_path / "small.toml")
            .read_text()
            .replace('teacher = { use = "models:Parrot" }', change.partition(".")[2])
        )
        before = server.tally().calls
        result = lskd("run", "child.toml", folder=tmp_path)
        assert result.returncode == 0, result.stderr
        assert server.tally().calls == before
    assert len(house.rows(load(tmp_path / "out" / "child"), Reply)) == 18


def test_the_plan_prices_what_the_run_then_asks(tmp_path: Path) -> None:
    house.build(tmp_path)
    with Server() as server:
        change = teacher(server, input_price=1.0, output_price=2.0)
        lskd("run", "small.toml", "--set", change, "--until", "dialogue", folder=tmp_path)
        before = server.tally().calls
        found = json.loads(
            lskd("plan", "small.toml", "--set", change, "--json", folder=tmp_path).stdout
        )
        assert server.tally().calls == before
        (step,) = [one for one in found["steps"] if one["stage"] == "generate"]
        asked = step["estimate"]
        assert asked["calls"] == 36 and asked["measured"]
        whole = (asked["input_tokens"] * 1.0 + asked["output_tokens"] * 2.0) / 1e6
        assert found["price"] == asked["price"] == pytest.approx(whole)
        journal = tmp_path / "out" / "small" / "journal.sqlite"
        dialogues = spent_so_far(journal).price
        lskd("run", "small.toml", "--set", change, folder=tmp_path)
        assert server.tally().calls - before == 36
        spent = spent_so_far(journal).price
        words = ("plan", "small.toml", "--set", change, "--images", "6", "--json")
        lines = json.loads(lskd(*words, folder=tmp_path).stdout)["lines"]
        (line,) = [one for one in lines if one["stage"] == "generate"]
    assert spent is not None and dialogues is not None
    assert line["price"]["value"] == pytest.approx(spent - dialogues)
    assert line["price"]["how"] == "paid for 6 images of this run"


def test_a_budget_stops_the_run_with_its_own_exit_code_and_more_money_goes_on(
    tmp_path: Path,
) -> None:
    house.build(tmp_path)
    with Server() as server:
        prices = {"input_price": 1.0, "output_price": 2.0, "concurrency": 2}
        poor = teacher(server, max_price=0.02, **prices)
        result = lskd("run", "small.toml", "--set", poor, folder=tmp_path)
        assert result.returncode == 3, result.stderr
        assert result.stderr.strip().splitlines()[-1].startswith("error: ")
        tally = server.tally()
        spent = (tally.billed_input * 1.0 + tally.billed_output * 2.0) / 1e6
        assert 0 < spent <= 0.02
        # The budget is the run's: what the dialogue cost is no longer there for the triples.
        paid = json.loads(lskd("status", "out/small", "--json", folder=tmp_path).stdout)["paid"]
        assert paid["price"] == pytest.approx(spent)
        again = lskd("run", "small.toml", "--set", poor, folder=tmp_path)
        assert again.returncode == 3 and server.tally().calls == tally.calls
        rich = teacher(server, max_price=5, **prices)
        result = lskd("run", "small.toml", "--set", rich, folder=tmp_path)
        assert result.returncode == 0, result.stderr
        after = server.tally()
        assert after.calls == len(after.requests) == 36 + 6


def test_faults_on_the_way_end_in_the_same_tables(tmp_path: Path) -> None:
    house.build(tmp_path)
    house.build(tmp_path / "smooth")
    with Server() as server:
        change = teacher(server, retries=8)
        lskd("run", "small.toml", "--set", change, folder=tmp_path / "smooth")
        server.reset()
        server.misbehave(
            Misbehaviour(status=429, headers={"Retry-After": "1"}, times=3),
            Misbehaviour(status=500, times=4),
            Misbehaviour(cut="before", times=2),
            Misbehaviour(cut="within", times=2),
            Misbehaviour(body="{not json", times=2),
            Misbehaviour(body='{"choices": []}', times=2),
        )
        result = lskd("run", "small.toml", "--set", change, folder=tmp_path)
        assert result.returncode == 0, result.stderr
    rough, smooth = (load(f / "out" / "small") for f in (tmp_path, tmp_path / "smooth"))
    assert tables(rough) == tables(smooth)


def test_a_server_that_is_down_and_a_wrong_key_are_told_in_one_line_within_seconds(
    tmp_path: Path,
) -> None:
    house.build(tmp_path)
    with Server(key=KEY) as server:
        change = teacher(server, key_env="LSKD_TEST_KEY")
        words = ("run", "small.toml", "--set", change)
        refused = lskd(*words, folder=tmp_path, LSKD_TEST_KEY="wrong")
    started = time.monotonic()
    down = lskd(*words, folder=tmp_path)
    assert time.monotonic() - started < 60
    for result in (refused, down):
        assert result.returncode == 4, result.stderr
        last = result.stderr.strip().splitlines()[-1]
        assert last.startswith("error: ") and server.base_url in last
        assert "Traceback" not in result.stderr
    assert "LSKD_TEST_KEY" in refused.stderr


def test_a_missing_key_and_a_wrong_setting_are_told_before_any_work(tmp_path: Path) -> None:
    house.build(tmp_path)
    hosted = 'models.teacher={use="lskd.chat.teacher:ChatTeacher", model="m", key_env="NO_SUCH_KEY"'
    missing = lskd("run", "small.toml", "--set", hosted + "}", folder=tmp_path)
    assert missing.returncode == 2
    assert "set the environment variable NO_SUCH_KEY" in missing.stderr
    assert missing.stderr.count("NO_SUCH_KEY") < 3  # one mistake, told once for both stages
    wrong = lskd("run", "small.toml", "--set", hosted + ", concurrency=0}", folder=tmp_path)
    assert wrong.returncode == 2 and "concurrency" in wrong.stderr
    assert not (tmp_path / "out").exists()
    planned = lskd("plan", "small.toml", "--set", hosted + "}", folder=tmp_path)
    assert planned.returncode == 0, planned.stderr


def test_the_key_is_nowhere_on_disk_or_screen(tmp_path: Path) -> None:
    house.build(tmp_path)
    with Server(key=KEY) as server:
        words = ("run", "small.toml", "--set", teacher(server, key_env="LSKD_TEST_KEY"))
        result = lskd(*words, folder=tmp_path, LSKD_TEST_KEY=KEY)
    assert result.returncode == 0, result.stderr
    assert KEY not in result.stdout + result.stderr
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) > 30
    assert not [file for file in files if KEY.encode() in file.read_bytes()]


def test_the_teacher_can_see_the_marked_image(tmp_path: Path) -> None:
    house.build(tmp_path, 1)
    with Server() as server:
        changes = ["--set", teacher(server), "--set", "generate.show_image=true"]
        result = lskd("run", "small.toml", *changes, "--until", "generate", folder=tmp_path)
        assert result.returncode == 0, result.stderr
        messages = server.tally().last["messages"]
    (user, *_) = [one for one in messages if one["role"] == "user"]
    (url,) = [part["image_url"]["url"] for part in user["content"] if part["type"] == "image_url"]
    sent = base64.b64decode(url.removeprefix("data:image/jpeg;base64,"))
    run = load(tmp_path / "out" / "small")
    (image,) = house.rows(run, Image)
    (regions,) = house.rows(run, Regions)
    expected = io.BytesIO()
    mark(pixels(image), regions.regions, "clear").save(expected, "JPEG", quality=90)
    assert sent == expected.getvalue()


def test_questions_one_at_a_time_see_what_was_answered_before(tmp_path: Path) -> None:
    house.build(tmp_path, 1)
    with Server() as server:
        changes = ["--set", teacher(server), "--set", "dialogue.at_a_time=1"]
        result = lskd("run", "small.toml", *changes, "--until", "dialogue", folder=tmp_path)
        assert result.returncode == 0, result.stderr
        assert server.tally().calls == 2
    run = load(tmp_path / "out" / "small")
    (dialogue,) = house.rows(run, Dialogue)
    first, second = house.rows(run, Reply, "dialogue")
    assert dialogue.exchanges[0].question not in first.messages[-1].text
    assert f"Q: {dialogue.exchanges[0].question}" in second.messages[-1].text


def killed_until_done(server: Server, folder: Path, change: str, calls: int, kills: int) -> int:
    """Kill a run so many times, then let it end; return how often it was at work.

    A moment is drawn in calls, of which the whole run makes so many: slow machines are hit as well.
    """
    words = ("run", "small.toml", "--set", change)
    chance, hit = random.Random(kills), 0
    for _ in range(kills):
        target = server.calls() + chance.randint(1, max(1, 2 * calls // kills - 2))
        with at_work(*words, folder=folder) as run:  # which kills it
            while run.process.is_alive() and server.calls() < target:
                time.sleep(0.002)
            hit += run.process.is_alive()
    result = lskd(*words, folder=folder)
    assert result.returncode == 0, result.stderr
    return hit


def kill_and_compare(tmp_path: Path, kills: int, images: int) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for folder in (whole, broken):
        house.build(folder, images)
    with Server(latency=0.05) as server:
        change = teacher(server, concurrency=4)
        assert lskd("run", "small.toml", "--set", change, folder=whole).returncode == 0
        unique = server.tally().calls
        server.reset(0.05)
        hit = killed_until_done(server, broken, change, unique, kills)
        tally = server.tally()
    assert hit >= kills // 2  # or else this test would show little
    assert tables(load(broken / "out" / "small")) == tables(load(whole / "out" / "small"))
    assert len(tally.requests) == unique
    in_flight = spent_so_far(broken / "out" / "small" / "journal.sqlite").unanswered
    print(f"{hit} kills: {tally.calls} calls for {unique} requests, {in_flight} unanswered")
    assert tally.calls - unique <= in_flight <= 4 * hit


def test_a_run_killed_at_random_moments_gives_the_same_tables_and_buys_nothing_twice(
    tmp_path: Path,
) -> None:
    kill_and_compare(tmp_path, kills=4, images=16)


@pytest.mark.check
@pytest.mark.timeout(1800)
def test_a_hundred_kills_change_no_table_and_buy_nothing_twice(tmp_path: Path) -> None:
    kill_and_compare(tmp_path, kills=100, images=400)


def test_a_run_can_be_asked_in_batches_at_half_the_price(tmp_path: Path) -> None:
    house.build(tmp_path)
    with Server(batch_seconds=0.1) as server:
        change = teacher(server, poll=0.05, input_price=1.0, output_price=2.0)
        change = change.replace("teacher:ChatTeacher", "batch:BatchTeacher")
        result = lskd("run", "small.toml", "--set", change, folder=tmp_path)
        assert result.returncode == 0, result.stderr
        # Two shards, with one turn of questions and three turns of triples each.
        assert server.tally().batches == 2 * (1 + 3)
        again = lskd("run", "small.toml", "--set", change, folder=tmp_path)
        assert again.returncode == 0 and server.tally().batches == 2 * (1 + 3)
    run = load(tmp_path / "out" / "small")
    for reply in house.rows(run, Reply):
        assert reply.input_tokens and reply.output_tokens and reply.price
        whole = (reply.input_tokens * 1.0 + reply.output_tokens * 2.0) / 1e6
        assert reply.price == pytest.approx(whole / 2)
