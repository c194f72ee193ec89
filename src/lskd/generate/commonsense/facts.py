"""What is plainly so in a view: each fact is a relation between entities, and follows from it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from lskd.generate.commonsense import spatial
from lskd.generate.commonsense.view import Entity, View

Relation = Literal[
    "overlap",
    "close",
    "far",
    "left",
    "above",
    "between",
    "nearest",
    "nearest person",
    "larger",
    "largest",
    "lower",
    "across",
    "both across",
    "edge",
    "is",
    "are",
    "count",
    "only",
    "others",
    "opposite",
    "colour",
    "worn",
    "same word",
    "together",
    "looks like",
    "light",
]
SAME_SCALE = 4.0  # boxes are cut and hidden, so a good deal of difference is allowed
CLEARLY = 0.03  # diagonals by which the nearest is nearer than the next


@dataclass(frozen=True, slots=True)
class Fact:
    """A relation of entities, in its order; `word` completes it (a side, a colour, a category)."""

    relation: Relation
    entities: tuple[Entity, ...] = ()
    word: str = ""
    count: int = 0


def between_two(seen: View, a: Entity, b: Entity) -> Fact:
    """Return the strongest fact about how two entities lie to each other."""
    if seen.frame and a.box and b.box:
        if spatial.overlap(a.box, b.box):
            return Fact("overlap", (a, b))
        if seen.frame.close(a.box, b.box):
            return Fact("close", (a, b))
        for fact in side(seen, a, b):
            return fact
        if seen.frame.far(a.box, b.box):
            return Fact("far", (a, b))
    elif a.across and a.across == b.across:
        return Fact("both across", (a, b), a.across)
    return Fact("together", (a, b))


def side(seen: View, a: Entity, b: Entity) -> Iterator[Fact]:
    """Yield on which side of one another two entities lie, if that is clear."""
    if seen.frame and a.box and b.box:
        for first, second in ((a, b), (b, a)):
            assert first.box and second.box
            if seen.frame.left_of(first.box, second.box):
                yield Fact("left", (first, second))
            if seen.frame.above(first.box, second.box):
                yield Fact("above", (first, second))


def touching(seen: View, a: Entity, b: Entity) -> bool:
    """Say whether two entities overlap; without boxes, whether words let them."""
    if a.box and b.box:
        return spatial.overlap(a.box, b.box)
    return side_by_side(a, b)


def close(seen: View, a: Entity, b: Entity) -> bool:
    """Say whether two entities are close; without boxes, whether words let them be."""
    if seen.frame and a.box and b.box:
        return seen.frame.close(a.box, b.box)
    return side_by_side(a, b)


def within_reach(seen: View, a: Entity, b: Entity) -> bool:
    """Say whether two entities are close, and not plainly at different distances from the camera.

    The same metre looks the same at the same distance, so the ratio of what a box measures to what
    its category usually measures must not differ much.
    """
    if not close(seen, a, b):
        return False
    if not a.box or not b.box or not a.category or not b.category:
        return True
    scales = [
        max(one.box.width, one.box.height) / one.category.metres
        for one in (a, b)
        if one.box and one.category
    ]
    return max(scales) <= SAME_SCALE * min(scales)


def side_by_side(a: Entity, b: Entity) -> bool:
    """Say whether words put two entities into the same third of the picture, and none on top."""
    return bool(a.across) and a.across == b.across and {a.high, b.high} != {"top", "bottom"}


def nearest(seen: View, a: Entity, among: Sequence[Entity]) -> Entity | None:
    """Return the entity of `among` that is clearly the nearest to `a`; None if none is."""
    others = [entity for entity in among if entity is not a]
    if not seen.frame or not a.box or not others or not all(entity.box for entity in others):
        return None
    gaps = sorted(
        (seen.frame.gap(a.box, entity.box), entity.index, entity) for entity in others if entity.box
    )
    if len(gaps) < 2 or gaps[1][0] - gaps[0][0] < CLEARLY:
        return None
    return gaps[0][2]


def about(seen: View, a: Entity) -> list[Fact]:
    """Return facts about one entity that may support what is said of it, weightiest first."""
    others = [entity for entity in seen.entities if entity is not a]
    found = [between_two(seen, a, b) for b in others if close(seen, a, b)]
    near = nearest(seen, a, seen.everything) if seen.boxes_known else None
    if near and near.tag:
        found.append(Fact("nearest", (a, near)))
    found += [fact for b in others for fact in side(seen, a, b)]
    found += looks(seen, a)
    return found or [Fact("together", (a, b)) for b in others]


def looks(seen: View, a: Entity) -> list[Fact]:
    """Return facts about one entity alone. A phrase that names it says all of them already."""
    if seen.style == "description":
        return []
    found = []
    if seen.frame and a.box and (across := seen.frame.across(a.box)):
        found.append(Fact("across", (a,), across))
    if a.colour and a.category:
        found.append(Fact("worn" if a.category.name == "person" else "colour", (a,), a.colour))
    return found


def kinds(seen: View, entities: Sequence[Entity]) -> list[Fact]:
    """Return what each entity is, and what two of them are. A phrase says so already."""
    if seen.style == "description":
        return []
    return [Fact("is", (entity,), entity.category.name) for entity in entities if entity.category]
