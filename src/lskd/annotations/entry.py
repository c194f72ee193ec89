"""What one annotation file says of one image, before it is known which picture that is."""

import json
import math
from array import array
from dataclasses import dataclass, field
from typing import NamedTuple

from lskd.types import Box
from lskd.unicode import mended

COMPACT = "d"  # polygons are kept as arrays of doubles, a quarter of the size of tuples


class Unfit(Exception):
    """A file is not of the format that it seems to be; the text says where."""


class Place(NamedTuple):
    """A box as the file gives it, not clipped; polygons are x0, y0, x1, y1, ..."""

    box: Box
    text: str
    polygons: tuple["array[float]", ...]


class Refusal(NamedTuple):
    """Something of the file that cannot be used, and why."""

    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What one file says of the image that it names; `size` is (width, height) where it says so."""

    name: str
    size: tuple[int, int] | None
    places: list[Place] = field(default_factory=list)
    captions: list[str] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    def says_something(self) -> bool:
        """Return whether there is more here than a name and a size."""
        return bool(self.places or self.captions or self.refusals)

    def refuse(self, reason: str, what: object) -> None:
        """Note that `what`, a piece of the file, is left out."""
        self.refusals.append(Refusal(reason, mended(json.dumps(what, ensure_ascii=False))))


def table(value: object, where: str) -> dict[str, object]:
    """Return a JSON object as it is; raises Unfit, naming `where`, if it is something else."""
    if not isinstance(value, dict):
        raise Unfit(f"{where} is not a JSON object")
    return value


def numbers(value: object) -> "array[float] | None":
    """Return a list of finite numbers, or None if it is anything else."""
    if not isinstance(value, list):
        return None
    try:
        kept = array(COMPACT, value)
    except (TypeError, OverflowError):
        return None
    return kept if all(map(math.isfinite, kept)) else None


def size(record: dict[str, object]) -> tuple[int, int] | None:
    """Return the positive whole `width` and `height` of a record, or None."""
    width, height = record.get("width"), record.get("height")
    if isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0:
        return width, height
    return None


def box_of_size(x: float, y: float, width: float, height: float) -> Box:
    """Return the box with a top left corner and a size."""
    return Box(x, y, x + width, y + height)


def one_line(value: object) -> str:
    """Return a text without stray blanks; "" if it is no text."""
    return mended(" ".join(value.split())) if isinstance(value, str) else ""
