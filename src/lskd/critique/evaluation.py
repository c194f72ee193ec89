"""What a critic is worth: its logits for held-out triples beside what people said of them.

The temperature is fitted on these same triples. So that this flatters no figure, the calibration
error is measured by halves: each half of the images under the temperature of the other. All other
figures look at the order of the logits, or at their sign, which no temperature changes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lskd.critique import metrics
from lskd.critique.metrics import Threshold
from lskd.errors import UserError

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Judged:
    """A triple: its image, the critic's logit for it, and whether people accepted it."""

    image_id: str
    logit: float
    accepted: bool


@dataclass(frozen=True, slots=True)
class Quality:
    """How a critic does with a threshold of 0.5; figures that cannot be measured are None.

    `both_*` are means over accepts and rejects, the others are of accepts.
    """

    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    average_precision: float | None = None
    calibration_error: float | None = None
    both_precision: float | None = None
    both_recall: float | None = None
    both_f1: float | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was found; `points` are the curve of Figure 2, in calibrated scores.

    `temperature` is 1 where it cannot be fitted. `wished` is the threshold for a wished precision,
    or None where none reaches it.
    """

    judged: int
    accepted: float | None
    quality: Quality
    temperature: float
    points: tuple[Threshold, ...]
    wished: Threshold | None


def evaluate(judged: Sequence[Judged], precision: float) -> Evaluation:
    """Return what a critic's logits are worth, and the threshold for a wished precision.

    Raises UserError if a logit is no number.
    """
    logits, labels = [one.logit for one in judged], [one.accepted for one in judged]
    broken = int((~np.isfinite(np.asarray(logits, dtype=np.float64))).sum())
    if broken:
        raise UserError(
            f"the critic says no number of {broken} of {len(judged)} held-out triples: its weights "
            "are broken; lower learning_rate, or set clip, and train it again"
        )
    temperature = metrics.temperature(logits, labels) or 1.0
    scores = calibrated(logits, temperature)
    counts = metrics.confusion(scores, labels)
    both = metrics.macro(counts)
    try:
        wished = metrics.threshold_for(precision, scores, labels, CONFIDENCE)
    except UserError:
        wished = None
    return Evaluation(
        judged=len(judged),
        accepted=sum(labels) / len(labels) if labels else None,
        quality=Quality(
            counts.precision,
            counts.recall,
            counts.f1,
            metrics.average_precision(logits, labels),
            by_halves(judged),
            *both,
        ),
        temperature=temperature,
        points=metrics.curve(scores, labels, CONFIDENCE),
        wished=wished,
    )


def calibrated(logits: Sequence[float], temperature: float) -> list[float]:
    """Return probabilities of being accepted."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    probabilities: list[float] = metrics.probability(scaled).tolist()
    return probabilities


def by_halves(judged: Sequence[Judged]) -> float | None:
    """Return the calibration error, each half of the images under the temperature of the other.

    None if a half cannot tell a temperature.
    """
    images = sorted({one.image_id for one in judged})  # ids are hashes: their order is random
    first = frozenset(images[: len(images) // 2])
    halves = [
        [one for one in judged if one.image_id in first],
        [one for one in judged if one.image_id not in first],
    ]
    scores: list[float] = []
    for half, other in (halves, halves[::-1]):
        temperature = metrics.temperature(
            [one.logit for one in other], [one.accepted for one in other]
        )
        if temperature is None:
            return None
        scores += calibrated([one.logit for one in half], temperature)
    return metrics.calibration_error(scores, [one.accepted for half in halves for one in half])
