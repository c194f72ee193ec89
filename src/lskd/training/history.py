"""The losses of each step as JSON lines: `{"step": 7, "loss": 1.2, "itc": 0.4, ...}`.

A training that was stopped goes on in the same file, cut back to the checkpoint that it goes on
from: in the end the file is that of a training that was never stopped, byte for byte.
"""

import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lskd import table
from lskd.errors import cannot_write

LOSSES, PLOT = "losses.jsonl", "losses.svg"


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured at a step; numbers that are not known are NaN, null in the file."""

    step: int
    loss: float
    parts: tuple[tuple[str, float], ...]
    rate: float
    gradient: float

    @property
    def sound(self) -> bool:
        """Return whether the loss and its gradient are numbers."""
        return math.isfinite(self.loss) and math.isfinite(self.gradient)


def line(measured: Measured) -> str:
    """Return a measurement as a line of the file."""
    numbers = [
        ("loss", measured.loss),
        *measured.parts,
        ("learning_rate", measured.rate),
        ("gradient", measured.gradient),
    ]
    row: dict[str, float | None] = {"step": measured.step}
    row.update({name: value if math.isfinite(value) else None for name, value in numbers})
    return json.dumps(row) + "\n"


def read(file: Path) -> list[Measured]:
    """Return what a file holds, up to a line that was cut off; nothing if there is no file."""
    return [measured for _, measured in _lines(file)]


class History:
    """A file that grows by a line a step."""

    def __init__(self, file: Path, step: int) -> None:
        """Open the file to go on after `step`; later lines are removed."""
        kept = [text for text, measured in _lines(file) if measured.step <= step]
        with table.draft(file) as unfinished:
            unfinished.write_text("".join(kept), encoding="utf-8")
        self.path = file
        # Without a buffer, which would try to write again what a full disk did not take.
        self._file = file.open("ab", buffering=0)

    def add(self, measured: Measured) -> None:
        """Add a line, so that it outlives this process."""
        left = line(measured).encode()
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def settle(self) -> None:
        """Have all lines on the disk."""
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _lines(file: Path) -> Iterator[tuple[str, Measured]]:
    """Yield each whole line and what it says."""
    if not file.is_file():
        return
    for text in file.read_text(encoding="utf-8").splitlines(keepends=True):
        try:
            row = json.loads(text)
            measured = Measured(
                int(row.pop("step")),
                _number(row.pop("loss")),
                rate=_number(row.pop("learning_rate")),
                gradient=_number(row.pop("gradient")),
                parts=tuple((name, _number(value)) for name, value in row.items()),
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return  # a kill or a full disk cut it off; what would follow is made again
        yield text, measured


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
