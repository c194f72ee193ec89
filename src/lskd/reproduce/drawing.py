"""Figures of several seeds get their intervals: images and seeds are drawn again together.

In: cells, each a tally for every seed. Out: `Figure`s. Seeds share their images, so the same images
are drawn in all of them, and seeds apart from images; cells that are compared share both drawings.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lskd import bootstrap
from lskd.bootstrap import Bootstrap
from lskd.evaluate.metrics import Values
from lskd.reproduce.experiment import Cell, Figure, Tally

HOW = Bootstrap(resamples=1000)
PERCENT = 100.0


def mean(totals: Values) -> Values:
    """Return means in percent of totals that are a sum and a count, (..., 2) -> (...,)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Values = PERCENT * totals[..., 0] / totals[..., 1]
    return found


def rating(totals: Values) -> Values:
    """Return means as they are of totals that are a sum and a count, (..., 2) -> (...,)."""
    return mean(totals) / PERCENT


def tallied(images: Sequence[str], values: Sequence[float] | Values) -> Tally:
    """Return the sum and the count of the values of each image."""
    return summed(images, np.stack([np.asarray(values, dtype=np.float64), np.ones(len(images))], 1))


def summed(images: Sequence[str], parts: Values) -> Tally:
    """Return the sums of several numbers of items, image by image; `parts` is (items, parts)."""
    names, owner = np.unique(np.asarray(images, dtype=np.str_), return_inverse=True)
    sums = np.zeros((len(names), parts.shape[1]))
    np.add.at(sums, owner, parts)
    return Tally(tuple(names.tolist()), sums)


def figure(cell: Cell, how: Bootstrap = HOW) -> Figure:
    """Return what a cell says, over all seeds."""
    return contrast([(1.0, cell)], how)


def difference(first: Cell, second: Cell, how: Bootstrap = HOW) -> Figure:
    """Return by how much the first is above the second."""
    return contrast([(1.0, first), (-1.0, second)], how)


def contrast(parts: Sequence[tuple[float, Cell]], how: Bootstrap = HOW) -> Figure:
    """Return the weighted sum of what cells say, with its interval.

    A cell with one seed stands beside all seeds of the others. Drawings in which a cell says
    nothing are left out; an interval is NaN where none is left.
    """
    bootstrap.check(how)
    count = max(len(cell.seeds) for _, cell in parts)
    names = sorted({name for _, cell in parts for seed in cell.seeds for name in seed.images})
    source = np.random.default_rng(how.seed)
    images = source.multinomial(len(names), np.full(len(names), 1 / len(names)), how.resamples)
    seeds = source.integers(0, count, (how.resamples, count))
    place = {name: number for number, name in enumerate(names)}
    drawn = np.zeros(how.resamples)
    each = np.zeros(count)
    for weight, cell in parts:
        again = [_again(cell, seed, images, place) for seed in _seeds(cell, count)]
        by_seed = np.stack(again, axis=1)  # (resamples, seeds)
        drawn += weight * np.take_along_axis(by_seed, seeds, axis=1).mean(axis=1)
        each += weight * np.array([float(cell.rule(s.sums.sum(0))) for s in _seeds(cell, count)])
    value = float(each.mean())
    known = drawn[np.isfinite(drawn)]
    low, high = (math.nan, math.nan)
    if len(known):
        low, high = bootstrap.ends(value, known, how.confidence)
    digits = max(cell.digits for _, cell in parts)
    return Figure(value, low, high, tuple(each.tolist()), digits, len(names))


def _seeds(cell: Cell, count: int) -> tuple[Tally, ...]:
    return cell.seeds if len(cell.seeds) == count else cell.seeds * count


def _again(cell: Cell, seed: Tally, images: NDArray[np.int64], place: dict[str, int]) -> Values:
    """Return what a cell says of one seed in each drawing of the images, (resamples,)."""
    columns = [place[name] for name in seed.images]
    totals = images[:, columns].astype(np.float64) @ seed.sums  # (resamples, parts)
    return cell.rule(totals)
