"""What could be seen at a place: entities of scenes that nobody drew.

Mistakes and inventions are taken from here, so that wrong words are about as likely as true ones.
What is wrong is then to be seen in the picture; a text alone does not tell.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

from lskd.lab import words
from lskd.lab.combinations import shown
from lskd.lab.scene import Entity, Scene, draw
from lskd.lab.world import IMAGINED

SCENES = 1_200  # some 150 of each place


class Imagined(NamedTuple):
    """An entity of a scene that nobody drew, by its number there."""

    scene: Scene
    number: int

    @property
    def entity(self) -> Entity:
        """Return the entity itself."""
        return self.scene.entities[self.number]

    @property
    def description(self) -> str:
        """Return what would be seen of it."""
        return words.description(self.scene, self.number)


def imagined(place: str) -> Sequence[Imagined]:
    """Return the entities that could be seen at a place, as often as the world would have them."""
    return _by_place()[place]


@cache
def imagined_as(place: str, person: bool) -> Sequence[Imagined]:
    """Return the people, or the things, that could be seen at a place, as often as there."""
    return [one for one in imagined(place) if one.entity.is_person == person]


@cache
def targets(place: str, does: str) -> Sequence[str]:
    """Return the kinds of what is held, ridden, ... at a place by those who do that, as often."""
    return [
        one.scene.entities[one.entity.target].kind
        for one in imagined(place)
        if one.entity.target is not None and words.verb(one.scene, one.entity) == does
    ]


@cache
def _by_place() -> Mapping[str, Sequence[Imagined]]:
    found: dict[str, list[Imagined]] = {}
    for number in range(SCENES):
        scene = draw(IMAGINED + number, allowed=shown)
        found.setdefault(scene.place, []).extend(
            Imagined(scene, n) for n in range(len(scene.entities))
        )
    return found
