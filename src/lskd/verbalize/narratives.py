"""Stage `narratives`: descriptions of the whole image in free text (section 2.1)."""

from collections.abc import Iterable, Sequence
from typing import Annotated

from pydantic import NonNegativeFloat, PositiveInt

from lskd.protocols import Narrator
from lskd.resources import Resources, Spread
from lskd.stage import Batch, Context, Cost, Model, Section, Shard, Stage, Worker, looks
from lskd.types import Annotation, Image, Narratives, Record, Reject

REPLY_TOKENS = 100


class Settings(Section):
    """Who describes, and how often: 5 samples at temperature 1.1 (section 2.1)."""

    narrator: Annotated[Model, Narrator]
    samples: PositiveInt = 5
    temperature: NonNegativeFloat = 1.1
    batch: Batch = 8
    resources: Spread = Resources()


def each(settings: Settings, context: Context) -> Worker:
    """Load the narrator and return the function that makes a shard."""
    narrator = context.build(Narrator, settings.narrator)

    def work(shard: Shard) -> Iterable[Record]:
        for pictures in shard.picture_batches(settings.batch):
            told = narrator.narrate(pictures, settings.samples, settings.temperature)
            for picture, texts in zip(pictures, told, strict=True):
                if not texts:
                    yield Reject(picture.image.id, "no narrative came", "")
                yield Narratives(picture.image.id, texts)
            context.tick(len(pictures))

    return work


def cost(settings: Settings, shards: Sequence[Shard], images: int) -> list[Cost]:
    """Estimate what descriptions of `images` images would take."""
    calls = images * (settings.samples if settings.temperature > 0 else 1)
    return [looks(settings.narrator, calls, REPLY_TOKENS)]


STAGE = Stage(
    name="narratives",
    settings=Settings,
    reads=(Image, Annotation),
    writes=(Narratives, Reject),
    each=each,
    cost=cost,
    at_once=4,
)
