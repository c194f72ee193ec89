"""Stage `concepts`: labels of the whole image, by a dual encoder (section 2.1)."""

from collections.abc import Iterable
from typing import Annotated

from lskd.protocols import Tagger
from lskd.resources import Resources, Spread
from lskd.stage import Batch, Context, Model, Section, Shard, Stage, Worker
from lskd.types import Annotation, Concepts, Image


class Settings(Section):
    """Who names the places, objects and concepts; `batch` images are held in memory at a time."""

    tagger: Annotated[Model, Tagger]
    batch: Batch = 16
    resources: Spread = Resources()


def each(settings: Settings, context: Context) -> Worker:
    """Load the tagger and return the function that makes a shard."""
    tagger = context.build(Tagger, settings.tagger)

    def work(shard: Shard) -> Iterable[Concepts]:
        for pictures in shard.picture_batches(settings.batch):
            yield from tagger.tag(pictures)
            context.tick(len(pictures))

    return work


STAGE = Stage(
    name="concepts",
    settings=Settings,
    reads=(Image, Annotation),
    writes=(Concepts,),
    each=each,
)
