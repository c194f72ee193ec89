"""`lskd ask`: which of some choices fits a picture with boxes drawn, or what else is to be said?"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import PIL.Image

from lskd import marking, picture, table
from lskd.distil import note
from lskd.errors import UserError
from lskd.marking import MarkStyle
from lskd.stage import named
from lskd.types import Box, Region


@dataclass(frozen=True, slots=True)
class Ranking:
    """Choices with their scores in [0, 1], best first, and the picture that the student saw."""

    choices: tuple[tuple[str, float], ...]
    marked: Path


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture file, boxes as `ask` takes them, and where the picture with these drawn goes."""

    image: Path
    boxes: Sequence[str]
    marked: Path


@dataclass(frozen=True, slots=True)
class Manner:
    """How words are chosen; the fields are those of `lskd.writing.writer.Decoding`.

    With `tokens` None a text is as long as the student's note allows.
    """

    beams: int = 1
    temperature: float | None = None
    top_p: float = 1.0
    tokens: int | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Told:
    """An answer and its rationale, as a student wrote them.

    Each `confidence` is in [0, 1], the geometric mean of the probabilities of a text's tokens; None
    where nothing was written. `undrawn` are the ids that the texts name and the picture has not.
    `unfinished` says that a text ended because it had become too long.
    """

    answer: str
    rationale: str
    confidence: float | None
    rationale_confidence: float | None
    undrawn: tuple[int, ...] = ()
    unfinished: bool = False


@dataclass(frozen=True, slots=True)
class Telling:
    """What a student wrote, and the picture that it saw."""

    told: Told
    marked: Path


@runtime_checkable
class Ranker(Protocol):
    """Who can be asked for the best of some choices: a student of whatever kind."""

    def rank(
        self,
        pixels: PIL.Image.Image,
        regions: Sequence[Region],
        question: str,
        choices: Sequence[str],
    ) -> list[float]:
        """Return how well each choice answers a question about regions, in [0, 1]."""
        ...


@runtime_checkable
class Speaker(Protocol):
    """Who can be asked for an answer of their own: a student that writes."""

    def answer(
        self,
        pixels: PIL.Image.Image,
        regions: Sequence[Region],
        question: str,
        manner: Manner | None = None,
    ) -> Told:
        """Return an answer to a question about regions, and its rationale."""
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
    if not choices or not all(choice.strip() for choice in choices):
        given = "an empty choice" if choices else "no choice"
        raise UserError(f'{given} is given: add --choices "one" "another"')
    if not boxes:
        raise UserError("no box is given: add --box x0,y0,x1,y1 for each place; the first is [0]")
    pixels, regions = _posed(image, boxes, question, choices)
    about = note.read(student_folder)
    # Only here are the libraries needed that hold weights.
    student = named(about.use)(student_folder)
    if not isinstance(student, Ranker):
        raise UserError(f"{student_folder} cannot be asked: {about.use} has no .rank()")
    scores = student.rank(pixels, regions, question, choices)
    _write(pixels, regions, about.marking, marked)
    ranked = sorted(zip(choices, scores, strict=True), key=lambda pair: -pair[1])
    return Ranking(tuple(ranked), marked)


def tell(
    student_folder: Path,
    image: Path,
    boxes: Sequence[str],
    question: str,
    marked: Path,
    manner: Manner | None = None,
) -> Telling:
    """Have a student answer in its own words; a question may be about the whole picture, too.

    All else is as in `ask`. Raises UserError for a student that only ranks choices.
    """
    pixels, regions = _posed(image, boxes, question, ())
    about = note.read(student_folder)
    kind = named(about.use)
    if not callable(getattr(kind, "answer", None)):
        raise UserError(
            f"{student_folder} ranks answers and writes none: give it some by --choices, or ask a "
            "student of the stage generative"
        )
    student = kind(student_folder)
    assert isinstance(student, Speaker)
    told = student.answer(pixels, regions, question, manner)
    _write(pixels, regions, about.marking, marked)
    return Telling(told, marked)


def draw(shown: Shown, question: str) -> None:
    """Write the picture of a question for whoever is no student; raises UserError as `ask` does."""
    pixels, regions = _posed(shown.image, shown.boxes, question, ())
    _write(pixels, regions, "clear", shown.marked)


def _posed(
    image: Path, boxes: Sequence[str], question: str, choices: Sequence[str]
) -> tuple[PIL.Image.Image, list[Region]]:
    """Return the picture and the regions of a question; raises UserError if it cannot be asked."""
    regions = [_region(number, text) for number, text in enumerate(boxes)]
    _check_words(regions, question, choices)
    pixels = _opened(image)
    for region in regions:
        if not marking.visible(region, pixels.size):
            raise UserError(
                f"--box {boxes[region.id]} lies outside of {image}, which has {pixels.width} x "
                f"{pixels.height} pixels"
            )
    return pixels, regions


def _write(
    pixels: PIL.Image.Image, regions: Sequence[Region], style: MarkStyle, file: Path
) -> None:
    drawn = marking.mark(pixels, regions, style)
    with table.draft(file) as unfinished:
        drawn.save(unfinished, "PNG")


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
    if not question.strip():
        raise UserError('the question is empty: ask one, as "What is [0] doing?"')
    last = len(regions) - 1
    for text in (question, *choices):
        for number in marking.named(text):
            if number > last:
                known = "none" if last < 0 else "[0]" if last == 0 else f"[0] to [{last}]"
                raise UserError(f"{text!r} names [{number}], but the boxes given are {known}")


def _opened(image: Path) -> PIL.Image.Image:
    try:
        return picture.decode(image.read_bytes())
    except FileNotFoundError:
        raise UserError(f"no image {image}") from None
    except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError) as error:
        raise UserError(f"cannot read {image} as a picture: {error}") from error
