"""Disks that fill up, refuse long files, or cannot be written: one line, nothing lost, go on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from chat.server import Server
from faults import machine
from faults.machine import House
from faults.matrix import DISK_FULL, EXPORT_FULL, FILE_SIZE, PAID_FULL, READ_ONLY, Fault, heard
from lskd.chat.journal import Journal
from lskd.run import load
from test_paid import CORPUS, teacher

ROOM = 3000  # pages: enough for everything, the journal's reserve included
AT_THE_START = 3  # pages that are left when a stage begins


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> House:
    return machine.build(tmp_path_factory.mktemp("disk"))


@pytest.fixture
def disk(home: House) -> Iterator[Path]:
    """Give the folder of the disturbed run a small disk of its own."""
    with machine.own_disk(home, ROOM) as folder:
        yield folder


def stages(home: House) -> list[str]:
    return [stage.name for stage in load(home.folder / "small.toml").stages()]


def full(stage: str) -> Fault:
    return EXPORT_FULL if stage == "dataset" else DISK_FULL


def test_a_full_disk_is_told_in_every_stage_and_the_run_goes_on(home: House, disk: Path) -> None:
    for stage in stages(home):
        with machine.filled(disk, AT_THE_START):
            heard(full(stage), home.run("--until", stage))
        went_on = home.run("--until", stage)
        assert went_on.exit_code == 0, went_on.said
    assert home.is_as_undisturbed()
    assert not list(disk.rglob("*.draft"))


@pytest.mark.check
@pytest.mark.timeout(1800)
def test_a_full_disk_is_told_at_every_single_write(home: House, disk: Path) -> None:
    stopped: set[str] = set()
    for stage in stages(home):
        for pages in (*range(1, 13), *range(16, 64, 8), *range(64, 256, 32)):
            with machine.filled(disk, pages):
                result = home.run("--until", stage)
            if result.exit_code == 0:
                break
            line = result.said.strip().splitlines()[-1]
            heard(EXPORT_FULL if "the export to" in line else DISK_FULL, result)
            stopped.add(line)
        else:
            raise AssertionError(f"{stage} needs more than 224 pages")
    assert home.is_as_undisturbed()
    assert len(stopped) > 2 * len(stages(home))  # many different files


def test_a_limit_on_the_size_of_files_is_told_and_the_run_goes_on(home: House) -> None:
    result = home.apart(*CORPUS, limits="-f 8", out="short")  # 8 KB: less than some tables
    heard(FILE_SIZE, result)
    assert "File too large" in result.said
    went_on = home.run(*CORPUS, out="short")
    assert went_on.exit_code == 0, went_on.said
    assert home.is_as_undisturbed("short")


def test_a_full_disk_makes_no_reply_be_bought_twice(
    home: House, disk: Path, server: Server
) -> None:
    paid = ("--set", teacher(server, concurrency=4), "--until", "generate")
    # The journal's reserve of 1024 pages is made, and some replies are kept.
    with machine.filled(disk, 1100):
        result = home.run(*paid)
    # Which of the two is told depends on which write comes first.
    heard(PAID_FULL if "journal" in result.said.splitlines()[-1] else DISK_FULL, result)
    bought = server.tally()
    went_on = home.run(*paid)
    assert went_on.exit_code == 0, went_on.said
    tally = server.tally()
    assert 0 < bought.calls < tally.calls
    assert tally.calls == len(tally.requests)


def test_a_read_only_folder_is_told_and_can_still_be_read(home: House, disk: Path) -> None:
    assert home.run("--until", "score").exit_code == 0
    machine.remount(disk, "ro")
    heard(READ_ONLY, home.run())
    status = home.lskd("status", "broken", "--verify")
    assert status.exit_code == 0, status.said
    picture = next((home.folder / "pictures").iterdir()).name
    assert home.lskd("show", "broken", picture).exit_code == 0
    (home.folder / "child.toml").write_text('extends = "broken"\n[corpus]\nthreshold = 0.3\n')
    child = home.lskd("run", "child.toml", "--out", "child", *CORPUS)
    assert child.exit_code == 0, child.said
    machine.remount(disk, "rw")
    assert home.run(*CORPUS).exit_code == 0
    assert home.is_as_undisturbed()


def test_a_journal_whose_disk_became_read_only_is_closed_without_a_traceback(
    tmp_path: Path,
) -> None:
    path = tmp_path / "disk" / "journal.sqlite"
    path.parent.mkdir()
    journal = Journal(path)
    # A kernel makes a broken disk read-only although files of it are open; this one covers it.
    with machine.small_disk(path.parent, ROOM):
        machine.remount(path.parent, "ro")
        journal.close()
    reserve = path.with_name("journal.sqlite.reserve")
    assert reserve.exists()
    Journal(path).close()
    assert not reserve.exists()


def test_a_disk_that_is_full_from_the_start_is_told(home: House, disk: Path) -> None:
    with machine.filled(disk, 0):
        result = home.run()
    heard(DISK_FULL, result)
    assert ".lock: No space left on device" in result.said
    assert home.run(*CORPUS).exit_code == 0
    assert home.is_as_undisturbed()
