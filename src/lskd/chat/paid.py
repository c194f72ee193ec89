"""What was paid: the records of a journal, and how they lie in its tables.

In: charges, replies, calls. Out: the statements that write them, and what is read back.
"""

import contextlib
import sqlite3
import time
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path

from lskd.chat.journal_file import open_to_read, told

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


@dataclass(frozen=True, slots=True)
class InBatch:
    """A call stands in an open batch: the server's name for that, and how many calls it holds.

    `journal` is the file of the parent that sent it, "" if that was this run itself.
    """

    journal: str
    name: str
    calls: int


def noted(
    call: int, key: bytes, charge: Charge, fault: str | None, response: str | None
) -> Statement:
    """Return what writes a call that has no reply of its own, in place of what was known of it."""
    charged = (charge.input_tokens, charge.output_tokens, charge.price)
    return (
        "INSERT OR REPLACE INTO unanswered (id, key, charged_input, charged_output, charged_price, "
        "asked, fault, response) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (call, key, *charged, time.time(), fault, response),
    )


def kept(key: bytes, paid: Paid, charge: Charge) -> Statement:
    """Return what writes a reply with what is charged for it."""
    texts = (key, paid.request, paid.response, paid.finish)
    by_server = (paid.input_tokens, paid.output_tokens, paid.price, paid.seconds)
    charged = (charge.input_tokens, charge.output_tokens, charge.price, time.time())
    return (
        "INSERT INTO reply VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*texts, *by_server, *charged),
    )


def charged(paid: Paid, most: Charge) -> Charge:
    """Return what a reply counts in the budget: what the server counted, else the most."""
    return Charge(
        most.input_tokens if paid.input_tokens is None else paid.input_tokens,
        most.output_tokens if paid.output_tokens is None else paid.output_tokens,
        most.price if paid.price is None else paid.price,
    )


def read_open_batch(file: sqlite3.Connection, key: bytes) -> tuple[str, int] | None:
    """Return the name and the number of calls of an open batch that holds a call, or None."""
    # From the batches, since most journals have none.
    row = file.execute(
        "SELECT batch.id, batch.name FROM batch CROSS JOIN unanswered "
        "ON unanswered.batch = batch.id AND unanswered.key = ? AND unanswered.fault IS NULL "
        "AND unanswered.batch IS NOT NULL LIMIT 1",
        (key,),
    ).fetchone()
    if row is None:
        return None
    number, name = row
    query = "SELECT count(*) FROM unanswered WHERE batch = ? AND fault IS NULL"
    return name, file.execute(query, (number,)).fetchone()[0]


def read_reply(file: sqlite3.Connection, key: bytes) -> Paid | None:
    """Return the reply to a request, or None if a journal has none."""
    row = file.execute(
        "SELECT request, response, finish, input_tokens, output_tokens, price, seconds "
        "FROM reply WHERE key = ?",
        (key,),
    ).fetchone()
    return Paid(*row) if row else None


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
