"""What a speaker learns of a scene: sentences that tell all of it, and questions with answers.

In: a scene. Out: a lesson. Its sentences are what there is to know: the place, then each thing from
left to right, then the rectangles that are drawn. Its questions are of two kinds. Those "by place"
name things by where they stand and by what they are, and those about the whole picture are the
benchmarks' own; a picture is asked nothing else. Those "by number" name a thing by a tag, as "[3]",
that its sentence begins with: they are of texts alone, where a list is read and looked up.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lskd.distil.generative.prompts import Prompts
from lskd.distil.wording import Wording
from lskd.lab import words
from lskd.lab.gold import whole
from lskd.lab.knowledge import ASKS
from lskd.lab.pretrain.rectangles import MOST, NAMES
from lskd.lab.pretrain.statements import Drawn
from lskd.lab.scene import Scene

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")
SIDES = ("left", "right")
APART = 0.04  # of the width: what stands closer has no order that can be seen
TAGS = 24  # [0] to [23]: as many as the lab's vocabulary has
NOTHING = "nothing"
PROMPTS = Prompts(Wording())
# Shares of the questions by place: about the whole picture, and about drawn rectangles.
WHOLE, RECTANGLES = 0.3, 0.15
REASONS = 0.3  # share of questions about a thing that ask for the rationale, given the answer


# What a question is about: so it is told what was learnt.
KINDS = ("whole", "rectangle", "what", "inferred", "rationale")


class Said(NamedTuple):
    """What is asked, as a student is, what is to be written after it, and its place in KINDS."""

    prompt: str
    target: str
    kind: int


@dataclass(frozen=True, slots=True)
class Lesson:
    """What is told of a scene and asked about it.

    `sentences` has the place, one for each of `slots` things and the rectangles; `tags` the number
    that a sentence begins with in texts, or "" for none.
    """

    sentences: tuple[str, ...]
    tags: tuple[str, ...]
    by_place: tuple[Said, ...]
    by_number: tuple[Said, ...]


def lesson(
    scene: Scene,
    drawn: Sequence[Drawn],
    slots: int,
    questions: int,
    rng: random.Random,
    some: bool = False,
) -> Lesson:
    """Return a lesson of `questions` questions of each kind, with room for `slots` things.

    With `some`, a random number of things is told of, and the others are not asked about: to look
    one up among few is learnt first, and among many from that.
    """
    order = from_left(scene)[:slots]
    if some:
        order = sorted(rng.sample(order, rng.randint(1, len(order))), key=order.index)
    known = [tuple(names(scene, number)) for number in order]
    numbers = rng.sample(range(TAGS if rng.random() < 0.2 else max(6, len(order))), len(order))
    told = rng.randint(1, len(order))  # how many have a number, as in pictures with marks
    tags = [f"[{number}]" if n < told else "" for n, number in enumerate(numbers)]
    rng.shuffle(tags)
    things = [_told(scene, number, place) for place, number in zip(known, order, strict=True)]
    return Lesson(
        sentences=(_scenery(scene), *_filled(things, slots), _rectangles(drawn)),
        tags=("", *_filled(tags, slots, ""), ""),
        by_place=tuple(_by_place(scene, drawn, order, known, rng) for _ in range(questions)),
        by_number=tuple(_by_number(scene, order, tags, rng) for _ in range(questions)),
    )


def from_left(scene: Scene) -> list[int]:
    """Return the numbers of a scene's entities from left to right.

    A thing that stands where its user does comes right after that person.
    """

    def key(number: int) -> tuple[float, bool, float]:
        entity = scene.entities[number]
        x = entity.placing.x
        if entity.user is not None:
            other = scene.entities[entity.user].placing.x
            x = other if abs(other - x) < APART * scene.width else x
        return x, not entity.is_person, entity.placing.y

    return sorted(range(len(scene.entities)), key=key)


def names(scene: Scene, number: int) -> Iterator[str]:
    """Yield the names that only this entity of a scene has: by where it stands and how it looks."""
    entity = scene.entities[number]
    alike = [n for n in from_left(scene) if scene.entities[n].is_person == entity.is_person]
    sort = "person" if entity.is_person else "thing"
    place = alike.index(number)
    if _stands_apart(scene, alike, place):
        for side, rank in zip(SIDES, (place, len(alike) - 1 - place), strict=True):
            yield f"the {ORDINALS[rank]} {sort} from the {side}"
    there = {n: whole.sides(scene, n) for n in alike}
    own = there.pop(number)
    if len(own) == 1 and not any(own[0] in sides for sides in there.values()):
        yield f"the only {sort} {own[0]}"
    looks = words.phrase(entity)
    if [words.phrase(scene.entities[n]) for n in alike].count(looks) == 1:
        yield f"[{words.description(scene, number)}]"


def rectangles_told(rng: random.Random) -> list[Drawn]:
    """Return rectangles that a text tells of, of half of the scenes none."""
    count = rng.randrange(1, MOST) if rng.random() < 0.5 else 0
    return [Drawn(tint, rng.choice(words.THIRDS)) for tint in rng.sample(NAMES, count)]


def _stands_apart(scene: Scene, alike: Sequence[int], place: int) -> bool:
    """Return whether nothing of its sort is so near that one cannot tell which comes first."""
    x = [scene.entities[n].placing.x for n in alike]
    beside = [x[n] for n in (place - 1, place + 1) if 0 <= n < len(x)]
    return all(abs(other - x[place]) >= APART * scene.width for other in beside)


def _scenery(scene: Scene) -> str:
    count = sum(entity.is_person for entity in scene.entities)
    return f"{words.an(scene.place)} with {(*whole.NUMBERS, 'many')[min(count, 7) - 1]} people."


def _told(scene: Scene, number: int, known: Sequence[str]) -> str:
    """Return all that is to be known of an entity, with its names by place."""
    entity = scene.entities[number]
    ranks = [name.removeprefix("the ") for name in known if " from " in name]
    alone = "the only one " if any("only" in name for name in known) else ""
    side = f"{alone}{words.third(scene, entity.placing.x)}"
    what, use = words.phrase(entity), words.use_of(scene, number)
    return f"{', '.join((*ranks, side))}: {what} {use}."


def _rectangles(drawn: Sequence[Drawn]) -> str:
    listed = ", ".join(f"{words.an(f'{one.tint} rectangle')} {one.third}" for one in drawn)
    return f"{listed}." if listed else NOTHING


def _filled(texts: Sequence[str], slots: int, rest: str = NOTHING) -> list[str]:
    return [*texts, *[rest] * (slots - len(texts))]


def _by_place(
    scene: Scene,
    drawn: Sequence[Drawn],
    order: Sequence[int],
    known: Sequence[Sequence[str]],
    rng: random.Random,
) -> Said:
    """Return a question about the picture, or about a thing that has a name."""
    kind = rng.random()
    if kind < RECTANGLES and drawn:
        return _of_rectangles(drawn, rng)
    named = [(number, name) for number, own in zip(order, known, strict=True) for name in own]
    if kind < RECTANGLES + WHOLE or not named:
        every: dict[str, list[whole.Question]] = {}
        for one in whole.questions(scene, rng):
            if len(order) == len(scene.entities) or one.kind in ("place", "people"):
                every.setdefault(one.kind, []).append(one)
        asked = rng.choice(every[rng.choice(sorted(every))])
        return Said(PROMPTS.answer(asked.text), f"{asked.answer}.", 0)
    return _of_thing(scene, *rng.choice(named), rng)


def _by_number(scene: Scene, order: Sequence[int], tags: Sequence[str], rng: random.Random) -> Said:
    tagged = [(number, tag) for number, tag in zip(order, tags, strict=True) if tag]
    return _of_thing(scene, *rng.choice(tagged), rng)


def _of_thing(scene: Scene, number: int, name: str, rng: random.Random) -> Said:
    ask = rng.choice(ASKS)
    asked = words.question(name, ask)
    right = f"{words.answer(scene, number, ask)}."
    if rng.random() < REASONS and not name.startswith("[a"):  # such a name would be said twice
        return Said(PROMPTS.rationale(asked, right), words.rationale(scene, number, name), 4)
    return Said(PROMPTS.answer(asked), right, 2 if ask == "what" else 3)


def _of_rectangles(drawn: Sequence[Drawn], rng: random.Random) -> Said:
    one = rng.choice(drawn)
    name = words.an(f"{one.tint} rectangle")
    there = [other for other in drawn if other.third == one.third]
    if len(there) == 1 and rng.random() < 0.5:
        return Said(PROMPTS.answer(f"What is drawn {one.third}?"), f"{name}.", 1)
    return Said(PROMPTS.answer(f"Where is {name}?"), f"{one.third}.", 1)
