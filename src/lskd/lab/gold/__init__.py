"""Scenes become the six benchmarks, in the files of their authors, under DIR/gold/<split>/.

All is a function of the world and its seed. Files are those of the validation split, whose labels
are public; the world's own splits are folders. VCR, Sherlock and VisualCOMET are localised: their
distractors are right about other regions. The other three are about whole pictures.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lskd.lab.gold import aokvqa, coco, sherlock, snli_ve, vcr, visual7w, visualcomet
from lskd.lab.world import Split, Staged, World

FOLDER = "gold"
SPLITS: tuple[Split, ...] = ("test", "held")


@dataclass(frozen=True, slots=True)
class Counts:
    """How many questions there are, by benchmark."""

    vcr: int
    sherlock: int
    visualcomet: int
    aokvqa: int
    snli_ve: int
    visual7w: int


def write_all(world: World) -> tuple[Counts, ...]:
    """Write the benchmarks of "test" and "held", and instances.json of "train".

    Return what each split that has scenes counts.
    """
    if train := world.of("train"):
        coco.write(world.folder / "train" / "instances.json", train)
    return tuple(
        write_split(world.folder / FOLDER / split, world.folder, scenes, world.seed)
        for split in SPLITS
        if (scenes := world.of(split))
    )


def write_split(folder: Path, world: Path, scenes: Sequence[Staged], seed: int) -> Counts:
    """Write the six benchmarks of one split's scenes, each into a folder of its name.

    `world` is the folder that the scenes' files are relative to.
    """
    return Counts(
        vcr=vcr.write(folder / "vcr", world, scenes, seed),
        sherlock=sherlock.write(folder / "sherlock", world, scenes, seed),
        visualcomet=visualcomet.write(folder / "visualcomet", world, scenes, seed),
        aokvqa=aokvqa.write(folder / "aokvqa", world, scenes, seed),
        snli_ve=snli_ve.write(folder / "snli_ve", world, scenes, seed),
        visual7w=visual7w.write(folder / "visual7w", world, scenes, seed),
    )
