"""Where the time of a piece of work goes: reading, decoding, waiting, computing, writing.

In: places of the code that say `with measured("reading")` of what they do. Out: seconds of each
kind. A clock counts each moment once, for the innermost kind; what no place claims is computing. A
thread without a clock pays next to nothing for a place that measures, so such places stay in.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import Literal

Kind = Literal["reading", "decoding", "waiting", "computing", "writing"]


@dataclass(frozen=True, slots=True)
class Spans:
    """Seconds of each kind.

    `reading` is files and tables becoming rows, `decoding` image files becoming pixels, `waiting` a
    server's replies being awaited, `writing` rows becoming tables, and `computing` all else.
    """

    reading: float = 0.0
    decoding: float = 0.0
    waiting: float = 0.0
    computing: float = 0.0
    writing: float = 0.0

    @property
    def total(self) -> float:
        """Return the seconds of all kinds."""
        return sum(self.of(kind) for kind in KINDS)

    def of(self, kind: Kind) -> float:
        """Return the seconds of one kind."""
        return float(getattr(self, kind))

    def __add__(self, other: "Spans") -> "Spans":
        return Spans(*(self.of(kind) + other.of(kind) for kind in KINDS))

    def as_json(self) -> dict[str, float]:
        """Return the seconds by kind, to the tenth of a millisecond."""
        return {kind: round(seconds, 4) for kind, seconds in asdict(self).items()}


KINDS: tuple[Kind, ...] = tuple(field.name for field in fields(Spans))  # type: ignore[misc]


class Clock:
    """Adds up the seconds of each kind in one thread; it begins with computing."""

    def __init__(self) -> None:
        self._spent: dict[Kind, float] = dict.fromkeys(KINDS, 0.0)
        self._kind: Kind = "computing"
        self._since = time.perf_counter()

    def turn(self, kind: Kind) -> Kind:
        """Count from now on for `kind`; return what was counted for until now."""
        now = time.perf_counter()
        self._spent[self._kind] += now - self._since
        before, self._kind, self._since = self._kind, kind, now
        return before

    def lap(self) -> Spans:
        """Return the seconds since the last lap, or since the beginning, and begin anew."""
        self.turn(self._kind)
        spent = Spans(**self._spent)
        self._spent = dict.fromkeys(KINDS, 0.0)
        return spent


class _Here(threading.local):
    """The clock of each thread; threads that a stage starts itself have none."""

    clock: Clock | None = None


_here = _Here()


@contextmanager
def running(clock: Clock) -> Iterator[None]:
    """Let `clock` count what this thread does within the block."""
    before, _here.clock = _here.clock, clock
    try:
        yield
    finally:
        _here.clock = before


@contextmanager
def measured(kind: Kind) -> Iterator[None]:
    """Count the block for `kind`, where this thread has a clock; also decorates a function."""
    clock = _here.clock
    if clock is None:
        yield
        return
    before = clock.turn(kind)
    try:
        yield
    finally:
        clock.turn(before)
