"""A scorer that never sees a picture: what the texts of a benchmark give away by themselves.

Items go in, predictions come out. A linear model of words, of neighbouring words, and of pairs of a
word of the question (or of the given answer) and one of the choice is fitted on other images'
items, labels and all: if it stays at chance, neither wording, nor frequent answers, nor answers
that go with a question, nor numbers of regions lead to the right choice.
"""

import functools
import random
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lskd.types import Item, Prediction

FOLDS = 5
WIDTH = 1 << 16  # weights; a feature's is found by a hash of its words
STEPS, RATE, DECAY = 60, 0.3, 1e-4
_WORD = re.compile(r"\w+|[^\w\s]")
Values = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Told:
    """An item, and the features of each of its choices."""

    item: Item
    choices: list[Places]


@dataclass(frozen=True, eq=False)
class _Table:
    """The choices of items, one after another.

    `columns` are the features of all choices and `rows`, as long, the choice that each is of;
    `starts`, (items,), is each item's first choice; `wanted`, (choices,), sums to 1 in an item.
    """

    columns: Places
    rows: Places
    starts: Places
    wanted: Values


def text_only(
    items: Sequence[Item], seed: int, others: Sequence[Item] | None = None
) -> list[Prediction]:
    """Return a prediction for each item, by a model that was fitted without the item's image.

    Models are fitted on `others`, which should be of other images, or else on the items of other
    images, in `FOLDS` parts by the seed. Each benchmark and task has models of its own. Items
    without labels are scored, not learnt from.
    """
    images = sorted({item.image_id for item in items})
    random.Random(f"text only/{seed}").shuffle(images)
    parts = FOLDS if others is None else 1
    part = {image: number % parts for number, image in enumerate(images)}
    scores: dict[int, tuple[float, ...]] = {}
    for group in sorted({(item.benchmark, item.task) for item in items}):
        own = {n: _told(item) for n, item in enumerate(items) if _group(item) == group}
        apart = [_told(item) for item in others or () if _group(item) == group]
        for held in range(parts):
            asked = {n: one for n, one in own.items() if part[one.item.image_id] == held}
            rest = [one for n, one in own.items() if n not in asked]
            weights = _fitted(rest if others is None else apart)
            scores.update(zip(asked, _scored(list(asked.values()), weights), strict=True))
    return [
        Prediction(item.benchmark, item.task, item.id, item.image_id, scores[number])
        for number, item in enumerate(items)
    ]


def _group(item: Item) -> tuple[str, str]:
    return item.benchmark, item.task


def _told(item: Item) -> _Told:
    return _Told(item, [_features(item, choice) for choice in item.choices])


def _fitted(told: Sequence[_Told]) -> Values:
    """Return the weights, (WIDTH,), that make the wanted choices likely among an item's."""
    weights: Values = np.zeros(WIDTH)
    power: Values = np.full(WIDTH, 1e-12)
    learnt = [one for one in told if one.item.right or one.item.ratings]
    if not learnt:
        return weights
    table = _table(learnt)
    for _ in range(STEPS):
        off = _softmax(_values(table, weights), table.starts) - table.wanted
        summed = np.bincount(table.columns, weights=off[table.rows], minlength=WIDTH)
        slope = summed / len(learnt) + DECAY * weights
        power += slope**2
        weights -= RATE * slope / np.sqrt(power)
    return weights


def _scored(told: Sequence[_Told], weights: Values) -> list[tuple[float, ...]]:
    if not told:
        return []
    table = _table(told)
    parts = np.split(_values(table, weights), table.starts[1:])
    return [tuple(part.tolist()) for part in parts]


def _values(table: _Table, weights: Values) -> Values:
    """Return the score of each choice, (choices,)."""
    values = np.bincount(table.rows, weights[table.columns], minlength=len(table.wanted))
    return values.astype(np.float64)


def _softmax(values: Values, starts: Places) -> Values:
    """Return the share of each choice within its item, (choices,)."""
    sizes = np.diff(np.append(starts, len(values)))
    raised = np.exp(values - np.repeat(np.maximum.reduceat(values, starts), sizes))
    shares: Values = raised / np.repeat(np.add.reduceat(raised, starts), sizes)
    return shares


def _table(told: Sequence[_Told]) -> _Table:
    columns = [found for one in told for found in one.choices]
    sizes = [len(one.choices) for one in told]
    return _Table(
        np.concatenate(columns),
        np.repeat(np.arange(len(columns)), [len(found) for found in columns]),
        np.cumsum([0, *sizes[:-1]]),
        np.concatenate([_wanted(one.item) for one in told]),
    )


def _wanted(item: Item) -> Values:
    """Return the share of each choice in what is right, or in how high it was rated."""
    wanted = np.zeros(len(item.choices))
    if item.ratings:
        wanted = np.mean(item.ratings, axis=0)
        wanted = wanted - wanted.min()
    elif item.right:
        wanted[list(item.right)] = 1.0
    total = wanted.sum()
    return wanted / total if total else np.full(len(wanted), 1 / len(wanted))


def _features(item: Item, choice: str) -> Places:
    words = _WORD.findall(choice.lower())
    about = sorted(set(_WORD.findall(f"{item.question} {item.given or ''}".lower())))
    pairs = zip(["", *words], [*words, ""], strict=True)
    crossed = [f"{first}*{second}" for first in about for second in sorted(set(words))]
    return np.array([_place(one) for one in (*words, *map(" ".join, pairs), *crossed)])


@functools.lru_cache(maxsize=1 << 18)
def _place(feature: str) -> int:
    return zlib.crc32(feature.encode()) % WIDTH
