"""Stage `score`: a critic says how acceptable each triple is (section 2.3)."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated

from lskd.protocols import Critic, Seen
from lskd.resources import Resources, Spread
from lskd.stage import Batch, Context, Model, Section, Shard, Stage, Worker, batches
from lskd.types import (
    Annotation,
    Concepts,
    Dialogue,
    Fit,
    Image,
    Narratives,
    Regions,
    Score,
    Triple,
)


class Settings(Section):
    """Who judges; `batch` images are held in memory at a time."""

    critic: Annotated[Model, Critic]
    batch: Batch = 8
    resources: Spread = Resources()


def seen(shard: Shard) -> list[Seen]:
    """Return all that is known of each image of a shard."""
    concepts, narratives = shard.one_each(Concepts), shard.one_each(Narratives)
    regions, dialogue = shard.one_each(Regions), shard.one_each(Dialogue)
    return [
        Seen(
            picture,
            concepts[picture.image.id],
            narratives[picture.image.id],
            regions[picture.image.id],
            dialogue[picture.image.id],
        )
        for picture in shard.pictures()
    ]


def each(settings: Settings, context: Context) -> Worker:
    """Load the critic and return the function that makes a shard."""
    critic = context.build(Critic, settings.critic)

    def work(shard: Shard) -> Iterable[Score]:
        triples: dict[str, list[Triple]] = {}
        for triple in shard.read(Triple):
            triples.setdefault(triple.image_id, []).append(triple)
        for some in batches(seen(shard), settings.batch):
            # So that their pixels go with the batch.
            group = [replace(one, picture=one.picture.fresh()) for one in some]
            asked = [triples.get(one.picture.image.id, []) for one in group]
            for scores in critic.score(group, asked):
                yield from scores
            context.tick(len(group))

    return work


STAGE = Stage(
    name="score",
    settings=Settings,
    reads=(Image, Annotation, Concepts, Narratives, Regions, Dialogue, Triple, Fit),
    reads_whole=(Fit,),
    writes=(Score,),
    each=each,
)
