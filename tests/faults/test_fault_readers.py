"""Runs that read from the folder of one run, beside each other and beside who writes in it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import house
from faults import machine
from faults.machine import House
from faults.matrix import CHILD_WAITS, PARENT_WAITS, READER_KILLED, heard
from forked import Started, at_work
from lskd.holder import holder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> House:
    return machine.build(tmp_path_factory.mktemp("readers"))


@contextmanager
def waiting(home: House, name: str, parent: str = "calm") -> Iterator[Started]:
    """Run a child that has a critic of its own, until this waits at its gate.

    It is killed at the end of the block if it has not ended.
    """
    critic = f'{{ use = "reader_models:Gated", gate = "{name}" }}'
    file = home.folder / f"{name}.toml"
    file.write_text(f'extends = "{parent}"\n[score]\ncritic = {critic}\n')
    words = ("run", file.name, "--out", name, "--log", "plain")
    with at_work(*words, folder=home.folder, COLUMNS="400") as started:
        while not (home.folder / f"{name}.reached").exists():
            assert started.process.is_alive(), started.streams[1].read_text()
            time.sleep(0.02)
        yield started


def ended(home: House, name: str, started: Started) -> str:
    """Let a child go on; return what it said until its end."""
    (home.folder / f"{name}.open").touch()
    done = started.ended(300)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_children_of_a_finished_run_work_side_by_side_and_nobody_writes_in_it_meanwhile(
    home: House,
) -> None:
    before = house.files(home.folder / "calm", "")
    with waiting(home, "one") as one, waiting(home, "two") as two:
        assert holder(home.folder / "one") is not None and holder(home.folder / "two") is not None
        # Who reads is not at work in it.
        assert holder(home.folder / "calm") is None
        heard(PARENT_WAITS, home.run(out="calm"))
        heard(PARENT_WAITS, home.lskd("run", "one.toml", "--out", "verified", "--verify"))
        for name, started in (("one", one), ("two", two)):
            said = ended(home, name, started)
            assert said.count("up to date") == 7, said
    assert house.files(home.folder / "calm", "") == before
    assert home.tables("one") == home.tables("two") != {}
    again = home.run(out="calm")
    assert again.exit_code == 0 and home.is_as_undisturbed("calm")


def test_a_child_is_refused_while_its_parent_is_made_and_then_makes_what_is_missing(
    home: House,
) -> None:
    (home.folder / "later.toml").write_text('extends = "slow"\n[corpus]\nthreshold = 0.3\n')
    with waiting(home, "slow"):
        heard(CHILD_WAITS, home.lskd("run", "later.toml", "--out", "later"))
    assert not (home.folder / "slow" / "score" / "score").exists()
    (home.folder / "slow.open").touch()
    result = home.lskd("run", "later.toml", "--out", "later")
    assert result.exit_code == 0, result.said
    assert (home.folder / "slow" / "score" / "score" / "00001.parquet").exists()


def test_the_lock_of_a_killed_reader_is_no_lock(home: House) -> None:
    with waiting(home, "killed") as killed:
        heard(PARENT_WAITS, home.run(out="calm"))
        killed.process.kill()
        killed.process.join()
        result = home.run(out="calm")
    assert result.exit_code == (READER_KILLED.exit_code or 0), result.said


def test_a_child_that_finds_new_pictures_writes_in_its_parent_and_waits_for_its_readers(
    home: House,
) -> None:
    result = home.run(out="growing")
    assert result.exit_code == 0, result.said
    (home.folder / "other.toml").write_text('extends = "growing"\n[corpus]\nthreshold = 0.3\n')
    with waiting(home, "reads", "growing") as reads:
        new = house.picture(home.folder / "pictures" / "900.png", 900)
        heard(PARENT_WAITS, home.lskd("run", "other.toml", "--out", "other"))
        ended(home, "reads", reads)
    result = home.lskd("run", "other.toml", "--out", "other")
    new.unlink()
    assert result.exit_code == 0, result.said
    assert (home.folder / "growing" / "images" / "image" / "00002.parquet").exists()
    assert (home.folder / "other" / "corpus" / "example" / "00002.parquet").exists()
