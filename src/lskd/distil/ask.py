"""`lskd ask`: which of some choices fits a picture with boxes drawn?"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import PIL.Image

from lskd import marking, picture, table
from lskd.distil import note
from lskd.errors import UserError
from lskd.stage import named
from lskd.types import Box, Region


@dataclass(frozen=True, slots=True)
class Ranking:
    """Choices with their scores in [0, 1], best first, and the picture that the student saw."""

    choices: tuple[tuple[str, float], ...]
    marked: Path


@runtime_checkable
class Ranker(Protocol):
    """What can be asked: a student of whatever kind."""

    def rank(
        self,
        pixels: PIL.Image.Image,
        regions: Sequence[Region],
        question: str,
        choices: Sequence[str],
    ) -> list[float]:
        """Return how well each choice answers a question about regions, in [0, 1]."""
        ...


def ask(
    student_folder: Path,
    image: Path,
    boxes: Sequence[str],
    question: str,
    choices: Sequence[str],
    marked: Path,
) -> Ranking:
    """Ask a student about boxes of a picture, and write the picture with the boxes drawn as PNG.

    `boxes` are texts as "x0,y0,x1,y1", in pixels of the upright image; the first is [0], the second
    [1]. Raises UserError for whatever is missing, unreadable or names no box; nothing is loaded
    before all that is checked.
    """
    regions = [_region(number, text) for number, text in enumerate(boxes)]
    _check_words(regions, question, choices)
    pixels = _opened(image)
    for region in regions:
        if not marking.visible(region, pixels.size):
            raise UserError(
                f"--box {boxes[region.id]} lies outside of {image}, which has {pixels.width} x "
                f"{pixels.height} pixels"
            )
    about = note.read(student_folder)
    # Only here are the libraries needed that hold weights.
    student = named(about.use)(student_folder)
    if not isinstance(student, Ranker):
        raise UserError(f"{student_folder} cannot be asked: {about.use} has no .rank()")
    scores = student.rank(pixels, regions, question, choices)
    drawn = marking.mark(pixels, regions, about.marking)
    with table.draft(marked) as unfinished:
        drawn.save(unfinished, "PNG")
    ranked = sorted(zip(choices, scores, strict=True), key=lambda pair: -pair[1])
    return Ranking(tuple(ranked), marked)


def box(text: str) -> Box:
    """Return the box that "x0,y0,x1,y1" stands for; raises UserError for anything else."""
    try:
        x0, y0, x1, y1 = (float(corner) for corner in text.split(","))
    except ValueError:
        raise UserError(
            f"--box {text!r}: expected four numbers, x0,y0,x1,y1, in pixels of the upright image"
        ) from None
    if not all(map(math.isfinite, (x0, y0, x1, y1))) or x1 <= x0 or y1 <= y0:
        raise UserError(f"--box {text!r}: x1 must be right of x0, and y1 below y0")
    return Box(x0, y0, x1, y1)


def _region(number: int, text: str) -> Region:
    return Region(number, box(text), label="", description="", score=1.0)


def _check_words(regions: Sequence[Region], question: str, choices: Sequence[str]) -> None:
    if not regions:
        raise UserError("no box is given: add --box x0,y0,x1,y1 for each place; the first is [0]")
    if not question.strip():
        raise UserError('the question is empty: ask one, as "What is [0] doing?"')
    if not choices or not all(choice.strip() for choice in choices):
        given = "an empty choice" if choices else "no choice"
        raise UserError(f'{given} is given: add --choices "one" "another"')
    last = len(regions) - 1
    for text in (question, *choices):
        for number in marking.named(text):
            if number > last:
                known = "[0]" if last == 0 else f"[0] to [{last}]"
                raise UserError(f"{text!r} names [{number}], but the boxes given are {known}")


def _opened(image: Path) -> PIL.Image.Image:
    try:
        return picture.decode(image.read_bytes())
    except FileNotFoundError:
        raise UserError(f"no image {image}") from None
    except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError) as error:
        raise UserError(f"cannot read {image} as a picture: {error}") from error
