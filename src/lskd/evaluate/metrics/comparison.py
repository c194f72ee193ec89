"""Sherlock's comparison task: do scores order candidates as two people's ratings do?

Scores and ratings of each annotation's candidates go in, marks come out; 1 is full agreement, -1
the reverse, and 0 chance. The authors print a hundred times the mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lskd.errors import UserError
from lskd.evaluate.metrics.marks import (
    Marks,
    Values,
    check_scores,
    even,
    gathered,
)

RATERS = 2
MOST_CANDIDATES = 10  # the authors' code draws noise for no more
# What the authors add to scores, place by place, so that none are equal: always the same numbers.
TIE_NOISE: Values = np.random.RandomState(1).random_sample(MOST_CANDIDATES) / 1e9


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """What the model earns, and what people do against each other; float64, (annotations,).

    `human` is each rater in the model's place, judged by the other; `oracle` is their mean rating.
    """

    model: Marks
    human: Values
    oracle: Values


def pairwise(scores: Sequence[float] | Values, ratings: Sequence[float] | Values) -> float:
    """Return how well scores order the pairs that ratings tell apart, officially, in -1 to 1.

    To each place a fixed noise below 1e-9 is added, which breaks ties, always alike. 0 if ratings
    tell no pair apart. Raises UserError for more than 10 candidates, as the authors' code fails.
    """
    even(scores=len(scores), ratings=len(ratings))
    if len(scores) > MOST_CANDIDATES:
        raise UserError(
            f"{len(scores)} candidates in a comparison: the official metric breaks ties of at most "
            f"{MOST_CANDIDATES}"
        )
    broken = np.asarray(scores, dtype=np.float64) + TIE_NOISE[: len(scores)]
    rated = np.asarray(ratings, dtype=np.float64)
    first, second = _pairs(len(rated))
    apart = rated[first] != rated[second]
    if not apart.any():
        return 0.0
    # A pair of scores that noise cannot part, because they are large, counts as falling.
    same = (rated[first] < rated[second]) == (broken[first] < broken[second])
    return float((same[apart].mean() - 0.5) * 2)


def fair_pairwise(scores: Sequence[float] | Values, ratings: Sequence[float] | Values) -> float:
    """Return the same with equal scores counted as half right, in -1 to 1; any number is allowed.

    This is Somers' D of the scores given the ratings.
    """
    even(scores=len(scores), ratings=len(ratings))
    scored, rated = np.asarray(scores, dtype=np.float64), np.asarray(ratings, dtype=np.float64)
    first, second = _pairs(len(rated))
    wanted = np.sign(rated[first] - rated[second])
    # Comparisons rather than a difference: two infinite scores have none.
    given = (scored[first] > scored[second]).astype(np.float64) - (scored[first] < scored[second])
    pairs = np.count_nonzero(wanted)
    return float((wanted * given).sum() / pairs) if pairs else 0.0


@lru_cache(maxsize=16)
def _pairs(number: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the places of each pair of so many candidates: nearly all items have as many."""
    first, second = np.triu_indices(number, 1)
    return first, second


def compare(
    scores: Sequence[Sequence[float]], ratings: Sequence[Sequence[Sequence[float]]]
) -> Compared:
    """Return the marks of each annotation: the mean over its two raters.

    `ratings[i]` holds what each of the two gave to each candidate. Raises UserError for another
    number of raters, a score that is not a number, or more than 10 candidates.
    """
    even(scores=len(scores), ratings=len(ratings))
    model, human, oracle = [], [], []
    for item, (row, raters) in enumerate(zip(scores, ratings, strict=True)):
        if len(row):  # none are no error of the authors' code: they earn 0
            check_scores(item, row)
        if len(raters) != RATERS:
            raise UserError(f"annotation {item} has {len(raters)} raters: expected {RATERS}")
        one, other = raters
        average = (np.asarray(one, dtype=np.float64) + np.asarray(other, dtype=np.float64)) / 2
        official = (pairwise(row, one) + pairwise(row, other)) / 2
        fair = (fair_pairwise(row, one) + fair_pairwise(row, other)) / 2
        model.append((official, fair, 0.0))
        human.append((pairwise(one, other) + pairwise(other, one)) / 2)
        oracle.append((pairwise(average, one) + pairwise(average, other)) / 2)
    return Compared(gathered(model), np.asarray(human, float), np.asarray(oracle, float))
