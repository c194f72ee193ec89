"""Disks that fill up where weights are trained and asked: one line, nothing lost, go on."""

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import torch

import checkpoints
import generative_students
import tiny_models
from faults import machine, trained_house
from faults.machine import House
from faults.matrix import SIGHTS_FULL, TRAINED_FULL, heard, pattern
from faults.trained_house import RECIPE, RUN, command, kept, well
from lskd.blip2 import weights
from lskd.blip2.features import Limits
from lskd.distil.generative.sights import SightCache
from lskd.errors import UserError
from lskd.run import load
from lskd.types import Image, View
from lskd.writing.blip2 import Blip2Writer
from lskd.writing.chat import ChatWriter
from lskd.writing.writer import Sight

ROOM = 4000  # pages: enough for all weights and checkpoints
AT_THE_START = 2  # pages that are left when a stage begins
# Pages with which a stage gets as far as a checkpoint, its weights, or the page of its figures.
LATER = {"critic": 100, "distil": 200, "generative": 90, "evaluate": 5}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> House:
    return trained_house.build(tmp_path_factory.mktemp("trained"))


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> House:
    return trained_house.build_captioner(tmp_path_factory.mktemp("captioner"))


@pytest.fixture
def disk(home: House) -> Iterator[Path]:
    """Give the folder of the disturbed run a small disk of its own."""
    with machine.own_disk(home, ROOM) as folder:
        yield folder


@pytest.fixture
def desk(school: House) -> Iterator[Path]:
    """Give the folder of the disturbed captioner a small disk of its own."""
    with machine.own_disk(school, ROOM) as folder:
        yield folder


def stages(home: House) -> list[str]:
    """Return the stages that draw what is judged, train, and ask what was trained."""
    names = [stage.name for stage in load(home.folder / "small.toml").stages()]
    return names[names.index("sample") : names.index("evaluate") + 1]


def stopped(home: House, disk: Path, pages: int, *words: str) -> str | None:
    """Return what a command cannot write on so many pages; None if it ends well."""
    with machine.filled(disk, pages):
        ended = command(home, *words)
    if ended.exit_code == 0:
        return None
    line = ended.said.splitlines()[-1]
    heard(SIGHTS_FULL if "has room for" in line else TRAINED_FULL, ended)
    assert not list(disk.rglob("*.draft"))
    return line.removeprefix("error: cannot write ").partition(": ")[0]


def swept(home: House, disk: Path, *words: str) -> set[str]:
    """Give a command with more and more room until it ends well; return the names of what was
    stopped.
    """
    found: set[str] = set()
    large = ""
    pages = 1
    while (file := stopped(home, disk, pages, *words)) is not None:
        name = Path(file).name
        found.add(name)
        if large and name != large:
            pages, large = 1, ""  # room for it is room for much that comes after it
        elif name.endswith((".pt", ".safetensors")):
            pages, large = pages + 3, name
        else:
            pages += 1
        assert pages < ROOM, file
    return found


def whole(folder: Path) -> Callable[[Path], None]:
    """Return what writes a whole writer with its tokenizer."""
    return Blip2Writer(str(generative_students.write_base(folder / "base"))).save_whole


def adapters(folder: Path) -> Callable[[Path], None]:
    """Return what writes adapters."""
    return ChatWriter(str(checkpoints.write_idefics3(folder / "base")), rank=4).save


def lavis(folder: Path) -> Callable[[Path], None]:
    """Return what writes a file of LAVIS."""
    model = tiny_models.stage1(tiny_models.stage1_size("eva"))
    return lambda made: weights.save(model, made / "a.pth")


def test_a_full_disk_is_told_in_every_stage_that_trains_and_its_training_goes_on(
    home: House, disk: Path
) -> None:
    for stage in stages(home):
        for pages in (AT_THE_START, LATER.get(stage)):
            if pages is not None:
                assert stopped(home, disk, pages, *RUN, "--until", stage), (stage, pages)
        went_on = well(home, *RUN, "--until", stage)
        assert stage != "distil" or "going on after step 2 of 4" in went_on.said
    assert kept(home, "broken") == kept(home, "calm")


def test_a_disk_that_has_no_room_for_what_is_seen_is_told_before_all_is_looked_at(
    tmp_path: Path,
) -> None:
    views = [View(Image(str(number), "", 8, 8), ()) for number in range(4)]
    seen: list[View] = []

    def look(some: Sequence[View]) -> list[Sight]:
        seen.extend(some)
        return [Sight(torch.zeros(machine.PAGE // 4, 1)) for _ in some]  # more than a page each

    with machine.small_disk(tmp_path / "disk", 8) as disk:
        with machine.filled(disk, 3), pytest.raises(UserError) as told:
            SightCache(disk / "sights").fill(lambda: views, look, Limits(1.0, 1), print)
        assert re.fullmatch(pattern(SIGHTS_FULL), str(told.value)) and seen == views[:1]
        SightCache(disk / "sights").fill(lambda: views, look, Limits(1.0, 1), print)
    assert seen == [views[0], *views]


@pytest.mark.parametrize(
    ("save", "last", "step"),
    [(whole, "config.json", 3), (adapters, "writer.toml", 1), (lavis, "a.pth", 3)],
)
def test_weights_that_find_no_room_are_there_whole_or_not_at_all(
    tmp_path: Path, save: Callable[[Path], Callable[[Path], None]], last: str, step: int
) -> None:
    write = save(tmp_path)
    told = []
    with machine.small_disk(tmp_path / "disk", ROOM) as disk:
        made = disk / "made"
        for pages in range(1, ROOM, step):
            try:
                with machine.filled(disk, pages):
                    write(made)
                break
            except UserError as error:
                told.append(str(error))
                assert not (made / last).exists() and not list(made.rglob("*.draft"))
                shutil.rmtree(made)  # so that each time all of it is to be written
        assert (made / last).exists()
    assert told and all(re.fullmatch(pattern(TRAINED_FULL), line) for line in told)


@pytest.mark.check
@pytest.mark.timeout(1800)
def test_a_full_disk_is_told_at_every_write_of_a_training(home: House, disk: Path) -> None:
    found = {stage: swept(home, disk, *RUN, "--until", stage) for stage in stages(home)}
    assert kept(home, "broken") == kept(home, "calm")
    assert found["critic"] >= {"losses.jsonl", "00000004.pt", "model.safetensors"}
    ways = {"examples.jsonl", "00000002.pt", "00000004.pt"}
    assert found["distil"] >= ways | {"model.safetensors"}
    assert found["generative"] >= ways | {"trained.safetensors"}
    assert found["evaluate"] >= {"summary.csv", "evaluation.html", "00000.parquet"}


@pytest.mark.check
def test_a_full_disk_is_told_at_every_write_of_a_captioners_training(
    school: House, desk: Path
) -> None:
    found = swept(school, desk, *RECIPE)
    assert kept(school, "broken") == kept(school, "calm")
    assert found >= {"losses.jsonl", "00000002.pt", "00000004.pt", "trained.safetensors"}
