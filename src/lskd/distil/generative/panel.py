"""Answers of several systems to the same questions become one HTML page: the paper's Figure 5.

In: images, and for each the answers to one question about it. Out: a page that asks nothing of any
server; regions that are named have their colour, and a name of what is not drawn is marked.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lskd import marking
from lskd.human.answers import Answer
from lskd.templates import environment
from lskd.thumbnail import Thumbnail, thumbnail
from lskd.types import Image

HERE = Path(__file__).parent
TAG = re.compile(r"\[[^\[\]]*\]")


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text; a tag has the `colour` of its number, and is `lost` if it is not drawn."""

    text: str
    colour: str | None = None
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """What one system says."""

    system: str
    answer: tuple[Piece, ...]
    rationale: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A question with its picture, and what the systems say."""

    picture: Thumbnail
    alt: str
    question: tuple[Piece, ...]
    columns: tuple[Column, ...]


def render(
    images: Sequence[Image], answers: Sequence[Sequence[Answer]], notices: Sequence[str] = ()
) -> str:
    """Return the page of some questions, `answers[n]` being those to one about `images[n]`.

    `notices` are what no reader of the page may miss.
    """
    both = zip(images, answers, strict=True)
    exhibits = [exhibit(image, rows) for image, rows in both if rows]
    systems = dict.fromkeys(row.system for rows in answers for row in rows)
    return (
        environment(HERE)
        .get_template("panel.html")
        .render(exhibits=exhibits, systems=list(systems), notices=notices)
    )


def exhibit(image: Image, rows: Sequence[Answer]) -> Exhibit:
    """Return a question as it is shown; the regions that any text of it names are drawn."""
    first = rows[0]
    drawn = frozenset(region.id for region in first.regions)
    texts = [first.question, *(text for row in rows for text in (row.answer, row.rationale))]
    named = {number for text in texts for number in marking.named(text)} & drawn
    regions = [region for region in first.regions if region.id in named or not named]
    labels = "; ".join(f"[{region.id}] {region.label}".strip() for region in regions)
    return Exhibit(
        thumbnail(image, regions),
        f"Image with marked regions: {labels}" if labels else "Image without marked regions",
        tuple(pieces(first.question, drawn)),
        tuple(
            Column(
                row.system, tuple(pieces(row.answer, drawn)), tuple(pieces(row.rationale, drawn))
            )
            for row in rows
        ),
    )


def pieces(text: str, drawn: frozenset[int]) -> Iterator[Piece]:
    """Yield a text in pieces, "[2]" and "[0, 2]" as tags and all else as it is."""
    done = 0
    for found in TAG.finditer(text):
        numbers = marking.named(found[0])
        if not numbers:
            continue
        if found.start() > done:
            yield Piece(text[done : found.start()])
        red, green, blue = marking.colour(numbers[0], "clear")
        lost = not drawn.issuperset(numbers)
        yield Piece(found[0], f"#{red:02x}{green:02x}{blue:02x}", lost)
        done = found.end()
    if done < len(text):
        yield Piece(text[done:])
