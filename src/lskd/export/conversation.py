"""An example becomes a conversation on a picture: question and answer, then why (section 2.4)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from lskd.errors import UserError
from lskd.export.names import Name, cut
from lskd.types import Example, Region, Style

WHY = "Why?"


@dataclass(frozen=True, slots=True)
class Talk:
    """What is said in a conversation.

    `styles` are those of the examples that are taken. `naming` "tag" leaves every text word for
    word; "box" puts a box where a text names a region by id, and behind a phrase that names one.
    `rationale` is a "turn" of its own, asked for by "Why?", is said with the "answer", or "none";
    an example that has none, as some foreign corpora's, ends with its answer.
    """

    styles: tuple[Style, ...] = ("id", "description")
    naming: Literal["tag", "box"] = "tag"
    rationale: Literal["turn", "answer", "none"] = "turn"


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a text where a region's box goes, behind its phrase if there is one."""

    phrase: str
    region: Region


Part = str | Place
TALK = Talk()


@dataclass(frozen=True, slots=True)
class Turn:
    """One message; its parts join to the text once the places are written out."""

    role: Literal["user", "assistant"]
    parts: tuple[Part, ...]


def conversation(example: Example, talk: Talk, marked: bool, reserved: Sequence[str]) -> list[Turn]:
    """Return the turns of an example, the user's first.

    Where regions are named by id and no picture with marks says which is which (`marked`), the
    first turn begins with the boxes of those that are named. Raises UserError if a text holds one
    of the `reserved` words, which the format would take for a picture or a box.
    """
    texts = [example.question, example.answer]
    told = bool(example.rationale.strip())
    if told and talk.rationale == "turn":
        texts += [WHY, example.rationale]
    elif told and talk.rationale == "answer":
        texts[1] = f"{example.answer} {example.rationale}"
    for word in reserved:
        if any(word in text for text in texts):
            raise UserError(f"a text holds {word!r}, which this format keeps for itself")
    legend: tuple[Part, ...] = ()
    if talk.naming == "tag" and example.style == "id" and not marked:
        legend = tuple(boxes(example))
    turns = [
        Turn("assistant" if number % 2 else "user", tuple(parts(example, text, talk)))
        for number, text in enumerate(texts)
    ]
    return [Turn("user", legend + turns[0].parts), *turns[1:]]


def parts(example: Example, text: str, talk: Talk) -> Iterator[Part]:
    """Yield the parts of one text."""
    if talk.naming == "tag":
        yield text
        return
    regions = {region.id: region for region in example.regions}
    mentions = example.mentions if example.style == "description" else ()
    for piece in cut(text, mentions) if mentions or example.style == "id" else [text]:
        if isinstance(piece, Name) and set(piece.region_ids) <= set(regions):
            for number, region_id in enumerate(piece.region_ids):
                if number:
                    yield " and "
                yield Place(piece.phrase, regions[region_id])
        else:
            yield piece.text if isinstance(piece, Name) else piece


def boxes(example: Example) -> Iterator[Part]:
    """Yield a line that says where the named regions are."""
    shown = [region for region in example.regions if region.id in example.region_ids]
    for number, region in enumerate(shown):
        yield f"{', ' if number else 'Regions: '}[{region.id}] is "
        yield Place("", region)
    if shown:
        yield ".\n"


def share(example: Example, region: Region) -> str:
    """Return a box as shares of the picture's width and height, as LLaVA has them in its texts."""
    x0, y0, x1, y1 = region.box
    corners = (x0 / example.width, y0 / example.height, x1 / example.width, y1 / example.height)
    return f"[{', '.join(f'{min(max(corner, 0.0), 1.0):.3f}' for corner in corners)}]"


def said(example: Example, turn: Turn) -> str:
    """Return the text of a turn, with boxes as shares of the picture."""
    return "".join(
        part if isinstance(part, str) else f"{part.phrase} {share(example, part.region)}".lstrip()
        for part in turn.parts
    )
