"""Stage `corpus`: triples that the critic likes become Examples, the others rejects (2.3)."""

import math
from collections.abc import Iterable, Iterator
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from lskd.resources import Resources, Spread
from lskd.stage import Context, Parts, Section, Shard, Stage, Worker
from lskd.table import Tables
from lskd.types import Example, Image, Record, Regions, Reject, Score, Triple


class Settings(Section):
    """Which triples are kept: those that score at least `threshold`, or the best `keep` share.

    The paper's critic has a threshold of 0.8, which kept 20 % (section 2.3); give one of the two.
    `split` and `source` are written beside each example.
    """

    alternatives = ("threshold", "keep")

    threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    keep: Annotated[float, Field(gt=0, le=1)] | None = None
    split: Literal["train", "validation", "test"] = "train"
    source: str = "lskd"
    resources: Spread = Resources()

    @model_validator(mode="after")
    def one_rule(self) -> Self:
        """Refuse no rule, and two."""
        if (self.threshold is None) == (self.keep is None):
            raise ValueError("give either threshold (the paper: 0.8) or keep (a share, as 0.2)")
        return self


def cut(scores: Iterable[float], keep: float) -> float:
    """Return the lowest score of the best `keep` share of scores; ties are kept together.

    Infinite where there are no scores.
    """
    ranked = np.fromiter(scores, dtype=np.float64)  # millions: eight bytes each
    if not ranked.size:
        return float("inf")
    place = max(1, round(keep * ranked.size)) - 1
    return float(-np.partition(-ranked, place)[place])


def filtered(shard: Shard, threshold: float, settings: Settings) -> Iterator[Example | Reject]:
    """Yield an example for each triple of a shard that scores enough, else a reject."""
    images = {image.id: image for image in shard.read(Image)}
    regions = shard.one_each(Regions)
    scores = {score.triple_id: score.accept for score in shard.read(Score)}
    for triple in shard.read(Triple):
        score = scores[triple.id]
        if not score >= threshold:
            yield Reject(triple.id, "scores below the threshold", f"{score:.6f} < {threshold:.6f}")
            continue
        image = images[triple.image_id]
        yield Example(
            id=triple.id,
            image_id=image.id,
            path=image.path,
            width=image.width,
            height=image.height,
            regions=regions[image.id].regions,
            style=triple.style,
            question=triple.question,
            answer=triple.answer,
            rationale=triple.rationale,
            region_ids=triple.region_ids,
            mentions=triple.mentions,
            score=score,
            source=settings.source,
            split=settings.split,
        )


def each(settings: Settings, context: Context) -> Worker:
    """Return the function that filters one shard by the threshold of the settings."""
    assert settings.threshold is not None
    threshold = settings.threshold

    def work(shard: Shard) -> Iterable[Record]:
        yield from filtered(shard, threshold, settings)
        context.tick(len(shard.read(Image)))

    return work


def whole(settings: Settings, context: Context, tables: Tables) -> Parts:
    """Yield every shard, filtered by the score that the best share of all triples reaches."""
    assert settings.keep is not None
    shards = tables.shards(Score)
    accepted = (accept for s in shards for (accept,) in tables.stored(Score, s, "accept"))
    threshold = cut(accepted, settings.keep)
    if math.isfinite(threshold):
        share = f"the best {settings.keep:.0%} of triples, ties included"
        context.say(f"keeping {share}: from {threshold:.3f} on")
    else:
        context.say(
            "there is no scored triple to keep: the report tells what the teacher's replies were, "
            "and why none of them became a triple"
        )
    for name in shards:
        shard = Shard(name, tables)
        yield name, filtered(shard, threshold, settings)
        context.tick(len(shard.read(Image)))


STAGE = Stage(
    name="corpus",
    settings=Settings,
    reads=(Image, Regions, Triple, Score),
    writes=(Example, Reject),
    each=each,
    whole=whole,
    wholly=lambda settings: settings.keep is not None,
)
