"""What another process has published of a journal joins what this one's file holds.

In: replies, calls and batches as they were published, and a journal's file. Out: the statements
that write what is new here. Machines number rows and batches each for itself; a reply is told by
its key, a call by its number, which is used once, a batch by its token. `published` notes which
rows of this file lie in which segment, `told` which calls were open when both sides were last
alike: what one of them lacks since then was settled there. `telling` notes those of which it is not
known whether they came to be published as open: none of them is new here.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Sequence, Set
from typing import Any, Final

from lskd.chat.paid import Charge, Statement, noted

REPLY: Final = (
    "key, request, response, finish, input_tokens, output_tokens, price, seconds, "
    "charged_input, charged_output, charged_price, arrived"
)
CALL: Final = "id, key, charged_input, charged_output, charged_price, asked, batch, fault"
BATCH: Final = "id, token, name, made"
# The fault of a reply that differs from the one here. Each machine reads it from the segments: what
# is another's for this one is this one's for the other.
ELSEWHERE: Final = "another machine paid for the same"
Row = Sequence[Any]  # a number, then the columns of REPLY; or the columns of CALL or BATCH


def of_segment(
    file: sqlite3.Connection, segment: str, rows: Iterable[Row]
) -> tuple[list[Statement], int]:
    """Return what writes the replies of a segment that are new here, and how many they are."""
    (last,) = file.execute("SELECT coalesce(max(rowid), 0) FROM reply").fetchone()
    found: list[Statement] = []
    numbers: list[int] = []
    count = 0
    for _, key, request, response, *columns in rows:
        here = file.execute("SELECT rowid, response FROM reply WHERE key = ?", (key,)).fetchone()
        if here is None:
            count += 1
            places = ", ".join("?" * (4 + len(columns)))
            reply = f"INSERT INTO reply (rowid, {REPLY}) VALUES ({places})"
            found.append((reply, (last + count, key, request, response, *columns)))
            numbers.append(last + count)
        elif here[1] == response:
            numbers.append(here[0])
        else:  # bought on both sides, and both cost; the one here lies in another segment
            charge = Charge(*columns[-4:-1])
            found.append(noted(number_of(key, response), key, charge, ELSEWHERE, response))
    # No row has number 0: it notes that a segment was taken in of which no row is here.
    return [*found, *in_segment(segment, numbers or [0])], count


def number_of(key: bytes, response: str) -> int:
    """Return the number of a reply among the calls, the same however often it is taken in."""
    return int.from_bytes(hashlib.sha256(key + response.encode()).digest()[:8]) >> 2


def in_segment(segment: str, rows: Sequence[int]) -> list[Statement]:
    """Return what notes that replies, by their rows here, lie in a segment."""
    spans: list[tuple[int, int]] = []
    for row in sorted(rows):
        if spans and spans[-1][1] == row - 1:
            spans[-1] = (spans[-1][0], row)
        else:
            spans.append((row, row))
    return [("INSERT INTO published VALUES (?, ?, ?)", (segment, *span)) for span in spans]


def of_others(
    file: sqlite3.Connection, calls: Sequence[Row], batches: Sequence[Row]
) -> list[Statement]:
    """Return what brings the open calls and batches up to date with those that are published.

    The replies that are published must be here already.
    """
    here = calls_in(file, "unanswered")
    told, telling = calls_in(file, "told"), calls_in(file, "telling")
    tokens = dict(file.execute("SELECT token, id FROM batch"))
    found: list[Statement] = []
    numbers: dict[int, int] = {}
    for number, token, name, made in batches:
        if token in tokens:
            found.append(("UPDATE batch SET name = ? WHERE token = ? AND name = ''", (name, token)))
        else:
            tokens[token] = max(tokens.values(), default=0) + 1
            found.append(
                ("INSERT INTO batch VALUES (?, ?, ?, ?)", (tokens[token], token, name, made))
            )
        numbers[number] = tokens[token]
    for call, *columns, batch, fault in calls:
        if call in here:
            change = "UPDATE unanswered SET batch = coalesce(batch, ?), fault = ? "
            change += "WHERE id = ? AND fault IS NULL"
            if batch is not None or fault is not None:
                found.append((change, (numbers.get(batch), fault, call)))
        elif call not in told and call not in telling:
            new = f"INSERT INTO unanswered ({CALL}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            found.append((new, (call, *columns, numbers.get(batch), fault)))
    # Without a reply it stays: that it costs nothing is found out here as it was there.
    # With one it goes also if it was given up here: its reply was told late, to another machine.
    answered = "DELETE FROM unanswered WHERE id = ? AND key IN (SELECT key FROM reply)"
    theirs = {call for call, *_ in calls}
    found += [(answered, (call,)) for call in (told & here) - theirs]
    over = "DELETE FROM batch WHERE id NOT IN "
    over += "(SELECT batch FROM unanswered WHERE batch IS NOT NULL AND fault IS NULL)"
    return [*found, (over, ()), *as_told(told, theirs)]


def of_answered(file: sqlite3.Connection, calls: Iterable[Row]) -> list[Statement]:
    """Return what notes that published calls with a reply here are not new.

    Nothing, unless an older version wrote this file: it noted of no call that it was published.
    """
    if file.execute("SELECT 1 FROM published UNION ALL SELECT 1 FROM told").fetchone():
        return []
    note = "INSERT OR IGNORE INTO telling SELECT ? WHERE EXISTS (SELECT 1 FROM reply WHERE key = ?)"
    return [(note, (call, key)) for call, key, *_ in calls]


def as_telling(calls: Iterable[int]) -> list[Statement]:
    """Return what notes which calls are about to be published as open."""
    return [("INSERT OR IGNORE INTO telling VALUES (?)", (call,)) for call in calls]


def as_told(before: Set[int], calls: Set[int]) -> list[Statement]:
    """Return what notes which calls are published as open, where others were before."""
    return [
        ("DELETE FROM telling", ()),
        *(("INSERT INTO told VALUES (?)", (call,)) for call in calls - before),
        *(("DELETE FROM told WHERE id = ?", (call,)) for call in before - calls),
    ]


def calls_in(file: sqlite3.Connection, table: str) -> set[int]:
    """Return the numbers of the calls in a table."""
    return {call for (call,) in file.execute(f"SELECT id FROM {table}")}
