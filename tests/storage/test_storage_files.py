"""Working folders, what is published from them, and the lock of a place."""

import datetime
import json
import os
import socket
import time
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from buckets import SECRET, fsspec, machine
from lskd.chat.journal import Journal
from lskd.chat.paid import Charge, Paid
from lskd.errors import UserError
from lskd.hold import locked
from lskd.storage import files, lock, mirror
from lskd.storage.address import explained, is_url, located, on, shown, url_of
from lskd.table import draft

ROOT = Path(__file__).parents[2]
PARTS = st.text("abcXYZ019_-", min_size=1, max_size=8)


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Path]:
    """Be a machine with a disk of its own."""
    with machine({"LSKD_WORK": str(tmp_path)}):
        yield tmp_path


@given(st.sampled_from(["s3", "gs", "az", "hf", "memory"]), st.lists(PARTS, min_size=1, max_size=4))
def test_a_working_folder_tells_which_place_it_stands_for(scheme: str, parts: list[str]) -> None:
    url = f"{scheme}://{'/'.join(parts)}"
    assert url_of(located(url)) == url
    assert located(Path(url)) == located(url)  # a command line makes one slash of two
    assert url_of(located(url) / "parse" / "x.json") == f"{url}/parse/x.json"
    assert shown(located(url)) == url


def test_a_path_stands_for_itself(tmp_path: Path) -> None:
    for name in ("out/run", "/data/run", "C", "a:b", "runs/x.toml", str(tmp_path)):
        assert not is_url(name) and located(name) == Path(name) and url_of(Path(name)) is None
    assert located("file:///data/run") == Path("/data/run")


@pytest.mark.parametrize("url", ["s3://key:secret@bucket/run", "s3://bucket/../other"])
def test_a_url_with_a_password_or_a_way_out_is_refused(url: str) -> None:
    with pytest.raises(UserError) as told:
        located(url)
    assert "secret" not in str(told.value)


def test_no_message_has_a_secret_of_the_environment_in_it() -> None:
    with machine({"AWS_SECRET_ACCESS_KEY": SECRET}):
        said = explained("s3://bucket/x", OSError(f"signature of {SECRET} is wrong"))
    assert SECRET not in said and "***" in said


def test_the_key_inside_a_connection_string_is_in_no_message_either() -> None:
    told = f"DefaultEndpointsProtocol=https;AccountName=lskd;AccountKey={SECRET}==;EndpointSuffix=x"
    with machine({"AZURE_STORAGE_CONNECTION_STRING": told}):
        said = explained("az://bucket/x", OSError(f"the key {SECRET}== does not fit"))
    assert SECRET not in said and "***" in said


def test_a_file_system_that_is_not_known_is_told_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no file system is called 'nonsense'; known: s3"):
        files.read_url("nonsense://bucket/x")


def test_a_draft_is_published_under_its_name_alone_when_it_is_whole(work: Path) -> None:
    file = located("memory://drafts/run") / "parse" / "stage.json"
    with pytest.raises(UserError, match="cannot write"), draft(file) as unfinished:
        unfinished.write_text("half")
        raise OSError("no")
    assert not files.exists(file)
    with draft(file) as unfinished:
        unfinished.write_text("whole")
        assert not files.exists(file)
    assert files.read_bytes(file) == b"whole" and file.read_text() == "whole"
    names = fsspec.filesystem("memory").find("/drafts")
    assert names == ["/drafts/run/parse/stage.json"]


def test_two_machines_have_the_same_files_after_each_was_at_work(tmp_path: Path) -> None:
    url = "memory://two/run"
    homes = [{"LSKD_WORK": str(tmp_path / name)} for name in ("first", "second")]
    with machine(homes[0]):
        here = mirror.opened(url)
        published = ("distil/student/card.md", "distil/student/w.bin", "parse/n.json")
        for name in (*published, "a.sqlite"):
            (here / name).parent.mkdir(parents=True, exist_ok=True)
            (here / name).write_text("first")
        with draft(here / "distil/training/x/state") as unfinished:
            unfinished.write_text("first")
        mirror.push(here / "distil")
        mirror.push(here)
    system = fsspec.filesystem("memory")
    assert system.find("/two/run") == [f"/two/run/{name}" for name in published]
    with machine(homes[1]):
        there = mirror.opened(url)
        # Weights and the dataset come when they are asked for.
        assert not (there / "distil").exists() and (there / "parse/n.json").exists()
        mirror.brought(f"{url}/distil/student")
        assert (there / "distil/student/w.bin").read_text() == "first"
        (there / "parse/n.json").write_text("second")
        (there / "distil/student/card.md").unlink()
        (there / "distil/student/w.bin").unlink()
        mirror.push(there)
    assert system.find("/two/run") == ["/two/run/parse/n.json"]
    with machine(homes[0]):
        (here / "distil/student/card.md").write_text("changed here since")
        before = (here / "a.sqlite").stat().st_mtime_ns
        assert mirror.opened(url) == here
        assert (here / "parse/n.json").read_text() == "second"
        assert not (here / "distil/student/w.bin").exists()
        assert (here / "distil/training/x/state").exists()
        assert (here / "a.sqlite").stat().st_mtime_ns == before
        assert (here / "distil/student/card.md").read_text() == "changed here since"
        mirror.push(here)
    assert system.cat("/two/run/distil/student/card.md") == b"changed here since"
    assert system.find("/two/run") == ["/two/run/distil/student/card.md", "/two/run/parse/n.json"]


def test_a_folder_in_a_run_is_brought_alone_and_belongs_to_the_run_from_then_on(
    tmp_path: Path,
) -> None:
    url, system = "memory://inner/run", fsspec.filesystem("memory")
    for name in ("distil/student/w.bin", "critic/model/w.bin", "run.toml"):
        system.pipe_file(f"/inner/run/{name}", name.encode())
    with machine({"LSKD_WORK": str(tmp_path)}):
        student = mirror.brought(f"{url}/distil/student")
        run = located(url)
        files_here = {file.relative_to(run).as_posix() for file in run.rglob("[!.]*.*")}
        assert files_here == {"distil/student/w.bin"}
        assert mirror.opened(url) == run
        assert (run / "run.toml").exists() and not (student / mirror.LIST).exists()
        assert not (run / "critic").exists()
        mirror.complete(run / "critic")
        assert (run / "critic/model/w.bin").exists()
        before = (student / "w.bin").stat().st_mtime_ns
        mirror.push(run)
        mirror.opened(url)
        mirror.brought(f"{url}/distil/student")
        assert (student / "w.bin").stat().st_mtime_ns == before
        system.pipe_file("/inner/run/distil/student/w.bin", b"another")
        system.pipe_file("/inner/run/run.toml", b"another")
        mirror.brought(f"{url}/distil/student")
        assert (student / "w.bin").read_bytes() == b"another"
        assert (run / "run.toml").read_bytes() == b"run.toml"  # not asked for


def test_who_works_in_a_run_is_brought_its_student_too(work: Path) -> None:
    url, system = "memory://worked/run", fsspec.filesystem("memory")
    system.pipe_file("/worked/run/distil/student/w.bin", b"trained elsewhere")
    with locked([mirror.opened(url)]):
        assert not (located(url) / "distil").exists()
        assert (mirror.kept(f"{url}/distil/student") / "w.bin").read_bytes() == b"trained elsewhere"
        with pytest.raises(UserError, match="memory://worked/run/none: nothing is there"):
            mirror.brought(f"{url}/none")


def test_what_is_alike_is_not_moved_again(work: Path) -> None:
    here = mirror.opened("memory://alike/run")
    with draft(here / "run.toml") as unfinished:
        unfinished.write_text("seed = 1")
    system = fsspec.filesystem("memory")
    created = system.info("/alike/run/run.toml")["created"]
    times = (here / "run.toml").stat().st_mtime_ns
    mirror.push(here)
    mirror.pull(here)
    assert system.info("/alike/run/run.toml")["created"] == created
    assert (here / "run.toml").stat().st_mtime_ns == times


def signed(url: str, name: str, host: str, folder: str, age: float) -> None:
    """Leave the lock of another process, `age` seconds old."""
    system, root = on(url)
    told = {"session": "x", "process": 1, "host": host, "since": 0.0, "folder": folder}
    system.pipe_file(f"{root}/{name}", json.dumps(told).encode())
    past = datetime.datetime.now(tz=datetime.UTC) - datetime.timedelta(seconds=age)
    system.store[f"/{root}/{name}"].created = system.store[f"/{root}/{name}"].modified = past


def test_a_place_is_held_by_one_and_let_go_of(work: Path) -> None:
    folder = located("memory://locks/one")
    with lock.held(folder):
        found = lock.holder(folder)
        assert found is not None and found.process == os.getpid()
        other = lock.Lock(work / "elsewhere", "memory://locks/one")
        with pytest.raises(UserError, match=f"another lskd is at work in .* {os.getpid()}"):
            other.take()
    assert lock.holder(folder) is None
    other.take()
    other.release()
    assert fsspec.filesystem("memory").find("/locks/one") == []


def test_a_lock_without_a_sign_of_life_is_taken_over_and_a_late_sign_finds_it_lost(
    work: Path,
) -> None:
    url = "memory://locks/stale"
    late = lock.Lock(work / "late", url)
    late.take()
    signed(url, ".lock-000001", "other", "/elsewhere", lock.STALE_SECONDS - 30)
    new = lock.Lock(work / "new", url)
    with pytest.raises(UserError, match="another lskd is at work"):
        new.take()
    signed(url, ".lock-000001", "other", "/elsewhere", lock.STALE_SECONDS + 30)
    assert lock.holder(located(url)) is None
    new.take()
    late.beat()
    assert late.lost and not new.lost
    new.beat()
    assert not new.lost and new.numbers() == [2]


@pytest.mark.check
def test_who_has_lost_its_lock_is_interrupted_and_leaves_the_place_to_the_other(
    work: Path,
) -> None:
    folder = located("memory://locks/lost")
    with pytest.raises(UserError, match="was taken over by another"), lock.held(folder, 0.01):
        (folder / "parse").mkdir()
        (folder / "parse" / "trace.jsonl").write_text("mine")
        signed("memory://locks/lost", ".lock-000002", "other", "/elsewhere", 1)
        time.sleep(60)
    assert lock.Lock(folder, "memory://locks/lost").numbers()[-1] == 2


def test_signs_of_life_are_given_while_what_is_there_is_brought_here(work: Path) -> None:
    system, root = on("memory://locks/slow")
    for number in range(1500):
        system.pipe_file(f"{root}/distil/student/{number}.bin", b"x")
    began = datetime.datetime.now(tz=datetime.UTC)
    with lock.held(located("memory://locks/slow"), 0.01):
        now = datetime.datetime.now(tz=datetime.UTC)
        given = system.modified(f"{root}/.lock-000001")
    assert now - given < (now - began) / 2


def test_a_list_of_what_is_published_that_has_grown_long_is_written_anew(work: Path) -> None:
    here = mirror.opened("memory://long/run")
    (here / "run.toml").write_text("seed = 1")
    mirror.push(here)
    known = mirror.read_list(here)
    for _ in range(mirror.LONG + 3):
        mirror.write_line(here, known["run.toml"])
    assert mirror.read_list(here) == known
    assert len((here / mirror.LIST).read_text().split()) < 30
    mirror.write_line(here, replace(known["run.toml"], stamp="other"))
    assert mirror.read_list(here)["run.toml"].stamp == "other"


def test_logs_are_published_while_the_place_is_held(work: Path) -> None:
    folder = located("memory://locks/logs")
    with lock.held(folder, 0.01):
        (folder / "parse").mkdir()
        (folder / "parse" / "trace.jsonl").write_text("so far")
        while not files.exists(folder / "parse" / "trace.jsonl"):
            time.sleep(0.01)
    assert files.read_bytes(folder / "parse" / "trace.jsonl") == b"so far"


@pytest.mark.timeout(60)
def test_paid_replies_are_published_while_the_place_is_held(work: Path) -> None:
    folder = located("memory://locks/paid")
    system, root = on("memory://locks/paid")
    with lock.held(folder, 0.01), Journal(folder / lock.JOURNAL) as journal:
        call = journal.ask(b"k", Charge(100, 50, 0.5), lambda totals: True)
        assert call is not None
        journal.keep(call, b"k", Paid("{}", "{}", "stop", 60, 20, 0.25, 1.5))
        while not system.glob(f"{root}/{lock.SEGMENTS}/replies-*"):
            time.sleep(0.01)


@pytest.mark.timeout(60)
def test_a_disk_that_refuses_for_a_moment_ends_no_sign_of_life(work: Path) -> None:
    folder = located("memory://locks/moment")
    system, root = on("memory://locks/moment")
    with lock.held(folder, 0.01):
        listed = folder / mirror.LIST
        listed.unlink()
        listed.mkdir()  # where a file belongs: neither read nor written
        (folder / "parse").mkdir()
        (folder / "parse" / "trace.jsonl").write_text("so far")
        for _ in range(3):
            last = system.modified(f"{root}/.lock-000001")
            while system.modified(f"{root}/.lock-000001") == last:
                time.sleep(0.01)
        listed.rmdir()
        while not files.exists(folder / "parse" / "trace.jsonl"):
            time.sleep(0.01)


def test_who_could_give_no_sign_of_life_for_too_long_takes_its_lock_for_lost(work: Path) -> None:
    url, clock = "memory://locks/mute", [0.0]
    mute = lock.Lock(work / "mute", url, lambda: clock[0])
    mute.take()
    system, root = on(url)
    system.rm_file(f"{root}/.lock-000001")
    system.mkdir(f"{root}/.lock-000001")  # nothing can be written there
    for seconds, is_lost in ((lock.STALE_SECONDS - 1, False), (lock.STALE_SECONDS + 1, True)):
        clock[0] = seconds
        with pytest.raises(UserError, match="cannot be reached"):
            mute.beat()
        assert mute.lost is is_lost
    assert "may have been taken over" in str(lock.lost(mute))


def test_a_sign_of_life_that_comes_late_keeps_a_lock_that_nobody_has_taken(work: Path) -> None:
    clock = [0.0]
    late = lock.Lock(work / "late", "memory://locks/late", lambda: clock[0])
    late.take()
    clock[0] = 10 * lock.STALE_SECONDS  # as after a night's sleep
    late.beat()
    assert not late.lost
    late.release()


def test_the_lock_of_a_dead_process_in_this_folder_is_taken_over_at_once(work: Path) -> None:
    folder = located("memory://locks/dead")
    signed("memory://locks/dead", ".lock-000004", socket.gethostname(), str(folder), 1)
    with lock.held(folder):
        assert lock.Lock(folder, "memory://locks/dead").numbers() == [5]


class Earlier(lock.Lock):
    """A lock whose process saw the numbers at the place when it was made, and asks later."""

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__(folder, url)
        self.seen = super().numbers()

    def numbers(self) -> list[int]:
        return self.seen


@pytest.mark.parametrize("stale", [True, False])
def test_of_two_that_find_a_stale_lock_or_none_one_gets_it(work: Path, stale: bool) -> None:
    url = f"memory://locks/race-{stale}"
    if stale:
        signed(url, ".lock-000001", "other", "/elsewhere", lock.STALE_SECONDS + 30)
    one, two = lock.Lock(work / "one", url), Earlier(work / "two", url)
    assert two.seen == ([1] if stale else [])
    one.take()
    with pytest.raises(UserError, match="another lskd has just begun to work in "):
        two.take()
    number = one.numbers()[-1]
    one.beat()
    assert not one.lost and number == 1 + stale
    system, root = on(url)
    told = json.loads(system.cat_file(f"{root}/.lock-{number:06d}"))
    assert told["folder"] == str(work / "one")


@pytest.mark.parametrize(
    ("extra", "older"),
    [
        ("s3", "s3fs==2024.10.0"),
        ("s3", "aiobotocore==2.15.2"),
        ("gs", "gcsfs==2024.10.0"),
        ("az", "adlfs==2024.7.0"),
    ],
)
def test_no_library_is_allowed_that_cannot_create_what_must_not_be_there(
    extra: str, older: str
) -> None:
    name, _, version = older.partition("==")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    allowed = map(Requirement, project["optional-dependencies"][extra])
    assert [one.specifier.contains(version) for one in allowed if one.name == name] == [False]
