"""Stage `sample`: which triples people are to judge (section 2.3).

Images are divided first and triples drawn from each side afterwards, so that no image is on both.
Every choice follows from a hash of (seed, id): the same triples give the same sample, in whatever
shards they lie. More triples give another sample, and the stage is made again; judgments of triples
that are no longer in it are not lost (see `lskd.critique.rows`).
"""

import hashlib
import heapq
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from pydantic import PositiveInt

from lskd.stage import Context, Parts, Section, Stage
from lskd.table import Tables
from lskd.types import Image, Sample, Triple


class Settings(Section):
    """How many triples are drawn to train a critic, and to evaluate it."""

    train: PositiveInt = 20_000  # section 2.3
    evaluate: PositiveInt = 4_000  # section 2.3


class _Drawn(NamedTuple):
    """A triple that may be drawn; the lowest `rank` goes first."""

    rank: bytes
    triple_id: str
    image_id: str
    shard: str


def rank(seed: int, kind: str, name: str) -> bytes:
    """Return the place of something in a random order that depends on nothing but these."""
    return hashlib.blake2b(f"{seed}/{kind}/{name}".encode(), digest_size=8).digest()


def held_out(counts: Counter[str], share: float, seed: int) -> set[str]:
    """Return images that hold about `share` of all triples, and never all images.

    `counts` are the triples of each image. Of two images or more, at least one is held out.
    """
    waiting = sorted(counts, key=lambda image_id: rank(seed, "image", image_id))
    wanted = share * counts.total()
    kept: set[str] = set()
    held = 0
    for image_id in waiting[:-1]:
        # Half of the image's triples beyond the share is nearer to it than none of them.
        if kept and held + counts[image_id] / 2 > wanted:
            break
        kept.add(image_id)
        held += counts[image_id]
    return kept


def candidates(tables: Tables, seed: int) -> Iterator[_Drawn]:
    """Yield every triple of a run with its rank; memory holds one shard."""
    for shard in tables.shards(Triple):
        for triple in tables.read(Triple, shard):
            yield _Drawn(rank(seed, "triple", triple.id), triple.id, triple.image_id, shard)


def whole(settings: Settings, context: Context, tables: Tables) -> Parts:
    """Draw the sample and yield it by the shards of its images."""
    seed = context.seed
    counts = Counter(one.image_id for one in candidates(tables, seed))
    apart = held_out(counts, settings.evaluate / (settings.train + settings.evaluate), seed)
    train: list[_Drawn] = []
    evaluate: list[_Drawn] = []
    for one in candidates(tables, seed):
        side, number = (
            (evaluate, settings.evaluate) if one.image_id in apart else (train, settings.train)
        )
        side.append(one)
        if len(side) > 2 * number:  # memory holds no more than that
            side[:] = heapq.nsmallest(number, side)
    train, evaluate = sorted(train)[: settings.train], sorted(evaluate)[: settings.evaluate]
    if len(train) < settings.train or len(evaluate) < settings.evaluate:
        context.say(_short(settings, len(train), len(evaluate), counts))
    of_shard: dict[str, list[Sample]] = {}
    for one in train:
        of_shard.setdefault(one.shard, []).append(Sample(one.triple_id, one.image_id, "train"))
    for one in evaluate:
        of_shard.setdefault(one.shard, []).append(Sample(one.triple_id, one.image_id, "evaluate"))
    for shard in tables.shards(Triple):
        yield shard, sorted(of_shard.get(shard, ()), key=lambda sample: sample.triple_id)
        context.tick(tables.count(Image, shard))


def _short(settings: Settings, train: int, evaluate: int, counts: Counter[str]) -> str:
    """Return what is to be said of a sample that is smaller than was asked for."""
    told = (
        f"{settings.train} triples to train on and {settings.evaluate} to evaluate on were asked "
        f"for; {counts.total()} triples of {len(counts)} images give {train} and {evaluate}"
    )
    if len(counts) == 1:
        told += ", since one image cannot be on both sides"
    return told


STAGE = Stage(
    name="sample",
    settings=Settings,
    reads=(Image, Triple),
    writes=(Sample,),
    whole=whole,
    optional=True,
)
