"""The tables of a run become its statistics, shard by shard: memory does not grow with the run.

There is one pass, and a second over the triples if their diversity is wanted.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lskd.report.accounts import Accounts
from lskd.report.diversity import Chosen, Coded, Variety, Wording, coded, prints, words
from lskd.report.places import PlaceCount
from lskd.report.sketch import Histogram, Tally, Wholes
from lskd.report.statistics import Asked, Rejected, Rows, Scores, Statistics, Writing
from lskd.table import Tables
from lskd.types import (
    Concepts,
    Copy,
    Dialogue,
    Example,
    Image,
    Narratives,
    Regions,
    Reject,
    Reply,
    Score,
    Style,
    Triple,
)

SCORES = tuple(place / 20 for place in range(21))
SHOWN = 12
STYLES: tuple[Style, ...] = ("id", "description")
ALL, KEPT = "all triples", "kept triples"
SCOPES = (ALL, *STYLES, KEPT)
WH = {word: word for word in ("what", "why", "how", "where", "who", "when", "which")}
ASKERS = WH | {"whose": "who", "whom": "who"}
ASKING = ("dialogue", "generate")  # the stages that ask a teacher
KINDS = (*WH, "yes or no", "other")
OPENER = re.compile(
    r"(?:is|are|was|were|am|do|does|did|has|have|had|can?|could|will|wo|would|shall|should|may|might"
    r"|must)(?:n't)?"
)
NUMBER = re.compile(r"\d+(?:\.\d+)?")


def kind_of(question: str) -> str:
    """Return which of `KINDS` a question is.

    It is "yes or no" if it begins with a verb such as "is"; else its first asking word decides,
    wherever that stands: "[1] is angry because of what?" asks what.
    """
    said = words(question)
    if said and OPENER.fullmatch(said[0]):
        return "yes or no"
    bare = (word.partition("'")[0] for word in said)
    return next((ASKERS[word] for word in bare if word in ASKERS), "other")


def family(reason: str) -> str:
    """Return a reason with its numbers written as "#", so that like reasons are counted as one."""
    return NUMBER.sub("#", reason)


@dataclass(frozen=True, slots=True)
class Part:
    """The triples of one shard, the scores of its examples, and which triples are in each scope.

    `judged` says that `corpus` has finished the shard.
    """

    judged: bool
    said: Coded
    marks: Sequence[float]
    scopes: Mapping[str, Chosen]


class WritingCount:
    """Counts the triples of one style: how many are kept, how long they are."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.triples = 0
        self.kept = 0
        self.question, self.answer, self.rationale, self.named = (Wholes() for _ in range(4))

    def add(self, said: Coded, kept: int) -> None:
        """Add triples, `kept` of which are examples."""
        self.triples += len(said.rows)
        self.kept += kept
        for part, lengths in zip(
            (self.question, self.answer, self.rationale), said.lengths().T, strict=True
        ):
            part.add(lengths.tolist())
        self.named.add(len(row.region_ids) for row in said.rows)

    def result(self, judged: bool) -> Writing:
        """Return what was counted; `judged` says that there are examples at all."""
        return Writing(
            name=self.name,
            triples=self.triples,
            kept=self.kept if judged else None,
            question=self.question.spread(),
            answer=self.answer.spread(),
            rationale=self.rationale.spread(),
            regions_named=self.named.spread(),
        )


class TripleCount:
    """Counts triples: by style, by what they ask, by score."""

    def __init__(self) -> None:
        self.writing = [WritingCount(name) for name in (ALL, *STYLES)]
        self.asked, self.asked_kept = Tally(), Tally()
        self.scores = Histogram(SCORES)
        self.lowest_kept: float | None = None
        self.judged = 0

    def add(self, part: Part, scores: Sequence[Score]) -> None:
        """Add the triples of a shard and their scores."""
        self.judged += len(part.said.rows) if part.judged else 0
        for count in self.writing:
            chosen = part.scopes[count.name]
            count.add(part.said.part(chosen), int((chosen & part.scopes[KEPT]).sum()))
        for row, kept in zip(part.said.rows, part.scopes[KEPT].tolist(), strict=True):
            kind = kind_of(row.question)
            self.asked.add(kind)
            if kept:
                self.asked_kept.add(kind)
        self.scores.add([score.accept for score in scores])
        if part.marks:
            lowest = min(part.marks)
            self.lowest_kept = min(lowest, lowest if self.lowest_kept is None else self.lowest_kept)

    def kinds(self, judged: bool) -> tuple[Asked, ...]:
        """Return the kinds of question that occur, in the order of `KINDS`."""
        return tuple(
            Asked(kind, self.asked.counts[kind], self.asked_kept.counts[kind] if judged else None)
            for kind in KINDS
            if self.asked.counts[kind]
        )

    def judgement(self) -> Scores:
        """Return how the triples were scored and kept."""
        return Scores(
            bins=self.scores.bins(),
            mean=self.scores.mean,
            missing=self.scores.missing,
            lowest_kept=self.lowest_kept,
            kept=self.writing[0].kept / self.judged if self.judged else None,
        )


def shard_names(tables: Tables) -> list[str]:
    """Return the names of all shards of which any counted table is finished, in order."""
    counted = (Image, Regions, Triple, Score, Example)
    found = {name for record in counted for name in tables.shards(record)}
    return sorted(found.union(*(tables.shards(Reply, stage) for stage in ASKING)))


def triples(tables: Tables, shard: str) -> Sequence[Wording]:
    """Return the triples of a shard, or the examples where it has no triples (imported corpora)."""
    return tables.read(Triple, shard) or tables.read(Example, shard)


def row_count(tables: Tables, record: type, stage: str | None = None) -> int | None:
    """Return the number of rows of a table, or None if no shard of it is finished."""
    shards = tables.shards(record, stage)
    return sum(tables.count(record, shard, stage) for shard in shards) if shards else None


def all_rows(tables: Tables) -> Rows:
    """Return how many rows each table has."""
    return Rows(
        images=row_count(tables, Image),
        copies=row_count(tables, Copy),
        concepts=row_count(tables, Concepts),
        narratives=row_count(tables, Narratives),
        described=row_count(tables, Regions),
        dialogues=row_count(tables, Dialogue),
        replies=row_count(tables, Reply, "generate"),
        triples=row_count(tables, Triple),
        scores=row_count(tables, Score),
        examples=row_count(tables, Example),
    )


def rejected(tables: Tables, stage: str) -> Rejected:
    """Count the rejects of a stage by reason."""
    reasons = Tally()
    for shard in tables.shards(Reject, stage):
        for reject in tables.read(Reject, shard, stage):
            reasons.add(family(reject.reason))
    return Rejected(stage, reasons.total, reasons.most(SHOWN))


def read_part(tables: Tables, shard: str) -> Part:
    """Read the triples of a shard, and tell which belong to each style and which are examples."""
    rows, examples = triples(tables, shard), tables.stored(Example, shard, "id", "score")
    kept = {name for name, _ in examples}
    marks = [score for _, score in examples if score is not None]
    scopes: dict[str, Chosen] = {ALL: np.ones(len(rows), dtype=np.bool_)}
    for style in STYLES:
        scopes[style] = np.array([row.style == style for row in rows], dtype=np.bool_)
    scopes[KEPT] = np.array([row.id in kept for row in rows], dtype=np.bool_)
    judged = tables.has(Example, shard)
    return Part(judged, coded(rows), marks, scopes)


def compare(tables: Tables, varieties: Sequence[Variety]) -> None:
    """Show the triples of all scopes that are wanted to what looks for near-duplicates."""
    for shard in shard_names(tables):
        part = read_part(tables, shard)
        wanted = np.any([part.scopes[variety.name] for variety in varieties], axis=0)
        theirs = prints(part.said.part(wanted))
        for variety in varieties:
            variety.compare(theirs, part.scopes[variety.name][wanted])


def measure(
    stages: Sequence[str], tables: Tables, seed: int = 0, scopes: Sequence[str] = SCOPES
) -> Statistics:
    """Return all numbers of a run whose stages are named `stages`.

    `seed` decides which triples are sampled for near-duplicates. Diversity is measured of some of
    `SCOPES`; without any, texts are read once only. Raises UserError if a shard cannot be read.
    """
    places, teacher, texts = PlaceCount(), Accounts(), TripleCount()
    varieties = [Variety(name, seed) for name in scopes]
    for shard in shard_names(tables):
        images = {image.id: image for image in tables.read(Image, shard)}
        places.add(tables.read(Regions, shard), images)
        for stage in ASKING:
            teacher.add(stage, tables.read(Reply, shard, stage))
        part = read_part(tables, shard)
        texts.add(part, tables.read(Score, shard))
        for variety in varieties:
            variety.add(part.said.part(part.scopes[variety.name]))
    varieties = [variety for variety in varieties if variety.triples]
    if varieties:
        compare(tables, varieties)
    rows = all_rows(tables)
    judged = rows.examples is not None
    return Statistics(
        rows=rows,
        rejects=tuple(rejected(tables, stage) for stage in stages),
        places=places.result(),
        teacher=teacher.bill.usage("all", "all"),
        models=teacher.usages(),
        finishes=teacher.finishes.most(SHOWN),
        asked=texts.kinds(judged),
        writing=tuple(part.result(judged) for part in texts.writing),
        scores=texts.judgement(),
        diversity=tuple(variety.result() for variety in varieties),
    )
