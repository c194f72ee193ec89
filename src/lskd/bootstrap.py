"""What all percentile bootstraps share: how units are drawn again, and the ends of an interval."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lskd.errors import UserError


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """How units are drawn again: how often, from which seed, and how sure an interval is to be."""

    resamples: int = 2000
    seed: int = 0
    confidence: float = 0.95


def check(how: Bootstrap) -> None:
    """Raise UserError for a Bootstrap that makes no sense."""
    if how.resamples < 1 or not 0 < how.confidence < 1:
        raise UserError(
            f"resamples = {how.resamples}, confidence = {how.confidence:g}: expected at least 1, "
            "and more than 0 and less than 1"
        )


def ends(
    value: float, drawn: Sequence[float] | NDArray[np.float64], confidence: float
) -> tuple[float, float]:
    """Return the ends of the percentile interval of `drawn`, which is not empty, around `value`."""
    low, high = np.quantile(drawn, ((1 - confidence) / 2, (1 + confidence) / 2))
    # Rounding may leave the estimate itself outside, and so may very few units.
    return min(float(low), value), max(float(high), value)
