"""Texts become pieces, so that a page can show the name of each region in its colour."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lskd.marking import colour
from lskd.marking import named as region_ids
from lskd.report.diversity import texts
from lskd.report.gallery import Exhibit
from lskd.types import Mention, Region, Reject

LONGEST = 4_000  # characters of a text that are shown
BRACKETS = re.compile(r"\[([^\[\]]*)\]")


@dataclass(frozen=True, slots=True)
class Chip:
    """The name of a region as it is shown: its number on its colour, `ink` being readable there.

    `region` is None if the image has no region of that number.
    """

    id: int
    region: Region | None
    paper: str
    ink: str


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text; with chips, it is a tag: those of "[2]" or the phrase in the brackets."""

    text: str
    chips: tuple[Chip, ...] = ()


def chip(region_id: int, regions: Sequence[Region]) -> Chip:
    """Return the chip of a region."""
    red, green, blue = colour(region_id, "clear")
    region = next((region for region in regions if region.id == region_id), None)
    return Chip(region_id, region, f"#{red:02x}{green:02x}{blue:02x}", ink(red, green, blue))


def ink(red: int, green: int, blue: int) -> str:
    """Return black or white, whichever stands out more on a colour (relative luminance, WCAG 2)."""
    linear = [
        value / 3294.6 if value <= 10 else ((value / 255 + 0.055) / 1.055) ** 2.4
        for value in (red, green, blue)
    ]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000" if luminance > 0.179 else "#fff"


def pieces(text: str, regions: Sequence[Region], mentions: Sequence[Mention]) -> Iterator[Piece]:
    """Yield a text in pieces: "[2]" and the phrases of `mentions` as tags, all else as it is."""
    meant = {mention.phrase.casefold(): mention.region_id for mention in mentions}
    done = 0
    for found in BRACKETS.finditer(text):
        numbers, phrase = region_ids(found[0]), ""
        if not numbers and found[1].casefold() in meant:
            numbers, phrase = (meant[found[1].casefold()],), found[1]
        if numbers:
            if found.start() > done:
                yield Piece(text[done : found.start()])
            yield Piece(phrase, tuple(chip(number, regions) for number in numbers))
            done = found.end()
    if done < len(text):
        yield Piece(text[done:])


def marked(exhibit: Exhibit) -> tuple[Region, ...]:
    """Return the regions that the text names; all, if it names none or one that is not there."""
    row = exhibit.row
    wanted = set(region_ids(row.text) if isinstance(row, Reject) else row.region_ids)
    if not wanted or wanted - {region.id for region in exhibit.regions}:
        return exhibit.regions
    return tuple(region for region in exhibit.regions if region.id in wanted)


def clip(text: str, longest: int = LONGEST) -> str:
    """Return the beginning of a text, and how much more there is."""
    more = len(text) - longest
    return text if more <= 0 else f"{text[:longest]} … ({more:,} more characters)"


def parts(exhibit: Exhibit) -> tuple[tuple[str, tuple[Piece, ...]], ...]:
    """Return what an exhibit says, part by part, each with its name."""
    row, regions = exhibit.row, exhibit.regions
    if isinstance(row, Reject):
        return (("Rejected text", tuple(pieces(clip(row.text), regions, ()))),)
    names = ("Question", "Answer", "Rationale")
    return tuple(
        (name, tuple(pieces(clip(text), regions, row.mentions)))
        for name, text in zip(names, texts(row), strict=True)
    )
