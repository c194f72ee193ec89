"""A file of judgments becomes Judgment records; what cannot be one is a Reject with its reason.

The file is Parquet (as the table of `lskd.types.Judgment`), JSON lines or CSV, or a folder of such
files. It has the columns `triple_id`, `annotator`, `qa` and `rationale`, and may have `image_id`,
`seconds` and others, which are not read. A file that is not what its name says, or lacks a column,
is an error; a bad row among good ones is a reject, word for word, and the rest is read.
"""

import csv
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lskd.errors import UserError
from lskd.human.work import HIGHEST, LOWEST
from lskd.types import Judgment, Reject

COLUMNS = ("triple_id", "annotator", "qa", "rationale")


@dataclass(frozen=True, slots=True)
class Given:
    """What a file holds."""

    judgments: tuple[Judgment, ...]
    rejects: tuple[Reject, ...]


class _Fault(Exception):
    """Why a row is no judgment."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of a file, as it stands there, and where."""

    place: str
    content: Mapping[str, Any] | str


def read(path: Path) -> Given:
    """Return the judgments of a file or of a folder of files; `image_id` is "" if it is not given.

    A `rationale` beside a rejected `qa` is left out, since the first rejects both. `seconds` that
    are no number are unknown. Raises UserError for a path that is missing, is no table of a known
    form, or lacks a column.
    """
    judgments: list[Judgment] = []
    rejects: list[Reject] = []
    for file in files(path):
        for row in _rows(file):
            try:
                judgments.append(_judgment(row.content))
            except _Fault as fault:
                text = row.content if isinstance(row.content, str) else _text(row.content)
                rejects.append(Reject(row.place, str(fault), text))
    return Given(tuple(judgments), tuple(rejects))


def files(path: Path) -> list[Path]:
    """Return the files that a path stands for: itself, or those of known forms in a folder."""
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.iterdir() if file.suffix.lower() in _READERS)


def _rows(file: Path) -> Iterator[_Row]:
    reader = _READERS.get(file.suffix.lower())
    if reader is None:
        raise UserError(
            f"judgments = {str(file)!r}: the forms are {', '.join(_READERS)}, told by the ending"
        )
    try:
        yield from reader(file)
    except (OSError, pa.ArrowException, csv.Error, UnicodeDecodeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"judgments cannot be read from {file}: {reason}") from error


def _parquet(file: Path) -> Iterator[_Row]:
    if not file.stat().st_size:
        return
    content = pq.ParquetFile(file)
    _require(file, content.schema_arrow.names)
    number = 0
    for batch in content.iter_batches():
        for row in batch.to_pylist():
            number += 1
            yield _Row(f"{file} row {number}", row)


def _csv(file: Path) -> Iterator[_Row]:
    # The mark that spreadsheets put in front is not part of the first column's name.
    with file.open(encoding="utf-8-sig", newline="") as opened:
        reader = csv.DictReader(opened)
        if reader.fieldnames is None:
            return
        _require(file, reader.fieldnames)
        for row in reader:
            place = f"{file} line {reader.line_num}"
            if None in row:
                yield _Row(place, ",".join(str(cell) for cell in row.values()))
            else:
                yield _Row(place, row)


def _json_lines(file: Path) -> Iterator[_Row]:
    rows: list[_Row] = []
    known: set[str] = set()
    with file.open(encoding="utf-8-sig") as opened:
        for number, line in enumerate(opened, 1):
            if not line.strip():
                continue
            content = _object(line)
            known.update(content if isinstance(content, dict) else ())
            rows.append(_Row(f"{file} line {number}", content))
    if any(isinstance(row.content, dict) for row in rows):
        _require(file, known)
    yield from rows


_READERS: Mapping[str, Callable[[Path], Iterator[_Row]]] = {
    ".parquet": _parquet,
    ".jsonl": _json_lines,
    ".csv": _csv,
}


def _require(file: Path, columns: Any) -> None:
    missing = [name for name in COLUMNS if name not in columns]
    if missing:
        raise UserError(
            f"{file} has no column {', '.join(missing)}; it has {', '.join(columns) or 'none'}, "
            f"and judgments need {', '.join(COLUMNS)}"
        )


def _object(line: str) -> dict[str, Any] | str:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return line.strip()
    return content if isinstance(content, dict) else line.strip()


def _judgment(row: Mapping[str, Any] | str) -> Judgment:
    if isinstance(row, str):
        raise _Fault("is no row of this table")
    qa = _rating("qa", row.get("qa"))
    if qa is None:
        raise _Fault("has no qa rating")
    rationale = None if qa == LOWEST else _rating("rationale", row.get("rationale"))
    if qa != LOWEST and rationale is None:
        raise _Fault("has no rationale rating, though qa is not rejected")
    return Judgment(
        triple_id=_name("triple_id", row.get("triple_id")),
        image_id=str(row.get("image_id") or ""),
        annotator=_name("annotator", row.get("annotator")),
        qa=qa,
        rationale=rationale,
        seconds=_seconds(row.get("seconds")),
    )


def _rating(column: str, value: Any) -> int | None:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    number = _number(value)
    if number is None or number not in range(LOWEST, HIGHEST + 1):
        raise _Fault(f"{column} is {value!r}: expected {LOWEST} (reject), 2 (maybe) or {HIGHEST}")
    return int(number)


def _name(column: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise _Fault(f"names no {column}")
    return str(value).strip()


def _seconds(value: Any) -> float | None:
    number = _number(value)
    return number if number is not None and number >= 0 else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _text(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, default=str)
