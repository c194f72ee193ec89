"""Figures of several models become outcomes: with intervals, tests against the first, and parts.

In: the figures of each model on the same items. Out: rows of `Outcome`. Every metric stands twice,
by its authors' rule for ties and by a fair one; and, where a leak audit was given, twice again,
with and without the items that a training corpus touches.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lskd.bootstrap import Bootstrap
from lskd.evaluate import statistics
from lskd.evaluate.figures import Figure
from lskd.evaluate.metrics import Values, mean_of
from lskd.evaluate.statistics import Interval, Slicing
from lskd.evaluate.trial import Key, key
from lskd.types import Item, Outcome

MANY = 5  # regions; as many or more are one part
AREAS = (1, 5, 20, 50)  # percent of the image

Chosen = NDArray[np.int64]


def outcomes(
    by_model: Mapping[str, Sequence[Figure]],
    leaked: Mapping[str, frozenset[Key] | None],
    how: Bootstrap,
) -> Iterator[Outcome]:
    """Yield all outcomes, model by model; the first model is what others are compared with.

    `leaked` has the touched items of each benchmark, or None where that was not looked for.
    """
    first = next(iter(by_model), None)
    base = {figure.place: figure for figure in by_model[first]} if first is not None else {}
    for model, figures in by_model.items():
        for figure in figures:
            other = None if model == first else base[figure.place]
            every = np.arange(len(figure.items))
            touched = leaked[figure.benchmark]
            for official in (True, False):
                yield outcome(model, figure, other, every, official, how)
            if touched is not None:
                clean = _without(figure, touched)
                for official in (True, False):
                    found = outcome(model, figure, other, clean, official, how)
                    yield replace(found, audited=True)
            yield from _parts(model, figure, how)


def outcome(
    model: str,
    figure: Figure,
    other: Figure | None,
    chosen: Chosen,
    official: bool,
    how: Bootstrap,
) -> Outcome:
    """Return what a model earns on some of a figure's items, compared with another on the same."""
    values = _values(figure, official)[chosen]
    images = [figure.items[place].image_id for place in chosen]
    found = _row(model, figure, official, statistics.interval(values, images, how))
    found = replace(found, chance=mean_of(figure.marks.chance[chosen]))
    if other is None:
        return found
    assert [key(item) for item in other.items] == [key(item) for item in figure.items]
    pair = statistics.paired(values, _values(other, official)[chosen], images, how)
    return replace(found, difference=pair.difference.value, p=pair.p)


def slicings(items: Sequence[Item]) -> tuple[Slicing, ...]:
    """Return the ways in which items are parted: regions pointed to, their size, the kind."""
    return (
        statistics.by_kind(
            f"regions pointed to ({MANY}: or more)", [min(MANY, len(i.pointed)) for i in items]
        ),
        statistics.by_number(
            "largest region pointed to, % of the image", [_largest(item) for item in items], AREAS
        ),
        statistics.by_kind("kind of question", [item.kind for item in items]),
    )


def _parts(model: str, figure: Figure, how: Bootstrap) -> Iterator[Outcome]:
    """Yield the outcome of each part, by the official rule, of slicings with two parts or more."""
    images = [item.image_id for item in figure.items]
    for slicing in slicings(figure.items):
        found = statistics.by(slicing, figure.marks.official, images, how)
        if sum(part.result.items > 0 for part in found) < 2:
            continue
        for part in (one for one in found if one.result.items):
            place = None if part.name is None else slicing.names.index(part.name)
            members = np.array([one == place for one in slicing.places], dtype=bool)
            yield replace(
                _row(model, figure, True, part.result),
                slicing=slicing.title,
                part="none" if part.name is None else part.name,
                chance=mean_of(figure.marks.chance[members]),
            )


def _row(model: str, figure: Figure, official: bool, found: Interval) -> Outcome:
    return Outcome(
        model=model,
        benchmark=figure.benchmark,
        split=figure.split,
        task=figure.task,
        metric=figure.metric,
        official=official,
        audited=False,
        slicing="",
        part="",
        value=found.value,
        low=found.low,
        high=found.high,
        chance=None,
        items=found.items,
        images=found.images,
        difference=None,
        p=None,
    )


def _values(figure: Figure, official: bool) -> Values:
    return figure.marks.official if official else figure.marks.fair


def _without(figure: Figure, touched: Collection[Key]) -> Chosen:
    """Return the places of items that are not touched; those of Q->AR are if either task is."""
    if figure.task == "both":
        ids = {item_id for item_id, _ in touched}
        kept = [place for place, item in enumerate(figure.items) if item.id not in ids]
    else:
        kept = [place for place, item in enumerate(figure.items) if key(item) not in touched]
    return np.array(kept, dtype=np.int64)


def _largest(item: Item) -> float | None:
    """Return the area of the largest region pointed to, in percent of the image; None for none."""
    pointed = set(item.pointed)
    areas = [
        region.box.within(item.width, item.height).area
        for region in item.regions
        if region.id in pointed
    ]
    return 100 * max(areas) / (item.width * item.height) if areas else None
