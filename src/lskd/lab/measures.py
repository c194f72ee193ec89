"""What a run of the lab is measured by: shares with intervals, most of them by the true world."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lskd.bootstrap import Bootstrap
from lskd.errors import UserError
from lskd.evaluate import statistics, trial
from lskd.evaluate.figures import ACCURACY, ORDER, TOP, Figure, figures
from lskd.evaluate.metrics import Values
from lskd.evaluate.predictions import Scores
from lskd.evaluate.stage import Settings
from lskd.evaluate.trial import Trial
from lskd.evaluate.work import Evaluation, evaluate
from lskd.lab.annotators import verdicts
from lskd.lab.text_only import text_only
from lskd.lab.world import Split, World
from lskd.run import Run
from lskd.stages import STAGES
from lskd.types import Item, Regions, Sample, Score, Triple

BEST = 0.2  # of the triples, as many as the paper's threshold kept (section 2.3)
LOCALISED = (("vcr", "answer"), ("sherlock", ""))
# Localised as well, but words tell more than chance there, so that no bar stands on them.
TOLD_BY_WORDS = (("vcr", "rationale"), ("visualcomet", ""))
WHOLE = ("aokvqa", "snli_ve", "visual7w")
EVALUATE = next(stage for stage in STAGES if stage.name == "evaluate")


@dataclass(frozen=True, slots=True)
class Measure:
    """A measured number in points of a hundred, with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Filtering:
    """The share of acceptable triples: of all, of those the critic likes best, of random ones.

    Best and random ones are of images that the critic did not learn from.
    """

    every: Measure
    best: Measure
    random: Measure


def filtering(run: Run, world: World) -> Filtering:
    """Return what a run's critic makes of its triples, by the true world."""
    tables, shards = run.tables, run.tables.shards(Triple)
    accept = {row.triple_id: row.accept for shard in shards for row in tables.read(Score, shard)}
    samples = (row for shard in shards for row in tables.read(Sample, shard))
    learnt = {row.image_id for row in samples if row.purpose == "train"}
    judged = _judged(run, world)
    fresh = [one for one in judged if one.image_id not in learnt]
    ranked = sorted(fresh, key=lambda one: -accept[one.triple_id])
    best = ranked[: max(1, round(BEST * len(ranked)))]
    drawn = random.Random(run.seed).sample(ranked, len(best))
    return Filtering(_share(judged), _share(best), _share(drawn))


def acceptable(run: Run, world: World) -> Measure:
    """Return the share of a run's triples that is acceptable by the true world; no critic is asked.

    Raises UserError for a run without triples.
    """
    judged = _judged(run, world)
    if not judged:
        raise UserError(f"{run.own} has no triples: `lskd run` it with --until parse first")
    return _share(judged)


@dataclass(frozen=True, slots=True)
class _Judged:
    """A triple, and whether it is acceptable by the true world."""

    triple_id: str
    image_id: str
    acceptable: bool


def _judged(run: Run, world: World) -> list[_Judged]:
    """Return the triples of a run that can be judged, shard by shard."""
    tables = run.tables
    return [
        _Judged(triple.id, triple.image_id, verdict.acceptable)
        for shard in tables.shards(Triple)
        for triple, verdict in verdicts(
            tables.read(Triple, shard), tables.read(Regions, shard), world
        )
    ]


def _share(judged: Sequence[_Judged]) -> Measure:
    """Return the share of acceptable triples."""
    right = [float(one.acceptable) for one in judged]
    return measure(right, [one.image_id for one in judged])


def evaluated(run: Run, world: Path, split: Split) -> Evaluation:
    """Evaluate a run's models on the benchmarks of a split; what was answered is not asked again.

    "held" has VCR alone: questions about combinations that training never showed.
    """
    if split == "held":
        return _on_vcr(run, "held", world / "gold" / "held" / "vcr")
    return evaluate(_settings(run), run.context(EVALUATE))


def pointed(run: Run) -> Evaluation:
    """Evaluate a control's student on VCR alone, since of localised choice alone its bar speaks."""
    return _on_vcr(run, "pointed", Path(_settings(run).benchmarks["vcr"].folder))


def _on_vcr(run: Run, name: str, gold: Path) -> Evaluation:
    """Evaluate on VCR's file of a folder; what comes of it lies in a folder of the run."""
    settings = _settings(run)
    vcr = settings.benchmarks["vcr"].model_copy(update={"folder": gold.as_posix()})
    settings = settings.model_copy(update={"benchmarks": {"vcr": vcr}, "gallery": 0})
    return evaluate(settings, replace(run.context(EVALUATE), folder=run.own / name))


def _settings(run: Run) -> Settings:
    settings = run.settings[EVALUATE.name]
    assert isinstance(settings, Settings)
    return settings


def figure(found: Evaluation, model: str, benchmark: str, task: str = "") -> Figure:
    """Return what each item of a benchmark earns a model, by its main metric."""
    number = next(n for n, one in enumerate(found.trials) if one.name == benchmark)
    rows = figures(found.trials[number], found.answers[model][number])
    return next(one for one in rows if one.task == task and one.metric in (ACCURACY, ORDER, TOP))


def result(found: Evaluation, model: str, benchmark: str, task: str = "") -> Measure:
    """Return a model's figure on a benchmark, in points of a hundred, ties counted fairly."""
    one = figure(found, model, benchmark, task)
    return measure(one.marks.fair, [item.image_id for item in one.items])


def gain(found: Evaluation, benchmark: str, task: str = "") -> Measure:
    """Return how many points the student is above the base on the same items."""
    base, student = (figure(found, model, benchmark, task) for model in ("base", "student"))
    assert [item.id for item in base.items] == [item.id for item in student.items]
    images = [item.image_id for item in base.items]
    return measure(student.marks.fair - base.marks.fair, images)


def title(benchmark: str, task: str) -> str:
    """Return what a task of a benchmark is called among the bars."""
    return f"{benchmark} {task}".strip()


def blind(run: Run, seed: int, tasks: Sequence[tuple[str, str]] = LOCALISED) -> dict[str, Measure]:
    """Return, in points above chance, what texts alone give on tasks of benchmarks, by title.

    The scorer is fitted on the same benchmarks' items of other images, labels and all.
    """
    settings = _settings(run)
    found: dict[str, Measure] = {}
    for name, task in tasks:
        (one,) = trial.read({name: settings.benchmarks[name]}, settings.faults, ())
        items: list[Item] = [item for item in one.items if item.task == task]
        asked = replace(one, items=tuple(items))
        figure = next(iter(figures(asked, by_texts(asked, seed))))
        values = [float(mark) for mark in figure.marks.fair - figure.marks.chance]
        found[title(name, task)] = measure(values, [item.image_id for item in figure.items])
    return found


def by_texts(asked: Trial, seed: int) -> Scores:
    """Return the scores that texts alone give to the choices of a trial's items.

    Their model is fitted on the items of other images, labels and all.
    """
    return {(row.item_id, row.task): row.scores for row in text_only(asked.items, seed)}


def measure(values: Sequence[float] | Values, images: Sequence[str]) -> Measure:
    """Return the mean of values in [-1, 1] as points of a hundred; images are drawn again.

    Raises UserError for fewer than two images, of which there is no interval.
    """
    found = statistics.interval(values, images, Bootstrap())
    if found.value is None or found.low is None or found.high is None:
        raise UserError(
            f"{found.items} items of {found.images} images have no interval: it takes two images "
            "or more; make the world of more scenes (--scenes)"
        )
    return Measure(100 * found.value, 100 * found.low, 100 * found.high)
