"""What each item of a benchmark earns: by its authors' rule, with ties broken fairly, by chance."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lskd.errors import UserError

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """What items earn: shares from 0 to 1, or from -1 to 1 for Sherlock; float64, (items,).

    `official` follows the authors' code to the last tie. `fair` is what is to be expected if equal
    scores are put in random order, and `chance` what a scorer of equal scores then earns.
    """

    official: Values
    fair: Values
    chance: Values

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self.official)


@dataclass(frozen=True, slots=True)
class Mean:
    """What items earn on average, on the scale of `Marks`; None where there are none."""

    official: float | None
    fair: float | None
    chance: float | None
    items: int


def mean(marks: Marks) -> Mean:
    """Return the figures of a benchmark."""
    return Mean(
        mean_of(marks.official), mean_of(marks.fair), mean_of(marks.chance), len(marks.official)
    )


def mean_of(values: Sequence[float] | Values) -> float | None:
    """Return the mean of values, or None if there are none."""
    return float(np.mean(values)) if len(values) else None


def gathered(rows: Iterable[tuple[float, float, float]]) -> Marks:
    """Return the marks of items from their official, fair and chance values."""
    table = np.asarray(list(rows), dtype=np.float64).reshape(-1, 3)  # (items, 3), also if empty
    return Marks(table[:, 0], table[:, 1], table[:, 2])


def even(**columns: int) -> None:
    """Check that sequences have one entry for each item; names and lengths are given.

    Raises UserError if the lengths differ.
    """
    if len(set(columns.values())) > 1:
        given = ", ".join(f"{length} {name}" for name, length in columns.items())
        raise UserError(f"expected one of each for every item, given {given}")


def checked(item: int, scores: Sequence[float], right: Sequence[int]) -> frozenset[int]:
    """Return the places of an item's right choices.

    Raises UserError if there are no choices, if a score is not a number, if nothing is right or if
    a right place is none of the choices.
    """
    check_scores(item, scores)
    wanted = frozenset(right)
    if not wanted:
        raise UserError(f"item {item} has no right choice: leave out items whose key is not public")
    if min(wanted) < 0 or max(wanted) >= len(scores):
        raise UserError(
            f"item {item} has its right choices at {sorted(wanted)}, but scores for the places 0 "
            f"to {len(scores) - 1}"
        )
    return wanted


def check_scores(item: int, scores: Sequence[float]) -> None:
    """Check the scores of an item; infinite ones are allowed.

    Raises UserError if there are none, or if one is not a number, which nothing can be ranked by.
    """
    if not len(scores):
        raise UserError(f"item {item} has no scores: expected one for each choice")
    broken = [place for place, score in enumerate(scores) if math.isnan(score)]
    if broken:
        raise UserError(
            f"item {item} has a score that is not a number, at place {broken[0]} of {len(scores)}: "
            "score it again, or leave the item out and say so"
        )
