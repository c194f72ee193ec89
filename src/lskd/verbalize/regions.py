"""Stage `regions`: places worth talking about are proposed, selected, numbered and described (2.1).

Selection: boxes are clipped to the image; those too small, and those that a better one covers, are
left out; the first `most` in the stated order are kept and numbered from 0. What is left out is a
Reject row. The proposer and the captioner are two models, so that either can be the owner's
annotations.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from lskd.picture import Picture
from lskd.prompt import corners
from lskd.protocols import Captioner, Proposal, Proposer
from lskd.resources import Resources, Spread
from lskd.stage import Batch, Context, Cost, Model, Section, Shard, Stage, Worker, looks
from lskd.types import Annotation, Box, Image, Record, Region, Regions, Reject

Order = Literal["area", "score", "left"]
REPLY_TOKENS = 12


class Settings(Section):
    """Who proposes and who describes, and which boxes are kept.

    `smallest` is the least share of the image's area, `overlap` the intersection over union above
    which the lesser of two boxes of one label is left out. `order`: "area" (largest first), "score"
    (surest first) or "left" (from left to right).
    """

    proposer: Annotated[Model, Proposer]
    captioner: Annotated[Model, Captioner]
    most: PositiveInt = 10
    smallest: Annotated[float, Field(ge=0, le=1)] = 0.002
    overlap: Annotated[float, Field(ge=0, le=1)] = 0.7
    order: Order = "area"
    batch: Batch = 8
    resources: Spread = Resources()


def iou(a: Box, b: Box) -> float:
    """Return the intersection over union of two boxes; 0 where both are empty."""
    width = min(a.x1, b.x1) - max(a.x0, b.x0)
    height = min(a.y1, b.y1) - max(a.y0, b.y0)
    shared = width * height if width > 0 and height > 0 else 0.0
    union = a.area + b.area - shared
    return shared / union if union > 0 else 0.0


def ranked(proposals: Iterable[Proposal], order: Order) -> list[Proposal]:
    """Return proposals in the stated order; ties go to the upper left."""
    keys = {
        "area": lambda p: (-p.box.area, p.box.x0, p.box.y0, p.label),
        "score": lambda p: (-p.score, -p.box.area, p.box.x0, p.box.y0, p.label),
        "left": lambda p: (p.box.x0, p.box.y0, -p.box.area, p.label),
    }
    return sorted(proposals, key=keys[order])


def select(
    proposals: Sequence[Proposal], image: Image, settings: Settings
) -> Iterator[Proposal | Reject]:
    """Yield the proposals to keep, in the order of their numbers, and a Reject for each other."""
    surest_first = ranked(proposals, "score")
    fitting: list[Proposal] = []
    for one in surest_first:
        box = one.box.within(image.width, image.height)
        one = Proposal(box, one.label, one.score, one.polygons)
        if box.area < settings.smallest * image.width * image.height or box.area <= 0:
            yield left_out(image, one, f"smaller than {settings.smallest:g} of the image")
        elif any(iou(box, k.box) > settings.overlap and k.label == one.label for k in fitting):
            yield left_out(
                image, one, f"overlaps a better {one.label!r} by over {settings.overlap:g}"
            )
        else:
            fitting.append(one)
    # Which ones are kept is decided by size or sureness, never by where they stand.
    best = ranked(fitting, "score" if settings.order == "score" else "area")
    for one in best[settings.most :]:
        yield left_out(image, one, f"more than {settings.most} regions")
    yield from ranked(best[: settings.most], settings.order)


def left_out(image: Image, one: Proposal, reason: str) -> Reject:
    """Return the row that says why a proposal was not kept."""
    return Reject(image.id, reason, f"{one.label} {corners(one.box)} {one.score:.2f}")


def numbered(kept: Sequence[Proposal]) -> tuple[Region, ...]:
    """Return regions numbered from 0, their descriptions still empty."""
    return tuple(
        Region(k, one.box, one.label, "", one.score, one.polygons) for k, one in enumerate(kept)
    )


def described(regions: Sequence[Region], phrases: Sequence[str]) -> tuple[Region, ...]:
    """Return the regions with their phrases, in one line each."""
    return tuple(
        Region(r.id, r.box, r.label, " ".join(phrase.split()), r.score, r.polygons)
        for r, phrase in zip(regions, phrases, strict=True)
    )


def silent(image: Image, region: Region) -> Reject:
    """Return the row that says that a region was kept without a phrase."""
    said = f"[{region.id}] {region.label} {corners(region.box)}"
    return Reject(image.id, "no phrase came for this region", said)


def each(settings: Settings, context: Context) -> Worker:
    """Load the proposer and the captioner and return the function that makes a shard."""
    proposer = context.build(Proposer, settings.proposer)
    same = settings.captioner == settings.proposer
    captioner = proposer if same else context.build(Captioner, settings.captioner)
    assert isinstance(captioner, Captioner)

    def make(pictures: Sequence[Picture]) -> Iterator[Record]:
        chosen: list[tuple[Region, ...]] = []
        for picture, proposals in zip(pictures, proposer.propose(pictures), strict=True):
            sorted_out = list(select(proposals, picture.image, settings))
            yield from (row for row in sorted_out if isinstance(row, Reject))
            chosen.append(numbered([row for row in sorted_out if isinstance(row, Proposal)]))
        phrases = captioner.describe(pictures, chosen)
        for picture, regions, said in zip(pictures, chosen, phrases, strict=True):
            told = described(regions, said)
            yield from (silent(picture.image, region) for region in told if not region.description)
            yield Regions(picture.image.id, told)

    def work(shard: Shard) -> Iterable[Record]:
        for pictures in shard.picture_batches(settings.batch):
            yield from make(pictures)
            context.tick(len(pictures))

    return work


def cost(settings: Settings, shards: Sequence[Shard], images: int) -> list[Cost]:
    """Estimate what phrases for the regions of `images` images would take."""
    return [looks(settings.captioner, images * settings.most, REPLY_TOKENS, most=True)]


STAGE = Stage(
    name="regions",
    settings=Settings,
    reads=(Image, Annotation),
    writes=(Regions, Reject),
    each=each,
    cost=cost,
    at_once=4,
)
