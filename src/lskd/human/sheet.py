"""Claims become a CSV of items for any other platform, and its CSV of results becomes judgments.

A row of the first is a triple: what platforms call variables of a template. A row of the second is
one person's answers to one of them; `Columns` tells which columns hold what.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from lskd import table
from lskd.errors import UserError
from lskd.human.address import Address
from lskd.human.rating import Subject, judgment
from lskd.human.work import Claim
from lskd.types import Judgment, Region, Reject

HEADER = (
    *("triple_id", "image_id", "image", "width", "height"),
    *("question", "answer", "rationale", "regions"),
)
OPTIONAL = ("image_id", "seconds")


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of the columns of results; those of `image_id` and `seconds` may be missing.

    Platforms put words of their own before some, as in "Input.triple_id" or "Answer.qa".
    """

    triple_id: str = "triple_id"
    annotator: str = "annotator"
    qa: str = "qa"
    rationale: str = "rationale"
    image_id: str = "image_id"
    seconds: str = "seconds"


OURS = Columns()


@dataclass(frozen=True, slots=True)
class Results:
    """What a file of results holds; a bad row is a reject, and the rest is read."""

    judgments: tuple[Judgment, ...]
    rejects: tuple[Reject, ...]


def write(claims: Iterable[Claim], file: Path, address: Address) -> int:
    """Write a row for each claim, whole or not at all, and return how many.

    `image` is where the platform finds the picture. `regions` is JSON: id, x0, y0, x1, y1 (pixels
    of the upright picture, x1 and y1 outside) and label of each, so that a template can draw them.
    Texts are word for word. Raises UserError if the file cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(HEADER)
    number = 0
    for claim in claims:
        triple = claim.triple
        where = (triple.id, triple.image_id, address(claim), claim.width, claim.height)
        regions = json.dumps([_region(one) for one in claim.regions], ensure_ascii=False)
        writer.writerow([*where, triple.question, triple.answer, triple.rationale, regions])
        number += 1
    with table.draft(file) as unfinished:
        unfinished.write_text(text.getvalue(), encoding="utf-8", newline="")
    return number


def read(file: Path, columns: Columns = OURS) -> Results:
    """Return the judgments of a file of results; ratings are 1 to 3, or their words.

    Raises UserError for a file that cannot be read, or lacks a column that is not optional.
    """
    judgments: list[Judgment] = []
    rejects: list[Reject] = []
    try:
        # The mark that spreadsheets put in front is not part of the first column's name.
        with file.open(encoding="utf-8-sig", newline="") as opened:
            reader = csv.DictReader(opened)
            _require(file, reader.fieldnames or (), columns)
            for row in reader:
                try:
                    judgments.append(_judgment(row, columns))
                except UserError as error:
                    text = json.dumps(list(row.values()), ensure_ascii=False)
                    rejects.append(Reject(f"{file} line {reader.line_num}", str(error), text))
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"results cannot be read from {file}: {error}") from error
    return Results(tuple(judgments), tuple(rejects))


def _region(one: Region) -> Mapping[str, object]:
    return {"id": one.id, **one.box._asdict(), "label": one.label}


def _require(file: Path, names: Sequence[str], columns: Columns) -> None:
    wanted = [getattr(columns, one.name) for one in fields(columns) if one.name not in OPTIONAL]
    missing = [name for name in wanted if name not in names]
    if missing:
        raise UserError(
            f"{file} has no column {', '.join(missing)}; it has {', '.join(names) or 'none'}"
        )


def _judgment(row: Mapping[str | None, object], columns: Columns) -> Judgment:
    if None in row or None in row.values():
        raise UserError("it has more or fewer cells than the header")
    subject = Subject(
        _name(row[columns.triple_id], columns.triple_id),
        str(row.get(columns.image_id, "")).strip(),
        _name(row[columns.annotator], columns.annotator),
    )
    seconds = row.get(columns.seconds)
    return judgment(subject, row[columns.qa], row[columns.rationale], seconds)


def _name(value: object, column: str) -> str:
    name = str(value).strip()
    if not name:
        raise UserError(f"it names no {column}")
    return name
