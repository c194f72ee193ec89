"""Scores of a trial's items become what each item earns, by each metric of its benchmark.

In: items and the scores of their choices. Out: `Figure`s, each an official metric with its marks,
and the calibration of benchmarks where one choice is right.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lskd.evaluate import metrics
from lskd.evaluate.calibration import Calibration, calibrate
from lskd.evaluate.metrics import Marks
from lskd.evaluate.metrics.comparison import RATERS
from lskd.evaluate.predictions import Scores
from lskd.evaluate.trial import Trial, key
from lskd.types import Item

ACCURACY, ORDER, TOP, FIRST = "accuracy", "comparison", "Acc@50", "hit@1"
PEOPLE = "people agree with each other by {human:.1f}, their mean with each by {oracle:.1f}"

Rows = Sequence[tuple[float, ...]]


@dataclass(frozen=True, eq=False)
class Figure:
    """What items earn by one metric; `task` is "answer", "rationale" or "both" in VCR, else ""."""

    benchmark: str
    split: str
    task: str
    metric: str
    items: tuple[Item, ...]
    marks: Marks

    @property
    def place(self) -> tuple[str, str, str]:
        """Return what tells this figure from others of one model."""
        return self.benchmark, self.task, self.metric


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table of results: a figure by its place, its title, its key in `Figures`."""

    place: tuple[str, str, str]
    title: str
    key: str


# Table 3, in its order.
COLUMNS = (
    Column(("vcr", "answer", ACCURACY), "VCR Q→A", "vcr_answer"),
    Column(("vcr", "rationale", ACCURACY), "VCR QA→R", "vcr_rationale"),
    Column(("vcr", "both", ACCURACY), "VCR Q→AR", "vcr_both"),
    Column(("sherlock", "", ORDER), "Sherlock", "sherlock"),
    Column(("visualcomet", "", TOP), "VisualCOMET", "visualcomet"),
    Column(("aokvqa", "", ACCURACY), "A-OKVQA", "aokvqa"),
    Column(("snli_ve", "", ACCURACY), "SNLI-VE", "snli_ve"),
    Column(("visual7w", "", ACCURACY), "Visual7W", "visual7w"),
)


def figures(trial: Trial, scores: Scores) -> Iterator[Figure]:
    """Yield the figures of a trial; items whose right choices the authors keep are in none."""
    keyed = [item for item in trial.items if item.right or item.ratings]
    for task in dict.fromkeys(item.task for item in keyed):
        some = tuple(item for item in keyed if item.task == task)
        for metric, marks in _measured(trial.name, some, [scores[key(item)] for item in some]):
            yield Figure(trial.name, trial.split, task, metric, some, marks)
    if trial.name == "vcr":
        yield from _both(trial, keyed, scores)


def _measured(name: str, items: Sequence[Item], rows: Rows) -> Iterator[tuple[str, Marks]]:
    """Yield the marks of items by each metric of a benchmark, its official one first."""
    if name == "sherlock":
        yield ORDER, metrics.compare(rows, [item.ratings for item in items]).model
        return
    right = [right_of(item) for item in items]
    if name == "visualcomet":
        yield TOP, metrics.r_precision(rows, right)
    yield (FIRST if name == "visualcomet" else ACCURACY), metrics.choose(rows, right)


def right_of(item: Item) -> tuple[int, ...]:
    """Return the places of the choices that count as right.

    A-OKVQA and Visual7W compare words, so that a choice which repeats the right one is right too;
    of Sherlock's it is those of the highest mean rating.
    """
    if item.ratings:
        sums = [sum(given) for given in zip(*item.ratings, strict=True)]
        return tuple(place for place, total in enumerate(sums) if total == max(sums))
    if item.benchmark in ("aokvqa", "visual7w"):
        return metrics.alike(item.choices, item.right, any_case=item.benchmark == "visual7w")
    return item.right


def calibrations(trial: Trial, scores: Scores) -> Iterator[tuple[str, Calibration]]:
    """Yield how well confidence keeps to accuracy for each task where one choice is right."""
    if trial.name in ("sherlock", "visualcomet"):
        return
    keyed = [item for item in trial.items if item.right]
    for task in dict.fromkeys(item.task for item in keyed):
        some = [item for item in keyed if item.task == task]
        yield task, calibrate([scores[key(item)] for item in some], [right_of(i) for i in some])


def people(trial: Trial) -> str:
    """Return what people reach on Sherlock, in percent; "" elsewhere."""
    rated = [item for item in trial.items if len(item.ratings) == RATERS]
    if trial.name != "sherlock" or not rated:
        return ""
    found = metrics.compare(
        [tuple(0.0 for _ in item.choices) for item in rated], [item.ratings for item in rated]
    )
    return PEOPLE.format(human=100 * found.human.mean(), oracle=100 * found.oracle.mean())


def _both(trial: Trial, keyed: Sequence[Item], scores: Scores) -> Iterator[Figure]:
    """Yield Q->AR: the rows of VCR whose answer and rationale are both right."""
    rationale = {item.id: item for item in keyed if item.task == "rationale"}
    answers = [item for item in keyed if item.task == "answer" and item.id in rationale]
    if not answers:
        return
    found = metrics.vcr(
        [scores[key(item)] for item in answers],
        [item.right[0] for item in answers],
        [scores[key(rationale[item.id])] for item in answers],
        [rationale[item.id].right[0] for item in answers],
    )
    yield Figure(trial.name, trial.split, "both", ACCURACY, tuple(answers), found.both)
