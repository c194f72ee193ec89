"""A few triples and rejects of a run are drawn by lot, spread over its images, to be looked at.

All triples and rejects draw, only the winners are held; then what belongs to the winners is read
from their shards.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

from lskd.report.census import STYLES, family, shard_names, triples
from lskd.report.diversity import Wording
from lskd.report.sketch import Smallest, lot
from lskd.table import Tables
from lskd.types import Example, Image, Region, Regions, Reject, Reply, Score, Triple

Kind = Literal["kept", "dropped", "unfiltered", "rejected"]
REASONS = 32
REJECTING = "parse"  # the stage whose rejects are parts of a teacher's replies


@dataclass(frozen=True, slots=True)
class Size:
    """How many triples of each kind a report shows, and the seed that draws them.

    `dropped` are triples that scored too low, `rejected` parts of replies that never became
    triples, `examples` are shown as text, for each style.
    """

    kept: int = 12
    dropped: int = 6
    rejected: int = 6
    examples: int = 3
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A triple, or a rejected part of a reply, with all that is known of it.

    `row` is the triple or the reject. `reason` is why it was left out, or "". `image` is None where
    its row is gone, `reply` where there is none, `accept` where it was not scored.
    """

    kind: Kind
    row: Wording | Reject
    reason: str
    accept: float | None
    image: Image | None
    regions: tuple[Region, ...]
    reply: Reply | None


@dataclass(frozen=True, slots=True)
class Hall:
    """What is shown: the gallery, sorted by kind and then by score, and triples of each style.

    `left_out` are some rejects of the stages whose rejects are not parts of a teacher's replies.
    """

    gallery: tuple[Exhibit, ...]
    examples: tuple[tuple[str, tuple[Exhibit, ...]], ...]
    left_out: tuple[tuple[str, tuple[Reject, ...]], ...]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A winner before what belongs to it is read; `place` is where it will hang."""

    place: str
    kind: Kind
    shard: str
    row: Wording | Reject


class Lots:
    """Lets triples and rejects draw: those of different images, or reasons, win first."""

    def __init__(self, size: Size) -> None:
        self.size = size
        self.places: dict[str, Smallest[Drawn]] = {
            "kept": Smallest(size.kept),
            "dropped": Smallest(size.dropped),
            "unfiltered": Smallest(size.kept),
            **{style: Smallest(size.examples) for style in STYLES},
        }
        self.reasons: dict[str, Smallest[Drawn]] = {}

    def add(self, shard: str, rows: Sequence[Wording], kept: frozenset[str] | None) -> None:
        """Let the triples of a shard draw; `kept` are its examples' ids, None before `corpus`."""
        met: Counter[tuple[str, str]] = Counter()
        drawn = {row.id: lot(self.size.seed, row.id) for row in rows}
        for row in sorted(rows, key=lambda row: drawn[row.id]):
            kind: Kind = "unfiltered"
            if kept is not None:
                kind = "kept" if row.id in kept else "dropped"
            for place in (kind, row.style) if kind != "dropped" else (kind,):
                key = (met[place, row.image_id], drawn[row.id])
                met[place, row.image_id] += 1
                self.places[place].add(key, Drawn(place, kind, shard, row))

    def reject(self, shard: str, rejects: Sequence[Reject]) -> None:
        """Let the rejects of a shard draw among those of the same reason."""
        for row in rejects:
            reason = family(row.reason)
            if reason not in self.reasons and len(self.reasons) >= REASONS:
                continue
            held = self.reasons.setdefault(reason, Smallest(self.size.rejected))
            key = (lot(self.size.seed, f"{row.source}\0{row.text}"), 0)
            held.add(key, Drawn("rejected", "rejected", shard, row))

    def winners(self) -> Iterator[Drawn]:
        """Yield all that is to be shown; rejects take turns by reason."""
        for held in self.places.values():
            yield from held.items
        turns = zip_longest(*(self.reasons[reason].items for reason in sorted(self.reasons)))
        dealt = [one for turn in turns for one in turn if one is not None]
        yield from dealt[: self.size.rejected]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What belongs to the triples of one shard, by id."""

    images: dict[str, Image]
    regions: dict[str, tuple[Region, ...]]
    replies: dict[str, Reply]
    scores: dict[str, float]
    reasons: dict[str, str]

    def exhibit(self, drawn: Drawn) -> Exhibit:
        """Return a winner with all that is known of it."""
        row = drawn.row
        if isinstance(row, Reject):
            reply = self.replies.get(row.source)
            image_id = reply.image_id if reply else row.source
        else:
            reply = self.replies.get(row.reply_id) if isinstance(row, Triple) else None
            image_id = row.image_id
        image, regions = self.images.get(image_id), self.regions.get(image_id, ())
        if isinstance(row, Example):
            image, regions = Image(row.image_id, row.path, row.width, row.height), row.regions
        return Exhibit(drawn.kind, row, self.reason(row), self.accept(row), image, regions, reply)

    def reason(self, row: Wording | Reject) -> str:
        """Return why something was left out, or ""."""
        return row.reason if isinstance(row, Reject) else self.reasons.get(row.id, "")

    def accept(self, row: Wording | Reject) -> float | None:
        """Return a triple's score, or None."""
        if isinstance(row, Reject):
            return None
        return self.scores.get(row.id, row.score if isinstance(row, Example) else None)


def surroundings(tables: Tables, shard: str) -> Surroundings:
    """Read what belongs to the triples of a shard."""
    return Surroundings(
        images={image.id: image for image in tables.read(Image, shard)},
        regions={row.image_id: row.regions for row in tables.read(Regions, shard)},
        replies={reply.id: reply for reply in tables.read(Reply, shard, "generate")},
        scores={score.triple_id: score.accept for score in tables.read(Score, shard)},
        reasons={
            reject.source: reject.reason
            for stage in ("score", "corpus")
            for reject in tables.read(Reject, shard, stage)
        },
    )


def left_out(tables: Tables, stage: str, size: Size) -> tuple[Reject, ...]:
    """Draw rejects of a stage."""
    held: Smallest[Reject] = Smallest(size.rejected)
    for shard in tables.shards(Reject, stage):
        for row in tables.read(Reject, shard, stage):
            held.add((lot(size.seed, f"{row.source}\0{row.reason}\0{row.text}"), 0), row)
    return tuple(sorted(held.items, key=lambda row: (row.source, row.reason)))


def draw(stages: Sequence[str], tables: Tables, size: Size) -> Hall:
    """Draw what a report shows of a run; the same tables and seed give the same."""
    lots = Lots(size)
    judged = set(tables.shards(Example))
    for shard in shard_names(tables):
        kept = frozenset(name for (name,) in tables.stored(Example, shard, "id"))
        lots.add(shard, triples(tables, shard), kept if shard in judged else None)
        lots.reject(shard, tables.read(Reject, shard, REJECTING))
    by_shard: dict[str, list[Drawn]] = defaultdict(list)
    for drawn in lots.winners():
        by_shard[drawn.shard].append(drawn)
    shown: dict[str, list[Exhibit]] = defaultdict(list)
    for shard, winners in by_shard.items():
        around = surroundings(tables, shard)
        for drawn in winners:
            shown[drawn.place].append(around.exhibit(drawn))
    gallery = [
        one for kind in ("kept", "unfiltered", "dropped", "rejected") for one in best(shown[kind])
    ]
    others = [stage for stage in stages if stage not in (REJECTING, "corpus")]
    return Hall(
        gallery=tuple(gallery),
        examples=tuple((style, tuple(best(shown[style]))) for style in STYLES),
        left_out=tuple((stage, left_out(tables, stage, size)) for stage in others),
    )


def best(exhibits: Sequence[Exhibit]) -> list[Exhibit]:
    """Return exhibits by falling score, those without one last."""
    return sorted(exhibits, key=lambda one: -1.0 if one.accept is None else -1.0 - one.accept)
