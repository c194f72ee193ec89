"""Figures of several seeds get their intervals: images are drawn again, and seeds are few.

In: cells, each a tally for every seed. Out: `Figure`s. Seeds share their images, so the same images
are drawn in all of them; cells that are compared share their drawings. How far the mean of so few
seeds may be from that of all is told by Student's t, on one degree of freedom less than there are
seeds: drawn again, three seeds never leave the range of the three, and a difference that is none
is then found in every fourth comparison.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lskd import bootstrap
from lskd.bootstrap import Bootstrap
from lskd.evaluate.metrics import Values
from lskd.reproduce.experiment import Cell, Figure, Tally

HOW = Bootstrap(resamples=1000)
PERCENT = 100.0
OFTEN = 100  # as many draws of t for each drawing of the images, since its tails are long


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
    """Return what a cell says, over all seeds; its interval ends where its measure does."""
    found = contrast([(1.0, cell)], how)
    # t of few seeds knows no ends. NaN stays NaN.
    ends = np.clip([found.low, found.high], *cell.within)
    return replace(found, low=float(ends[0]), high=float(ends[1]))


def difference(first: Cell, second: Cell, how: Bootstrap = HOW) -> Figure:
    """Return by how much the first is above the second."""
    return contrast([(1.0, first), (-1.0, second)], how)


def contrast(parts: Sequence[tuple[float, Cell]], how: Bootstrap = HOW) -> Figure:
    """Return the weighted sum of what cells say, with its interval.

    A cell with one seed stands beside all seeds of the others; where all have one, the interval is
    of other images and the same training. Drawings in which a cell says nothing are left out; an
    interval is NaN where none is left. Its images are those of the cell that has fewest.
    """
    bootstrap.check(how)
    count = max(len(cell.seeds) for _, cell in parts)
    names = sorted({name for _, cell in parts for seed in cell.seeds for name in seed.images})
    source = np.random.default_rng(how.seed)
    images = source.multinomial(len(names), np.full(len(names), 1 / len(names)), how.resamples)
    place = {name: number for number, name in enumerate(names)}
    drawn = np.zeros(how.resamples)
    each = np.zeros(count)
    for weight, cell in parts:
        again = [_again(cell, seed, images, place) for seed in _seeds(cell, count)]
        drawn += weight * np.stack(again, axis=1).mean(axis=1)  # (resamples, seeds)
        each += weight * np.array([float(cell.rule(s.sums.sum(0))) for s in _seeds(cell, count)])
    value = float(each.mean())
    known = drawn[np.isfinite(drawn)]
    low, high = (math.nan, math.nan)
    if len(known):
        low, high = bootstrap.ends(value, _of_other_seeds(known, each, source), how.confidence)
    digits = max(cell.digits for _, cell in parts)
    fewest = min(_telling(cell) for _, cell in parts)
    return Figure(value, low, high, tuple(each.tolist()), digits, fewest)


def _telling(cell: Cell) -> int:
    """Return how many images a cell has something of, in any of its seeds."""
    return len(
        {
            name
            for seed in cell.seeds
            for name, some in zip(seed.images, seed.sums, strict=True)
            if some.any()
        }
    )


def _of_other_seeds(drawn: Values, each: Values, source: np.random.Generator) -> Values:
    """Return drawings of a mean, (drawings,), as they may be with other seeds than these, (seeds,).

    Those of the images and what t says of the seeds are added up, as independent errors are.
    """
    if len(each) == 1:
        return drawn
    error = each.std(ddof=1) / math.sqrt(len(each))
    often = np.repeat(drawn, OFTEN)
    found: Values = often + error * source.standard_t(len(each) - 1, len(often))
    return found


def _seeds(cell: Cell, count: int) -> tuple[Tally, ...]:
    return cell.seeds if len(cell.seeds) == count else cell.seeds * count


def _again(cell: Cell, seed: Tally, images: NDArray[np.int64], place: dict[str, int]) -> Values:
    """Return what a cell says of one seed in each drawing of the images, (resamples,)."""
    columns = [place[name] for name in seed.images]
    totals = images[:, columns].astype(np.float64) @ seed.sums  # (resamples, parts)
    return cell.rule(totals)
