"""A JSON export of Label Studio becomes judgments, and regions as annotators left them.

In: the export in the format "JSON" (not "JSON-MIN") of tasks that `lskd.human.label_studio` made.
Only what people submitted is read, from the answers that the configuration there names; drafts and
predictions are not. What is unusable among it is a Reject.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, FiniteFloat, TypeAdapter, ValidationError

from lskd import table
from lskd.errors import UserError
from lskd.human.label_studio import BOXES, QA, RATIONALE, pixels
from lskd.human.rating import Subject, judgment
from lskd.types import Judgment, Region, Regions, Reject

SAME = 1e-6  # of a picture's width or height: a box is where it was, but for rounding
SHAPE = 0.02  # how far width / height may be off in a smaller copy of a picture
Side = Annotated[int, Field(ge=1, le=1_000_000)]  # pixels


@dataclass(frozen=True, slots=True)
class Drawn:
    """The regions of an image as one annotator left them; those that they moved have score 1."""

    triple_id: str
    annotator: str
    regions: Regions


@dataclass(frozen=True, slots=True)
class Export:
    """What an export holds; `drawn` has a row for each annotation with boxes."""

    judgments: tuple[Judgment, ...]
    drawn: tuple[Drawn, ...]
    rejects: tuple[Reject, ...]


@dataclass(frozen=True)
class _Data:
    triple_id: str
    image_id: str
    width: Side
    height: Side
    regions: tuple[Region, ...]


@dataclass(frozen=True)
class _Person:
    id: int | str
    email: str | None = None


@dataclass(frozen=True)
class _Value:
    x: FiniteFloat | None = None
    y: FiniteFloat | None = None
    width: FiniteFloat | None = None
    height: FiniteFloat | None = None
    rotation: FiniteFloat | None = None
    rectanglelabels: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    rating: int | None = None


@dataclass(frozen=True)
class _Result:
    type: str
    from_name: str = ""
    value: _Value | None = None
    original_width: FiniteFloat | None = None
    original_height: FiniteFloat | None = None
    image_rotation: FiniteFloat | None = None


@dataclass(frozen=True)
class _Annotation:
    result: tuple[_Result, ...]
    completed_by: _Person | int | str | None = None
    was_cancelled: bool | None = None
    lead_time: FiniteFloat | None = None


_DATA, _ANNOTATION = TypeAdapter(_Data), TypeAdapter(_Annotation)


def read(file: Path) -> Export:
    """Return what people said of tasks that `write` made.

    A skipped task, one that nobody answered, a rotated box and the like are rejects, with reasons.
    Raises UserError for a file that is no export.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file} cannot be read as JSON: {error}") from error
    known = isinstance(content, list) and (
        not content or any(isinstance(one, dict) and "annotations" in one for one in content)
    )
    if not known:
        raise UserError(
            f"{file} is no list of tasks with annotations: export from Label Studio as JSON, "
            "not as JSON-MIN or another format"
        )
    found = [one for number, row in enumerate(content) for one in _answers(f"task {number}", row)]
    return Export(
        tuple(one for one in found if isinstance(one, Judgment)),
        tuple(one for one in found if isinstance(one, Drawn)),
        tuple(one for one in found if isinstance(one, Reject)),
    )


def _answers(place: str, task: Any) -> Iterator[Judgment | Drawn | Reject]:
    """Yield all that people said of one task."""
    content = task if isinstance(task, dict) else {}
    try:
        data = _DATA.validate_python(content.get("data"))
    except ValidationError as error:
        yield _reject(place, f"its data is not as lskd wrote it: {_fault(error)}", task)
        return
    given = content.get("annotations")
    if not isinstance(given, list) or not given:
        yield _reject(data.triple_id, "nobody has answered it", task)
        return
    for one in given:
        yield from _said(data, one)


def _said(data: _Data, content: object) -> Iterator[Judgment | Drawn | Reject]:
    """Yield what one annotation of a task says."""
    try:
        annotation = _ANNOTATION.validate_python(content)
        annotator = _annotator(annotation)
    except (ValidationError, UserError) as error:
        yield _reject(data.triple_id, f"an annotation cannot be read: {_fault(error)}", content)
        return
    if annotation.was_cancelled:
        yield _reject(data.triple_id, f"{annotator} skipped it", content)
        return
    subject = Subject(data.triple_id, data.image_id, annotator)
    try:
        qa, rationale = (_answer(annotation.result, name) for name in (QA, RATIONALE))
        yield judgment(subject, qa, rationale, annotation.lead_time)
    except UserError as error:
        yield _reject(data.triple_id, f"{annotator}: {error}", content)
    yield from _drawn(data, annotator, annotation.result)


def _annotator(annotation: _Annotation) -> str:
    who = annotation.completed_by
    if isinstance(who, _Person):
        who = who.email or who.id
    name = "" if who is None else str(who)
    if not name.strip():
        raise UserError("it names nobody in completed_by")
    return name.strip()


def _answer(results: Sequence[_Result], name: str) -> str | int | None:
    """Return the answer to a question, from choices or stars; None where there is none."""
    given: list[str | int] = []
    for one in results:
        if one.from_name == name and one.value is not None:
            given += [*one.value.choices, *([] if one.value.rating is None else [one.value.rating])]
    if len(given) > 1:
        raise UserError(f"{name} has {len(given)} answers: expected one")
    return given[0] if given else None


def _drawn(data: _Data, annotator: str, results: Sequence[_Result]) -> Iterator[Drawn | Reject]:
    """Yield the boxes that can be used as one set of regions, in the order of their numbers."""
    boxes = [one for one in results if one.type == "rectanglelabels" and one.from_name == BOXES]
    kept: dict[int, Region] = {}
    for one in boxes:
        try:
            region = _region(data, one)
            if region.id in kept:
                raise UserError(f"it is a second box of [{region.id}]")
            kept[region.id] = region
        except UserError as error:
            said = table.plain(one)
            yield _reject(data.triple_id, f"a box of {annotator} cannot be used: {error}", said)
    if boxes:
        regions = tuple(kept[number] for number in sorted(kept))
        yield Drawn(data.triple_id, annotator, Regions(data.image_id, regions))


def _region(data: _Data, one: _Result) -> Region:
    value = one.value or _Value()
    number = _number(value.rectanglelabels)
    if (value.rotation or 0) % 360:
        raise UserError(f"it is rotated by {value.rotation:g} degrees: expected an upright box")
    if (one.image_rotation or 0) % 360:
        raise UserError(f"its picture was turned by {one.image_rotation:g} degrees")
    if value.x is None or value.y is None or value.width is None or value.height is None:
        raise UserError("it lacks x, y, width or height")
    _same_shape(data, one)
    size = data.width, data.height
    given = pixels(value.x, value.y, value.width, value.height, size)
    known = next((region for region in data.regions if region.id == number), None)
    reach = (SAME * data.width, SAME * data.height) * 2
    if known and all(abs(a - b) <= far for a, b, far in zip(known.box, given, reach, strict=True)):
        return known
    box = given.within(*size)
    if box.area <= 0:
        raise UserError("it covers no part of the picture")
    # A box that a person moved has lost its outline.
    moved = known or Region(number, box, "", "", 1.0)
    return replace(moved, box=box, score=1.0, polygons=())


def _number(labels: Sequence[str]) -> int:
    found = re.fullmatch(r"\[(\d{1,6})\]", labels[0].strip()) if len(labels) == 1 else None
    if found is None:
        raise UserError(f"its label is {', '.join(labels) or 'missing'}: expected one as [2]")
    return int(found[1])


def _same_shape(data: _Data, one: _Result) -> None:
    """Raise UserError if a box was drawn on a picture of other proportions, as one on its side."""
    wide, high = one.original_width, one.original_height
    if wide is None or high is None:
        return
    if wide <= 0 or high <= 0 or abs(wide * data.height / (high * data.width) - 1) > SHAPE:
        raise UserError(
            f"it was drawn on a picture of {wide:g} x {high:g}, and this one has "
            f"{data.width} x {data.height}"
        )


def _fault(error: ValidationError | UserError) -> str:
    if isinstance(error, UserError):
        return str(error)
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}"


def _reject(source: str, reason: str, content: object) -> Reject:
    text = json.dumps(content, ensure_ascii=False)
    # Half a character (a lone surrogate) is no text that a table can hold.
    return Reject(source, reason, text.encode("utf-8", "backslashreplace").decode("utf-8"))
