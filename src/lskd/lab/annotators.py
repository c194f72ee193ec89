"""Simulated annotators: they know the truth of each scene, and err at a known rate.

They judge the triples that the stage `sample` has drawn, as people do (section 2.3).
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from lskd import table
from lskd.errors import UserError
from lskd.lab import truth
from lskd.lab.truth import Verdict
from lskd.lab.world import World
from lskd.run import Run
from lskd.types import Judgment, Regions, Sample, Triple

REJECT, MAYBE, ACCEPT = 1, 2, 3  # section 2.3


@dataclass(frozen=True, slots=True)
class Annotators:
    """Who judges: how many, how often one is wrong and how often unsure, in [0, 1], and a seed."""

    count: int = 2  # section 2.3
    errors: float = 0.05
    unsure: float = 0.15
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of the judging: triples, and the share of them that is truly acceptable."""

    triples: int
    acceptable: float


def judge(run: Run, world: World, annotators: Annotators, file: Path) -> Judged:
    """Write the judgments of a run's sample into a Parquet file.

    Raises UserError if no sample is drawn yet, or a picture is none of this world's.
    """
    tables = run.tables
    judgments: list[Judgment] = []
    right = count = 0
    for shard in tables.shards(Sample):
        wanted = {row.triple_id for row in tables.read(Sample, shard)}
        some = [row for row in tables.read(Triple, shard) if row.id in wanted]
        for triple, verdict in verdicts(some, tables.read(Regions, shard), world):
            count += 1
            right += verdict.acceptable
            judgments += opinions(triple, verdict, annotators)
    if not count:
        raise UserError(f"{run.own} has no sample to judge: `lskd run` it --until sample first")
    try:
        table.write(Judgment, file, judgments)
    except pa.ArrowException as error:
        raise UserError(f"cannot write {file}: {error}") from error
    return Judged(count, right / count)


def verdicts(
    triples: Sequence[Triple], regions: Sequence[Regions], world: World
) -> Iterator[tuple[Triple, Verdict]]:
    """Yield each triple with what is true of it.

    Raises UserError for a picture that is none of this world's.
    """
    of_image = {row.image_id: {region.id: region for region in row.regions} for row in regions}
    for triple in triples:
        staged = world.by_id.get(triple.image_id)
        if staged is None:
            raise UserError(f"image {triple.image_id} is none of the world in {world.folder}")
        yield triple, truth.verdict(triple, staged, of_image[triple.image_id])


def opinions(triple: Triple, verdict: Verdict, annotators: Annotators) -> Iterator[Judgment]:
    """Yield what each annotator thinks; a rejected question and answer rejects the rationale."""
    for number in range(annotators.count):
        rng = random.Random(f"{annotators.seed}/{number}/{triple.id}")
        qa = rating(verdict.answer, annotators, rng)
        rationale = None if qa == REJECT else rating(verdict.rationale, annotators, rng)
        yield Judgment(triple.id, triple.image_id, f"simulated-{number}", qa, rationale)


def rating(holds: bool, annotators: Annotators, rng: random.Random) -> int:
    """Return a rating of something that holds or does not."""
    if rng.random() < annotators.errors:
        holds = not holds
    if not holds:
        return REJECT
    return MAYBE if rng.random() < annotators.unsure else ACCEPT
