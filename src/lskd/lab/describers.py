"""Describers of the lab: they know what is in a scene, and say something else at known rates.

One class takes part as tagger, narrator, proposer, captioner and answerer, so that wrong words
reach the teacher as they do in life. What it says of a picture depends on nothing but its seed and
the picture's id.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lskd.errors import UserError
from lskd.lab import sayings, words, world
from lskd.lab.imagination import imagined_as, targets
from lskd.lab.knowledge import knowledge
from lskd.lab.scene import ANIMALS, COLOURS, FURS, Entity, Scene
from lskd.lab.world import Staged, World
from lskd.picture import Picture
from lskd.protocols import Proposal
from lskd.types import Concept, Concepts, Region

PLACES = tuple(sorted(knowledge().places))
CONCEPTS = {"open": "leisure", "way": "travel", "inside": "indoors"}


@dataclass(frozen=True, slots=True)
class Mistakes:
    """How often each describer is wrong; all in [0, 1].

    `place` of a whole picture, `kind` and `use` of a region, `answer` of a question.
    """

    place: float
    kind: float
    use: float
    answer: float


class SceneDescriber:
    """Describes pictures of a world, with mistakes.

    The defaults are such that, with the teacher's own, about 45 % of all triples are acceptable.
    """

    notice = "the describers are simulated: they know each scene, and err at the rates of the run"

    def __init__(
        self,
        world: str,
        place_errors: float = 0.10,
        kind_errors: float = 0.16,
        use_errors: float = 0.12,
        answer_errors: float = 0.15,
        seed: int = 0,
    ) -> None:
        """Read the world; raises UserError if there is none, or for a rate outside of [0, 1]."""
        for name, rate in (
            ("place_errors", place_errors),
            ("kind_errors", kind_errors),
            ("use_errors", use_errors),
            ("answer_errors", answer_errors),
        ):
            if not 0 <= rate <= 1:
                raise UserError(f"{name} = {rate}: a rate is from 0 to 1")
        self.world = _read(world)
        self.mistakes = Mistakes(place_errors, kind_errors, use_errors, answer_errors)
        self.seed = seed

    def tag(self, pictures: Sequence[Picture]) -> list[Concepts]:
        """Return the place, the things and a concept of each picture."""
        return [self._concepts(picture) for picture in pictures]

    def narrate(
        self, pictures: Sequence[Picture], samples: int, temperature: float
    ) -> list[tuple[str, ...]]:
        """Return `samples` sentences about each picture; the temperature changes nothing."""
        return [
            tuple(self._narrative(picture, sample) for sample in range(samples))
            for picture in pictures
        ]

    def propose(self, pictures: Sequence[Picture]) -> list[list[Proposal]]:
        """Return the exact box of each entity."""
        found = []
        for picture in pictures:
            staged = self._staged(picture)
            labels = ["person" if e.is_person else e.kind for e in staged.scene.entities]
            found.append(
                [Proposal(box, name, 1.0) for box, name in zip(staged.boxes, labels, strict=True)]
            )
        return found

    def describe(
        self, pictures: Sequence[Picture], regions: Sequence[Sequence[Region]]
    ) -> list[tuple[str, ...]]:
        """Return a phrase for each region, some of them wrong; "" for a box that fits nothing."""
        return [
            tuple(self._phrase(picture, region) for region in some)
            for picture, some in zip(pictures, regions, strict=True)
        ]

    def answer(self, pictures: Sequence[Picture], questions: Sequence[str]) -> list[str]:
        """Return the answer to each question about the place, or to "Is there ...?", else ""."""
        return [
            self._answer(picture, question)
            for picture, question in zip(pictures, questions, strict=True)
        ]

    def _staged(self, picture: Picture) -> Staged:
        staged = self.world.by_id.get(picture.image.id)
        if staged is None:
            raise UserError(
                f"{picture.image.path} is no picture of the world in {self.world.folder}: the "
                "lab's describers know no other"
            )
        return staged

    def _rng(self, picture: Picture, *of: object) -> random.Random:
        return random.Random(f"{self.seed}/{picture.image.id}/{'/'.join(map(str, of))}")

    def _place(self, picture: Picture, rng: random.Random) -> str:
        true = self._staged(picture).scene.place
        wrong = rng.random() < self.mistakes.place
        return rng.choice([one for one in PLACES if one != true]) if wrong else true

    def _concepts(self, picture: Picture) -> Concepts:
        # One mistake for all describers of the whole: they would see the same odd picture.
        place = self._place(picture, self._rng(picture, "place"))
        scene = self._staged(picture).scene
        kinds = dict.fromkeys(e.kind for e in scene.entities if not e.is_person)
        concept = CONCEPTS[knowledge().places[place].kind]
        return Concepts(
            picture.image.id,
            (Concept(place, 0.9),),
            tuple(Concept(kind, 0.8) for kind in list(kinds)[:3]),
            (Concept(concept, 0.7),),
        )

    def _narrative(self, picture: Picture, sample: int) -> str:
        rng = self._rng(picture, "narrative", sample)
        place = self._place(picture, self._rng(picture, "place"))
        scene = replace(self._staged(picture).scene, place=place)
        order = rng.sample(range(len(scene.entities)), min(2, len(scene.entities)))
        return words.narrative(scene, order)

    def _phrase(self, picture: Picture, region: Region) -> str:
        staged = self._staged(picture)
        number = world.entity_at(staged, region.box)
        if number is None:
            return ""
        rng = self._rng(picture, "region", *(round(edge) for edge in region.box))
        return mistaken(staged.scene, number, self.mistakes, rng)

    def _answer(self, picture: Picture, question: str) -> str:
        rng = self._rng(picture, "answer", question)
        wrong = rng.random() < self.mistakes.answer
        scene = self._staged(picture).scene
        if re.fullmatch(r"what place is this\??", question.strip(), re.IGNORECASE):
            place = rng.choice([p for p in PLACES if p != scene.place]) if wrong else scene.place
            return words.an(place)
        if found := re.fullmatch(r"is there (an? .+?)\??", question.strip(), re.IGNORECASE):
            thing = sayings.described(found[1])
            there = thing is not None and any(
                (e.kind, e.colour) == (thing.kind, thing.paint) for e in scene.entities
            )
            return "yes" if there != wrong else "no"
        return ""


def mistaken(scene: Scene, number: int, mistakes: Mistakes, rng: random.Random) -> str:
    """Return the description of an entity, with another kind or another use at the given rates.

    What is said instead could be seen at such a place, and is as likely there as it is in words.
    """
    if rng.random() < mistakes.kind:
        scene = _mistaken_kind(scene, number, rng)
    if rng.random() < mistakes.use:
        return _otherwise(scene, number, rng)
    return words.description(scene, number)


def _mistaken_kind(scene: Scene, number: int, rng: random.Random) -> Scene:
    """Return a scene where a thing is another, and a person is at another thing or is another."""
    entities = list(scene.entities)
    entity = entities[number]
    at = None if entity.act == "points at" else entity.target
    others = [] if at is None else _other_targets(scene, entity, at)
    changed = number if at is None or not others else at
    kinds = others or _other_kinds(scene, entity)
    kind, colour = rng.choice(kinds), entities[changed].colour
    paints = FURS if kind in ANIMALS else COLOURS
    colour = colour if colour in paints else rng.choice(paints)
    entities[changed] = replace(entities[changed], kind=kind, colour=colour)
    return replace(scene, entities=tuple(entities))


def _other_kinds(scene: Scene, entity: Entity) -> list[str]:
    """Return what else an entity could be, used or not as it is; each kind as often as it is so."""
    return [
        one.entity.kind
        for one in imagined_as(scene.place, entity.is_person)
        if one.entity.kind != entity.kind and (one.entity.user is None) == (entity.user is None)
    ]


def _other_targets(scene: Scene, person: Entity, at: int) -> list[str]:
    """Return what else is held, ridden, ... by those who do what a person does, as often."""
    kinds = targets(scene.place, words.verb(scene, person))
    return [kind for kind in kinds if kind != scene.entities[at].kind]


def _otherwise(scene: Scene, number: int, rng: random.Random) -> str:
    """Return the description of a person who is at something else, or of another thing.

    A thing that is only said to be used otherwise would be known by its words: most are used.
    """
    entity = scene.entities[number]
    true = words.description(scene, number)
    while True:
        one = rng.choice(imagined_as(scene.place, entity.is_person))
        if entity.is_person:
            said = f"{words.phrase(entity)} who {words.action(one.scene, one.entity)}"
        else:
            said = one.description
        if said != true:
            return said


def _read(folder: str) -> World:
    return world.read(Path(folder))
