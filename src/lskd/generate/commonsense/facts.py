"""What is plainly so in a view: each fact is a relation between entities, and follows from it."""

from collections.abc import Sequence
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
    "nearest person",
    "larger",
    "largest",
    "lower",
    "edge",
    "is",
    "are",
    "count",
    "only",
    "others",
    "opposite",
    "same word",
    "looks like",
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


def evidence(seen: View, a: Entity, b: Entity, apart: bool = False) -> list[Fact]:
    """Return what is seen of two entities that makes a statement about both apply to them.

    `apart`: it applies however far they are from one another, so only what they are counts.
    """
    if not apart and seen.frame and a.box and b.box:
        if spatial.overlap(a.box, b.box):
            return [Fact("overlap", (a, b))]
        if seen.frame.close(a.box, b.box):
            return [Fact("close", (a, b))]
    return kinds(seen, (a, b))


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


def kinds(seen: View, entities: Sequence[Entity]) -> list[Fact]:
    """Return what each entity is, and what two of them are. A phrase says so already."""
    if seen.style == "description":
        return []
    return [Fact("is", (entity,), entity.category.name) for entity in entities if entity.category]
