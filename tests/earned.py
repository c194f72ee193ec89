"""Evaluations whose figures are put in: the share of items that base and student have right."""

from dataclasses import dataclass

from lskd.evaluate.benchmarks import named
from lskd.evaluate.predictions import Scores
from lskd.evaluate.trial import Trial
from lskd.evaluate.work import Evaluation
from lskd.types import Item

ITEMS = 200
TASKS = (
    ("vcr", "answer"),
    ("vcr", "rationale"),
    ("sherlock", ""),
    ("visualcomet", ""),
    ("aokvqa", ""),
    ("snli_ve", ""),
    ("visual7w", ""),
)


@dataclass(frozen=True)
class Shares:
    """What share of the items of VCR's Q->A, and of all others, base and student have right."""

    base: float = 0.25
    student: float = 0.75
    before: float = 0.6
    after: float = 0.6


def evaluation(shares: Shares, items: int = ITEMS) -> Evaluation:
    """Return what base and student answer to so many items of each task, two of an image."""
    trials: dict[str, list[Item]] = {}
    scores: dict[str, dict[tuple[str, str, str], tuple[float, ...]]] = {"base": {}, "student": {}}
    for name, task in TASKS:
        localised = (name, task) == ("vcr", "answer")
        own = (shares.base, shares.student) if localised else (shares.before, shares.after)
        for number in range(items):
            item = made(name, task, number)
            trials.setdefault(name, []).append(item)
            for model, share in zip(scores, own, strict=True):
                right = number < round(share * items)
                scores[model][name, item.id, task] = (
                    (1.0, 0.2, 0.1, 0.0) if right else (0.0, 1.0, 0.2, 0.1)
                )
    found = tuple(trial(name, tuple(items)) for name, items in trials.items())
    answers: dict[str, tuple[Scores, ...]] = {
        model: tuple(
            {(item.id, item.task): given[one.name, item.id, item.task] for item in one.items}
            for one in found
        )
        for model, given in scores.items()
    }
    return Evaluation((), found, answers, (), (), (), ())


def trial(name: str, items: tuple[Item, ...]) -> Trial:
    return Trial(named(name), "val", items, (), (), "", None)


def made(name: str, task: str, number: int) -> Item:
    if name == "sherlock":
        return item(name, number, task=task, right=(), ratings=((3.0, 1.0, 1.0, 1.0),) * 2)
    return item(name, number, task=task)


def item(
    benchmark: str,
    number: int = 0,
    task: str = "",
    choices: tuple[str, ...] = ("a", "b", "c", "d"),
    right: tuple[int, ...] = (0,),
    ratings: tuple[tuple[float, ...], ...] = (),
) -> Item:
    """Return a question about one of the images, each of which has two."""
    return Item(
        id=str(number),
        benchmark=benchmark,
        task=task,
        split="val",
        image_id=str(number // 2),
        path="",
        width=10,
        height=10,
        regions=(),
        pointed=(),
        question="?",
        given=None,
        choices=choices,
        right=right,
        ratings=ratings,
        kind="",
    )
