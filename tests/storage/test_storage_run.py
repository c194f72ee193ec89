"""A run in a bucket: the tables of one on a disk, published whole, continued from any machine."""

import json
import re
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import house
from buckets import lskd, machine
from chat.server import Server
from clouds import KINDS, Place
from faults.matrix import S3_ERRORS, S3_TWO, pattern
from forked import at_work
from lskd.errors import UserError
from lskd.run import Run, load
from lskd.stages import STAGES
from lskd.storage.address import on
from lskd.storage.lock import Lock
from test_paid import teacher

# Libraries ask again several times, and wait ever longer, before they tell of an outage.
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module", params=KINDS)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with request.param() as place:
        yield place


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with pictures and a run file that was run on the disk."""
    folder = tmp_path_factory.mktemp("calm")
    house.build(folder)
    code, said = run(folder, "here")
    assert code == 0, said
    return folder


@dataclass(frozen=True)
class Moved:
    """A run in a bucket that one machine has taken as far as parse, and another to its end.

    `status` is what the other saw before it began; what was `said` is that of both, and that of the
    other alone `then`. `disks` has a folder for each of them.
    """

    out: str
    disks: Path
    status: dict[str, Any]
    said: str
    then: str


@pytest.fixture(scope="module")
def moved(place: Place, calm: Path, tmp_path_factory: pytest.TempPathFactory) -> Moved:
    out, disks = f"{place.bucket('moved')}/deep/run", tmp_path_factory.mktemp("disks")
    with machine(place.environment(disks / "first")):
        code, begun = run(calm, out, "--until", "parse")
        assert code == 0, begun
    with machine(place.environment(disks / "second")):
        code, told, said = lskd("status", out, "--json", folder=calm)
        assert code == 0, said
        code, then = run(calm, out)
        assert code == 0, then
    return Moved(out, disks, json.loads(told), begun + said + then, then)


def rows(made: Run, until: str = STAGES[-1].name) -> dict[str, list[object]]:
    """Return every row of a run's tables, as far as a stage."""
    names = [stage.name for stage in STAGES]
    return {
        f"{stage.name} {record.__name__}": house.rows(made, record, stage.name)
        for stage in STAGES[: names.index(until) + 1]
        if stage.name in made.settings
        for record in stage.writes
    }


def names(url: str) -> set[str]:
    """Return the names of all files at a place."""
    system, root = on(url)
    return {name.removeprefix(f"{root}/") for name in system.find(root)}


def foreign(said: str) -> list[str]:
    """Return the lines that neither a stage nor an error of ours has told."""
    ours = ("note ", "error: ", *(f"{stage.name} " for stage in STAGES))
    return [line for line in said.splitlines() if not line.startswith(ours)]


def content(url: str) -> str:
    """Return the bytes of a file at a place, each as a character."""
    system, name = on(url)
    return str(system.cat_file(name).decode("latin-1"))


def run(folder: Path, out: str, *more: str) -> tuple[int, str]:
    code, _, said = lskd("run", "small.toml", "--out", out, "--log", "plain", *more, folder=folder)
    return code, said


def test_a_run_in_a_bucket_has_the_tables_of_one_on_the_disk_row_for_row(
    place: Place, calm: Path, moved: Moved
) -> None:
    out = moved.out
    with machine(place.environment(moved.disks / "second")):
        assert rows(load(Path(out))) == rows(load(calm / "here"))
        there = names(out)
        keys = [name for name in there if not place.holds_no_secret(content(f"{out}/{name}"))]
    assert {"run.toml", "report/report.html", "images/stage.json", "parse/trace.jsonl"} <= there
    assert {"corpus/example/00000.parquet", "corpus/example/00001.parquet"} <= there
    assert not [name for name in there if name.rpartition("/")[2].startswith(".")]
    # Tables lie there alone.
    assert list(moved.disks.rglob("run.toml")) and not list(moved.disks.rglob("0000*.parquet"))
    # The credentials that it needed are nowhere, and nobody else has a word in what it says.
    here = [file for file in moved.disks.rglob("*") if file.is_file()]
    assert not keys and place.holds_no_secret(moved.said)
    assert not [file for file in here if not place.holds_no_secret(file.read_text("latin-1"))]
    assert not foreign(moved.said)


def test_another_machine_sees_a_run_in_a_bucket_and_goes_on_with_it(
    place: Place, calm: Path, moved: Moved
) -> None:
    status = moved.status
    assert status["state"] == "stopped" and status["holder"] is None
    assert {one["stage"] for one in status["stages"] if one["state"] == "done"} >= {"parse"}
    assert status["stages"][0]["folder"] == f"{moved.out}/images"
    assert status["stages"][0]["spans"] is not None  # its trace came along
    assert moved.then.count("up to date") == 6, moved.then
    with machine(place.environment(moved.disks / "first")):
        code, said = run(calm, moved.out, "--until", "corpus")
        assert code == 0 and "example in" not in said, said


@pytest.mark.parametrize(
    "table",
    [pytest.param("reply/00000.parquet", marks=pytest.mark.check), "triple/00001.parquet"],
)
def test_a_second_run_is_refused_and_a_kill_while_a_table_is_published_leaves_no_half_of_it(
    place: Place, calm: Path, tmp_path: Path, table: str
) -> None:
    out = f"{place.bucket(f'killed-{Path(table).parent}')}/run"
    words = ("run", "small.toml", "--out", out, "--until", "parse")
    with place.proxy() as between:
        between.rule = lambda method, path: "60" if method == "PUT" and path.endswith(table) else ""
        variables = place.environment(tmp_path / "first", between)
        with at_work(*words, folder=calm, **variables) as first:
            while not any(m == "PUT" and path.endswith(table) for m, path in between.seen):
                assert first.process.is_alive(), first.ended()
                time.sleep(0.05)
            # Whichever machine the second is on.
            with machine(place.environment(tmp_path / "second")):
                code, said = run(calm, out, "--until", "parse")
                last = said.splitlines()[-1]
                assert code == S3_TWO.exit_code and re.fullmatch(f"error: {pattern(S3_TWO)}", last)
                assert out in last
                told = json.loads(lskd("status", out, "--json", folder=calm)[1])
                assert told["state"] == "running"
                assert told["holder"]["process"] == first.process.pid
            first.signal(signal.SIGKILL)
            first.ended()
    # On its own machine the kernel knows that it is dead: no wait.
    with machine(place.environment(tmp_path / "first")):
        assert not [name for name in names(out) if name.endswith(table)]
        code, said = run(calm, out, "--until", "parse")
        assert code == 0, said
        assert rows(load(Path(out)), "parse") == rows(load(calm / "here"), "parse")


def test_a_servers_errors_are_told_in_one_line_and_the_same_command_goes_on(
    place: Place, calm: Path, tmp_path: Path
) -> None:
    out = f"{place.bucket('errors')}/run"
    words = ("--until", "parse", "--set", "images.shard_size=8")  # one shard, of the same rows
    with place.proxy() as between, machine(place.environment(tmp_path, between)):
        between.rule = lambda method, path: (
            "500" if method == "PUT" and path.endswith("parse/triple/00000.parquet") else ""
        )
        code, said = run(calm, out, *words)
        last = said.splitlines()[-1]
        assert code == S3_ERRORS.exit_code and re.fullmatch(f"error: {pattern(S3_ERRORS)}", last)
        assert f"{out}/parse/triple/00000.parquet" in last and place.holds_no_secret(said)
        assert not foreign(said)
        # More than any pause between two tries; a library gives up after half a minute.
        between.rule = lambda method, path: (
            "4" if method == "PUT" and path.endswith("parse/triple/00000.parquet") else ""
        )
        code, said = run(calm, out, *words)
        assert code == 0, said
        assert rows(load(Path(out)), "parse") == rows(load(calm / "here"), "parse")


def test_an_outage_while_a_run_is_read_is_not_taken_for_missing_tables(
    place: Place, calm: Path, moved: Moved
) -> None:
    second = moved.disks / "second"
    with place.proxy() as between, machine(place.environment(second, between)):
        between.rule = lambda method, path: "500" if "generate" in path else ""
        code, said = run(calm, moved.out)
        assert code == 2 and f"{moved.out}/generate" in said.splitlines()[-1]
        assert not [path for method, path in between.seen if method == "PUT" and "generate" in path]


def test_missing_credentials_and_a_missing_bucket_are_named(
    calm: Path, place: Place, tmp_path: Path
) -> None:
    out = f"{place.bucket('closed')}/run"
    with place.proxy() as between:
        # The emulators of some ask for no credentials.
        between.rule = lambda method, path: "" if place.scheme == "s3" else "401"
        lacks = dict.fromkeys(place.keys)
        with machine({**place.environment(tmp_path, between), **lacks, "HOME": str(tmp_path)}):
            code, said = run(calm, out)
    assert code == 2 and said.count("\n") == 1
    assert f"no credentials: {place.missing}" in said
    with machine(place.environment(tmp_path)):
        code, said = run(calm, f"{place.scheme}://never-made/run")
    assert code == 2 and "there is no such bucket to write to: make it first" in said
    assert said.count("\n") == 1


def test_credentials_that_are_refused_are_told_with_where_they_come_from(
    calm: Path, place: Place, tmp_path: Path
) -> None:
    out = f"{place.bucket('barred')}/run"
    with place.proxy() as between, machine(place.environment(tmp_path, between)):
        between.rule = lambda method, path: "403"
        code, said = run(calm, out)
    assert code == 2 and said.count("\n") == 1 and place.holds_no_secret(said)
    assert "access is refused" in said and f"check {place.missing[4:]}" in said


class Blind(Lock):
    """A lock whose process looked at the place before any other was there."""

    def numbers(self) -> list[int]:
        return []


def test_of_two_machines_that_find_a_place_free_one_gets_it(place: Place, tmp_path: Path) -> None:
    url = place.bucket("race")
    with machine(place.environment(tmp_path)):
        one, two = (kind(tmp_path / kind.__name__, url) for kind in (Lock, Blind))
        one.take()
        with pytest.raises(UserError, match="another lskd has just begun to work in "):
            two.take()
        assert json.loads(content(f"{url}/.lock-000001"))["folder"] == str(tmp_path / "Lock")


def test_what_a_lost_machine_has_paid_for_is_not_paid_again(place: Place, tmp_path: Path) -> None:
    house.build(tmp_path, 2)
    out = f"{place.bucket('paid')}/run"
    with Server() as shop:
        change = teacher(shop)
        with machine(place.environment(tmp_path / "first")):
            code, said = run(tmp_path, out, "--set", change, "--until", "generate")
            assert code == 0, said
        paid = shop.tally().calls
        shutil.rmtree(tmp_path / "first")
        with machine(place.environment(tmp_path / "second")):
            system, root = on(out)
            code, told, said = lskd("status", out, "--json", folder=tmp_path)
            assert code == 0 and json.loads(told)["paid"]["calls"] == paid > 0, said
            for table in system.glob(f"{root}/generate/reply/*.parquet"):
                system.rm_file(table)
            code, said = run(tmp_path, out, "--set", change, "--until", "generate")
            assert code == 0, said
        assert shop.tally().calls == paid
