"""With `--log json` every line on standard error is one JSON object, whoever writes it.

In: what this package, its libraries and Python itself write. Out: lines with at least time, stage,
shard, event; stage and shard are null where a line is about none. Our own lines are written so by
`lskd.progress`; all others are wrapped here, as event "text", "error" or "defect".
"""

import io
import json
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

MISTAKE = "error: "  # what `lskd.cli.options.plain_errors` begins with


def row(event: str, stage: str | None = None, shard: str | None = None, **more: Any) -> str:
    """Return a line of the log."""
    told = {"time": round(time.time(), 3), "stage": stage, "shard": shard, "event": event, **more}
    return json.dumps(told) + "\n"


class JsonLines(io.TextIOBase):
    """Passes JSON objects on as they are, a line at a time, and wraps all other text.

    Safe to use from several threads: a line that is written in pieces is put together for each.
    """

    def __init__(self, to: TextIO) -> None:
        self._to = to
        self._guard = threading.Lock()
        self._begun: dict[int, str] = {}

    def writable(self) -> bool:
        """Return that it can be written to."""
        return True

    def write(self, text: str) -> int:
        """Write the lines that are whole now; keep the rest of the text for later."""
        with self._guard:
            here = threading.get_ident()
            # Bars of libraries go back to the beginning of their line.
            *lines, begun = (self._begun.pop(here, "") + text).replace("\r", "\n").split("\n")
            if begun:
                self._begun[here] = begun
            self._to.writelines(wrapped(line) for line in lines if line.strip())
        return len(text)

    def flush(self) -> None:
        """Pass on what is whole."""
        with self._guard:
            self._to.flush()

    def close_lines(self) -> None:
        """Write what was begun and never ended."""
        with self._guard:
            self._to.writelines(wrapped(line) for line in self._begun.values() if line.strip())
            self._begun.clear()
            self._to.flush()


def wrapped(line: str) -> str:
    """Return a line of the log for a line of text; one that is of the log already stays."""
    if line.startswith("{"):
        try:
            if {"time", "stage", "shard", "event"} <= json.loads(line).keys():
                return line + "\n"
        except ValueError:
            return row("text", text=line)
    if line.startswith(MISTAKE):
        return row("error", text=line.removeprefix(MISTAKE))
    return row("text", text=line.rstrip())


@contextmanager
def only_json(wanted: bool) -> Iterator[None]:
    """Make standard error JSON lines within the block, if that is `wanted`.

    A defect of ours, which would end in a traceback, becomes a line too, and exit code 1.
    """
    if not wanted:
        yield
        return
    before, lines = sys.stderr, JsonLines(sys.stderr)
    sys.stderr = lines
    try:
        yield
    except Exception as error:
        if hasattr(error, "exit_code"):  # typer's own way to leave
            raise
        lines.write(row("defect", text=traceback.format_exc()))
        raise SystemExit(1) from None
    finally:
        lines.close_lines()
        sys.stderr = before
