"""The sample of a run becomes a campaign: triples that people are to judge, with their images.

What comes in are the tables of a run (stage `sample` names the triples, section 2.3) and, if given,
a file of judgments whose answers are taken as known. What goes out are items in the store.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from lskd.critique import judgments
from lskd.errors import UserError
from lskd.human.store import Store
from lskd.human.work import JUDGE, Claim, Posed, Rating
from lskd.run import Run
from lskd.table import Tables
from lskd.types import Image, Regions, Sample, Triple

OVERLAP = 2  # section 2.3: two annotators rate each triple


@dataclass(frozen=True, slots=True)
class Gold:
    """Triples whose rating is known; `disputed` are those that the file's judges rate unlike."""

    ratings: Mapping[str, Rating]
    disputed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Opened:
    """What was put to people: `items` are to be judged, `gold` have a known answer.

    `new` of both were not in the campaign before. `lost` are triples of the sample or of the file
    of known answers that have no image or no triple in the run's tables.
    """

    items: int
    gold: int
    new: int
    lost: tuple[str, ...]


def known(file: Path) -> Gold:
    """Return the ratings of a file of judgments on which all its judges agree.

    Raises UserError if the file has none, or a row of it is no judgment: an answer that others are
    measured by is not to be guessed.
    """
    given = judgments.read(file)
    if given.rejects:
        first = given.rejects[0]
        raise UserError(f"known answers in {first.source}: {first.reason}; mend or remove the row")
    if not given.judgments:
        raise UserError(f"{file} has no judgments: give a file of known answers, or none")
    said: dict[str, set[Rating]] = {}
    for one in given.judgments:
        said.setdefault(one.triple_id, set()).add(Rating(one.qa, one.rationale))
    return Gold(
        {triple_id: next(iter(all_)) for triple_id, all_ in said.items() if len(all_) == 1},
        tuple(sorted(triple_id for triple_id, all_ in said.items() if len(all_) > 1)),
    )


def has_sample(run: Run) -> bool:
    """Return whether triples of a run were drawn to be judged."""
    return any(run.tables.count(Sample, shard) for shard in run.tables.shards(Sample))


def sampled(run: Run) -> set[str]:
    """Return the ids of the triples that were drawn to be judged."""
    shards = run.tables.shards(Sample)
    return {sample.triple_id for shard in shards for sample in run.tables.read(Sample, shard)}


def opened(
    run: Run,
    store: Store,
    gold: Gold | None = None,
    name: str = JUDGE,
    overlap: int | None = None,
) -> Opened:
    """Put the sample of a run to people, as a campaign of the store; the same again adds only news.

    What is not given stays as it is in a campaign that is there; else nothing is known, and
    `OVERLAP` people judge each triple.

    A triple with a known answer is a gold item, in the sample or not: it may be shown to all, and
    its labels are no judgments. Raises UserError if the run has no sample, if none of the known
    answers is of a triple of this run, if the campaign exists with another overlap or with items
    of another run alone, or if one of its items was put to people before its answer was known.
    """
    if not has_sample(run):
        raise UserError(
            f"{run.name} has no triples to judge: the run file needs a section [sample], then "
            "`lskd run` draws them"
        )
    there = next((one for one in store.campaigns() if one.name == name), None)
    before = store.posed(name) if there is not None and there.kind == "judge" else []
    ratings = _known(before) if gold is None else gold.ratings
    if overlap is None:
        overlap = OVERLAP if there is None else there.overlap
    wanted = sampled(run) | ratings.keys()
    posed = list(claims(run.tables, wanted, ratings))
    found = {one.id for one in posed}
    items = {one.id for one in before}
    # Some may be gone, where a stage was made again; none at all is another run's campaign.
    if items and not items & found and not _any_of(run.tables, items):
        raise UserError(
            f"the campaign {name!r} holds {len(items)} items of no triple of {run.name}, such as "
            f"{min(items)!r}: give this run a campaign of its own, with --campaign NAME"
        )
    if ratings and not ratings.keys() & found:
        raise UserError(
            f"none of {len(ratings)} known answers is of a triple of {run.name}; the first is of "
            f"{min(ratings)}: give the file that belongs to this run"
        )
    # An old campaign keeps its seed: it says only in which order items come.
    store.campaign(name, "judge", overlap, run.seed if there is None else there.seed)
    new = store.put(name, posed)
    golden = sum(one.gold is not None for one in posed)
    return Opened(len(posed) - golden, golden, new, tuple(sorted(wanted - found)))


def _any_of(tables: Tables, items: Set[str]) -> bool:
    """Return whether some of a campaign's items are triples; memory holds one shard beside them."""
    return any(
        one.id in items for shard in tables.shards(Triple) for one in tables.read(Triple, shard)
    )


def _known(posed: Sequence[Posed]) -> Mapping[str, Rating]:
    return {one.id: one.gold for one in posed if isinstance(one.gold, Rating)}


def claims(tables: Tables, wanted: Set[str], ratings: Mapping[str, Rating]) -> Iterator[Posed]:
    """Yield the wanted triples with their images, in the order of their shards.

    Memory holds one shard beside what is yielded. Triples whose image or regions are in no table
    are left out.
    """
    for shard in tables.shards(Triple):
        triples = [one for one in tables.read(Triple, shard) if one.id in wanted]
        if not triples:
            continue
        images = {image.id: image for image in tables.read(Image, shard)}
        regions = {row.image_id: row for row in tables.read(Regions, shard)}
        yield from _posed(triples, images, regions, ratings)


def _posed(
    triples: Sequence[Triple],
    images: Mapping[str, Image],
    regions: Mapping[str, Regions],
    ratings: Mapping[str, Rating],
) -> Iterator[Posed]:
    for triple in triples:
        image = images.get(triple.image_id)
        if image is None or triple.image_id not in regions:
            continue
        claim = Claim(
            triple, image.path, image.width, image.height, regions[triple.image_id].regions
        )
        yield Posed(triple.id, triple.image_id, claim, ratings.get(triple.id))
