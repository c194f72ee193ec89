"""Streams of any length become small summaries: counts, histograms, distinct values, samples.

Nothing here holds more than a fixed number of entries. What is exact and what is an estimate is
said by each.
"""

import bisect
import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")
Hashes = NDArray[np.uint64]

NAMES = 10_000
CAP = 1_000
DISTINCT = 1 << 17  # estimates beyond it have a standard error of 0.28 %: 1 / sqrt(k - 2)
COLUMNS = 24


@dataclass(frozen=True, slots=True)
class Count:
    """How often something was seen."""

    name: str
    count: int


@dataclass(frozen=True, slots=True)
class Bins:
    """A histogram: counts[i] values lie in [edges[i], edges[i + 1]), the last bin also at its end.

    With `open`, the last bin holds all values from its lower edge on.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    open: bool = False


@dataclass(frozen=True, slots=True)
class Spread:
    """How whole numbers are spread; mean, median and maximum are None when there are none."""

    count: int
    mean: float | None
    median: float | None
    maximum: int | None
    bins: Bins


class Tally:
    """Counts names. Exact for the first `limit` different names; later ones count as `others`."""

    def __init__(self, limit: int = NAMES) -> None:
        self.limit = limit
        self.counts: Counter[str] = Counter()
        self.others = 0

    def add(self, name: str, times: int = 1) -> None:
        """Count `name` `times` more times."""
        if name in self.counts or len(self.counts) < self.limit:
            self.counts[name] += times
        else:
            self.others += times

    @property
    def total(self) -> int:
        """Return the number of all that was counted, named or not."""
        return self.counts.total() + self.others

    def most(self, count: int) -> tuple[Count, ...]:
        """Return the `count` most frequent names, equals in alphabetical order."""
        ranked = sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))
        return tuple(Count(name, times) for name, times in ranked[:count])


class Histogram:
    """Counts numbers between fixed, rising edges. NaN is counted as `missing`; all else is exact.

    Numbers beyond the outer edges fall into the outer bins.
    """

    def __init__(self, edges: Sequence[float]) -> None:
        self.edges = np.asarray(edges, dtype=np.float64)
        self.counts = np.zeros(len(edges) - 1, dtype=np.int64)
        self.sum = 0.0
        self.missing = 0

    def add(self, values: Sequence[float]) -> None:
        """Count each of `values`."""
        given = np.asarray(values, dtype=np.float64)
        known = given[~np.isnan(given)]
        self.missing += len(given) - len(known)
        self.sum += float(known.sum())
        places = np.searchsorted(self.edges, known, side="right") - 1
        places = np.clip(places, 0, len(self.counts) - 1)
        self.counts += np.bincount(places, minlength=len(self.counts))

    @property
    def count(self) -> int:
        """Return how many numbers were counted, NaN apart."""
        return int(self.counts.sum())

    @property
    def mean(self) -> float | None:
        """Return the mean, or None if nothing was counted."""
        return self.sum / self.count if self.count else None

    def bins(self) -> Bins:
        """Return the counts with their edges."""
        return Bins(tuple(self.edges.tolist()), tuple(self.counts.tolist()))


class Wholes:
    """Counts whole numbers from 0 on. Mean and maximum are exact; the median is, below `CAP`."""

    def __init__(self) -> None:
        self.counts = np.zeros(CAP + 1, dtype=np.int64)
        self.sum = 0
        self.maximum: int | None = None

    def add(self, values: Iterable[int]) -> None:
        """Count each of `values`, none of them negative."""
        given = np.fromiter(values, dtype=np.int64)
        if len(given):
            self.sum += int(given.sum())
            self.maximum = max(self.maximum or 0, int(given.max()))
            self.counts += np.bincount(np.minimum(given, CAP), minlength=CAP + 1)

    def _at(self, share: float) -> int:
        """Return the smallest number that at least `share` of all numbers do not exceed."""
        return int(np.searchsorted(self.counts.cumsum(), share * self.counts.sum()))

    def spread(self) -> Spread:
        """Return the summary, in at most 24 bins of a round width; the last may be open."""
        count = int(self.counts.sum())
        if not count or self.maximum is None:
            return Spread(0, None, None, None, Bins((), ()))
        below = self._at(0.5)
        above = int(np.searchsorted(self.counts.cumsum(), count // 2, side="right"))
        median = (below + above) / 2
        return Spread(count, self.sum / count, median, self.maximum, self._bins())

    def _bins(self) -> Bins:
        # A few very long texts must not squeeze all others into one column.
        top = max(1, self._at(0.995))
        width = next(w for w in (1, 2, 5, 10, 20, 50, 100) if top // w < COLUMNS)
        columns = top // width + 1
        starts = np.arange(columns) * width
        counts = np.add.reduceat(self.counts, starts)
        edges = tuple(float(edge) for edge in (*starts.tolist(), columns * width))
        rest = int(self.counts[columns * width :].sum())
        return Bins(edges, tuple(counts.tolist()), open=rest > 0)


class Distinct:
    """Counts different 64-bit hashes: exact up to `limit`, then estimated.

    Only the smallest are held: the k-th smallest of n hashes spread evenly over [0, 1) lies near
    k / n (Bar-Yossef et al. 2002).
    """

    def __init__(self, limit: int = DISTINCT) -> None:
        self.limit = limit
        self.seen = 0
        self._smallest: Hashes = np.empty(0, dtype=np.uint64)

    def add(self, hashes: Hashes) -> None:
        """Count each of `hashes`."""
        self.seen += len(hashes)
        if not self.exact:
            hashes = hashes[hashes < self._smallest[-1]]
        if len(hashes):
            both = np.concatenate((self._smallest, hashes))
            both.sort()
            fresh = np.concatenate(([True], both[1:] != both[:-1]))
            # One more than is needed tells whether the count is still exact.
            self._smallest = both[fresh][: self.limit + 1]

    @property
    def exact(self) -> bool:
        """Return whether nothing had to be thrown away."""
        return len(self._smallest) <= self.limit

    @property
    def count(self) -> int:
        """Return how many different hashes there were."""
        if self.exact:
            return len(self._smallest)
        return round((self.limit - 1) / (float(self._smallest[self.limit - 1]) / 2.0**64))

    @property
    def share(self) -> float | None:
        """Return the share of all hashes that are different ones; None if there were none."""
        return min(1.0, self.count / self.seen) if self.seen else None


class Smallest(Generic[T]):
    """Keeps the `limit` items of smallest key: a random sample, if the keys are hashes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._rows: list[tuple[tuple[int, int], T]] = []

    def admits(self, key: tuple[int, int]) -> bool:
        """Return whether an item of this key would be kept."""
        if len(self._rows) < self.limit:
            return True
        return self.limit > 0 and key < self._rows[-1][0]

    def add(self, key: tuple[int, int], item: T) -> None:
        """Keep `item` if its key is small enough."""
        if self.admits(key):
            bisect.insort(self._rows, (key, item), key=lambda row: row[0])
            del self._rows[self.limit :]

    @property
    def items(self) -> list[T]:
        """Return what is kept, by rising key."""
        return [item for _, item in self._rows]


def lot(seed: int, name: str) -> int:
    """Return the number, below 2^63, that a name draws under a seed: the same on every machine."""
    drawn = hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=8).digest()
    return int.from_bytes(drawn, "big") >> 1
