"""A few questions are drawn by lot to be looked at: where models differ, are wrong, are right.

In: the items of a trial and each model's scores. Out: `Exhibit`s, each a marked picture with the
right choices and those that the models chose.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

from lskd.evaluate.figures import right_of
from lskd.evaluate.predictions import Scores
from lskd.evaluate.trial import Trial, key
from lskd.marking import named
from lskd.thumbnail import Thumbnail, thumbnail
from lskd.types import Image, Item, Region

MOST = 6  # choices of an exhibit, beside those that are right or chosen

Verdict = Literal["differ", "wrong", "right"]
VERDICTS: tuple[Verdict, ...] = ("differ", "wrong", "right")


@dataclass(frozen=True, slots=True)
class Choice:
    """A choice, whether it is right, and the models that hold it for the best."""

    text: str
    right: bool
    chosen_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A question with its picture; `hidden` choices, wrong and chosen by none, are not shown."""

    item: Item
    verdict: Verdict
    picture: Thumbnail
    alt: str
    choices: tuple[Choice, ...]
    hidden: int


def draw(trial: Trial, answers: Mapping[str, Scores], count: int, seed: int) -> tuple[Exhibit, ...]:
    """Return at most `count` exhibits: the three verdicts take turns, images come once if can be.

    Items whose right choices are not public are not shown.
    """
    lot = random.Random(f"{seed} {trial.name}")
    keyed = [item for item in trial.items if item.right or item.ratings]
    lot.shuffle(keyed)
    pools: dict[Verdict, list[Item]] = {verdict: [] for verdict in VERDICTS}
    for item in keyed:
        pools[verdict_of(item, [scores[key(item)] for scores in answers.values()])].append(item)
    turns = zip_longest(*(_spread(pool)[:count] for pool in pools.values()))
    drawn = [item for turn in turns for item in turn if item is not None][:count]
    return tuple(exhibit(item, answers) for item in drawn)


def verdict_of(item: Item, scores: Sequence[Sequence[float]]) -> Verdict:
    """Return whether all models are right on an item, all are wrong, or they differ."""
    right = right_of(item)
    hits = [_best(one) in right for one in scores]
    return "right" if all(hits) else "differ" if any(hits) else "wrong"


def exhibit(item: Item, answers: Mapping[str, Scores]) -> Exhibit:
    """Return an item as it is shown."""
    right = right_of(item)
    best = {model: _best(scores[key(item)]) for model, scores in answers.items()}
    wanted = {*right, *best.values()}
    others = [place for place in range(len(item.choices)) if place not in wanted]
    shown = sorted((*wanted, *others[: max(0, MOST - len(wanted))]))
    choices = tuple(
        Choice(
            item.choices[place],
            place in right,
            tuple(model for model, chosen in best.items() if chosen == place),
        )
        for place in shown
    )
    regions = _spoken(item, [choice.text for choice in choices])
    names = "; ".join(f"[{region.id}] {region.label}" for region in regions)
    image = Image(item.image_id, item.path, item.width, item.height)
    return Exhibit(
        item,
        verdict_of(item, [scores[key(item)] for scores in answers.values()]),
        thumbnail(image, regions),
        f"Image with marked regions: {names}" if names else "Image without marked regions",
        choices,
        len(item.choices) - len(shown),
    )


def _spoken(item: Item, choices: Sequence[str]) -> tuple[Region, ...]:
    """Return the regions that the shown texts name; those pointed to where texts name none."""
    said = (item.question, item.given or "", *choices)
    ids = {number for text in said for number in named(text)} or set(item.pointed)
    return tuple(region for region in item.regions if region.id in ids)


def _best(scores: Sequence[float]) -> int:
    return max(range(len(scores)), key=scores.__getitem__)


def _spread(items: Sequence[Item]) -> list[Item]:
    """Return items in their order, the first of each image before all seconds."""
    met: dict[str, int] = {}
    turn = []
    for item in items:
        met[item.image_id] = met.get(item.image_id, 0) + 1
        turn.append(met[item.image_id])
    return [item for _, item in sorted(zip(turn, items, strict=True), key=lambda pair: pair[0])]
