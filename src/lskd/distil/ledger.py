"""Records in a file of JSON lines that are read by number, so that memory holds none of them."""

import json
import os
import weakref
from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from lskd import table
from lskd.errors import UserError, cannot_write

R = TypeVar("R")


class Ledger(Generic[R]):
    """The records of a file, numbered from 0; may be read by several threads."""

    def __init__(self, record: type[R], file: Path) -> None:
        """Open a file that `write` has written; raises UserError if it is broken or absent."""
        kind: type = record
        self._convert = table.converter(kind)
        self.file = file
        try:
            # Where each line begins, and where the last one ends.
            self._starts = np.fromfile(_starts(file), dtype=np.int64)
            self._lines = os.open(file, os.O_RDONLY)
        except OSError as error:
            raise UserError(f"cannot read {file}: {error.strerror or error}") from error
        weakref.finalize(self, os.close, self._lines)
        if not len(self._starts) or self._starts[-1] != os.fstat(self._lines).st_size:
            raise UserError(f"{file} is broken: remove it and run again to remake it")

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __getitem__(self, number: int) -> R:
        """Return a record."""
        start, end = (int(place) for place in self._starts[number : number + 2])
        text = os.pread(self._lines, end - start, start)
        record: R = self._convert(json.loads(text))
        return record


def exists(file: Path) -> bool:
    """Return whether a file was written to its end."""
    return file.exists() and _starts(file).exists()


def write(file: Path, records: Iterable[object]) -> None:
    """Write records, whole or not at all; raises UserError if the disk is full."""
    starts = array("q", [0])
    with table.draft(file) as unfinished, unfinished.open("wb") as lines:
        for record in records:
            lines.write(line(record))
            starts.append(lines.tell())
    _mark(file, starts)


def begun(file: Path) -> int:
    """Return how many records were appended to an unfinished file; half a line is cut off."""
    part = _part(file)
    if not part.exists():
        return 0
    count = whole = 0
    with part.open("r+b") as lines:
        for one in lines:
            if one.endswith(b"\n"):
                count, whole = count + 1, whole + len(one)
        lines.truncate(whole)
    return count


def append(file: Path, records: Iterable[object]) -> None:
    """Append records to an unfinished file; raises UserError if the disk is full."""
    part = _part(file)
    try:
        with part.open("ab") as lines:
            lines.write(b"".join(line(record) for record in records))
    except OSError as error:
        raise cannot_write(part, error) from error


def finish(file: Path) -> None:
    """Give an unfinished file, of any number of records, its place."""
    part = _part(file)
    starts = array("q", [0])
    with part.open("ab+") as lines:
        lines.seek(0)
        for one in lines:
            starts.append(starts[-1] + len(one))
    _mark(file, starts)
    part.replace(file)


def _mark(file: Path, starts: "array[int]") -> None:
    """Write where the lines of a file begin."""
    with table.draft(_starts(file)) as unfinished:
        # numpy's own `tofile` tells nothing of a full disk where it has little to write.
        unfinished.write_bytes(np.array(starts, dtype=np.int64).tobytes())


def line(record: object) -> bytes:
    """Return a record as a line of the file."""
    return json.dumps(table.plain(record), ensure_ascii=False).encode() + b"\n"


def _part(file: Path) -> Path:
    return file.with_name(f"{file.name}.part")


def _starts(file: Path) -> Path:
    return file.with_name(f"{file.name}.starts")
