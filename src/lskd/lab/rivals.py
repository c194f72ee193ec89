"""A run becomes two systems to compare: of two answers to one question, kept and dropped.

The teacher is asked about a picture twice, once by numbers and once by phrases, and often asks the
same of the same region both times, with another answer. "kept" is the triple that the critic scores
higher, "dropped" the lower one; both say the region's number. So what judges prefer (section 3.4)
tells what filtering is worth. Images that the critic learnt from are left out: of them it knows
what people said.
"""

import random
from collections.abc import Iterator

from lskd.errors import UserError
from lskd.human.answers import Answer
from lskd.lab import sayings
from lskd.lab.words import question
from lskd.run import Run
from lskd.types import Image, Regions, Sample, Score, Triple

KEPT, DROPPED = "kept", "dropped"
Pair = tuple[Answer, Answer]


def rivals(run: Run, count: int, seed: int) -> list[Answer]:
    """Return both systems' answers to at most `count` questions, drawn by seed.

    Raises UserError if the run's triples have no scores yet, or no question was asked twice.
    """
    shards = run.tables.shards(Score)
    if not shards:
        raise UserError(f"{run.own} has no scores: `lskd run` it to its end first")
    samples = (row for shard in run.tables.shards(Sample) for row in run.tables.read(Sample, shard))
    learnt = frozenset(row.image_id for row in samples if row.purpose == "train")
    found = [pair for shard in shards for pair in _pairs(run, shard, learnt)]
    if not found:
        raise UserError(
            f"{run.own} has no question with two different answers about an image that its critic "
            "did not learn from: nothing to compare; a run with both styles in [generate] has "
            "them, such as runs/lab/study.toml"
        )
    # By id, so that the drawing does not hang on the order of shards.
    found.sort(key=lambda pair: pair[0].question_id)
    drawn = random.Random(f"{seed}/rivals").sample(found, min(count, len(found)))
    return [answer for pair in drawn for answer in pair]


def _pairs(run: Run, shard: str, learnt: frozenset[str]) -> Iterator[Pair]:
    """Yield the kept and the dropped answer of each question of a shard that has two.

    Images that the critic has learnt from are passed over.
    """
    tables = run.tables
    images = {image.id: image for image in tables.read(Image, shard)}
    regions = {row.image_id: row for row in tables.read(Regions, shard)}
    accept = {score.triple_id: score.accept for score in tables.read(Score, shard)}
    asked: dict[str, list[Triple]] = {}
    for triple in tables.read(Triple, shard):
        name = _question_id(triple)
        if name is not None and triple.id in accept and triple.image_id not in learnt:
            asked.setdefault(name, []).append(triple)
    for name, several in asked.items():
        ranked = sorted(several, key=lambda one: (-accept[one.id], one.id))
        kept, dropped = (
            _answer(name, one, system, images[one.image_id], regions[one.image_id])
            for one, system in ((ranked[0], KEPT), (ranked[-1], DROPPED))
        )
        if (kept.answer, kept.rationale) != (dropped.answer, dropped.rationale):
            yield kept, dropped


def _question_id(triple: Triple) -> str | None:
    """Return a name for what is asked and of which region; None for what is no such question."""
    found = sayings.asked(triple.question)
    if found is None or len(triple.region_ids) != 1:
        return None
    return f"{triple.image_id}-{triple.region_ids[0]}-{found[0]}"


def _answer(name: str, triple: Triple, system: str, image: Image, regions: Regions) -> Answer:
    found = sayings.asked(triple.question)
    assert found is not None  # it has the name of a question
    number = f"[{triple.region_ids[0]}]"
    return Answer(
        question_id=name,
        image=image.id,
        width=image.width,
        height=image.height,
        regions=regions.regions,
        question=question(number, found[0]),
        system=system,
        answer=_numbered(triple, triple.answer),
        rationale=_numbered(triple, triple.rationale),
        source=f"triple {triple.id}",
    )


def _numbered(triple: Triple, text: str) -> str:
    """Return a text that names regions by number, whatever it named them by."""
    for mention in triple.mentions:
        text = text.replace(f"[{mention.phrase}]", f"[{mention.region_id}]")
    return text
