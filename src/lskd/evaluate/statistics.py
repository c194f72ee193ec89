"""How sure a figure is: intervals, paired tests and slices.

What each item earned and which image it is about go in, records come out. Items about one image
rise and fall together, so whole images are drawn again, not items. What cannot be measured is None.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lskd import bootstrap, signtest
from lskd.bootstrap import Bootstrap
from lskd.errors import UserError
from lskd.evaluate.metrics import Values, mean_of

K = TypeVar("K", str, int)
AT_ONCE = 2**19  # drawn images in memory at a time: 4 MB
FEW = 20  # images
NOTHING = 1e-12  # differences of means below this are rounding


USUAL = Bootstrap()


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over items and the interval it lies in; `low` and `high` are None below two images."""

    value: float | None
    low: float | None
    high: float | None
    items: int
    images: int


@dataclass(frozen=True, slots=True)
class Paired:
    """The first model against the second on the same items; `difference` is first minus second.

    `p` is that of the bootstrap by image, of few images that of their signs. `mcnemar` is the exact
    p of McNemar's test, which takes items as independent; it and the counts of items that one model
    alone gets right are None where items earn more than 0 or 1.
    """

    first: float | None
    second: float | None
    difference: Interval
    p: float | None
    only_first: int | None
    only_second: int | None
    mcnemar: float | None


@dataclass(frozen=True, slots=True)
class Slicing:
    """A way to part items: item i belongs to `names[places[i]]`, or to none where that is None."""

    title: str
    names: tuple[str, ...]
    places: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Slice:
    """What the items of one slice earn; `name` is None for those that belong to none."""

    name: str | None
    result: Interval


def interval(
    values: Sequence[float] | Values, images: Sequence[str], how: Bootstrap = USUAL
) -> Interval:
    """Return the mean of what items earn, with its percentile interval from images drawn again.

    Raises UserError for a value that is not a number, or other lengths.
    """
    sums, counts = _by_image(values, images)
    if not len(counts):
        return Interval(None, None, None, 0, 0)
    value = float(sums.sum() / counts.sum())
    low, high = _ends(value, _means(sums, counts, how), how.confidence)
    return Interval(value, low, high, int(counts.sum()), len(counts))


def paired(
    first: Sequence[float] | Values,
    second: Sequence[float] | Values,
    images: Sequence[str],
    how: Bootstrap = USUAL,
) -> Paired:
    """Return how two models differ on the same items, in the same order.

    The two-sided `p` is twice the share of drawings in which the difference is 0 or of the other
    sign, so it is below 0.05 about where a 95 % interval leaves 0 out. It is never 0. Below `FEW`
    images, whose drawings would all be of one sign too soon, it is the exact share of the ways to
    turn the images' signs that leave as large a difference.
    Raises UserError for a value that is not a number, or other lengths.
    """
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if len(one) != len(other):
        raise UserError(
            f"the models have {len(one)} and {len(other)} items: expected the same ones for both"
        )
    sums, counts = _by_image(one - other, images)
    value = float(sums.sum() / counts.sum()) if len(counts) else None
    drawn = _means(sums, counts, how)
    low, high = _ends(value, drawn, how.confidence)
    apart = Interval(value, low, high, len(one), len(counts))
    whole = bool(np.isin(one, (0, 1)).all() and np.isin(other, (0, 1)).all())
    mine, theirs = int((one > other).sum()), int((other > one).sum())
    return Paired(
        first=mean_of(one),
        second=mean_of(other),
        difference=apart,
        p=_by_signs(sums) if 1 < len(counts) < FEW else _two_sided(drawn),
        only_first=mine if whole else None,
        only_second=theirs if whole else None,
        mcnemar=mcnemar(mine, theirs) if whole and len(one) else None,
    )


def mcnemar(only_first: int, only_second: int) -> float:
    """Return McNemar's exact two-sided p from the items that one of two models alone gets right."""
    return signtest.two_sided(only_first, only_second)


def by_kind(title: str, kinds: Sequence[K | None]) -> Slicing:
    """Return the slices of equal kinds, in their order; None and "" belong to none."""
    known = sorted({kind for kind in kinds if kind is not None and kind != ""})
    place = {kind: number for number, kind in enumerate(known)}
    return Slicing(
        title,
        tuple(str(kind) for kind in known),
        tuple(None if kind is None else place.get(kind) for kind in kinds),
    )


def by_number(title: str, numbers: Sequence[float | None], edges: Sequence[float]) -> Slicing:
    """Return the slices between edges, which rise; a number equal to an edge lies above it.

    None and NaN belong to none. Raises UserError if edges do not rise.
    """
    if not edges or any(low >= high for low, high in pairwise(edges)):
        raise UserError(
            f"edges of slices = {list(edges)}: expected at least one, each above the last"
        )
    between = [f"{low:g} to under {high:g}" for low, high in pairwise(edges)]
    return Slicing(
        title,
        (f"under {edges[0]:g}", *between, f"{edges[-1]:g} and over"),
        tuple(
            None
            if number is None or math.isnan(number)
            else int(np.searchsorted(edges, number, side="right"))
            for number in numbers
        ),
    )


def by(
    slicing: Slicing,
    values: Sequence[float] | Values,
    images: Sequence[str],
    how: Bootstrap = USUAL,
) -> tuple[Slice, ...]:
    """Return what the items of each slice earn, in order; empty ones too, and last those in none.

    Raises UserError for a value that is not a number, or other lengths.
    """
    earned = np.asarray(values, dtype=np.float64)
    if not len(slicing.places) == len(earned) == len(images):
        raise UserError(
            f"{slicing.title} parts {len(slicing.places)} items, given {len(earned)} values and "
            f"{len(images)} images: expected one of each for every item"
        )
    members: dict[int | None, list[int]] = {place: [] for place in range(len(slicing.names))}
    for item, place in enumerate(slicing.places):
        members.setdefault(place, []).append(item)
    return tuple(
        Slice(
            None if place is None else slicing.names[place],
            interval(earned[items], [images[item] for item in items], how),
        )
        for place, items in members.items()
    )


def _by_image(
    values: Sequence[float] | Values, images: Sequence[str]
) -> tuple[Values, NDArray[np.int64]]:
    """Return the sum and the number of the values of each image, (images,) both."""
    earned = np.asarray(values, dtype=np.float64)
    if len(earned) != len(images):
        raise UserError(f"{len(earned)} values for the images of {len(images)} items")
    broken = np.flatnonzero(np.isnan(earned))
    if len(broken):
        raise UserError(
            f"the value of item {broken[0]} is not a number: leave unscored items out and say so"
        )
    names, owner = np.unique(np.asarray(images, dtype=np.str_), return_inverse=True)
    counts = np.bincount(owner, minlength=len(names)).astype(np.int64)
    sums = np.bincount(owner, weights=earned, minlength=len(names)).astype(np.float64)
    return sums, counts


def _by_signs(sums: Values) -> float:
    """Return the exact two-sided p of sign flips: any image's sum may as well be its negative."""
    totals = np.zeros(1)
    for one in sums:
        totals = np.concatenate([totals + one, totals - one])
    return float((np.abs(totals) >= abs(sums.sum()) - NOTHING).mean())


def _means(sums: Values, counts: NDArray[np.int64], how: Bootstrap) -> Values:
    """Return the mean over items in each resample of images, (resamples,); empty below two."""
    bootstrap.check(how)
    number = len(counts)
    if number < 2:
        return np.empty(0)
    source = np.random.default_rng(how.seed)
    columns = np.stack([sums, counts], axis=1)  # (images, 2)
    rows, means = max(1, AT_ONCE // number), []
    for start in range(0, how.resamples, rows):
        some = min(rows, how.resamples - start)
        drawn = source.integers(0, number, (some, number)) + number * np.arange(some)[:, None]
        # How often each image was drawn; counting is quicker than gathering its values.
        times = np.bincount(drawn.ravel(), minlength=some * number).reshape(some, number)
        totals = times @ columns  # (resamples, 2)
        means.append(totals[:, 0] / totals[:, 1])
    return np.concatenate(means)


def _ends(
    value: float | None, drawn: Values, confidence: float
) -> tuple[float | None, float | None]:
    if value is None or not len(drawn):
        return None, None
    return bootstrap.ends(value, drawn, confidence)


def _two_sided(drawn: Values) -> float | None:
    if not len(drawn):
        return None
    fewer = min(int((drawn <= NOTHING).sum()), int((drawn >= -NOTHING).sum()))
    return min(1.0, 2 * (fewer + 1) / (len(drawn) + 1))
