"""How far people agree, and how sure a figure is when its units are drawn again.

In: ratings, a row for each unit and a column for each rater, None (NaN in an array) where a rater
gave none. Out: a coefficient, 1 for full agreement and 0 for what chance gives, or None where it is
undefined: where no two ratings of a unit can be compared, or where they are all the same, since
chance then agrees as well.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lskd import bootstrap
from lskd.bootstrap import Bootstrap
from lskd.errors import UserError

Level = Literal["nominal", "ordinal", "interval"]
Weights = Literal["linear", "quadratic"] | None
Table = NDArray[np.float64]  # (units, raters); NaN is missing
Ratings = Sequence[Sequence[float | None]] | Table
Measure = Callable[[Table], float | None]


class Given(NamedTuple):
    """What one rater gave to one unit."""

    unit: str
    rater: str
    value: float


USUAL = Bootstrap(resamples=1000)
TOGETHER = 100  # drawings, so that those of many units fit into memory
NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and the interval it lies in, from `units` drawn again.

    `low` and `high` are None below two units, or where no drawing has the figure; in `undefined`
    drawings it was undefined, and they are left out.
    """

    value: float | None
    low: float | None
    high: float | None
    units: int
    undefined: int = 0


def arranged(given: Iterable[Given]) -> list[list[float | None]]:
    """Return ratings as rows of units and columns of raters, each as it is first met.

    Raises UserError where one rater gives a unit two ratings.
    """
    units: dict[str, int] = {}
    raters: dict[str, int] = {}
    cells: dict[tuple[int, int], float] = {}
    for one in given:
        unit = units.setdefault(one.unit, len(units))
        rater = raters.setdefault(one.rater, len(raters))
        if (unit, rater) in cells:
            raise UserError(f"{one.rater} rates {one.unit} twice: expected one rating of each")
        cells[unit, rater] = one.value
    return [[cells.get((unit, rater)) for rater in raters.values()] for unit in units.values()]


def table(ratings: Ratings) -> Table:
    """Return ratings as an array, (units, raters); shorter rows are filled up with NaN.

    Raises UserError for an infinite rating.
    """
    if isinstance(ratings, np.ndarray):
        made = ratings.astype(np.float64, copy=False)
    else:
        wide = max(map(len, ratings), default=0)
        made = np.full((len(ratings), wide), np.nan)
        for unit, row in enumerate(ratings):
            made[unit, : len(row)] = [np.nan if value is None else value for value in row]
    if np.isinf(made).any():
        unit = int(np.flatnonzero(np.isinf(made).any(axis=1))[0])
        raise UserError(f"a rating of unit {unit} is infinite: expected numbers, or None")
    return made


def alpha(ratings: Ratings, level: Level) -> float | None:
    """Return Krippendorff's alpha; units with one rating or none say nothing and are left out.

    "ordinal" takes ratings as ranks, "interval" as numbers whose differences mean something.
    (Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011.)
    """
    counts, values = _counts(table(ratings))
    counts = counts[counts.sum(axis=1) >= 2]
    each = counts.sum(axis=1)
    marginal = counts.sum(axis=0)
    coincidences = (counts / (each - 1)[:, None]).T @ counts  # but for its diagonal
    apart = _distances(level, values, marginal)
    expected = float(marginal @ apart @ marginal)
    if not expected > 0:
        return None
    return 1 - float((coincidences * apart).sum()) * (float(each.sum()) - 1) / expected


def fleiss(ratings: Ratings) -> float | None:
    """Return Fleiss' kappa of categories; raters may differ from unit to unit.

    Raises UserError unless every unit has equally many ratings: `alpha` takes any number.
    """
    counts, _ = _counts(table(ratings))
    each = counts.sum(axis=1)
    if len(set(each)) > 1:
        raise UserError(
            f"units have {each.min():g} to {each.max():g} ratings: Fleiss' kappa expects equally "
            "many for each; Krippendorff's alpha takes any number"
        )
    if counts.shape[1] < 2 or each[0] < 2:
        return None
    raters = float(each[0])
    agreed = float((((counts**2).sum(axis=1) - raters) / (raters * (raters - 1))).mean())
    by_chance = float(((counts.sum(axis=0) / counts.sum()) ** 2).sum())
    return (agreed - by_chance) / (1 - by_chance)


def cohen(
    first: Sequence[float | None] | Table,
    second: Sequence[float | None] | Table,
    weights: Weights = None,
) -> float | None:
    """Return Cohen's kappa of two raters; units that one of them did not rate are left out.

    With weights "linear" or "quadratic" a disagreement counts by how many places apart its
    categories are, in the order of those that occur. Raises UserError for other lengths.
    """
    if len(first) != len(second):
        raise UserError(f"the raters have {len(first)} and {len(second)} units: expected the same")
    pairs = np.column_stack([_column(first), _column(second)])
    pairs = pairs[~np.isnan(pairs).any(axis=1)]
    values, codes = np.unique(pairs, return_inverse=True)
    if len(values) < 2:
        return None
    places = codes.reshape(-1, 2)
    number = len(values)
    found = np.bincount(places[:, 0] * number + places[:, 1], minlength=number**2)
    confusion = found.reshape(number, number).astype(np.float64)
    steps = np.abs(np.subtract.outer(np.arange(number), np.arange(number))).astype(np.float64)
    apart = steps > 0 if weights is None else steps if weights == "linear" else steps**2
    expected = float(confusion.sum(axis=1) @ apart @ confusion.sum(axis=0)) / len(pairs)
    return 1 - float((confusion * apart).sum()) / expected


def with_interval(measure: Measure, units: Ratings, how: Bootstrap = USUAL) -> Interval:
    """Return a measure of some units, with its percentile interval from whole units drawn again.

    `measure` takes an array of rows; any row of numbers may be a unit, not only ratings. Raises
    UserError for a Bootstrap that makes no sense.
    """
    bootstrap.check(how)
    rows = table(units)
    number = len(rows)
    value = measure(rows)
    if value is None or number < 2:
        return Interval(value, None, None, number)
    source = np.random.default_rng(how.seed)
    drawn = (measure(rows[source.integers(0, number, number)]) for _ in range(how.resamples))
    return _between(value, [one for one in drawn if one is not None], number, how)


def alpha_with_interval(ratings: Ratings, level: Level, how: Bootstrap = USUAL) -> Interval:
    """Return `alpha` as `with_interval` does, in a tenth of the time: many drawings at once.

    It takes memory for all pairs of values: it is for scales of few.
    """
    bootstrap.check(how)
    rows = table(ratings)
    number = len(rows)
    value = alpha(rows, level)
    if value is None or number < 2:
        return Interval(value, None, None, number)
    source = np.random.default_rng(how.seed)
    sizes = (min(TOGETHER, how.resamples - done) for done in range(0, how.resamples, TOGETHER))
    drawn = (source.integers(0, number, (size, number)) for size in sizes)
    found = np.concatenate([_alphas(rows, level, units) for units in drawn])
    return _between(value, found[~np.isnan(found)].tolist(), number, how)


def _between(value: float, known: Sequence[float], units: int, how: Bootstrap) -> Interval:
    if not known:
        return Interval(value, None, None, units, how.resamples)
    low, high = bootstrap.ends(value, known, how.confidence)
    return Interval(value, low, high, units, how.resamples - len(known))


def _alphas(rows: Table, level: Level, drawn: NDArray[np.int64]) -> Table:
    """Return the alpha of each drawing, (drawings,), NaN where it is undefined.

    `drawn`, (drawings, units), are places of units. A value that nobody gave in a drawing adds
    nothing to it.
    """
    first = len(rows) * np.arange(len(drawn))[:, None]
    often = np.bincount((drawn + first).ravel(), minlength=drawn.size)
    times = often.reshape(drawn.shape).astype(np.float64)
    counts, values = _counts(rows)
    each = counts.sum(axis=1)
    counts, times, each = counts[each >= 2], times[:, each >= 2], each[each >= 2]
    marginal = times @ counts  # (drawings, values)
    pairs = counts[:, :, None] * counts[:, None, :] / (each - 1)[:, None, None]
    coincidences = np.tensordot(times, pairs, axes=1)  # (drawings, values, values)
    apart = np.stack([_distances(level, values, one) for one in marginal])
    expected = np.einsum("dv,dvw,dw->d", marginal, apart, marginal)
    observed = (coincidences * apart).sum(axis=(1, 2)) * (marginal.sum(axis=1) - 1)
    found: Table = 1 - observed / np.where(expected > 0, expected, np.nan)
    return found


def said(one: Interval, digits: int = 2, scale: int = 1, signed: bool = False) -> str:
    """Return a figure with its interval, "0.61 [0.55, 0.68]", or a dash."""
    if one.value is None:
        return NOTHING
    form = f"{'+' if signed else ''}.{digits}f"
    if one.low is None or one.high is None:
        return f"{scale * one.value:{form}}"
    return f"{scale * one.value:{form}} [{scale * one.low:{form}}, {scale * one.high:{form}}]"


def _counts(ratings: Table) -> tuple[Table, Table]:
    """Return how often each unit was given each value, (units, values), and the values, rising."""
    given = ~np.isnan(ratings)
    values, codes = np.unique(ratings[given], return_inverse=True)
    owner = np.nonzero(given)[0]
    size = len(ratings) * len(values)
    counts = np.bincount(owner * len(values) + codes, minlength=size)
    return counts.reshape(len(ratings), len(values)).astype(np.float64), values


def _distances(level: Level, values: Table, marginal: Table) -> Table:
    """Return how far apart each two values are, squared, (values, values); 0 on the diagonal."""
    if level == "nominal":
        return 1 - np.eye(len(values))
    # Ranks are the middles of what each value takes up when all ratings are put in order.
    at = values if level == "interval" else np.cumsum(marginal) - marginal / 2
    return np.subtract.outer(at, at) ** 2


def _column(ratings: Sequence[float | None] | Table) -> Table:
    return table([[one] for one in ratings]).reshape(-1)
