"""What was paid, published to storage piece by piece, so that a driver's disk may be lost.

In: a journal that grows. Out: a folder of segments, files of replies as compressed JSON lines that
never change; `unanswered.json`, the calls that may have been paid for and the batches that will be
answered; and `journal.json`, whose they are. A journal that is new, or was left behind while
another machine went on, takes in from such a folder what it lacks.
"""

import contextlib
import gzip
import json
import secrets
import sqlite3
import threading
import zlib
from collections.abc import Iterator, Set
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from lskd.chat.journal import Journal
from lskd.chat.journal_file import TABLES, add_later_tables, open_to_read, told
from lskd.chat.merge import BATCH, CALL, ELSEWHERE, REPLY, calls_in, of_others, of_segment
from lskd.chat.paid import Spent, read_spent
from lskd.errors import UserError
from lskd.table import draft

NOTE: Final = "journal.json"
UNANSWERED: Final = "unanswered.json"
END: Final = ".jsonl.gz"
ROWS: Final = 10_000  # of a segment at most
# What a segment that is none raises, one of whose rows is none included.
UNREADABLE: Final = (
    *(OSError, EOFError, ValueError, LookupError, TypeError),
    *(zlib.error, sqlite3.Error),
)
LAST: Final = (1 << 63) - 1  # a row has no larger number


class Segments:
    """The published segments of one journal, of `rows` at most; safe to publish from threads."""

    def __init__(self, journal: Journal, folder: Path, rows: int = ROWS) -> None:
        self._journal = journal
        self._folder = folder
        self._rows = rows
        self._told = ""
        self._guard = threading.Lock()

    def publish(self) -> int:
        """Write what is new since the last segment; return how many replies that are.

        Waits for a publication that is under way. Raises UserError if the folder cannot be written.
        """
        with self._guard:
            return self._publish()

    def _publish(self) -> int:
        note = self._folder / NOTE
        if not note.exists():
            with draft(note) as unfinished:
                unfinished.write_text(json.dumps({"journal": self._journal.identity()}))
        count = 0
        while rows := self._new_rows():
            # Other machines number their rows as this one does.
            name = f"replies-{rows[0][0]:012d}-{rows[-1][0]:012d}-{secrets.token_hex(4)}{END}"
            with draft(self._folder / name) as unfinished:
                unfinished.write_bytes(packed(rows))
            self._journal.note_segment(name, [row[0] for row in rows])
            count += len(rows)
        return count

    def _new_rows(self) -> list[Any]:
        """Return replies that no segment holds, and publish the open calls of the same moment."""
        path = self._journal.path
        rows: list[Any] = []
        with told(path), contextlib.closing(open_to_read(path)) as file:
            file.execute("BEGIN")  # both from one moment: no call is in neither
            for after, before in gaps(file, names_in(self._folder)):
                rows += file.execute(
                    f"SELECT rowid, {REPLY} FROM reply "
                    "WHERE rowid > ? AND rowid < ? ORDER BY rowid LIMIT ?",
                    (after, before, self._rows - len(rows)),
                ).fetchall()
            query = f"SELECT {CALL} FROM unanswered WHERE fault IS NOT ?"
            calls = file.execute(query, (ELSEWHERE,)).fetchall()
            batches = file.execute(f"SELECT {BATCH} FROM batch").fetchall()
            known = calls_in(file, "told")
        text = json.dumps({"calls": calls, "batches": batches}, default=bytes.hex)
        if text != self._told:
            numbers = {call[0] for call in calls}
            # Or those that are answered meanwhile would be new here after a kill.
            self._journal.note_telling(numbers - known)
            with draft(self._folder / UNANSWERED) as unfinished:
                unfinished.write_text(text)
            self._journal.note_told(known, numbers)
            self._told = text
        return rows

    def restore(self) -> int:
        """Add what is published and not in the journal; return how many replies that are.

        Raises UserError if the folder is another journal's, or cannot be read.
        """
        with readable(self._folder):
            return self._restored()

    def _restored(self) -> int:
        note = self._folder / NOTE
        if not note.exists():
            return 0
        name = json.loads(note.read_text())["journal"]
        if self._journal.is_new():
            self._journal.become(name)
        elif self._journal.identity() != name:
            raise UserError(
                f"{self._folder} holds the segments of another journal than {self._journal.path}: "
                "give another folder, or move one of them away"
            )
        new = sorted(names_in(self._folder) - self._journal.segments())
        file = self._folder / UNANSWERED
        calls, batches = unanswered(file) if file.exists() else ([], [])
        self._journal.note_answered(calls)  # before the replies of others are here
        count = self._journal.take_in((name, unpacked(self._folder / name)) for name in new)
        if file.exists():
            self._journal.catch_up(calls, batches)
        return count


def spent_in(folder: Path, journal: Path) -> Spent | None:
    """Return what the replies in a folder and a journal cost, each once; None if neither has any.

    Raises UserError if the folder or the journal cannot be read.
    """
    with readable(folder):
        names = names_in(folder)
        if not journal.exists():
            return summed(folder, names) if names else None
        with told(journal), contextlib.closing(open_to_read(journal)) as file:
            own = read_spent(file)
            if names:  # an older version's journal, which has none, does not note them
                names -= {name for (name,) in file.execute("SELECT segment FROM published")}
            if not names:
                return own
            others = summed(folder, names, file)
    unpriced = own.price is None or others.price is None
    return replace(
        own,
        calls=own.calls + others.calls,
        input_tokens=own.input_tokens + others.input_tokens,
        output_tokens=own.output_tokens + others.output_tokens,
        price=None if unpriced else (own.price or 0.0) + (others.price or 0.0),
        uncounted=own.uncounted + others.uncounted,
    )


def summed(folder: Path, names: Set[str], beside: sqlite3.Connection | None = None) -> Spent:
    """Return what the replies of segments cost that are not in a journal `beside`, each once."""
    others = folder / UNANSWERED
    with contextlib.closing(sqlite3.connect("", isolation_level=None)) as file:
        file.executescript(TABLES)
        add_later_tables(file)
        file.execute("BEGIN")
        for name in sorted(names):
            rows = [row for row in unpacked(folder / name) if not _has(beside, row[1])]
            for statement in of_segment(file, name, rows)[0]:
                file.execute(*statement)
        if beside is None and others.exists():
            for statement in of_others(file, *unanswered(others)):
                file.execute(*statement)
        return read_spent(file)


def _has(journal: sqlite3.Connection | None, key: bytes) -> bool:
    """Return whether a journal has the reply that is kept under a key."""
    if journal is None:
        return False
    return journal.execute("SELECT 1 FROM reply WHERE key = ?", (key,)).fetchone() is not None


@contextlib.contextmanager
def readable(folder: Path) -> Iterator[None]:
    """Turn what is wrong with a folder of segments into one line."""
    try:
        yield
    except UNREADABLE as error:
        raise UserError(f"{folder} has no readable segments: {error}") from error


def names_in(folder: Path) -> set[str]:
    """Return the names of the segments, those of versions that named them by rows alone too."""
    return {file.name for file in folder.glob(f"replies-*{END}")}


def gaps(file: sqlite3.Connection, names: Set[str]) -> Iterator[tuple[int, int]]:
    """Yield the rows before and after each span of rows that no segment of those names holds."""
    spans = file.execute("SELECT segment, first, last FROM published ORDER BY first").fetchall()
    end = 0
    for name, first, last in spans:
        if name in names:  # or it is gone from the folder
            if first > end + 1:
                yield end, first
            end = max(end, last)
    yield end, LAST


def unanswered(file: Path) -> tuple[list[Any], list[Any]]:
    """Return the calls that are published as unanswered, their keys as bytes, and the batches."""
    found = json.loads(file.read_text())
    return [(row[0], bytes.fromhex(row[1]), *row[2:]) for row in found["calls"]], found["batches"]


def packed(rows: list[Any]) -> bytes:
    """Return a segment's content."""
    lines = "".join(json.dumps(row, default=bytes.hex) + "\n" for row in rows)
    return gzip.compress(lines.encode(), 6)


def unpacked(file: Path) -> Iterator[Any]:
    """Yield the rows of a segment, their keys as bytes."""
    for line in gzip.decompress(file.read_bytes()).decode().splitlines():
        row = json.loads(line)
        yield (row[0], bytes.fromhex(row[1]), *row[2:])
