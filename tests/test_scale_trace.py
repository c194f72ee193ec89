"""The trace: what each shard's time went into, beside the shard log, at no measurable price."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import house
from chat.server import Server
from lskd import events
from lskd.chat.paid import Charge
from lskd.errors import UserError
from lskd.events import TRACE, Event, append, read
from lskd.holder import SESSION
from lskd.pace import covered, pace
from lskd.run import load
from lskd.shardlog import SHARD_LOG
from lskd.trace import KINDS, Clock, Spans, measured, running
from test_paid import teacher
from typed import lskd

SMALL = Path("small.toml")
numbers = st.floats(0, 1e6).map(lambda value: round(value, 4))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    house.build(tmp_path)
    return tmp_path


def test_each_moment_is_counted_once_for_the_innermost_kind() -> None:
    before = time.perf_counter()
    clock = Clock()
    began = time.perf_counter()
    with running(clock):
        with measured("reading"):
            time.sleep(0.02)
            with measured("decoding"):
                time.sleep(0.03)
        with measured("waiting"):
            time.sleep(0.04)
    ended = time.perf_counter()
    spans = clock.lap()
    after = time.perf_counter()
    assert spans.reading >= 0.02 and spans.decoding >= 0.03 and spans.waiting >= 0.04
    assert spans.writing == 0
    assert ended - began <= spans.total <= after - before
    # The next lap begins where that one ended.
    assert clock.lap().total <= time.perf_counter() - ended


def test_a_block_that_fails_is_counted_and_what_follows_is_computing() -> None:
    clock = Clock()
    with running(clock):
        with pytest.raises(ValueError), measured("reading"):
            time.sleep(0.01)
            raise ValueError
        time.sleep(0.02)
    spans = clock.lap()
    assert spans.reading >= 0.01 and spans.computing >= 0.02


def test_a_thread_counts_for_its_own_clock_alone() -> None:
    clock = Clock()

    def other() -> None:
        with measured("waiting"):
            time.sleep(0.02)

    with running(clock):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert clock.lap().waiting == 0


def test_a_place_that_measures_costs_little_more_than_a_block() -> None:
    @contextmanager
    def block() -> Iterator[None]:
        yield

    def cost(entered: Callable[[], AbstractContextManager[None]]) -> float:
        began = time.process_time()
        for _ in range(20_000):
            with entered():
                pass
        return time.process_time() - began

    with running(Clock()):
        # About twice, a microsecond or two; a shard of 256 images measures some hundred times.
        assert cost(lambda: measured("reading")) < 20 * cost(block)


def test_every_shard_of_a_run_has_its_line_and_the_kinds_make_up_its_time(home: Path) -> None:
    run = house.run(SMALL)
    for stage in run.stages():
        folder = run.folders[stage.name]
        told = read(folder / TRACE)
        assert {one.stage for one in told} == {stage.name}
        assert {one.session for one in told} == {SESSION}
        assert [one.what for one in told].count("failed") == 0
        ended = {one.shard: one for one in told if one.what == "ended"}
        shards = run.tables.shards(stage.writes[0], stage.name) if stage.writes else []
        assert set(ended) == {"", *shards}
        log = folder / SHARD_LOG
        lines = log.read_text().splitlines() if stage.writes else []
        for note in (json.loads(line) for line in lines if line):
            spans = ended[note["shard"]].spans
            assert spans is not None and spans.total >= note["seconds"] - 0.01
    regions = read(run.folders["regions"] / TRACE)
    (first,) = [one for one in regions if one.shard == "00000" and one.what == "ended"]
    assert first.images == 4 and first.rows == {"Regions": 4, "Reject": 0}
    file = run.folders["regions"] / "regions" / "00000.parquet"
    assert first.bytes["Regions"] == file.stat().st_size
    assert first.spans is not None
    assert min(first.spans.reading, first.spans.decoding, first.spans.writing) > 0
    assert first.memory is not None and first.memory > 10_000_000


def test_waiting_for_the_teacher_is_seen_and_what_was_paid_adds_up(tmp_path: Path) -> None:
    house.build(tmp_path)
    with Server(latency=0.2) as server:
        change = teacher(server, input_price=1.0, output_price=2.0)
        result = lskd("run", "small.toml", "--set", change, folder=tmp_path)
        assert result.returncode == 0, result.stderr
        tally = server.tally()
    run = load(tmp_path / "out" / "small")
    found = {s.name: pace(read(run.folders[s.name] / TRACE)) for s in run.stages()}
    generate, parse = found["generate"], found["parse"]
    assert generate is not None and generate.share("waiting") > 0.5
    assert parse is not None and parse.spans.waiting == 0 and parse.paid is None
    paid = [one.paid for one in found.values() if one is not None and one.paid is not None]
    assert sum(one.input_tokens for one in paid) == tally.billed_input
    assert sum(one.output_tokens for one in paid) == tally.billed_output
    price = sum(one.price or 0.0 for one in paid)
    assert price == pytest.approx((tally.billed_input + 2 * tally.billed_output) / 1e6)
    # Two shards were in flight together: their times overlap, and count once.
    assert generate.seconds < generate.spans.total


def test_the_report_says_what_the_time_of_each_stage_went_into(home: Path) -> None:
    house.run(SMALL)
    text = (home / "out/small/report/report.html").read_text()
    assert text.count('class="spent"') >= 9 and "reading" in text


def test_a_shard_that_fails_leaves_its_reason_and_the_error_is_what_the_user_sees(
    home: Path,
) -> None:
    Path("gone.txt").write_text("$observations $nothing")
    with pytest.raises(UserError, match="it can use"):
        house.run(SMALL, "generate.id_prompt=gone.txt")
    told = read(home / "out/small/generate" / TRACE)
    (failed,) = [one for one in told if one.what == "failed"]
    assert failed.shard == "00000" and "it can use" in (failed.error or "")
    assert failed.spans is not None


names = st.text(min_size=1, max_size=8)
ended = st.builds(
    Event,
    time=st.floats(0, 4e9).map(lambda value: round(value, 3)),
    session=names,
    stage=names,
    shard=names,
    what=st.just("ended"),
    spans=st.builds(Spans, *[numbers] * len(KINDS)),
    cpu=numbers,
    memory=st.none() | st.integers(0, 1 << 50),
    gpu=st.booleans(),
    paid=st.none()
    | st.builds(Charge, st.integers(0, 1 << 40), st.integers(0, 1 << 40), st.none() | numbers),
    images=st.integers(0, 10_000),
    rows=st.dictionaries(names, st.integers(0, 10_000), max_size=3),
    bytes=st.dictionaries(names, st.integers(0, 1 << 40), max_size=3),
    error=st.none() | names,
)


@given(event=ended)
def test_an_event_comes_back_as_it_was_written(event: Event) -> None:
    assert events.read_event(json.loads(json.dumps(event.as_json()))) == event


@given(event=ended, left=st.integers(0, 60))
def test_half_a_line_that_a_kill_left_hides_no_other(
    tmp_path_factory: pytest.TempPathFactory, event: Event, left: int
) -> None:
    file = tmp_path_factory.mktemp("torn") / TRACE
    append(file, event)
    whole = json.dumps(event.as_json())
    with file.open("a") as opened:
        opened.write("\n" + whole[: min(left, len(whole) - 1)])
    append(file, event)
    assert read(file) == [event, event]


@given(
    st.lists(st.tuples(st.integers(0, 100), st.integers(0, 20)), min_size=1, max_size=12),
)
def test_time_in_which_several_shards_were_in_flight_counts_once(
    intervals: list[tuple[int, int]],
) -> None:
    told = [
        Event(float(end), "s", "stage", f"{k}", "ended", Spans(computing=float(length)))
        for k, (end, length) in enumerate(intervals)
    ]
    seconds = {s for end, length in intervals for s in range(end - length, end)}
    # A trace begins after the epoch: what would begin before it is cut there.
    assert covered(told) == len({s for s in seconds if s >= 0})


def test_a_shard_that_was_made_again_counts_once() -> None:
    def end(time: float, shard: str, images: int) -> Event:
        return Event(time, "s", "x", shard, "ended", Spans(computing=1.0), images=images)

    found = pace([end(1, "00000", 4), end(2, "00001", 2), end(9, "00000", 4), end(10, "", 0)])
    assert found is not None
    assert (found.shards, found.images, found.seconds, found.apart) == (2, 6, 2.0, 1.0)
    assert found.rate == 3.0
    assert pace([]) is None


def test_a_trace_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot write .*the same command goes on"):
        append(tmp_path / "nowhere" / TRACE, Event(1.0, "s", "x", "", "began"))
