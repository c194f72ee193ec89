"""Statements about scenes, true and false: what the last part of pre-training holds against them.

They are captions, and questions with their answers, of which some are the commonsense of the lab's
world; things, and drawn frames, are named by what they are and by where they stand (left,
middle, right), never by a region reference: what "[1]" means is left for distillation to teach, and
so is that a frame points at anything. A false statement is nearly true: of something else that
stands elsewhere in the scene, with one word changed, or of another scene.
"""

import random
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lskd.lab import words
from lskd.lab.knowledge import INFERRED, Ask, Sight, knowledge
from lskd.lab.pretrain.frames import GRID, NAMES
from lskd.lab.scene import Scene

WRONG = 3  # false statements beside each true one


class Told(NamedTuple):
    """An entity of a scene, and the third of the picture of which something is said."""

    scene: Scene
    number: int
    third: str


Form = Callable[[Told], str]


def _what(told: Told) -> str:
    return words.phrase(told.scene.entities[told.number])


def _does(told: Told) -> str:
    return words.description(told.scene, told.number)


def _reason(told: Told) -> str:
    return words.reason(
        f"what is {told.third}",
        _what(told),
        words.use_of(told.scene, told.number),
        told.scene.place,
    )


def _named(told: Told) -> str:
    person = told.scene.entities[told.number].is_person
    return f"the {'person' if person else 'thing'} {told.third} is {_what(told)}."


# What may be said of a thing in a third of the picture; each is as likely.
PLACED: Sequence[Form] = (
    lambda told: f"{_what(told)} {told.third}",
    lambda told: f"{told.third} is {_what(told)}",
    lambda told: f"question: what is {told.third}? answer: {_what(told)}.",
    lambda told: f"question: what is {told.third}? answer: {_does(told)}.",
    lambda told: f"question: where is {_what(told)}? answer: {told.third}.",
    _named,
    _reason,
)
# What may be said of a thing wherever it is.
ANYWHERE: Sequence[Form] = (
    _what,
    _does,
    lambda told: f"question: what is in the picture? answer: {_what(told)}.",
    lambda told: f"question: what is shown? answer: {_does(told)}.",
)
PLACED_SHARE = 0.7  # of the statements about things
# Of all statements about a scene: about all of it, who does something, and its commonsense.
WHOLE, DOERS, INFERENCES = 0.15, 0.1, 0.35
NUMBERS = ("one", "two", "three", "four", "five", "six")
# What may be said of where a scene is, and of how many people are in it.
AT: Sequence[Callable[[str], str]] = (
    lambda place: f"this is {words.an(place)}",
    lambda place: f"question: where is this? answer: at {words.an(place)}.",
    lambda place: f"question: which place is shown? answer: {words.an(place)}.",
)
SO_MANY: Sequence[Callable[[int], str]] = (
    lambda count: f"{NUMBERS[count - 1]} {'person' if count == 1 else 'people'}",
    lambda count: f"question: how many people are there? answer: {NUMBERS[count - 1]}.",
    lambda count: f"question: how many people are here? answer: {NUMBERS[count - 1]}.",
)


class Drawn(NamedTuple):
    """A frame: the name of its tint, and the third of the picture where its middle is."""

    tint: str
    third: str


FRAMES: Sequence[Callable[[Drawn], str]] = (
    lambda drawn: f"{_frame(drawn)} {drawn.third}",
    lambda drawn: f"{drawn.third} is {_frame(drawn)}",
    lambda drawn: f"question: what is drawn {drawn.third}? answer: {_frame(drawn)}.",
    lambda drawn: f"question: where is {_frame(drawn)}? answer: {drawn.third}.",
)


def _frame(drawn: Drawn) -> str:
    return words.an(f"{drawn.tint} frame")


def of_frames(drawn: Sequence[Drawn], rng: random.Random) -> list[str]:
    """Return a true statement about one of the frames of a picture, and `WRONG` false ones."""
    form, one, there = rng.choice(FRAMES), rng.choice(drawn), set(drawn)
    thirds = [third for third in words.THIRDS if Drawn(one.tint, third) not in there]
    absent = [tint for tint in NAMES if all(tint != other.tint for other in drawn)]
    present = [o.tint for o in drawn if Drawn(o.tint, one.third) not in there]
    elsewhere = Drawn(rng.choice(present or absent), one.third)
    near, far = Drawn(one.tint, rng.choice(thirds)), Drawn(rng.choice(absent), one.third)
    return [form(said) for said in (one, elsewhere, near, far)]


def beside(scene: Scene, drawn: Sequence[Drawn], rng: random.Random) -> list[str] | None:
    """Return what stands and what is drawn in a third, and `WRONG` false ones; None if nothing.

    That both are in one third is all that is said; a frame is not said to be around anything.
    """
    thirds = {words.third_of(scene, n) for n in range(len(scene.entities))}
    shared = [one for one in drawn if one.third in thirds]
    if not shared:
        return None
    one = rng.choice(shared)
    here = [n for n in range(len(scene.entities)) if words.third_of(scene, n) == one.third]
    what = words.phrase(scene.entities[rng.choice(here)])
    near = {words.phrase(scene.entities[n]) for n in here}
    others = [p for p in map(words.phrase, scene.entities) if p not in near]
    tints = [name for name in NAMES if Drawn(name, one.third) not in set(drawn)]
    present = [other.tint for other in drawn if other.tint in tints]

    def said(phrase: str, tint: str) -> str:
        return f"{one.third} is {phrase} and {words.an(f'{tint} frame')}"

    changed_thing = rng.choice(others) if others else words.changed(what, rng)
    if changed_thing is None or changed_thing in near:
        return None
    return [
        said(what, one.tint),
        said(changed_thing, one.tint),
        said(what, rng.choice(present or tints)),
        said(changed_thing, rng.choice(tints)),
    ]


def frames(tints: NDArray[np.bool_]) -> list[Drawn]:
    """Return the frames of a picture from the tints of its patches, as `Framed` has them."""
    covered = tints.reshape(GRID, GRID, len(NAMES))  # (rows, columns, tints)
    found = []
    for tint in np.flatnonzero(tints.any(axis=0)).tolist():
        columns = np.flatnonzero(covered[:, :, tint].any(axis=0))
        middle = (columns[0] + columns[-1] + 1) / 2
        found.append(Drawn(NAMES[tint], words.THIRDS[min(2, int(3 * middle / GRID))]))
    return found


def statements(scene: Scene, other: Scene, rng: random.Random) -> list[str]:
    """Return a true statement about a scene, and `WRONG` false ones, of which one is of `other`."""
    kind = rng.random()
    if kind < WHOLE:
        return of_all(scene, rng)
    if kind < WHOLE + INFERENCES:
        return inferences(scene, rng)
    if kind < WHOLE + INFERENCES + DOERS:
        found = of_doers(scene, rng)
        if found is not None:
            return found
    return of_things(scene, other, rng)


def of_things(scene: Scene, other: Scene, rng: random.Random) -> list[str]:
    """Return what is said of a thing, mostly with where it stands, and `WRONG` false statements."""
    placed = rng.random() < PLACED_SHARE
    form = rng.choice(PLACED if placed else ANYWHERE)
    number = rng.randrange(len(scene.entities))
    third = words.third_of(scene, number)
    right = form(Told(scene, number, third))
    elsewhere = _elsewhere(scene, form, third, rng) if placed else None
    far = form(Told(other, rng.randrange(len(other.entities)), third))
    near = (words.changed(right, rng) for _ in range(WRONG))
    return [right, elsewhere or next(near) or far, next(near) or far, far]


def names(scene: Scene, other: Scene, rng: random.Random) -> list[str]:
    """Return what something in a scene looks like, and `WRONG` times what nothing in it does.

    That is of another scene, or has one word changed: the simplest statements there are.
    """
    here = {words.phrase(entity) for entity in scene.entities}
    true = rng.choice(sorted(here))
    far = [words.phrase(entity) for entity in other.entities]
    wrong: list[str] = []
    while len(wrong) < WRONG:
        said = rng.choice(far) if rng.random() < 0.5 else words.changed(true, rng)
        if said is not None and said not in here:
            wrong.append(said)
    return [true, *wrong]


def of_all(scene: Scene, rng: random.Random) -> list[str]:
    """Return where a scene is, or how many people it has, and `WRONG` times what is false."""
    if rng.random() < 0.5:
        at = rng.choice(AT)
        others = sorted(set(knowledge().places) - {scene.place})
        return [at(place) for place in (scene.place, *rng.sample(others, WRONG))]
    count, so_many = sum(entity.is_person for entity in scene.entities), rng.choice(SO_MANY)
    numbers = range(1, len(NUMBERS) + 1)
    wrong = rng.sample([number for number in numbers if number != count], WRONG)
    return [so_many(number) for number in (count, *wrong)]


def of_doers(scene: Scene, rng: random.Random) -> list[str] | None:
    """Return who does something, and `WRONG` times who does not; None if nobody does anything.

    Those who are here come first, then those who look nearly like them.
    """
    people = [entity for entity in scene.entities if entity.is_person]
    doing = [words.action(scene, one) for one in people if one.target is not None]
    if not doing:
        return None
    does = rng.choice(doing)
    doers = {words.phrase(one) for one in people if words.action(scene, one) == does}
    here = sorted({words.phrase(one) for one in people} - doers)
    wrong = rng.sample(here, min(len(here), WRONG))
    while len(wrong) < WRONG:
        other = words.changed(rng.choice(sorted(doers)), rng)
        if other is not None and other not in {*doers, *wrong}:
            wrong.append(other)
    said = (rng.choice(sorted(doers)), *wrong)
    return [f"question: who {does}? answer: {one}." for one in said]


def inferences(scene: Scene, rng: random.Random) -> list[str]:
    """Return a question about a scene with its right answer, and with `WRONG` wrong ones.

    It is asked of the one in a third of the picture, of a thing as it looks, or of something. Wrong
    is what follows from another thing in the scene, or from nothing in it at this place.
    """
    number, ask = rng.randrange(len(scene.entities)), rng.choice(INFERRED)
    everyone = range(len(scene.entities))
    third, looks = words.third_of(scene, number), words.phrase(scene.entities[number])
    name, same = rng.choice(
        (
            (f"the one {third}", [n for n in everyone if words.third_of(scene, n) == third]),
            (looks, [n for n in everyone if words.phrase(scene.entities[n]) == looks]),
            ("something", list(everyone)),
        )
    )
    right = {words.answer(scene, n, ask) for n in same}
    others = sorted({words.answer(scene, n, ask) for n in everyone} - right)
    absent = [text for text in _answers(scene.place, ask) if text not in right | set(others)]
    wrong = [*rng.sample(others, min(1, len(others))), *rng.sample(absent, WRONG)][:WRONG]
    said = (words.answer(scene, number, ask), *wrong)
    return [f"question: {words.question(name, ask)} answer: {text}." for text in said]


@cache
def _answers(place: str, ask: Ask) -> tuple[str, ...]:
    """Return all answers to a question that can be right at a place."""
    known = knowledge()
    kind = known.places[place].kind
    sights = [Sight(use, sort, place) for use, sort, where in known.rows if where == kind]
    return tuple(sorted(known.answer(sight, ask) for sight in sights))


def _elsewhere(scene: Scene, form: Form, third: str, rng: random.Random) -> str | None:
    """Return what is said of a third, told of something that stands in another; None if nothing."""
    true = {
        form(Told(scene, n, third))
        for n in range(len(scene.entities))
        if words.third_of(scene, n) == third
    }
    false = [form(Told(scene, n, third)) for n in range(len(scene.entities))]
    left = sorted(text for text in set(false) if text not in true)
    return rng.choice(left) if left else None
