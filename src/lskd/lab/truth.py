"""Whether a triple is true of its scene: the judge that knows everything.

A triple is acceptable if its question is about a region of the scene, its answer is the one that
follows from what is there, and its rationale names facts that are there.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from lskd.lab import sayings
from lskd.lab.scene import Scene, doing
from lskd.lab.words import answer, phrase
from lskd.lab.world import Staged, entity_at
from lskd.types import Region, Triple


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is true of a triple: whether its answer holds, and its rationale."""

    answer: bool
    rationale: bool

    @property
    def acceptable(self) -> bool:
        """Return whether both hold."""
        return self.answer and self.rationale


def verdict(triple: Triple, staged: Staged, regions: Mapping[int, Region]) -> Verdict:
    """Return what is true of a triple about a scene, whose regions are given by their id."""
    question = sayings.asked(triple.question)
    if question is None:
        return Verdict(False, False)
    ask, name = question
    number = entity_named(name, triple, staged, regions)
    if number is None:
        return Verdict(False, False)
    holds = triple.answer.strip().rstrip(".").lower() == answer(staged.scene, number, ask)
    return Verdict(holds, justified(triple.rationale, name, staged.scene, number))


def entity_named(
    name: str, triple: Triple, staged: Staged, regions: Mapping[int, Region]
) -> int | None:
    """Return the entity that a name in brackets stands for, or None.

    "[2]" is what lies in the box of region 2; a phrase is the entity of the region that the triple
    links it to.
    """
    inside = name.strip("[]")
    if inside.isdigit():
        region = regions.get(int(inside))
    else:
        links = [m.region_id for m in triple.mentions if m.phrase == inside]
        region = regions.get(links[0]) if links else None
    return None if region is None else entity_at(staged, region.box)


def justified(rationale: str, name: str, scene: Scene, number: int) -> bool:
    """Return whether a rationale names what is seen of an entity, and nothing else."""
    reason = sayings.reasoned(rationale)
    if reason is None or reason.name != name or reason.place != scene.place:
        return False
    return fits(reason.what, scene, number)


def fits(what: sayings.Described, scene: Scene, number: int) -> bool:
    """Return whether a description is true of an entity, as far as it says something."""
    entity = scene.entities[number]
    if (what.kind, what.paint) != (entity.kind, entity.colour):
        return False
    if not entity.is_person:
        return what.used is None or what.used == (entity.user is not None)
    if not what.doing:
        return True
    does = doing(scene.entities, entity)
    verb = {"sits": "sits on", "points": "points at"}.get(does, does.split()[0])
    if does == "stands":
        verb = "walks" if entity.posture == "walking" else "stands"
    thing = None if entity.target is None else phrase(scene.entities[entity.target])
    return what.doing == verb and (what.object or None) == (None if does == "stands" else thing)
