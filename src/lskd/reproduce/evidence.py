"""Runs become tallies: a critic's scores, what people rate, what students earn."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lskd.critique import judgments, labels
from lskd.critique.fit import MODEL
from lskd.critique.score import seen
from lskd.critique.settings import Settings as CriticSettings
from lskd.errors import UserError
from lskd.evaluate.figures import COLUMNS, Column, figures
from lskd.evaluate.figures import Figure as EarnedFigure
from lskd.evaluate.metrics import Values
from lskd.evaluate.predictions import Scores
from lskd.evaluate.trial import Trial
from lskd.evaluate.work import Evaluation
from lskd.lab import measures
from lskd.lab.annotators import REJECT, Annotators, opinions, verdicts
from lskd.lab.world import World
from lskd.reproduce.drawing import PERCENT, mean, rating, summed, tallied
from lskd.reproduce.experiment import Cell, Tally
from lskd.run import Run
from lskd.stage import Shard
from lskd.types import Example, Regions, Sample, Score, Triple

TITLES = {column.title: column for column in COLUMNS}


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A triple whose image the critic did not learn from: its score, and what people decided."""

    image_id: str
    accept: float
    accepted: bool


def held_out(run: Run) -> list[HeldOut]:
    """Return the judged triples that a run's critic did not learn from, with its scores.

    Raises UserError for a run without judgments.
    """
    settings = run.settings["critic"]
    assert isinstance(settings, CriticSettings)
    given = judgments.read(Path(str(settings.judgments)))
    said = {one.triple_id: one for one in labels.labelled(given.judgments).labels}
    found = []
    scored = _scored(run)
    for shard in run.tables.shards(Sample):
        wanted = {
            row.triple_id: row.image_id
            for row in run.tables.read(Sample, shard)
            if row.purpose == "evaluate" and row.triple_id in said
        }
        scores = {row.triple_id: row.accept for row in scored(shard, set(wanted))}
        found += [HeldOut(wanted[k], scores[k], said[k].accepted) for k in wanted]
    if not found:
        raise UserError(f"{run.own} has no judged triples that its critic did not learn from")
    return found


def _scored(run: Run) -> Callable[[str, set[str]], list[Score]]:
    """Return what tells the scores of some triples of a shard.

    They are read where there are any; a run that was made up to its critic asks it.
    """
    tables = run.tables
    if tables.shards(Score):
        return lambda shard, wanted: tables.read(Score, shard)
    # torch is not wanted by who only looks at what experiments there are.
    from lskd.critique.trained import TrainedCritic

    critic = TrainedCritic(str(run.folders["critic"] / MODEL))

    def asked(shard: str, wanted: set[str]) -> list[Score]:
        of_image: dict[str, list[Triple]] = {}
        for triple in tables.read(Triple, shard):
            if triple.id in wanted:
                of_image.setdefault(triple.image_id, []).append(triple)
        shown = [one for one in seen(Shard(shard, tables)) if one.picture.image.id in of_image]
        said = critic.score(shown, [of_image[one.picture.image.id] for one in shown])
        return [one for some in said for one in some]

    return asked


def confusion(run: Run) -> Tally:
    """Return how many held-out triples a critic accepts and rejects, rightly and wrongly.

    Parts: right accepts, wrong accepts, wrong rejects, right rejects.
    """
    rows = held_out(run)
    said = np.array([row.accept >= 0.5 for row in rows])
    true = np.array([row.accepted for row in rows])
    parts = np.stack([said & true, said & ~true, ~said & true, ~said & ~true], axis=1)
    return summed([row.image_id for row in rows], parts.astype(np.float64))


def precision(totals: Values) -> Values:
    """Return the precision of a confusion, the mean over accepts and rejects, in percent."""
    right, wrong, lost, other = np.moveaxis(totals, -1, 0)
    return _halves(_share(right, right + wrong), _share(other, other + lost))


def recall(totals: Values) -> Values:
    """Return the recall of a confusion, the mean over accepts and rejects, in percent."""
    right, wrong, lost, other = np.moveaxis(totals, -1, 0)
    return _halves(_share(right, right + lost), _share(other, other + wrong))


def f1(totals: Values) -> Values:
    """Return the F1 of a confusion, the mean over accepts and rejects, in percent (Table 1)."""
    right, wrong, lost, other = np.moveaxis(totals, -1, 0)
    accepts = _share(2 * right, 2 * right + wrong + lost)
    return _halves(accepts, _share(2 * other, 2 * other + lost + wrong))


def mean_score(run: Run, shards: Sequence[str]) -> Tally:
    """Return the mean score that a critic gives to the triples of each image of some shards."""
    rows = [row for shard in shards for row in run.tables.read(Score, shard)]
    return tallied([row.image_id for row in rows], [row.accept for row in rows])


def kept_ids(run: Run) -> set[str]:
    """Return the ids of the triples that became examples."""
    shards = run.tables.shards(Example)
    return {row.id for shard in shards for row in run.tables.read(Example, shard)}


@dataclass(frozen=True, slots=True)
class Rated:
    """What simulated people think of a triple, by both questions, from 1 to 3."""

    triple_id: str
    image_id: str
    qa: float
    rationale: float


def ratings(run: Run, world: World, people: Annotators) -> list[Rated]:
    """Return what people think of the triples of images that the critic did not learn from."""
    return list(_rated(run, world, people))


def _rated(run: Run, world: World, people: Annotators) -> Iterator[Rated]:
    tables = run.tables
    for shard in tables.shards(Triple):
        learnt = {row.image_id for row in tables.read(Sample, shard) if row.purpose == "train"}
        fresh = [row for row in tables.read(Triple, shard) if row.image_id not in learnt]
        for triple, verdict in verdicts(fresh, tables.read(Regions, shard), world):
            given = list(opinions(triple, verdict, people))
            qa = [one.qa for one in given]
            # A rejected question and answer rejects the rationale.
            rationale = [REJECT if one.rationale is None else one.rationale for one in given]
            means = sum(qa) / len(qa), sum(rationale) / len(rationale)
            yield Rated(triple.id, triple.image_id, *means)


def earned(found: Evaluation, model: str, column: Column) -> Tally | None:
    """Return what a model of an evaluation earns on a column of Table 3; None if not asked.

    Ties count as put in random order.
    """
    one = _figure(found.trials, found.answers[model], column)
    return None if one is None else tallied(_images(one), one.marks.fair)


def by_texts(trials: Sequence[Trial], seed: int) -> tuple[Scores, ...]:
    """Return the scores that texts alone give to the choices of all items."""
    return tuple(measures.by_texts(one, seed) for one in trials)


def earned_by_texts(
    trials: Sequence[Trial], scores: Sequence[Scores], column: Column
) -> tuple[Tally, Tally] | None:
    """Return what texts alone earn on a column, and by how much that is above chance."""
    one = _figure(trials, scores, column)
    if one is None:
        return None
    images, marks = _images(one), one.marks
    return tallied(images, marks.fair), tallied(images, marks.fair - marks.chance)


def _figure(
    trials: Sequence[Trial], scores: Sequence[Scores], column: Column
) -> EarnedFigure | None:
    """Return the figure of a column, None where its benchmark was not asked."""
    for trial, said in zip(trials, scores, strict=True):
        if trial.name == column.place[0]:
            for one in figures(trial, said):
                if one.place == column.place:
                    return one
    return None


def _images(one: EarnedFigure) -> list[str]:
    return [item.image_id for item in one.items]


def examples(runs: Sequence[Run]) -> float:
    """Return how many examples the students of some runs learn from, on average."""
    counts = [
        sum(run.tables.count(Example, shard) for shard in run.tables.shards(Example))
        for run in runs
    ]
    return sum(counts) / len(counts)


def cell(tallies: Sequence[Tally | None], least: float = 0.0) -> Cell | None:
    """Return the cell of what each seed earns, `least` or more; None where one has nothing."""
    known = tuple(one for one in tallies if one is not None)
    whole = known and len(known) == len(tallies)
    return Cell(mean, known, within=(least, 100.0)) if whole else None


def ratings_cell(tallies: Sequence[Tally]) -> Cell:
    """Return the cell of ratings from 1 to 3."""
    return Cell(rating, tuple(tallies), digits=2, within=(1.0, 3.0))


def _share(part: Values, whole: Values) -> Values:
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Values = np.where(whole > 0, part / whole, math.nan)
    return found


def _halves(first: Values, second: Values) -> Values:
    found: Values = PERCENT * (first + second) / 2
    return found
