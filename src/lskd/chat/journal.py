"""Every paid reply is written here the moment it arrives, so that no kill makes us buy it twice.

A journal is one SQLite file in WAL mode. Table `reply` has a row for each reply that arrived, under
the hash of its request. Table `unanswered` has a row for each call, from just before it is sent
until its reply is kept: what is left there after a kill, a time-out or a cut connection may have
been paid for, and counts in the budget with the most that it can have cost.

A commit survives the end of the process (kill -9). After a power failure the last ones may be gone
(`synchronous = NORMAL`: a commit does not wait for the disk).
"""

import contextlib
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lskd.chat.journal_file import (
    is_full,
    keep_others_out,
    make_reserve,
    open_journal,
    open_to_read,
    told,
)

RESERVE_BYTES: Final = 4 << 20  # hundreds of replies that are in flight when a disk fills up
Statement = tuple[str, tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Charge:
    """Tokens and their price; the price is None where no prices are set."""

    input_tokens: int
    output_tokens: int
    price: float | None


@dataclass(frozen=True, slots=True)
class Paid:
    """A reply that arrived: what was asked and what came, word for word.

    `request` is JSON (a picture stands in it as its hash), `response` the server's JSON. Tokens are
    the server's own count or None, `seconds` the time from the first attempt to the reply.
    """

    request: str
    response: str
    finish: str
    input_tokens: int | None
    output_tokens: int | None
    price: float | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums of charges. `price` covers those that have one; the tokens of the others stand apart."""

    input_tokens: int = 0
    output_tokens: int = 0
    price: float = 0.0
    unpriced_input: int = 0
    unpriced_output: int = 0

    def plus(self, charge: Charge, sign: int = 1) -> "Totals":
        """Return the sums with a charge added, or taken away with `sign` = -1."""
        apart = sign if charge.price is None else 0
        return Totals(
            self.input_tokens + sign * charge.input_tokens,
            self.output_tokens + sign * charge.output_tokens,
            self.price + sign * (charge.price or 0.0),
            self.unpriced_input + apart * charge.input_tokens,
            self.unpriced_output + apart * charge.output_tokens,
        )


@dataclass(frozen=True, slots=True)
class Spent:
    """What a journal's replies cost so far, over all restarts.

    Where the server counted no tokens (`uncounted` replies), the most that they can be stands in.
    `price` is None if some reply has none. `unanswered` calls were sent, but their reply never
    arrived whole: each may have been paid for, and be paid for again.
    """

    calls: int
    input_tokens: int
    output_tokens: int
    price: float | None
    uncounted: int
    unanswered: int


@dataclass(frozen=True, slots=True)
class SentBatch:
    """Calls that were sent together: the number of each by the key of its request.

    `name` is the server's, "" if the process ended before it was known; `token` is what the batch
    can be found by then. `made` is in seconds since the epoch.
    """

    number: int
    token: str
    name: str
    made: float
    calls: Mapping[bytes, int]


class Journal:
    """The paid replies of one stage of one run; safe to use from several threads.

    `parents` are journals of other runs, read where this one has no reply; a file that is not there
    holds none. Raises UserError if a file cannot be used: it is no journal, damaged, in use by
    another process, on a full disk, or on a file system that SQLite cannot lock.
    """

    def __init__(self, path: Path, parents: Sequence[Path] = ()) -> None:
        self.path = path
        self._guard = threading.RLock()
        self._in_flight: dict[int, Charge] = {}
        self._error: sqlite3.Error | None = None
        self._parents = [(parent, open_to_read(parent)) for parent in parents if parent.exists()]
        with told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            keep_others_out(path)
            self._file = open_journal(path)
            self._reserve = make_reserve(path, RESERVE_BYTES)
            files = (self._file, *(file for _, file in self._parents))
            self._end = weakref.finalize(self, _close, files, self._reserve)
            self._totals = read_totals(self._file)

    def close(self) -> None:
        """Close the files; also done when the journal is no longer used."""
        with self._guard:
            self._end()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def find(self, key: bytes) -> Paid | None:
        """Return the reply to a request from this journal or a parent, or None."""
        with self._guard:
            for path, file in ((self.path, self._file), *self._parents):
                with told(path):
                    row = file.execute(
                        "SELECT request, response, finish, input_tokens, output_tokens, price, "
                        "seconds FROM reply WHERE key = ?",
                        (key,),
                    ).fetchone()
                if row is not None:
                    return Paid(*row)
        return None

    def ask(self, key: bytes, most: Charge, fits: Callable[[Totals], bool]) -> int | None:
        """Note a call that is about to be sent, with the most it can cost; return its number.

        None if `fits` refuses the sums with that added: then it must not be sent.
        """
        with self._guard:
            totals = self._totals.plus(most)
            if not fits(totals):
                return None
            call = self._write(
                (
                    "INSERT INTO unanswered (key, charged_input, charged_output, charged_price, "
                    "asked) VALUES (?, ?, ?, ?, ?)",
                    (key, most.input_tokens, most.output_tokens, most.price, time.time()),
                )
            )
            self._totals = totals
            self._in_flight[call] = most
            if self._error is not None:  # the reserve is for replies, not for further calls
                self.withdraw(call)
                with told(self.path):
                    raise self._error
            return call

    def keep(self, call: int, key: bytes, paid: Paid) -> None:
        """Write the reply to a call; on return it is safe."""
        with self._guard:
            most = self._in_flight[call]
            charge = Charge(
                most.input_tokens if paid.input_tokens is None else paid.input_tokens,
                most.output_tokens if paid.output_tokens is None else paid.output_tokens,
                most.price if paid.price is None else paid.price,
            )
            told_by_server = (paid.input_tokens, paid.output_tokens, paid.price, paid.seconds)
            charged = (charge.input_tokens, charge.output_tokens, charge.price, time.time())
            texts = (key, paid.request, paid.response, paid.finish)
            self._write(
                (
                    "INSERT OR IGNORE INTO reply VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (*texts, *told_by_server, *charged),
                ),
                ("DELETE FROM unanswered WHERE id = ?", (call,)),
            )
            del self._in_flight[call]
            self._totals = self._totals.plus(most, -1).plus(charge)

    def withdraw(self, call: int) -> None:
        """Forget a call that was refused or never reached the server: it cost nothing."""
        with self._guard:
            self._write(("DELETE FROM unanswered WHERE id = ?", (call,)))
            self._totals = self._totals.plus(self._in_flight.pop(call), -1)

    def lose(self, call: int, fault: str, response: str) -> None:
        """Note why no usable reply to a call arrived, and what came instead; it may cost."""
        with self._guard:
            self._write(
                (
                    "UPDATE unanswered SET fault = ?, response = ? WHERE id = ?",
                    (fault, response, call),
                )
            )
            del self._in_flight[call]

    @property
    def in_flight(self) -> int:
        """Return the number of calls that are under way now."""
        return len(self._in_flight)

    @property
    def totals(self) -> Totals:
        """Return what the budget counts: replies, and the most that all other calls can cost."""
        return self._totals

    def spent(self) -> Spent:
        """Return what the replies of this journal cost so far, over all restarts."""
        with self._guard, told(self.path):
            return read_spent(self._file, self._in_flight)

    def begin_batch(self, calls: Sequence[int], token: str) -> int:
        """Note that calls are about to be sent together, under a token; return the batch's number.

        They stay in flight if this process ends: a batch is answered all the same.
        """
        with self._guard:
            number = "(SELECT coalesce(max(id), 0) + 1 FROM batch)"
            mark = f"UPDATE unanswered SET batch = {number} WHERE id = ?"
            return self._write(
                *((mark, (call,)) for call in calls),
                (f"INSERT INTO batch VALUES ({number}, ?, '', ?)", (token, time.time())),
            )

    def name_batch(self, number: int, name: str) -> None:
        """Note the server's name of a batch: from now on it exists."""
        with self._guard:
            self._write(("UPDATE batch SET name = ? WHERE id = ?", (name, number)))

    def end_batch(self, number: int) -> None:
        """Forget a batch, all of whose calls were kept, withdrawn or lost."""
        with self._guard:
            self._write(("DELETE FROM batch WHERE id = ?", (number,)))

    def batches(self) -> list[SentBatch]:
        """Return the batches that have not ended, those of earlier processes included."""
        with self._guard, told(self.path):
            rows = self._file.execute("SELECT id, token, name, made FROM batch").fetchall()
            return [
                SentBatch(number, token, name, made, self.calls_of(number))
                for number, token, name, made in rows
            ]

    def calls_of(self, batch: int) -> dict[bytes, int]:
        """Return the calls of a batch that are neither kept, withdrawn nor lost yet."""
        with self._guard, told(self.path):
            rows = self._file.execute(
                "SELECT key, id, charged_input, charged_output, charged_price FROM unanswered "
                "WHERE batch = ? AND fault IS NULL",
                (batch,),
            ).fetchall()
            self._in_flight.update({row[1]: Charge(*row[2:]) for row in rows})
            return {row[0]: row[1] for row in rows}

    def _write(self, *statements: Statement) -> int:
        """Commit statements together; return the row number of the last.

        On a full disk the reserve is given up for them, and no further call may be asked.
        """
        with told(self.path):
            try:
                return self._commit(statements)
            except sqlite3.Error as error:
                if not is_full(error) or self._error is not None:
                    raise
                self._error = error
                self._reserve.unlink(missing_ok=True)
                return self._commit(statements)

    def _commit(self, statements: Sequence[Statement]) -> int:
        if len(statements) == 1:  # SQLite commits a single statement by itself
            return self._file.execute(*statements[0]).lastrowid or 0
        self._file.execute("BEGIN")
        try:
            for statement in statements:
                number = self._file.execute(*statement).lastrowid
            self._file.execute("COMMIT")
        except BaseException:
            if self._file.in_transaction:
                self._file.execute("ROLLBACK")
            raise
        return number or 0


def _close(files: Sequence[sqlite3.Connection], reserve: Path) -> None:
    for file in files:
        file.close()
    reserve.unlink(missing_ok=True)


def read_totals(file: sqlite3.Connection) -> Totals:
    """Return the sums of all charges in a journal."""
    columns = "charged_input AS i, charged_output AS o, charged_price AS p"
    row = file.execute(
        "SELECT coalesce(sum(i), 0), coalesce(sum(o), 0), coalesce(sum(p), 0.0), "
        "coalesce(sum(i) FILTER (WHERE p IS NULL), 0), "
        "coalesce(sum(o) FILTER (WHERE p IS NULL), 0) FROM "
        f"(SELECT {columns} FROM reply UNION ALL SELECT {columns} FROM unanswered)"
    ).fetchone()
    return Totals(*row)


def read_spent(file: sqlite3.Connection, in_flight: Container[int] = ()) -> Spent:
    """Return what a journal's replies cost; calls `in_flight` are neither answered nor lost yet."""
    calls, tokens_in, tokens_out, price, priced, counted = file.execute(
        "SELECT count(*), coalesce(sum(charged_input), 0), coalesce(sum(charged_output), 0), "
        "coalesce(sum(charged_price), 0.0), count(charged_price), count(input_tokens) FROM reply"
    ).fetchone()
    # A batch will be answered, whatever happens to the process that sent it.
    alone = file.execute("SELECT id FROM unanswered WHERE batch IS NULL OR fault IS NOT NULL")
    return Spent(
        calls=calls,
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        price=price if priced == calls else None,
        uncounted=calls - counted,
        unanswered=sum(call not in in_flight for (call,) in alone),
    )


def spent_so_far(path: Path) -> Spent:
    """Return what the replies of a journal cost that another process may be writing."""
    with told(path), contextlib.closing(open_to_read(path)) as file:
        return read_spent(file)
