"""Every paid reply is written here the moment it arrives, so that no kill makes us buy it twice.

A journal is one SQLite file in WAL mode. Table `reply` has a row for each reply that arrived, under
the hash of its request. Table `unanswered` has a row for each call, from just before it is sent
until its reply is kept: what is left there after a kill, a time-out or a cut connection may have
been paid for, and counts in the budget with the most that it can have cost.

A commit survives the end of the process (kill -9). After a power failure the last ones may be gone
(`synchronous = NORMAL`: a commit does not wait for the disk).
"""

import json
import secrets
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence, Set
from pathlib import Path
from typing import Final, TypeVar

from lskd.chat import merge
from lskd.chat.journal_file import (
    check_in_place,
    is_full,
    keep_others_out,
    leave_reserve,
    make_reserve,
    open_journal,
    open_to_read,
    told,
)
from lskd.chat.paid import (
    Charge,
    InBatch,
    Paid,
    SentBatch,
    Spent,
    Statement,
    Totals,
    charged,
    kept,
    noted,
    read_open_batch,
    read_reply,
    read_spent,
    read_totals,
)

T = TypeVar("T")
RESERVE_BYTES: Final = 4 << 20  # hundreds of replies that are in flight when a disk fills up


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
        for file in (path, *parents):
            check_in_place(file)
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
        found = self._first(lambda file: read_reply(file, key))
        return None if found is None else found[1]

    def open_batch(self, key: bytes) -> InBatch | None:
        """Return the batch of this journal or a parent that holds a call to a request, or None."""
        found = self._first(lambda file: read_open_batch(file, key))
        if found is None:
            return None
        path, (name, calls) = found
        return InBatch("" if path == self.path else str(path), name, calls)

    def _first(self, read: Callable[[sqlite3.Connection], T | None]) -> tuple[Path, T] | None:
        """Return the first of this journal and its parents that has something, and that."""
        with self._guard:
            for path, file in ((self.path, self._file), *self._parents):
                with told(path):
                    found = read(file)
                if found is not None:
                    return path, found
        return None

    def ask(self, key: bytes, most: Charge, fits: Callable[[Totals], bool]) -> int | None:
        """Note a call that is about to be sent, with the most it can cost; return its number.

        None if `fits` refuses the sums with that added: then it must not be sent.
        """
        with self._guard:
            totals = self._totals.plus(most)
            if not fits(totals):
                return None
            # Never used again: what is told late of a call can mean no other.
            call = secrets.randbits(62)
            self._write(noted(call, key, most, None, None))
            self._totals = totals
            self._in_flight[call] = most
            if self._error is not None:  # the reserve is for replies, not for further calls
                self.withdraw(call)
                with told(self.path):
                    raise self._error
            return call

    def keep(self, call: int, key: bytes, paid: Paid, most: Charge | None = None) -> Paid:
        """Write the reply to a call; on return it is safe. Return the reply that now stands.

        That is an earlier one if the request was answered twice: the other is charged all the same.
        A call that this journal does not know, as one of another process, is charged as `most`
        where its reply does not say what it took.
        """
        with self._guard:
            before = self._charge_of(call)
            with told(self.path):
                stands = read_reply(self._file, key)
            if before is None and stands is not None and stands.response == paid.response:
                return stands  # told for the second time
            charge = charged(paid, before or most or Charge(0, 0, None))
            if stands is None:
                self._write(
                    kept(key, paid, charge), ("DELETE FROM unanswered WHERE id = ?", (call,))
                )
            else:
                self._write(noted(call, key, charge, "answered twice", paid.response))
            self._in_flight.pop(call, None)
            if before is not None:
                self._totals = self._totals.plus(before, -1)
            self._totals = self._totals.plus(charge)
            return stands or paid

    def withdraw(self, call: int) -> None:
        """Forget a call that was refused or never reached the server: it cost nothing."""
        with self._guard:
            before = self._charge_of(call)
            if before is None:
                return  # told for the second time
            self._write(("DELETE FROM unanswered WHERE id = ?", (call,)))
            self._in_flight.pop(call, None)
            self._totals = self._totals.plus(before, -1)

    def lose(self, call: int, fault: str, response: str) -> None:
        """Note why no usable reply to a call arrived, and what came instead; it may cost."""
        with self._guard:
            self._write(
                (
                    "UPDATE unanswered SET fault = ?, response = ? WHERE id = ?",
                    (fault, response, call),
                )
            )
            self._in_flight.pop(call, None)

    def open_calls(self) -> dict[int, bytes]:
        """Return the calls of which nothing was told yet, with their keys; not those of batches.

        Those of earlier processes are among them.
        """
        with self._guard, told(self.path):
            rows = self._file.execute(
                "SELECT id, key FROM unanswered WHERE fault IS NULL AND batch IS NULL"
            ).fetchall()
        return dict(rows)

    def resume(self, calls: Iterable[int]) -> None:
        """Count calls of an earlier process as in flight if they are open: somebody waits."""
        with self._guard, told(self.path):
            wanted = [call for call in calls if call not in self._in_flight]
            rows = self._file.execute(
                "SELECT id, charged_input, charged_output, charged_price FROM unanswered "
                "WHERE fault IS NULL AND id IN (SELECT value FROM json_each(?))",
                (json.dumps(wanted),),
            )
            self._in_flight.update({call: Charge(*charge) for call, *charge in rows})

    def _charge_of(self, call: int) -> Charge | None:
        """Return what an unanswered call counts in the sums, or None if there is no such call."""
        if call in self._in_flight:
            return self._in_flight[call]
        with told(self.path):
            row = self._file.execute(
                "SELECT charged_input, charged_output, charged_price FROM unanswered WHERE id = ?",
                (call,),
            ).fetchone()
        return Charge(*row) if row else None

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

        They stay open if this process ends: a batch is answered all the same.
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
                "SELECT key, id FROM unanswered WHERE batch = ? AND fault IS NULL", (batch,)
            ).fetchall()
        return dict(rows)

    def identity(self) -> str:
        """Return the name that tells this journal from all others; a copy has it too."""
        with self._guard, told(self.path):
            row = self._file.execute("SELECT name FROM identity").fetchone()
            if row is None:
                row = (secrets.token_hex(16),)
                self._write(("INSERT INTO identity VALUES (?)", row))
        return str(row[0])

    def is_new(self) -> bool:
        """Return whether nothing was ever asked."""
        with self._guard, told(self.path):
            query = "SELECT EXISTS (SELECT 1 FROM reply), EXISTS (SELECT 1 FROM unanswered)"
            return not any(self._file.execute(query).fetchone())

    def become(self, name: str) -> None:
        """Take the name of a journal that was lost."""
        with self._guard:
            self._write(("DELETE FROM identity", ()), ("INSERT INTO identity VALUES (?)", (name,)))

    def segments(self) -> set[str]:
        """Return the names of the segments that were taken in or published from here."""
        with self._guard, told(self.path):
            return {name for (name,) in self._file.execute("SELECT segment FROM published")}

    def take_in(self, segments: Iterable[tuple[str, Iterable[merge.Row]]]) -> int:
        """Write the replies of named segments that are not here; return how many those are."""
        count = 0
        with self._guard:
            for name, rows in segments:
                held = list(rows)  # what is wrong with a segment is not told as the journal's fault
                with told(self.path):
                    statements, new = merge.of_segment(self._file, name, held)
                self._write(*statements)
                count += new
            with told(self.path):
                self._totals = read_totals(self._file)
        return count

    def catch_up(self, calls: Sequence[merge.Row], batches: Sequence[merge.Row]) -> None:
        """Take in which calls are unanswered and which batches under way, as it is published."""
        with self._guard, told(self.path):
            self._write(*merge.of_others(self._file, calls, batches))
            self._totals = read_totals(self._file)

    def note_segment(self, name: str, rows: Sequence[int]) -> None:
        """Note that the replies of rows were published as a segment."""
        with self._guard:
            self._write(*merge.in_segment(name, rows))

    def note_answered(self, calls: Iterable[merge.Row]) -> None:
        """Note which published calls have a reply here, where an older version noted nothing."""
        with self._guard, told(self.path):
            self._write(*merge.of_answered(self._file, calls))

    def note_telling(self, calls: Iterable[int]) -> None:
        """Note which calls are about to be published as unanswered."""
        with self._guard:
            self._write(*merge.as_telling(calls))

    def note_told(self, before: Set[int], calls: Set[int]) -> None:
        """Note which calls were published as unanswered, where others were `before`."""
        changes = merge.as_told(before, calls)
        with self._guard:
            self._write(*changes)

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
        number: int | None = None
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
    leave_reserve(reserve)
