"""Folders that are held alone, and folders that several read."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import house
from buckets import machine
from lskd.errors import UserError
from lskd.execute import Selection, execute
from lskd.hold import held, is_complete, locked
from lskd.holder import LOCK, SESSION, holder
from lskd.progress import Lines
from lskd.run import Run, load
from lskd.storage import lock
from lskd.storage.address import located

CHILD = 'extends = "{}"\n[corpus]\nthreshold = 0.3\n'


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    house.build(tmp_path)
    with machine({"LSKD_WORK": str(tmp_path / "work")}):
        yield tmp_path


def child(parent: str) -> Run:
    Path("child.toml").write_text(CHILD.format(parent))
    return load(Path("child.toml"))


def complete(run: Run, limit: int | None = None, alone: bool = False) -> frozenset[str]:
    """Return the stages of a run that are complete in folders that it only reads."""
    with held(run, list(run.stages()), limit, alone) as found:
        return found


def test_a_folder_is_read_by_several_or_written_in_by_one(tmp_path: Path) -> None:
    with locked([], [tmp_path]), locked([], [tmp_path]):
        assert holder(tmp_path) is None
        with pytest.raises(UserError, match=f"in a run that reads {tmp_path}: wait for it"):
            locked([tmp_path]).__enter__()
    with locked([tmp_path]):
        assert holder(tmp_path) is not None
        for other in (locked([tmp_path]), locked([], [tmp_path])):
            with pytest.raises(UserError, match=f"at work in {tmp_path}: wait for it"):
                other.__enter__()
    with locked([tmp_path]):
        pass


def test_who_reads_leaves_a_lock_as_it_was_and_makes_one_where_there_is_none(
    tmp_path: Path,
) -> None:
    with locked([tmp_path]):
        pass
    signed = (tmp_path / LOCK).read_text()
    with locked([], [tmp_path]):
        pass
    assert (tmp_path / LOCK).read_text() == signed
    with locked([], [tmp_path / "new"]), pytest.raises(UserError, match="that reads"):
        locked([tmp_path / "new"]).__enter__()


def test_a_folder_that_can_be_neither_made_nor_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write to .*file/run: Not a directory"):
        locked([], [tmp_path / "file" / "run"]).__enter__()


def test_what_is_complete_in_a_parent_is_read_and_what_is_not_is_written(home: Path) -> None:
    parent = house.run(Path("small.toml"))
    run = child("small.toml")
    inherited = {stage.name for stage in run.stages() if run.inherits(stage.name)}
    assert "score" in inherited and "corpus" not in inherited
    assert complete(run) == inherited
    assert complete(run, alone=True) == frozenset()
    score = next(stage for stage in run.stages() if stage.name == "score")
    for lost in (
        parent.folders["score"] / "score" / "00001.parquet",
        parent.folders["images"] / "stage.json",
    ):
        kept = lost.read_bytes()
        lost.unlink()
        assert complete(run) == frozenset()
        lost.write_bytes(kept)
        assert complete(run) == inherited and is_complete(run, score)
    house.picture(home / "pictures" / "new.png", 77)
    assert complete(run) == frozenset() and complete(run, limit=6) == inherited


def test_a_folder_between_two_others_is_written_where_the_first_one_grows(home: Path) -> None:
    house.run(Path("small.toml"))
    Path("middle.toml").write_text('extends = "small.toml"\n[generate]\nstyles = ["id"]\n')
    house.run(Path("middle.toml"))
    run = child("middle.toml")
    folders = {run.folders[name].parent.name for name in complete(run)}
    assert folders == {"small", "middle"}
    house.picture(home / "pictures" / "new.png", 77)
    read = run.folders["score"].parent
    with locked([], [read]), pytest.raises(UserError, match=f"a run that reads {read}"):
        complete(run)
    assert complete(run) == frozenset()


def test_the_folder_of_a_parent_at_a_place_is_held_alone(home: Path) -> None:
    parent = load(Path("small.toml"), (), Path("memory://hold/parent"))
    execute(parent, Selection(until="score"), Lines("plain"))
    run = child("memory://hold/parent")
    place = located("memory://hold/parent")
    with held(run, list(run.stages()), None, False) as found:
        assert found == frozenset()
        there, here = lock.holder(place), holder(place)
        assert there is not None and here is not None
        assert there.session == here.session == SESSION
    assert lock.holder(place) is None
