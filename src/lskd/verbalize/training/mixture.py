"""How often each corpus is learnt from: rows of training become places of corpora.

An epoch is so long that every place of every corpus is learnt from at least once, in the shares
that the weights ask for; where a corpus weighs more than its size, its places come again.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from lskd.errors import UserError


@dataclass(frozen=True, slots=True)
class Mixture:
    """The rows of an epoch: `ends[c]` is the row after the last of corpus c, of `sizes[c]` places.

    Rows are drawn in an order of their own, so that corpora stand in one line here.
    """

    sizes: tuple[int, ...]
    ends: tuple[int, ...]

    def __len__(self) -> int:
        return self.ends[-1]

    @property
    def quotas(self) -> tuple[int, ...]:
        """Return how many rows of an epoch are of each corpus."""
        starts = (0, *self.ends[:-1])
        return tuple(end - start for start, end in zip(starts, self.ends, strict=True))

    def place(self, row: int) -> tuple[int, int]:
        """Return which corpus a row is of, and which of its places."""
        corpus = bisect_right(self.ends, row)
        start = self.ends[corpus - 1] if corpus else 0
        return corpus, (row - start) % self.sizes[corpus]


def mixed(sizes: Sequence[int], weights: Sequence[float | None]) -> Mixture:
    """Return the mixture of corpora by their number of places and their weights.

    Without weights each place counts alike. Raises UserError for a corpus without places.
    """
    if any(size < 1 for size in sizes):
        raise UserError(f"corpus {sizes.index(0)} has no place to learn from")
    wanted = [
        float(size) if weight is None else weight
        for size, weight in zip(sizes, weights, strict=True)
    ]
    # So that the corpus which is seen least often is seen just once.
    longest = max(size / weight for size, weight in zip(sizes, wanted, strict=True))
    quotas = [
        max(size, math.ceil(weight * longest - 1e-9))
        for size, weight in zip(sizes, wanted, strict=True)
    ]
    return Mixture(tuple(sizes), tuple(accumulate(quotas)))
