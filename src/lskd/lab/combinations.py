"""Combinations of thing, relation and place that training never shows.

Each of them can still be known: its row of the knowledge table is shown by other things of the
sort, or at the other place of the kind.
"""

import random
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from lskd.lab.knowledge import knowledge
from lskd.lab.scene import HELD, KINDS, RIDDEN, SEATS, Scene

SHARE = 6  # one of so many combinations of a row is held out


class Combination(NamedTuple):
    """A kind of thing, how it is used ("free" or what a person does with it), and a place."""

    kind: str
    act: str
    place: str


def every() -> Iterator[Combination]:
    """Yield all combinations that a scene can have."""
    pools = {"free": KINDS, "holds": HELD, "gives": HELD, "rides": RIDDEN, "sits on": SEATS}
    for act, kinds in pools.items():
        for kind in kinds:
            for place in sorted(knowledge().places):
                yield Combination(kind, act, place)


@cache
def held_out() -> frozenset[Combination]:
    """Return the combinations that training never shows: one in `SHARE` of each row's, rounded up.

    A row of fewer than four combinations has none, so that more than half of each is shown.
    """
    known = knowledge()
    rows: dict[tuple[str, str, str], list[Combination]] = {}
    for one in every():
        key = (known.sorts[one.kind], one.act, known.places[one.place].kind)
        rows.setdefault(key, []).append(one)
    kept: set[Combination] = set()
    for key, members in sorted(rows.items()):
        if len(members) >= 4:
            rng = random.Random(f"held out/{key}")
            kept.update(rng.sample(members, -(-len(members) // SHARE)))
    return frozenset(kept)


def shown(kind: str, act: str, place: str) -> bool:
    """Return whether training may show a combination."""
    return Combination(kind, act, place) not in held_out()


def combination(scene: Scene, number: int) -> Combination | None:
    """Return the combination that a thing, or what a person uses, is part of; None for others."""
    entity = scene.entities[number]
    if entity.is_person:
        if entity.target is None or entity.act == "points at":
            return None
        return combination(scene, entity.target)
    if entity.user is None:
        return Combination(entity.kind, "free", scene.place)
    act = scene.entities[entity.user].act
    assert act is not None
    return Combination(entity.kind, act, scene.place)


def is_held_out(scene: Scene, number: int) -> bool:
    """Return whether an entity is part of a combination that training never shows."""
    return combination(scene, number) in held_out()
