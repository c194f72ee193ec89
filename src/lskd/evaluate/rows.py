"""Files of JSON become rows, and rows become items; a row that cannot is a fault with its place.

A reader turns one row into items, and raises `Wrong` where the row does not allow it. `gather` does
so for all rows and keeps both: the items, and a Reject for each row that made none.
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from lskd.errors import UserError
from lskd.evaluate.benchmark import Found
from lskd.textfile import text_of
from lskd.types import Item, Reject


class Wrong(Exception):
    """A row cannot become an item; the text says why."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a file: where it stands, as "val.jsonl line 12", its text, and its fields."""

    source: str
    text: str
    fields: Mapping[str, object]


def lines(file: Path) -> Iterator[Row | Reject]:
    """Yield the rows of a file of JSON lines, and a Reject for each line that is no JSON object.

    Empty lines are passed over. Raises UserError if the file cannot be read.
    """
    try:
        with file.open("rb") as opened:
            for number, line in enumerate(opened, start=1):
                if line.strip():
                    yield _parsed(f"{file.name} line {number}", line)
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror or error}") from error


def loaded(file: Path) -> object:
    """Return the value of a JSON file; an empty list for an empty file.

    Raises UserError, naming the line, if the file cannot be read or is no JSON.
    """
    said = text_of(file)
    try:
        return json.loads(said) if said.strip() else []
    except json.JSONDecodeError as error:
        raise UserError(f"{file} line {error.lineno} is not JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file} is not JSON: {error}") from error


def elements(value: object, source: str) -> Iterator[Row | Reject]:
    """Yield the rows of a list, named `source` and their number from 1.

    What is no JSON object is a Reject; so is `value` itself if it is no list.
    """
    if not isinstance(value, list):
        yield Reject(source, "no list of rows", written(value)[:200])
        return
    for number, fields in enumerate(value, start=1):
        yield element(fields, f"{source} {number}")


def element(fields: object, source: str) -> Row | Reject:
    """Return one value of a file as a row, or a Reject if it is no JSON object."""
    text = written(fields)
    try:
        text.encode()
    except UnicodeError:
        return Reject(source, "not Unicode text", json.dumps(fields))
    if not isinstance(fields, dict):
        return Reject(source, "no JSON object", text)
    return Row(source, text, fields)


def written(value: object) -> str:
    """Return a value as JSON text."""
    return json.dumps(value, ensure_ascii=False)


def gather(
    rows: Iterable[Row | Reject],
    make: Callable[[Row], Iterable[Item]],
    file: Path,
    limit: int | None,
) -> Found:
    """Return the items that `make` has for the first `limit` rows, and the faults.

    A second row of the same id and task is a fault; so is a file without rows, which `file` names.
    """
    items: list[Item] = []
    faults: list[Reject] = []
    first: dict[tuple[str, str], str] = {}
    empty = True
    for row in islice(rows, limit):
        empty = False
        if isinstance(row, Reject):
            faults.append(row)
            continue
        try:
            made = tuple(make(row))
            for item in made:
                if (item.id, item.task) in first:
                    raise Wrong(f"its id {item.id!r} is that of {first[item.id, item.task]} too")
        except Wrong as error:
            faults.append(Reject(row.source, str(error), row.text))
            continue
        first |= {(item.id, item.task): row.source for item in made}
        items += made
    if empty:
        faults.append(Reject(str(file), "it has no rows of this split", ""))
    return Found(tuple(items), tuple(faults))


def text(fields: Mapping[str, object], key: str) -> str:
    """Return a text; raises Wrong if there is none under `key`."""
    value = _value(fields, key)
    if not isinstance(value, str):
        raise Wrong(f"{key!r} is not a text: {_short(value)}")
    return value


def name(fields: Mapping[str, object], key: str) -> str:
    """Return a text that is not blank, or a whole number as text; raises Wrong otherwise."""
    value = _value(fields, key)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise Wrong(f"{key!r} is no name: {_short(value)}")
    return value


def several(fields: Mapping[str, object], key: str) -> list[object]:
    """Return a list; raises Wrong if there is none under `key`."""
    value = _value(fields, key)
    if not isinstance(value, list):
        raise Wrong(f"{key!r} is not a list: {_short(value)}")
    return value


def texts(fields: Mapping[str, object], key: str) -> tuple[str, ...]:
    """Return a list of texts; raises Wrong if anything else is under `key`."""
    values = several(fields, key)
    for value in values:
        if not isinstance(value, str):
            raise Wrong(f"{key!r} holds something other than texts: {_short(value)}")
    return tuple(str(value) for value in values)


def choice(fields: Mapping[str, object], key: str, count: int) -> int:
    """Return the place of a right choice, 0 to `count` - 1; raises Wrong if it is anything else."""
    value = _value(fields, key)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < count:
        raise Wrong(f"{key!r} is {_short(value)}, not 0 to {count - 1}")
    return value


def number(value: object, what: str) -> float:
    """Return a finite number, which may be written as a text; raises Wrong, naming `what`."""
    try:
        if isinstance(value, int | float | str) and not isinstance(value, bool):
            made = float(value)
            if math.isfinite(made):
                return made
    except (ValueError, OverflowError) as error:
        raise Wrong(f"{what} is not a number: {_short(value)}") from error
    raise Wrong(f"{what} is not a number: {_short(value)}")


def mapping(value: object, what: str) -> Mapping[str, object]:
    """Return a JSON object; raises Wrong, naming `what`, if it is something else."""
    if not isinstance(value, dict):
        raise Wrong(f"{what} is no JSON object: {_short(value)}")
    return value


def _parsed(source: str, line: bytes) -> Row | Reject:
    words = line.decode("utf-8-sig", errors="backslashreplace").strip()
    try:
        fields = json.loads(line.decode("utf-8-sig").strip())
        written(fields).encode()
    except UnicodeError:
        return Reject(source, "not Unicode text", words)
    except json.JSONDecodeError as error:
        return Reject(source, f"not JSON: {error.msg} at column {error.colno}", words)
    except (ValueError, RecursionError) as error:
        return Reject(source, f"not JSON: {error}", words)
    if not isinstance(fields, dict):
        return Reject(source, "no JSON object", words)
    return Row(source, words, fields)


def _value(fields: Mapping[str, object], key: str) -> object:
    if key not in fields:
        raise Wrong(f"lacks {key!r}; it has {', '.join(map(repr, fields)) or 'nothing'}")
    return fields[key]


def _short(value: object) -> str:
    shown = written(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
