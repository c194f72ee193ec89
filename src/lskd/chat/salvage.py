"""What can still be read of a damaged journal becomes a new one, so that it is not bought again.

In: a journal's file that a power failure or a bad disk has damaged, with its log. Out: a sound
journal in its place, and the damaged one beside it.

A reply counts only where its request still has the hash under which it was kept. Which replies were
published is not taken over: they are taken in again from where they were, lost ones among them.
"""

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lskd.chat.journal_file import TABLES, add_later_tables, check_kind, keep_others_out, told
from lskd.chat.merge import REPLY
from lskd.chat.wire import key_of
from lskd.errors import UserError

COPY: Final = ".salvaging"  # is there as long as this may still need it
FRESH: Final = ".salvaged"
ASIDE: Final = ".damaged"
LOG: Final = "-wal"
SMALLEST_ROW: Final = 50  # bytes that a reply takes at the very least
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

    `replies` and calls without one are saved; at least `lost` replies are not.
    """

    replies: int
    unanswered: int
    lost: int
    aside: Path


def salvage(path: Path) -> Salvaged:
    """Put what can be read of a damaged journal in its place; interrupted, it can be begun again.

    Raises UserError for a file that is not there, is sound, is in use, or of which nothing can be
    read; it is then as it was.
    """
    if not path.is_file():
        raise UserError(f"{path} is not there: give a run's folder, or the journal in it")
    copy = path.with_name(path.name + COPY)
    with told(path):
        keep_others_out(path)
        begun = copy.exists()
        if not begun:  # before anything is opened, since SQLite writes where it finds a log
            _keep(path, copy)
        if not is_sound(path):
            _replace(path, copy)
        elif not begun:
            _forget(copy)
            raise UserError(f"{path} is sound: there is nothing to salvage")
        aside = _set_aside(path, copy)
        with contextlib.closing(sqlite3.connect(path)) as file:
            query = "SELECT count(*), coalesce(max(rowid), 0) FROM reply"
            replies, last = file.execute(query).fetchone()
            (calls,) = file.execute("SELECT count(*) FROM unanswered").fetchone()
    return Salvaged(replies, calls, last - replies, aside)


def is_sound(path: Path) -> bool:
    """Return whether a journal is one, and all of it fits together."""
    try:
        with contextlib.closing(sqlite3.connect(path)) as file:
            check_kind(path, file)
            return bool(file.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok")
    except (sqlite3.Error, UserError, UnicodeDecodeError):
        return False


def _keep(path: Path, copy: Path) -> None:
    """Copy a journal with its log; the copy is there once both are whole."""
    log = path.with_name(path.name + LOG)
    if log.exists():
        shutil.copyfile(log, copy.with_name(copy.name + LOG))
    unfinished = copy.with_name(copy.name + ".new")
    shutil.copyfile(path, unfinished)
    unfinished.replace(copy)


def _forget(copy: Path) -> None:
    """Remove a copy with its log."""
    for end in (LOG, "-shm", ""):
        copy.with_name(copy.name + end).unlink(missing_ok=True)


def _replace(path: Path, copy: Path) -> None:
    """Put what can be read of the copy in the place of a damaged journal."""
    log = path.with_name(path.name + LOG)
    fresh = path.with_name(path.name + FRESH)
    fresh.unlink(missing_ok=True)
    if not _written(copy, fresh):
        fresh.unlink()
        _forget(copy)
        raise UserError(f"{path}: nothing can be read of it: move it away, with {log.name}")
    # SQLite would play the old log into whatever lies in this place.
    log.unlink(missing_ok=True)
    path.with_name(path.name + "-shm").unlink(missing_ok=True)
    fresh.replace(path)


def _opened(copy: Path) -> sqlite3.Connection:
    """Open a damaged journal so that its log is read, and neither is changed."""
    return sqlite3.connect(f"{copy.resolve().as_uri()}?mode=ro", uri=True)


def _written(copy: Path, fresh: Path) -> int:
    """Write a journal of what can be read of another; return how many rows those are."""
    with (
        contextlib.closing(_opened(copy)) as source,
        contextlib.closing(sqlite3.connect(fresh, isolation_level=None)) as file,
    ):
        file.executescript(TABLES)
        add_later_tables(file)
        file.execute("BEGIN")
        for row in replies_in(source, copy.stat().st_size // SMALLEST_ROW):
            if is_whole(row):
                places = ", ".join("?" * len(row))
                file.execute(f"INSERT OR IGNORE INTO reply (rowid, {REPLY}) VALUES ({places})", row)
        for table, columns in OTHERS.items():
            places = ", ".join("?" * (columns.count(",") + 1))
            insert = f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({places})"
            file.executemany(insert, both_ends(source, table, columns))
        answered = "DELETE FROM unanswered WHERE fault IS NULL AND key IN (SELECT key FROM reply)"
        file.execute(answered)
        file.execute("COMMIT")
        count = "SELECT (SELECT count(*) FROM reply) + (SELECT count(*) FROM unanswered)"
        return int(file.execute(count).fetchone()[0])


def replies_in(file: sqlite3.Connection, most: int) -> Iterator[tuple[Any, ...]]:
    """Yield the replies of a damaged journal that can be read, their numbers first.

    They are numbered from 1 on, to `most` where the last one cannot be read. Where a page is
    broken, what lies beyond is found by halves.
    """
    query = f"SELECT rowid, {REPLY} FROM reply NOT INDEXED WHERE rowid BETWEEN ? AND ? "
    query += "ORDER BY rowid"
    with contextlib.suppress(sqlite3.Error):
        last = file.execute("SELECT max(rowid) FROM reply NOT INDEXED").fetchone()[0]
        most = min(most, last or 0)
    spans = [(1, most)]
    while spans:
        low, high = spans.pop()
        try:
            for row in file.execute(query, (low, high)):
                low = max(low, row[0] + 1)
                yield row
        except sqlite3.Error:
            if low < high:
                middle = (low + high) // 2
                spans += [(middle + 1, high), (low, middle)]


def both_ends(file: sqlite3.Connection, table: str, columns: str) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a damaged table from its first on to what is broken, and from its last."""
    seen: set[int] = set()
    for order in ("ASC", "DESC"):
        query = f"SELECT rowid, {columns} FROM {table} NOT INDEXED ORDER BY rowid {order}"
        with contextlib.suppress(sqlite3.Error):
            for number, *row in file.execute(query):
                if number in seen:
                    break
                seen.add(number)
                yield tuple(row)


def is_whole(row: tuple[Any, ...]) -> bool:
    """Return whether a reply is one, and its request the one that it was kept under."""
    _, key, request, response, finish, *_ = row
    if not all(isinstance(text, str) for text in (request, response, finish)):
        return False
    return bool(key == key_of(request))


def _set_aside(path: Path, copy: Path) -> Path:
    """Give the copy of the damaged journal, and of its log, the name that they keep."""
    number = 1
    while (aside := path.with_name(f"{path.name}{ASIDE}-{number}")).exists():
        number += 1
    log = copy.with_name(copy.name + LOG)
    if log.exists():
        log.replace(aside.with_name(aside.name + LOG))
    copy.with_name(copy.name + "-shm").unlink(missing_ok=True)
    copy.replace(aside)
    return aside
