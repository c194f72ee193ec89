"""Descriptors become the words of a prompt; the wording is in text files, the choosing is here.

What describers said is data. It stands in one block, a line an item, and cannot close the block,
start a line of its own or pose as a region's tag: see `quoted`.
"""

import importlib.resources
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Literal

from lskd.errors import UserError
from lskd.presence import is_here
from lskd.types import Box, Concepts, Dialogue, Image, Narratives, Region, Regions, Style

Descriptor = Literal["concepts", "narratives", "regions", "dialogue"]
DESCRIPTORS: tuple[Descriptor, ...] = ("concepts", "narratives", "regions", "dialogue")
LOOKALIKES = str.maketrans({"<": "‹", ">": "›", "[": "(", "]": ")"})


@dataclass(frozen=True, slots=True)
class Descriptors:
    """All that is said of one image when a prompt is made."""

    image: Image
    concepts: Concepts
    narratives: Narratives
    regions: Regions
    dialogue: Dialogue


def quoted(text: str) -> str:
    """Return text as one line that cannot be taken for a tag, a region or the end of the block."""
    return " ".join(text.translate(LOOKALIKES).split())


def corners(box: Box) -> str:
    """Return "(x0, y0, x1, y1)" in whole pixels."""
    return "({:.0f}, {:.0f}, {:.0f}, {:.0f})".format(*box)


def region_line(region: Region, style: Style, phrases: bool) -> str:
    """Return a region's line: number, box and phrase, or (by description) its phrase alone.

    Without `phrases`, or where none came, the number and the box stay: that is how the local
    descriptors are taken away (Table 2).
    """
    if style == "description":
        return f"- {quoted(region.description)}" if phrases and region.description else ""
    place = f"[{region.id}] {corners(region.box)}"
    return f"{place}: {quoted(region.description)}" if phrases and region.description else place


def section(title: str, lines: Sequence[str]) -> list[str]:
    """Return a titled list, or nothing where there is nothing to list."""
    kept = [line for line in lines if line]
    return [f"{title}:", *kept] if kept else []


def labels(title: str, found: Sequence[str]) -> list[str]:
    """Return a titled line of labels, or nothing."""
    return [f"{title}: {', '.join(quoted(label) for label in found)}"] if found else []


def observations(seen: Descriptors, style: Style, chosen: Sequence[Descriptor]) -> str:
    """Return the block of what describers said of an image, with the chosen descriptors only."""
    lines = [f"Picture: {seen.image.width} x {seen.image.height} pixels"]
    if "concepts" in chosen:
        lines += labels("Places", [c.label for c in seen.concepts.places])
        lines += labels("Objects", [c.label for c in seen.concepts.objects])
        lines += labels("Concepts", [c.label for c in seen.concepts.concepts])
    if "narratives" in chosen:
        lines += section("Narratives", [f"- {quoted(text)}" for text in seen.narratives.texts])
    phrases = "regions" in chosen
    regions = [region_line(region, style, phrases) for region in seen.regions.regions]
    lines += section("Regions", regions)
    if "dialogue" in chosen:
        said = [f"Q: {quoted(e.question)}\nA: {quoted(e.answer)}" for e in seen.dialogue.exchanges]
        lines += section("Dialogue", said)
    return "\n".join(["<observations>", *lines, "</observations>"])


def prompt_file(package: str, name: str) -> Path:
    """Return the file of a prompt: a name in the package's `prompts` folder, or a user's path.

    Raises UserError that lists the known names.
    """
    folder = Path(str(importlib.resources.files(package))) / "prompts"
    own = {file.stem: file for file in folder.glob("*.txt")}
    if name in own:
        return own[name]
    if is_here(name) and Path(name).is_file():
        return Path(name)
    known = ", ".join(sorted(own))
    raise UserError(f"no prompt {name!r:.80}; known: {known}, or the path of a text file of yours")


def filled(file: Path, **values: str | int) -> str:
    """Return a prompt's text with its $names replaced.

    Raises UserError if the text asks for a name that is not given.
    """
    try:
        return Template(file.read_text(encoding="utf-8")).substitute(values).strip()
    except (KeyError, ValueError) as error:
        raise UserError(f"prompt {file}: {error}; it can use: ${', $'.join(values)}") from error


def tokens(text: str) -> int:
    """Estimate the tokens of a text: a token is about four characters of English."""
    return len(text) // 4 + 1
