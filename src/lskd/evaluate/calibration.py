"""Whether a model knows when it is right: confidence against accuracy.

Scores of each item's choices and the places of the right ones go in, records come out. What cannot
be measured is None.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lskd.errors import UserError
from lskd.evaluate.metrics import choose, mean_of

BINS = 15


@dataclass(frozen=True, slots=True)
class Bin:
    """The items whose confidence lies from `low` to below `high` (the last bin has its end too)."""

    low: float
    high: float
    items: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True, slots=True)
class Calibration:
    """How confidence keeps to accuracy; `error` is the mean distance of both, over items by bin."""

    error: float | None
    confidence: float | None
    accuracy: float | None
    items: int
    bins: tuple[Bin, ...]


def calibrate(scores: Sequence[Sequence[float]], right: Sequence[Sequence[int]]) -> Calibration:
    """Return how well a softmax over an item's scores says whether its best choice is right.

    Bins are equally wide. Of equal best scores each counts for its share, as in fair marks. Raises
    UserError if the best score of an item is not finite, or as `choose` does.
    """
    correct = choose(scores, right).fair
    sure = np.array([_confidence(item, row) for item, row in enumerate(scores)])
    place = np.minimum((sure * BINS).astype(np.int64), BINS - 1)  # the last has 1 too
    found = tuple(
        Bin(
            number / BINS,
            (number + 1) / BINS,
            int((place == number).sum()),
            mean_of(sure[place == number]),
            mean_of(correct[place == number]),
        )
        for number in range(BINS)
    )
    excess = np.bincount(place, weights=sure - correct, minlength=BINS)
    error = float(np.abs(excess).sum() / len(sure)) if len(sure) else None
    return Calibration(error, mean_of(sure), mean_of(correct), len(sure), found)


def _confidence(item: int, scores: Sequence[float]) -> float:
    best = max(scores)
    if not math.isfinite(best):
        raise UserError(f"the best score of item {item} is {best}: expected a finite number")
    return 1 / sum(math.exp(score - best) for score in scores)
