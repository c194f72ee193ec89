"""What can still be read of a damaged journal becomes a new one, so that it is not bought again.

In: a journal's file that a power failure or a bad disk has damaged, with its log. Out: a sound
journal in its place, and the damaged one beside it.

A reply counts only where its request still has the hash under which it was kept, and its response
can be read. What a lost one was charged still counts in the budget, where its charge can be read.
Which replies were published is not taken over: they are taken in again from where they are, lost
ones among them.
"""

import contextlib
import secrets
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lskd.chat.faults import Fault
from lskd.chat.journal_file import (
    SALVAGED,
    TABLES,
    add_later_tables,
    check_kind,
    keep_others_out,
    reader,
    told,
)
from lskd.chat.merge import REPLY
from lskd.chat.wire import key_of, read_completion
from lskd.errors import UserError

UNFINISHED: Final = ".salvaging"
ASIDE: Final = ".damaged"
LOG: Final = "-wal"
UNREADABLE: Final = (sqlite3.Error, UnicodeDecodeError)  # the second of SQLite's own message
SMALLEST_ROW: Final = 300  # bytes that a reply takes at the very least: its request is JSON
LOST: Final = "its reply was lost where the journal was damaged"
CALL: Final = "id, key, charged_input, charged_output, charged_price, asked, batch, fault, response"
# Few rows each, numbered at random: they are read from both ends.
OTHERS: Final = {
    "unanswered": CALL,
    "batch": "id, token, name, made",
    "identity": "name",
    "told": "id",
    "telling": "id",
}


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What a journal has after it was salvaged, and where the damaged one lies.

    `replies` are saved. Of `unanswered` calls no reply is there, `lost` ones among them, whose
    charge alone could be read.
    """

    replies: int
    unanswered: int
    lost: int
    aside: Path


def salvage(path: Path) -> Salvaged:
    """Put what can be read of a damaged journal in its place; interrupted, it is begun again.

    From the moment when all is read until it is in its place, no other process opens the journal
    (`lskd.chat.journal_file`). Raises UserError for a file that is not there, is sound, is in use,
    or of which nothing can be read; it is then as it was.
    """
    made = path.with_name(path.name + SALVAGED)
    if not path.is_file() and not made.exists():
        raise UserError(f"{path} is not there: give a run's folder, or the journal in it")
    with told(path):
        keep_others_out(path)
        if not made.exists():
            if is_sound(path):
                raise UserError(f"{path} is sound: there is nothing to salvage")
            _make(path, made)
        aside = _exchanged(path, made)
        with contextlib.closing(sqlite3.connect(path)) as file:
            (replies,) = file.execute("SELECT count(*) FROM reply").fetchone()
            query = "SELECT count(*), count(*) FILTER (WHERE fault = ?) FROM unanswered"
            calls, lost = file.execute(query, (LOST,)).fetchone()
    return Salvaged(replies, calls, lost, aside)


def is_sound(path: Path) -> bool:
    """Return whether a journal is one, and all of it fits together; nothing is changed."""
    try:
        with contextlib.closing(reader(path)) as file:
            check_kind(path, file)
            return bool(file.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok")
    except (*UNREADABLE, UserError):
        return False


def _make(path: Path, made: Path) -> None:
    """Write a journal of what can be read of a damaged one; raises UserError if that is nothing."""
    unfinished = path.with_name(path.name + UNFINISHED)
    unfinished.unlink(missing_ok=True)
    try:
        if not _written(path, unfinished):
            log = path.with_name(path.name + LOG)
            beside = f", with {log.name}" if log.exists() else ""
            raise UserError(f"{path}: nothing can be read of it: move it away{beside}")
        unfinished.replace(made)
    finally:
        for end in ("", "-journal"):
            unfinished.with_name(unfinished.name + end).unlink(missing_ok=True)


def _written(path: Path, unfinished: Path) -> int:
    """Write what can be read of a journal to another; return how many rows those are."""
    log = path.with_name(path.name + LOG)
    size = path.stat().st_size + (log.stat().st_size if log.exists() else 0)
    with (
        contextlib.closing(reader(path)) as source,
        contextlib.closing(sqlite3.connect(unfinished, isolation_level=None)) as file,
    ):
        file.executescript(TABLES)
        add_later_tables(file)
        file.execute("BEGIN")
        charges = {number: charge for number, *charge in charges_in(source)}
        last = max(charges, default=size // SMALLEST_ROW)
        for row in replies_in(source, last):
            if is_whole(row):
                places = ", ".join("?" * len(row))
                file.execute(f"INSERT OR IGNORE INTO reply (rowid, {REPLY}) VALUES ({places})", row)
                charges.pop(row[0], None)
        for table, columns in OTHERS.items():
            places = ", ".join("?" * (columns.count(",") + 1))
            insert = f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({places})"
            file.executemany(insert, both_ends(source, table, columns))
        note = f"INSERT OR IGNORE INTO unanswered ({CALL}) VALUES (?, x'', ?, ?, ?, ?, NULL, ?, '')"
        now = time.time()
        calls = ((secrets.randbits(62), *charge, now, LOST) for charge in charges.values())
        file.executemany(note, calls)
        file.execute("COMMIT")
        count = "SELECT (SELECT count(*) FROM reply) + (SELECT count(*) FROM unanswered)"
        return int(file.execute(count).fetchone()[0])


def charges_in(file: sqlite3.Connection) -> Iterator[tuple[Any, ...]]:
    """Yield the number of each reply and what it was charged, from the index of charges alone."""
    query = (
        "SELECT rowid, charged_input, charged_output, charged_price FROM reply INDEXED BY charge"
    )
    with contextlib.suppress(*UNREADABLE):
        yield from file.execute(query)


def replies_in(file: sqlite3.Connection, last: int) -> Iterator[tuple[Any, ...]]:
    """Yield the replies of a damaged journal that can be read, their numbers first.

    They are numbered from 1 on, to `last` at most. Where a page is broken, what lies beyond is
    found by halves.
    """
    query = f"SELECT rowid, {REPLY} FROM reply NOT INDEXED WHERE rowid BETWEEN ? AND ? "
    query += "ORDER BY rowid"
    spans = [(1, last)]
    while spans:
        low, high = spans.pop()
        try:
            for row in file.execute(query, (low, high)):
                low = max(low, row[0] + 1)
                yield row
        except UNREADABLE:
            if low < high:
                middle = (low + high) // 2
                spans += [(middle + 1, high), (low, middle)]


def both_ends(file: sqlite3.Connection, table: str, columns: str) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a damaged table from its first on to what is broken, and from its last."""
    seen: set[int] = set()
    for order in ("ASC", "DESC"):
        query = f"SELECT rowid, {columns} FROM {table} NOT INDEXED ORDER BY rowid {order}"
        with contextlib.suppress(*UNREADABLE):
            for number, *row in file.execute(query):
                if number in seen:
                    break
                seen.add(number)
                yield tuple(row)


def is_whole(row: tuple[Any, ...]) -> bool:
    """Return whether a reply is one: to the request that it was kept under, and to be read."""
    _, key, request, response, finish, *counts = row
    if not all(isinstance(text, str) for text in (request, response, finish)):
        return False
    if any(count is not None and not isinstance(count, int | float) for count in counts):
        return False
    try:
        said = read_completion(response)
    except Fault:
        return False
    return bool(key == key_of(request) and finish == said.finish)


def _exchanged(path: Path, made: Path) -> Path:
    """Set the damaged journal and its log aside, put the new one in its place; return the old one.

    Where this was cut short, the journal may lie aside already, and its log not yet.
    """
    number = 1
    while path.with_name(f"{path.name}{ASIDE}-{number}").exists():
        number += 1
    if not path.exists():
        number = max(1, number - 1)
    aside = path.with_name(f"{path.name}{ASIDE}-{number}")
    for end in ("", LOG):
        old = path.with_name(path.name + end)
        if old.exists():
            old.replace(aside.with_name(aside.name + end))
    path.with_name(path.name + "-shm").unlink(missing_ok=True)
    made.replace(path)
    return aside
