"""How well scores tell accepted triples from rejected ones; all on plain numbers.

`scores` say how acceptable each triple is, `labels` whether people accepted it. A figure that
cannot be measured is None.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from lskd.errors import UserError

BINS = 15
DIGITS = 17  # that many tell all probabilities apart but the least
COLDEST, HOTTEST = 1e-3, 1e3  # bounds of a temperature


@dataclass(frozen=True, slots=True)
class Confusion:
    """How many triples were said to be acceptable, rightly or wrongly, and how many were not."""

    right_accept: int
    wrong_accept: int
    wrong_reject: int
    right_reject: int

    @property
    def precision(self) -> float | None:
        """Return the share of those said to be acceptable that are."""
        return _share(self.right_accept, self.right_accept + self.wrong_accept)

    @property
    def recall(self) -> float | None:
        """Return the share of acceptable ones that are said to be."""
        return _share(self.right_accept, self.right_accept + self.wrong_reject)

    @property
    def f1(self) -> float | None:
        """Return the harmonic mean of precision and recall."""
        wrong = self.wrong_accept + self.wrong_reject
        return _share(2 * self.right_accept, 2 * self.right_accept + wrong)

    def turned(self) -> "Confusion":
        """Return the same as it looks where rejects are what is sought."""
        return Confusion(self.right_reject, self.wrong_reject, self.wrong_accept, self.right_accept)


@dataclass(frozen=True, slots=True)
class Threshold:
    """What is kept if scores of at least `value` are.

    `kept` is the share of all triples, `precision` that of accepted ones among the kept, and `low`
    to `high` its confidence interval.
    """

    value: float
    kept: float
    precision: float
    low: float
    high: float


def confusion(scores: Sequence[float], labels: Sequence[bool], threshold: float = 0.5) -> Confusion:
    """Return what a threshold gets right and wrong; a score equal to it is an accept."""
    said, true = np.asarray(scores, dtype=np.float64) >= threshold, np.asarray(labels, dtype=bool)
    return Confusion(
        int((said & true).sum()),
        int((said & ~true).sum()),
        int((~said & true).sum()),
        int((~said & ~true).sum()),
    )


def macro(counts: Confusion) -> tuple[float | None, float | None, float | None]:
    """Return precision, recall and F1, each the mean over accepts and rejects.

    The F1 of Table 1 lies below the harmonic mean of its precision and recall, as such means do.
    """
    both = (counts, counts.turned())
    return (
        _mean([one.precision for one in both]),
        _mean([one.recall for one in both]),
        _mean([one.f1 for one in both]),
    )


def average_precision(scores: Sequence[float], labels: Sequence[bool]) -> float | None:
    """Return the mean precision over the accepted; equal scores come together."""
    kept, right = _cumulated(scores, labels)
    if not len(right) or not right[-1]:
        return None
    gained = np.diff(right, prepend=0) / right[-1]
    return float((gained * right / kept).sum())


def calibration_error(
    probabilities: Sequence[float], labels: Sequence[bool], bins: int = BINS
) -> float | None:
    """Return the expected calibration error: how far probabilities are from shares of accepted.

    The mean over triples of the distance between both means of their bin, of equally wide bins.
    """
    said, true = np.asarray(probabilities, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    if not len(said):
        return None
    place = np.clip((said * bins).astype(np.int64), 0, bins - 1)
    excess = np.bincount(place, weights=said - true, minlength=bins)
    return float(np.abs(excess).sum() / len(said))


def curve(
    scores: Sequence[float], labels: Sequence[bool], confidence: float = 0.95
) -> tuple[Threshold, ...]:
    """Return precision against kept share (Figure 2), for every score as threshold, highest first.

    Each interval is Wilson's for that threshold alone.
    """
    values = np.unique(np.asarray(scores, dtype=np.float64))[::-1]
    kept, right = _cumulated(scores, labels)
    points = []
    for value, number, accepted in zip(values, kept, right, strict=True):
        low, high = interval(int(accepted), int(number), confidence)
        share = float(number) / len(labels)
        points.append(Threshold(float(value), share, float(accepted / number), low, high))
    return tuple(points)


def threshold_for(
    precision: float, scores: Sequence[float], labels: Sequence[bool], confidence: float = 0.95
) -> Threshold:
    """Return the threshold that keeps most, of those with at least this share of accepted ones.

    It is chosen on the triples that its precision is measured on, so the precision is a little
    flattered; `low` is the safer number. Raises UserError if no threshold reaches the precision.
    """
    points = curve(scores, labels, confidence)
    reached = [point for point in points if point.precision >= precision]
    if not reached:
        best = max((point.precision for point in points), default=math.nan)
        raise UserError(
            f"no threshold gives a precision of {precision:g}: "
            f"the best of {len(labels)} judged triples is {best:.3f}"
        )
    return reached[-1]


def in_digits(point: Threshold, points: Sequence[Threshold]) -> str:
    """Return a threshold in as few digits, three or more, as keep the same of a curve's triples.

    It is rounded down, and stays above the next lower score.
    """
    lower = max((one.value for one in points if one.value < point.value), default=-math.inf)
    for digits in range(3, DIGITS):
        step = Decimal(1).scaleb(-digits)
        rounded = Decimal(repr(point.value)).quantize(step, ROUND_FLOOR)
        if float(rounded) > lower:
            return str(rounded)
    return repr(point.value)


def interval(right: int, number: int, confidence: float) -> tuple[float, float]:
    """Return Wilson's interval for the share of which `right` of `number` is an estimate."""
    if not 0 < confidence < 1:
        raise UserError(f"confidence = {confidence:g}: expected more than 0 and less than 1")
    if not number:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, spread = right / number, z * z / number
    middle = (share + spread / 2) / (1 + spread)
    reach = math.sqrt(spread * (share * (1 - share) + spread / 4)) / (1 + spread)
    # Rounding may leave the estimate itself outside where it is 0 or 1.
    return max(0.0, min(share, middle - reach)), min(1.0, max(share, middle + reach))


def temperature(logits: Sequence[float], labels: Sequence[bool]) -> float | None:
    """Return the number to divide logits by, so that their sigmoid is a probability.

    It makes the labels likeliest, softened as in Platt scaling so that it is finite where logits
    separate them. None if the labels are all alike, which tells nothing.
    """
    given, true = np.asarray(logits, dtype=np.float64), np.asarray(labels, dtype=bool)
    accepted, number = int(true.sum()), len(true)
    if accepted in (0, number):
        return None
    targets = np.where(true, (accepted + 1) / (accepted + 2), 1 / (number - accepted + 2))

    def slope(sharpness: float) -> float:
        """Return the derivative of the loss, which rises with sharpness, one over temperature."""
        return float((given * (probability(given * sharpness) - targets)).sum())

    cold, hot = math.log(COLDEST), math.log(HOTTEST)
    for _ in range(60):
        middle = (cold + hot) / 2
        if slope(math.exp(-middle)) > 0:  # too sharp
            cold = middle
        else:
            hot = middle
    return math.exp((cold + hot) / 2)


def probability(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sigmoid of logits."""
    # Both branches of the sigmoid, so that no exponential overflows.
    small = np.exp(-np.abs(logits))
    shares: NDArray[np.float64] = np.where(logits >= 0, 1.0, small) / (1 + small)
    return shares


def _cumulated(
    scores: Sequence[float], labels: Sequence[bool]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how many triples each distinct score keeps, highest first, and how many are right."""
    given, true = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    assert len(given) == len(true) and np.isfinite(given).all()
    order = np.argsort(-given, kind="stable")
    given, right = given[order], true[order].cumsum(dtype=np.int64)
    last = np.append(np.flatnonzero(np.diff(given)), len(given) - 1) if len(given) else order
    return (last + 1).astype(np.int64), right[last]


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _mean(shares: Sequence[float | None]) -> float | None:
    known = [share for share in shares if share is not None]
    return sum(known) / len(known) if len(known) == len(shares) else None
