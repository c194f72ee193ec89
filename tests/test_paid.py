"""A run that pays a teacher: one `--set` away, killed at any moment, never paying twice."""

import base64
import io
import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
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
from ports import free_port
from typed import lskd

KEY = "sk-a-secret-that-must-not-be-found"
CORPUS = ("--until", "corpus")  # the last stage whose rows are looked at here


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


@dataclass(frozen=True)
class Bought:
    """A folder in which a run was made whose one `change` is its teacher, with so many calls."""

    folder: Path
    change: str
    calls: int


@pytest.fixture(scope="module")
def bought(shared_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Bought:
    folder, change = tmp_path_factory.mktemp("bought"), teacher(shared_server)
    house.build(folder)
    shared_server.reset()
    result = lskd("run", "small.toml", "--set", change, *CORPUS, folder=folder)
    assert result.returncode == 0, result.stderr
    return Bought(folder, change, shared_server.calls())


def test_one_change_of_the_run_file_talks_to_a_server(bought: Bought) -> None:
    run = load(bought.folder / "out" / "small")
    replies = house.rows(run, Reply)
    assert len(replies) == 6 * 2 * 3
    assert bought.calls == len(replies) + 6
    assert all(reply.error is None and reply.input_tokens for reply in replies)
    assert house.rows(run, Triple)


def test_a_second_run_asks_nothing_and_a_remade_stage_buys_nothing(
    server: Server, bought: Bought
) -> None:
    first = tables(load(bought.folder / "out" / "small"))
    for file in (bought.folder / "out" / "small" / "generate").rglob("*.parquet"):
        file.unlink()
    words = ("run", "small.toml", "--set", bought.change, *CORPUS)
    assert lskd(*words, folder=bought.folder).returncode == 0
    assert server.calls() == 0
    assert tables(load(bought.folder / "out" / "small")) == first


def test_a_child_run_takes_equal_requests_from_its_parents_journal(
    server: Server, bought: Bought
) -> None:
    folder, parrot = bought.folder, 'teacher = { use = "models:Parrot" }'
    (folder / "child.toml").write_text('extends = "small.toml"\n[generate]\nstyles = ["id"]\n')
    bare = (folder / "small.toml").read_text()
    (folder / "small.toml").write_text(bare.replace(parrot, bought.change.partition(".")[2]))
    result = lskd("run", "child.toml", "--until", "generate", folder=folder)
    (folder / "small.toml").write_text(bare)
    assert result.returncode == 0, result.stderr
    assert server.calls() == 0
    assert len(house.rows(load(folder / "out" / "child"), Reply)) == 18


def test_the_plan_prices_what_the_run_then_asks(server: Server, tmp_path: Path) -> None:
    house.build(tmp_path, 2)
    change = teacher(server, input_price=1.0, output_price=2.0)
    lskd("run", "small.toml", "--set", change, "--until", "dialogue", folder=tmp_path)
    before = server.tally().calls
    found = json.loads(
        lskd("plan", "small.toml", "--set", change, "--json", folder=tmp_path).stdout
    )
    assert server.tally().calls == before
    (step,) = [one for one in found["steps"] if one["stage"] == "generate"]
    asked = step["estimate"]
    assert asked["calls"] == 12 and asked["measured"]
    whole = (asked["input_tokens"] * 1.0 + asked["output_tokens"] * 2.0) / 1e6
    assert found["price"] == asked["price"] == pytest.approx(whole)
    journal = tmp_path / "out" / "small" / "journal.sqlite"
    dialogues = spent_so_far(journal).price
    lskd("run", "small.toml", "--set", change, "--until", "generate", folder=tmp_path)
    assert server.tally().calls - before == 12
    spent = spent_so_far(journal).price
    words = ("plan", "small.toml", "--set", change, "--images", "2", "--json")
    lines = json.loads(lskd(*words, folder=tmp_path).stdout)["lines"]
    (line,) = [one for one in lines if one["stage"] == "generate"]
    assert spent is not None and dialogues is not None
    assert line["price"]["value"] == pytest.approx(spent - dialogues)
    assert line["price"]["how"] == "paid for 2 images of this run"


def test_a_budget_stops_the_run_with_its_own_exit_code_and_more_money_goes_on(
    server: Server, tmp_path: Path
) -> None:
    house.build(tmp_path)
    prices = {"input_price": 1.0, "output_price": 2.0, "concurrency": 2}
    poor = teacher(server, max_price=0.02, **prices)
    words = ("run", "small.toml", "--until", "generate", "--set")
    result = lskd(*words, poor, folder=tmp_path)
    assert result.returncode == 3, result.stderr
    assert result.stderr.strip().splitlines()[-1].startswith("error: ")
    tally = server.tally()
    spent = (tally.billed_input * 1.0 + tally.billed_output * 2.0) / 1e6
    assert 0 < spent <= 0.02
    # The budget is the run's: what the dialogue cost is no longer there for the triples.
    paid = json.loads(lskd("status", "out/small", "--json", folder=tmp_path).stdout)["paid"]
    assert paid["price"] == pytest.approx(spent)
    # Two calls wait for what is left, and the first that does not fit ends the run. A shorter one
    # may still fit the next time: within the same budget, and bought once.
    again = lskd(*words, poor, folder=tmp_path)
    tally = server.tally()
    spent = (tally.billed_input * 1.0 + tally.billed_output * 2.0) / 1e6
    assert again.returncode == 3 and spent <= 0.02 and tally.calls == len(tally.requests)
    result = lskd(*words, teacher(server, max_price=5, **prices), folder=tmp_path)
    assert result.returncode == 0, result.stderr
    after = server.tally()
    assert after.calls == len(after.requests) == 36 + 6


def test_faults_on_the_way_end_in_the_same_tables(
    server: Server, bought: Bought, tmp_path: Path
) -> None:
    house.build(tmp_path)
    server.misbehave(
        Misbehaviour(status=429, headers={"Retry-After": "1"}, times=3),
        Misbehaviour(status=500, times=4),
        Misbehaviour(cut="before", times=2),
        Misbehaviour(cut="within", times=2),
        Misbehaviour(answer="{not json", times=2),
        Misbehaviour(answer='{"choices": []}', times=2),
    )
    change = teacher(server, retries=8)
    result = lskd("run", "small.toml", "--set", change, *CORPUS, folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert server.calls() == bought.calls + 15
    rough, smooth = (load(f / "out" / "small") for f in (tmp_path, bought.folder))
    assert tables(rough) == tables(smooth)


@pytest.fixture(scope="module")
def guarded() -> Iterator[Server]:
    """Have a server that wants a key."""
    with Server(key=KEY) as server:
        yield server


def test_a_server_that_is_down_and_a_wrong_key_are_told_in_one_line_within_seconds(
    guarded: Server, tmp_path: Path
) -> None:
    house.build(tmp_path, 1)
    change = teacher(guarded, key_env="LSKD_TEST_KEY")
    refused = lskd("run", "small.toml", "--set", change, folder=tmp_path, LSKD_TEST_KEY="wrong")
    nobody = f"http://127.0.0.1:{free_port()}/v1"
    change = teacher(guarded, key_env="LSKD_TEST_KEY", base_url=nobody)
    started = time.monotonic()
    down = lskd("run", "small.toml", "--set", change, folder=tmp_path, LSKD_TEST_KEY=KEY)
    assert time.monotonic() - started < 60
    for result, address in ((refused, guarded.base_url), (down, nobody)):
        assert result.returncode == 4, result.stderr
        last = result.stderr.strip().splitlines()[-1]
        assert last.startswith("error: ") and address in last
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


def test_the_key_is_nowhere_on_disk_or_screen(guarded: Server, tmp_path: Path) -> None:
    house.build(tmp_path, 1)
    words = ("run", "small.toml", "--set", teacher(guarded, key_env="LSKD_TEST_KEY"))
    result = lskd(*words, folder=tmp_path, LSKD_TEST_KEY=KEY)
    assert result.returncode == 0, result.stderr
    assert KEY not in result.stdout + result.stderr
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) > 30
    assert not [file for file in files if KEY.encode() in file.read_bytes()]


def test_the_teacher_can_see_the_marked_image(server: Server, tmp_path: Path) -> None:
    house.build(tmp_path, 1)
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


def test_questions_one_at_a_time_see_what_was_answered_before(
    server: Server, tmp_path: Path
) -> None:
    house.build(tmp_path, 1)
    changes = ["--set", teacher(server), "--set", "dialogue.at_a_time=1"]
    result = lskd("run", "small.toml", *changes, "--until", "dialogue", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert server.calls() == 2
    run = load(tmp_path / "out" / "small")
    (dialogue,) = house.rows(run, Dialogue)
    first, second = house.rows(run, Reply, "dialogue")
    assert dialogue.exchanges[0].question not in first.messages[-1].text
    assert f"Q: {dialogue.exchanges[0].question}" in second.messages[-1].text


def killed_until_done(server: Server, folder: Path, change: str, calls: int, kills: int) -> int:
    """Kill a run so many times, then let it end; return how often it was at work.

    A moment is drawn in calls, of which the whole run makes so many: slow machines are hit as well.
    """
    words = ("run", "small.toml", "--set", change, *CORPUS)
    chance, hit = random.Random(kills), 0
    for _ in range(kills):
        target = server.calls() + chance.randint(1, max(1, 2 * calls // kills - 2))
        with at_work(*words, folder=folder) as run:  # which kills it
            while run.process.is_alive() and server.calls() < target:
                time.sleep(0.01)  # to look takes a processor from what is looked at
            hit += run.process.is_alive()
    result = lskd(*words, folder=folder)
    assert result.returncode == 0, result.stderr
    return hit


def kill_and_compare(server: Server, tmp_path: Path, kills: int, images: int) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for folder in (whole, broken):
        house.build(folder, images)
    change = teacher(server, concurrency=4)
    assert lskd("run", "small.toml", "--set", change, *CORPUS, folder=whole).returncode == 0
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
    server: Server, tmp_path: Path
) -> None:
    kill_and_compare(server, tmp_path, kills=4, images=8)


@pytest.mark.check
@pytest.mark.timeout(1800)
def test_a_hundred_kills_change_no_table_and_buy_nothing_twice(
    server: Server, tmp_path: Path
) -> None:
    kill_and_compare(server, tmp_path, kills=100, images=400)


def test_a_run_can_be_asked_in_batches_at_half_the_price(tmp_path: Path) -> None:
    house.build(tmp_path, 2)
    with Server(batch_seconds=0.1) as server:
        change = teacher(server, poll=0.05, input_price=1.0, output_price=2.0)
        change = change.replace("teacher:ChatTeacher", "batch:BatchTeacher")
        words = ("run", "small.toml", "--until", "generate", "--set", "images.shard_size=1")
        result = lskd(*words, "--set", change, folder=tmp_path)
        assert result.returncode == 0, result.stderr
        # Two shards, with one turn of questions and three turns of triples each.
        assert server.tally().batches == 2 * (1 + 3)
        again = lskd(*words, "--set", change, folder=tmp_path)
        assert again.returncode == 0 and server.tally().batches == 2 * (1 + 3)
    run = load(tmp_path / "out" / "small")
    for reply in house.rows(run, Reply):
        assert reply.input_tokens and reply.output_tokens and reply.price
        whole = (reply.input_tokens * 1.0 + reply.output_tokens * 2.0) / 1e6
        assert reply.price == pytest.approx(whole / 2)
