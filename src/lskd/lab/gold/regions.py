"""A scene becomes an image of VCR: regions numbered by chance, with boxes and outlines.

VisualCOMET is built on the same images. A region's number says nothing of what it is, and things
are named by their kind alone: an open and a closed umbrella are both "umbrella".
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TypeVar

from lskd.lab.combinations import is_held_out
from lskd.lab.drawing import masks
from lskd.lab.gold.files import chance, number_of, put_json, put_picture
from lskd.lab.gold.outline import polygons
from lskd.lab.knowledge import Ask
from lskd.lab.scene import Entity, Scene
from lskd.lab.words import answer
from lskd.lab.world import Staged

FOLDER, FILM = "vcr1images", "lab_world"
Asked = TypeVar("Asked")


@dataclass(frozen=True, slots=True)
class Numbered:
    """A scene with its regions: region k is entity `order[k]`."""

    staged: Staged
    order: tuple[int, ...]

    @property
    def scene(self) -> Scene:
        """Return what is in the picture."""
        return self.staged.scene

    @property
    def image(self) -> str:
        """Return the file of the picture, from VCR's folder of images."""
        return f"{FILM}/{number_of(self.staged):06}@0.jpg"

    @property
    def metadata(self) -> str:
        """Return the file of boxes beside the picture."""
        return self.image.removesuffix(".jpg") + ".json"

    @property
    def labels(self) -> list[str]:
        """Return what the metadata calls each region."""
        return [label(self.scene.entities[number]) for number in self.order]

    def region(self, entity: int) -> int:
        """Return the number of an entity's region."""
        return self.order.index(entity)


def numbered(staged: Staged, seed: int) -> Numbered:
    """Return a scene with its regions in an order by chance."""
    order = list(range(len(staged.scene.entities)))
    chance(seed, staged, "regions").shuffle(order)
    return Numbered(staged, tuple(order))


def label(entity: Entity) -> str:
    """Return an entity's category, written without blanks."""
    return "person" if entity.is_person else entity.kind.split()[-1]


def asked(staged: Staged, entity: int) -> bool:
    """Return whether localised files ask about an entity: of "held", only what is held out."""
    return staged.split != "held" or is_held_out(staged.scene, entity)


def apart(
    staged: Staged, asks: Sequence[Ask], count: int, rng: random.Random
) -> tuple[int, ...] | None:
    """Return entities by chance of which no two share an answer; None if there are not `count`.

    Those that are to be asked come first; None also if there is none.
    """
    order = list(range(len(staged.scene.entities)))
    rng.shuffle(order)
    order.sort(key=lambda entity: not asked(staged, entity))
    chosen: list[int] = []
    said: set[str] = set()
    for entity in order:
        answers = {answer(staged.scene, entity, ask) for ask in asks}
        if len(chosen) < count and not answers & said:
            chosen.append(entity)
            said |= answers
    enough = len(chosen) == count and asked(staged, chosen[0])
    return tuple(chosen) if enough else None


def in_rounds(
    folder: Path,
    world: Path,
    scenes: Sequence[Staged],
    seed: int,
    make: Callable[[Numbered], Sequence[Asked]],
) -> list[Asked]:
    """Return what is asked about each scene first, then what second, until nothing is left.

    So the first questions of a file, which `limit` asks, are of as many scenes as there can be.
    Pictures that are asked about, and their metadata, are written below a benchmark's folder.
    """
    every = []
    for staged in scenes:
        one = numbered(staged, seed)
        every.append(make(one))
        if every[-1]:
            put_image(folder, world, one)
    return [one for turn in zip_longest(*every) for one in turn if one is not None]


def put_image(folder: Path, world: Path, one: Numbered) -> None:
    """Write a picture and its metadata below a benchmark's folder."""
    whole = masks(one.scene)
    boxes = [[*one.staged.boxes[number], 1.0] for number in one.order]
    outlines = [
        [list(map(list, zip(polygon[::2], polygon[1::2], strict=True))) for polygon in shapes]
        for shapes in (polygons(whole[number]) for number in one.order)
    ]
    metadata = {
        "boxes": boxes,
        "segms": outlines,
        "names": one.labels,
        "width": one.scene.width,
        "height": one.scene.height,
    }
    put_picture(world, one.staged, folder / FOLDER / one.image)
    put_json(folder / FOLDER / one.metadata, metadata)
