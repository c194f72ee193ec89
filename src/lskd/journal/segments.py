"""What was paid, published to storage piece by piece, so that a driver's disk may be lost.

In: a journal that grows. Out: a folder of segments, files of replies as compressed JSON lines that
never change, named by the rows that they hold; `unanswered.json`, the calls that may have been paid
for and the batches that will be answered; and `journal.json`, whose they are. A new journal is
filled from such a folder.
"""

import contextlib
import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from lskd.chat.journal import Journal
from lskd.chat.journal_file import open_to_read, told
from lskd.errors import UserError
from lskd.table import draft

NOTE: Final = "journal.json"
UNANSWERED: Final = "unanswered.json"
ROWS: Final = 10_000  # of a segment at most
COLUMNS: Final = (
    "rowid, hex(key), request, response, finish, input_tokens, output_tokens, price, seconds, "
    "charged_input, charged_output, charged_price, arrived"
)


class Segments:
    """The published segments of one journal."""

    def __init__(self, journal: Journal, folder: Path) -> None:
        self._journal = journal
        self._folder = folder
        self._told = ""

    def publish(self) -> int:
        """Write what is new since the last segment; return how many replies that are.

        Raises UserError if the folder cannot be written.
        """
        note = self._folder / NOTE
        if not note.exists():
            with draft(note) as unfinished:
                unfinished.write_text(json.dumps({"journal": self._journal.identity()}))
        count, last = 0, max((last for _, last in self._ranges()), default=0)
        while rows := self._new_rows(last):
            first, last = rows[0][0], rows[-1][0]
            with draft(self._folder / f"replies-{first:012d}-{last:012d}.jsonl.gz") as unfinished:
                unfinished.write_bytes(packed(rows))
            count += len(rows)
        return count

    def _new_rows(self, last: int) -> list[Any]:
        """Return the replies after a row, and publish the open calls of the same moment."""
        path = self._journal.path
        with told(path), contextlib.closing(open_to_read(path)) as file:
            file.execute("BEGIN")  # both from one moment: no call is in neither
            rows = file.execute(
                f"SELECT {COLUMNS} FROM reply WHERE rowid > ? ORDER BY rowid LIMIT {ROWS}", (last,)
            ).fetchall()
            calls = file.execute(
                "SELECT id, hex(key), charged_input, charged_output, charged_price, asked, batch, "
                "fault FROM unanswered"
            ).fetchall()
            batches = file.execute("SELECT id, token, name, made FROM batch").fetchall()
        text = json.dumps({"calls": calls, "batches": batches})
        if text != self._told:
            with draft(self._folder / UNANSWERED) as unfinished:
                unfinished.write_text(text)
            self._told = text
        return rows

    def restore(self) -> int:
        """Add what is published and not in the journal; return how many replies that are.

        Raises UserError if the folder is another journal's, or cannot be read.
        """
        try:
            return self._restored()
        except (OSError, EOFError, ValueError, LookupError, TypeError, zlib.error) as error:
            raise UserError(f"{self._folder} has no readable segments: {error}") from error

    def _restored(self) -> int:
        note = self._folder / NOTE
        if not note.exists():
            return 0
        name = json.loads(note.read_text())["journal"]
        if self._journal.is_new():
            file = self._folder / UNANSWERED
            found = json.loads(file.read_text()) if file.exists() else {"calls": [], "batches": []}
            calls = [(row[0], bytes.fromhex(row[1]), *row[2:]) for row in found["calls"]]
            self._journal.become(name, calls, found["batches"])
        elif self._journal.identity() != name:
            raise UserError(
                f"{self._folder} holds the segments of another journal than {self._journal.path}: "
                "give another folder, or move one of them away"
            )
        count, last = 0, self._journal.last_row()
        for first, end in self._ranges():
            if end > last:
                file = self._folder / f"replies-{first:012d}-{end:012d}.jsonl.gz"
                count += self._journal.put_back([row for row in unpacked(file) if row[0] > last])
        return count

    def _ranges(self) -> list[tuple[int, int]]:
        """Return the first and last row of each segment, in order."""
        names = [file.name for file in self._folder.glob("replies-*.jsonl.gz")]
        spans = (name.removesuffix(".jsonl.gz").split("-")[1:] for name in names)
        return sorted((int(first), int(last)) for first, last in spans)


def packed(rows: list[Any]) -> bytes:
    """Return a segment's content."""
    return gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode(), 6)


def unpacked(file: Path) -> Iterator[Any]:
    """Yield the rows of a segment, their keys as bytes."""
    for line in gzip.decompress(file.read_bytes()).decode().splitlines():
        row = json.loads(line)
        yield (row[0], bytes.fromhex(row[1]), *row[2:])
