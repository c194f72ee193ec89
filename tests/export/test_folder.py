"""How an export takes its place: whole or not at all, and never over what is not its own."""

import contextlib
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from export.examples import about, painted, saved, some
from faults import machine
from lskd.drafts import drafted
from lskd.errors import UserError
from lskd.export import coco, hf, lck, llava, swift, trl
from lskd.export.folder import Written, split_name
from lskd.holder import LOCK
from lskd.types import Example

Write = Callable[[Iterable[Example], Path], Written]
FORMATS: dict[str, Write] = {
    "hf": hf.write,
    "llava": llava.write,
    "swift": swift.write,
    "trl": trl.write,
    "lck": lck.write,
    "coco": coco.write,
}


def content(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, by its path from there."""
    files = (file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def broken(examples: list[Example]) -> Iterator[Example]:
    yield from examples
    raise KeyboardInterrupt


@pytest.mark.parametrize("name", FORMATS)
def test_an_interrupted_export_leaves_nothing(tmp_path: Path, name: str) -> None:
    examples = some(tmp_path / "photos")
    with pytest.raises(KeyboardInterrupt):
        FORMATS[name](broken(examples), tmp_path / "out")
    assert content(tmp_path / "out") == {}


@pytest.mark.parametrize("name", FORMATS)
def test_an_interrupted_export_leaves_the_one_before_as_it_was(tmp_path: Path, name: str) -> None:
    examples = some(tmp_path / "photos")
    FORMATS[name](examples, tmp_path / "out")
    before = content(tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        FORMATS[name](broken(examples[:1]), tmp_path / "out")
    assert content(tmp_path / "out") == before


@pytest.mark.parametrize("name", FORMATS)
def test_a_second_export_gives_the_same_bytes(tmp_path: Path, name: str) -> None:
    examples = some(tmp_path / "photos")
    FORMATS[name](examples, tmp_path / "out")
    before = content(tmp_path / "out")
    FORMATS[name](iter(examples), tmp_path / "out")
    assert content(tmp_path / "out") == before


def test_nothing_of_a_larger_export_before_remains(tmp_path: Path) -> None:
    examples = some(tmp_path / "photos")
    llava.write(examples, tmp_path / "out")
    llava.write(examples[:1], tmp_path / "out")
    llava.write(examples[:1], tmp_path / "fresh")
    assert content(tmp_path / "out") == content(tmp_path / "fresh")


def test_a_file_of_the_users_is_not_overwritten_and_others_may_stay(tmp_path: Path) -> None:
    examples = some(tmp_path / "photos")
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    swift.write(examples, out)
    assert (out / "notes.txt").read_text() == "mine"
    (tmp_path / "other").mkdir()
    (tmp_path / "other/train.jsonl").write_text("mine")
    with pytest.raises(UserError, match="not made by an export"):
        swift.write(examples, tmp_path / "other")
    assert content(tmp_path / "other") == {"train.jsonl": b"mine"}


def test_an_export_of_another_format_is_not_replaced(tmp_path: Path) -> None:
    examples = some(tmp_path / "photos")
    hf.write(examples, tmp_path / "out")
    before = content(tmp_path / "out")
    with pytest.raises(UserError, match="holds an export of format 'hf', not 'trl'"):
        trl.write(examples, tmp_path / "out")
    assert content(tmp_path / "out") == before


KILLED = """
import sys, time
from pathlib import Path
from export.examples import some
from lskd.export import llava

def source():
    for example in some(Path(sys.argv[1])):
        yield example
        print("one more", flush=True)
    time.sleep(600)

llava.write(source(), Path(sys.argv[2]))
"""


def test_a_killed_export_shows_nothing_and_the_next_one_is_whole(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path / "photos"), str(tmp_path / "out")]
    path = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, sys.path)])
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}
    ) as process:
        assert process.stdout is not None
        for _ in range(4):
            assert process.stdout.readline() == b"one more\n"
        process.kill()
    (there,) = (tmp_path / "out").iterdir()
    assert there.match(f".unfinished-*-{process.pid}")
    assert content(tmp_path / "out")
    llava.write(some(tmp_path / "photos"), tmp_path / "out")
    llava.write(some(tmp_path / "photos"), tmp_path / "fresh")
    assert content(tmp_path / "out") == content(tmp_path / "fresh")


def test_what_a_killed_export_left_is_removed_by_the_next(tmp_path: Path) -> None:
    left = tmp_path / "out/.unfinished-99999999/data"
    left.mkdir(parents=True)
    (left / "train-00000.parquet").write_bytes(b"half")
    hf.write(some(tmp_path / "photos"), tmp_path / "out")
    assert sorted(content(tmp_path / "out")) == [
        ".lskd-export.json",
        "data/train-00000-of-00001.parquet",
        "data/validation-00000-of-00001.parquet",
    ]


def test_what_a_killed_process_of_the_same_number_left_is_removed(tmp_path: Path) -> None:
    left = tmp_path / f"out/.unfinished-0badcafe-{os.getpid()}"
    left.mkdir(parents=True)
    (left / ".lock").touch()
    older = tmp_path / f"out/.unfinished-{os.getpid()}"
    older.mkdir()
    lck.write(some(tmp_path / "photos"), tmp_path / "out")
    assert sorted(content(tmp_path / "out")) == [".lskd-export.json", "lck.jsonl"]
    assert not left.exists() and not older.exists()


def test_what_a_process_left_that_was_killed_before_it_wrote_is_removed_later(
    tmp_path: Path,
) -> None:
    long_ago, just_now = (tmp_path / f"out/.begun-0badcafe-{number}" for number in (1, 2))
    for left in (long_ago, just_now):
        left.mkdir(parents=True)
        (left / ".lock").touch()
    os.utime(long_ago, (0, 0))
    lck.write(some(tmp_path / "photos"), tmp_path / "out")
    assert not long_ago.exists() and just_now.exists()


def test_a_draft_that_could_not_be_removed_is_in_nobodys_way(tmp_path: Path) -> None:
    with contextlib.ExitStack() as first:
        left = first.enter_context(drafted(tmp_path / "out"))
        (left / "half.jsonl").write_text("half")
        with machine.descriptors(0):
            first.close()
    assert (left / "half.jsonl").exists()
    with contextlib.ExitStack() as second:
        with machine.descriptors(1):  # enough to begin, not to remove a folder
            own = second.enter_context(drafted(tmp_path / "out"))
        assert [entry.name for entry in own.iterdir()] == [LOCK]
    with drafted(tmp_path / "out"):
        assert not left.exists()


def test_a_draft_that_another_host_writes_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "out/.unfinished-0badcafe-99999999"  # no process of this host
    other.mkdir(parents=True)
    (other / "half.jsonl").write_text("half")
    with (other / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lck.write(some(tmp_path / "photos"), tmp_path / "out")
        assert (other / "half.jsonl").exists()
    lck.write(some(tmp_path / "photos"), tmp_path / "out")
    assert not other.exists()


def test_a_file_in_place_of_the_folder_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(UserError, match="is a file: name a folder"):
        lck.write([], tmp_path / "out")


def test_a_picture_that_no_jpeg_holds_is_left_out_with_the_reason(tmp_path: Path) -> None:
    long = saved(tmp_path, "panorama.png", painted(66_000, 80, 1))
    written = llava.write(about(long), tmp_path / "out")
    assert (written.rows, written.rejected) == (1, 1)  # by a phrase nothing is drawn
    (said,) = (tmp_path / "out" / "rejects.jsonl").read_text(encoding="utf-8").splitlines()
    assert "panorama.png has 66,000 x 80 pixels, a JPEG holds 65,500 a side" in said


def test_examples_are_taken_one_by_one(tmp_path: Path) -> None:
    examples = some(tmp_path / "photos")
    seen: list[int] = []

    def source() -> Iterator[Example]:
        for number, example in enumerate(examples):
            pictures = tmp_path / "out"
            seen.append(len(list(pictures.rglob("*.jpg"))))
            yield example
            assert number == len(seen) - 1

    llava.write(source(), tmp_path / "out")
    assert seen == [0, 1, 1, 2]


@pytest.mark.parametrize(
    ("split", "name"),
    [("", "train"), ("val", "validation"), ("Dev", "validation"), ("test", "test"), ("a-b", "a_b")],
)
def test_splits_have_the_names_that_loaders_know(split: str, name: str) -> None:
    assert split_name(split) == name


def test_the_list_of_an_exports_names_is_whole(tmp_path: Path) -> None:
    llava.write(some(tmp_path / "photos"), tmp_path / "out")
    said = json.loads((tmp_path / "out/.lskd-export.json").read_text())
    there = {entry.name for entry in (tmp_path / "out").iterdir()} - {".lskd-export.json"}
    assert said == {"format": "llava", "names": sorted(there)}
