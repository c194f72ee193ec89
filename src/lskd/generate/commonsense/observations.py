"""The block between <observations> and </observations> becomes a record; the rest is instruction.

Only `Picture`, `Places`, `Objects`, `Regions` and `Dialogue` are read: the teacher that uses this
does not understand free text, so it does not read narratives.
"""

import re
from dataclasses import dataclass
from itertools import pairwise

from lskd.types import Box, Exchange

BLOCK = re.compile(r"^<observations>$(.*?)^</observations>$", re.DOTALL | re.MULTILINE)
PICTURE = re.compile(r"Picture: (\d{1,9}) x (\d{1,9}) pixels")
NUMBER = r"(-?\d{1,9}(?:\.\d{1,9})?)"
REGION = re.compile(
    rf"\[(\d{{1,9}})\] \({NUMBER}, {NUMBER}, {NUMBER}, {NUMBER}\)(?:: (.*))?", re.ASCII
)
TITLE = re.compile(r"(Narratives|Regions|Dialogue):")


@dataclass(frozen=True, slots=True)
class Sighting:
    """A region as the block tells of it: `id` and `box` may be None, `phrase` may be ""."""

    id: int | None
    box: Box | None
    phrase: str


@dataclass(frozen=True, slots=True)
class Observations:
    """What a block says. `width` and `height` are the picture's in pixels, or None."""

    width: int | None = None
    height: int | None = None
    places: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()
    regions: tuple[Sighting, ...] = ()
    dialogue: tuple[Exchange, ...] = ()


def split(turn: str) -> tuple[Observations | None, str]:
    """Return the observations of a user turn, or None, and the text outside of their block."""
    found = BLOCK.search(turn)
    if not found:
        return None, turn
    return read(found[1]), f"{turn[: found.start()]}\n{turn[found.end() :]}"


def read(block: str) -> Observations:
    """Return what the lines of a block say; lines of no known form are passed over.

    Of two regions with one number the first counts.
    """
    section = ""
    width = height = None
    labels: dict[str, tuple[str, ...]] = {}
    lines: dict[str, list[str]] = {"Regions": [], "Dialogue": []}
    for line in block.split("\n"):
        if title := TITLE.fullmatch(line):
            section = title[1]
        elif section in lines:
            lines[section].append(line)
        elif not section and (size := PICTURE.fullmatch(line)):
            width, height = int(size[1]) or None, int(size[2]) or None
        elif not section:
            name, _, rest = line.partition(": ")
            labels.setdefault(name, tuple(rest.split(", ")))
    return Observations(
        width=width,
        height=height,
        places=labels.get("Places", ()),
        objects=labels.get("Objects", ()),
        regions=sightings(lines["Regions"]),
        dialogue=exchanges(lines["Dialogue"]),
    )


def sightings(lines: list[str]) -> tuple[Sighting, ...]:
    """Return the regions of the lines `[0] (1, 2, 3, 4): a phrase` and `- a phrase`."""
    found: list[Sighting] = []
    numbers: set[int] = set()
    for line in lines:
        if line.startswith("- "):
            found.append(Sighting(None, None, line[2:].strip()))
        elif (parts := REGION.fullmatch(line)) and int(parts[1]) not in numbers:
            numbers.add(int(parts[1]))
            box = Box(*(float(parts[k]) for k in range(2, 6)))
            found.append(Sighting(int(parts[1]), box, (parts[6] or "").strip()))
    return tuple(found)


def exchanges(lines: list[str]) -> tuple[Exchange, ...]:
    """Return each question with the answer on the line below it."""
    return tuple(
        Exchange(question[3:], answer[3:])
        for question, answer in pairwise(lines)
        if question.startswith("Q: ") and answer.startswith("A: ")
    )
