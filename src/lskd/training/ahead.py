"""What the next micro-batch needs is made while the present one is learned from.

A task that reads pictures holds an `Ahead`, lets its `prepare` call `start`, and takes what it
needs in `losses` by `take`. Nothing else changes: what is made is a function of (rows, seed).
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Given = TypeVar("Given")
Key = tuple[tuple[int, ...], int]


class Ahead(Generic[Given]):
    """Makes things in one thread of its own, in the order in which they were asked for."""

    def __init__(self, make: Callable[[Sequence[int], int], Given]) -> None:
        self.make = make
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ahead")
        self._coming: dict[Key, Future[Given]] = {}

    def start(self, rows: Sequence[int], seed: int) -> None:
        """Begin to make what these rows need under this seed."""
        self._coming[tuple(rows), seed] = self._thread.submit(self.make, rows, seed)

    def take(self, rows: Sequence[int], seed: int) -> Given:
        """Return what these rows need, made before or now; raises what its making raised."""
        key = tuple(rows), seed
        while key in self._coming:
            first = next(iter(self._coming))
            coming = self._coming.pop(first)
            if first == key:  # else it was begun for a training that ended before it took it
                return coming.result()
        return self.make(rows, seed)
