"""A scene becomes questions about the whole picture, for A-OKVQA and Visual7W.

Things are named by their kind or by where they stand, never by a region. A question is made only
where it has one answer that can be seen: of what stands close to the line between two thirds no
side is asked. Wrong answers could be true of some picture, and are false of this one.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

from lskd.lab.knowledge import knowledge
from lskd.lab.scene import ANIMALS, COLOURS, FURS, KINDS, PEOPLE, Entity, Placing, Scene
from lskd.lab.words import THIRDS, action, an, phrase, third

Kind = Literal["place", "people", "colour", "side", "doer"]
Type = Literal["what", "where", "who", "how"]
NUMBERS = ("one", "two", "three", "four", "five", "six")
MARGIN = 0.05  # of the width: how near to a line between thirds is too near
WRONG = 3


@dataclass(frozen=True, slots=True)
class Question:
    """A question about a picture with its right answer and three wrong ones.

    `type` is Visual7W's word for it, `fact` the sentence that justifies the answer.
    """

    kind: Kind
    type: Type
    text: str
    answer: str
    wrong: tuple[str, ...]
    fact: str


def questions(scene: Scene, rng: random.Random) -> list[Question]:
    """Return all questions about a scene, with wrong answers by chance."""
    return [
        _place(scene, rng),
        *_people(scene),
        *_colours(scene, rng),
        *_sides(scene, rng),
        *_doers(scene, rng),
    ]


def sides(scene: Scene, number: int) -> tuple[str, ...]:
    """Return where an entity may be said to stand: a third, or two if it is close to both."""
    x, near = scene.entities[number].placing.x, MARGIN * scene.width
    return tuple(dict.fromkeys(third(scene, x + shift) for shift in (-near, 0.0, near)))


def _place(scene: Scene, rng: random.Random) -> Question:
    others = sorted(set(knowledge().places) - {scene.place})
    wrong = tuple(f"at {an(place)}" for place in rng.sample(others, WRONG))
    fact = f"this is {an(scene.place)}."
    return Question("place", "where", "Where is this?", f"at {an(scene.place)}", wrong, fact)


def _people(scene: Scene) -> Iterator[Question]:
    count = sum(entity.is_person for entity in scene.entities)
    # Always the same four numbers, so that the choices do not tell which is likely.
    offered = NUMBERS[1:5] if 2 <= count <= 5 else ()
    if offered:
        right = NUMBERS[count - 1]
        wrong = tuple(number for number in offered if number != right)
        fact = f"{right} people are seen here."
        yield Question("people", "how", "How many people are there?", right, wrong, fact)


def _colours(scene: Scene, rng: random.Random) -> Iterator[Question]:
    kinds = [entity.kind for entity in scene.entities]
    for entity in scene.entities:
        # An animal has few colours, so its choices would tell.
        if kinds.count(entity.kind) == 1 and entity.kind not in ANIMALS:
            what = f"the coat of the {entity.kind}" if entity.is_person else f"the {entity.kind}"
            others = [colour for colour in COLOURS if colour != entity.colour]
            yield Question(
                "colour",
                "what",
                f"Which colour is {what}?",
                entity.colour,
                tuple(rng.sample(others, WRONG)),
                f"there is {phrase(entity)}.",
            )


def _sides(scene: Scene, rng: random.Random) -> Iterator[Question]:
    standing = [
        (entity, sides(scene, number), entity.is_person)
        for number, entity in enumerate(scene.entities)
    ]
    for side in THIRDS:
        for person in (True, False):
            there = [
                (entity, own)
                for entity, own, is_one in standing
                if is_one == person and side in own
            ]
            if len(there) == 1 and there[0][1] == (side,):
                entity, _ = there[0]
                ask = f"{'Who' if person else 'What'} is {side}?"
                if not person and any(is_one and side in own for _, own, is_one in standing):
                    ask = f"Which thing is {side}?"
                wrong = _others(scene, entity, rng)
                fact = f"there is {phrase(entity)} {side}."
                yield Question(
                    "side", "who" if person else "what", ask, phrase(entity), wrong, fact
                )


def _doers(scene: Scene, rng: random.Random) -> Iterator[Question]:
    seen = [phrase(entity) for entity in scene.entities]
    for number, person in enumerate(scene.entities):
        used = person.act in ("holds", "rides", "sits on") and person.target is not None
        if not used or person.target is None or seen.count(seen[number]) > 1:
            continue
        if seen.count(seen[person.target]) == 1:
            does = action(scene, person)
            fact = f"{phrase(person)} {does}."
            wrong = _others(scene, person, rng)
            yield Question("doer", "who", f"Who {does}?", phrase(person), wrong, fact)


def _others(scene: Scene, entity: Entity, rng: random.Random) -> tuple[str, ...]:
    """Return wrong phrases for an entity: of two others that are here, if so many, and any else.

    The latter are nobody's variants: if they were those of the right one, its kind would be told
    by number.
    """
    known = {phrase(other) for other in scene.entities}
    alike = {phrase(other) for other in scene.entities if other.is_person == entity.is_person}
    here = sorted(alike - {phrase(entity)})
    fancied = sorted(set(_fancied(entity.is_person)) - known)
    wrong = rng.sample(here, min(len(here), WRONG - 1))
    return (*wrong, *rng.sample(fancied, WRONG - len(wrong)))


@cache
def _fancied(people: bool) -> tuple[str, ...]:
    """Return the phrases of all people, or of all things, that a scene can have."""
    kinds = PEOPLE if people else KINDS
    return tuple(
        phrase(Entity(kind, colour, Placing(0, 0, 0)))
        for kind in kinds
        for colour in (FURS if kind in ANIMALS else COLOURS)
    )
