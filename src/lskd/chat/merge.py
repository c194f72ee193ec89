"""What another process has published of a journal joins what this one's file holds.

In: replies, calls and batches as they were published, and a journal's file. Out: the statements
that write what is new here. Machines number rows and batches each for itself; a reply is told by
its key, a call by its number, which is used once, a batch by its token. `published` notes which
rows of this file lie in which segment, `told` which calls were open when both sides were last
alike: what one of them lacks since then was settled there.
"""

import secrets
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Final

from lskd.chat.paid import Charge, Statement, noted

REPLY: Final = (
    "key, request, response, finish, input_tokens, output_tokens, price, seconds, "
    "charged_input, charged_output, charged_price, arrived"
)
CALL: Final = "id, key, charged_input, charged_output, charged_price, asked, batch, fault"
BATCH: Final = "id, token, name, made"
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
            continue
        numbers.append(here[0])
        if here[1] != response:  # bought on both sides, and both cost
            charge = Charge(*columns[-4:-1])
            found.append(noted(secrets.randbits(62), key, charge, "answered twice", response))
    return [*found, *in_segment(segment, numbers)], count


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
    here = {call for (call,) in file.execute("SELECT id FROM unanswered")}
    told = {call for (call,) in file.execute("SELECT id FROM told")}
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
            if fault is not None:
                change = "UPDATE unanswered SET fault = ? WHERE id = ? AND fault IS NULL"
                found.append((change, (fault, call)))
        elif call not in told:
            new = f"INSERT INTO unanswered ({CALL}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            found.append((new, (call, *columns, numbers.get(batch), fault)))
    # Without a reply it stays: that it costs nothing is found out here as it was there.
    answered = "DELETE FROM unanswered WHERE id = ? AND fault IS NULL AND key IN "
    answered += "(SELECT key FROM reply)"
    theirs = {call for call, *_ in calls}
    found += [(answered, (call,)) for call in (told & here) - theirs]
    over = "DELETE FROM batch WHERE id NOT IN "
    over += "(SELECT batch FROM unanswered WHERE batch IS NOT NULL AND fault IS NULL)"
    return [*found, (over, ()), *as_told(theirs)]


def as_told(calls: Iterable[int]) -> list[Statement]:
    """Return what notes which calls are published as open."""
    return [
        ("DELETE FROM told", ()),
        *(("INSERT INTO told VALUES (?)", (call,)) for call in calls),
    ]
