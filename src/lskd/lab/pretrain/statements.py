"""Statements about scenes, true and false: what the last part of pre-training holds against them.

They are captions, and questions with their answers; things, and drawn rectangles, are named by what
they are and by where they stand (left, middle, right), never by a region reference: what "[1]"
means is left for distillation to teach, and so is that a rectangle points at anything. A false
statement is nearly true: of something else that stands elsewhere in the scene, with one word
changed, or of another scene.
"""

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lskd.lab import words
from lskd.lab.pretrain.captions import changed
from lskd.lab.pretrain.rectangles import GRID, NAMES
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


# What may be said of a thing in a third of the picture; the weight of each is 1.
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


class Drawn(NamedTuple):
    """A rectangle: the name of its tint, and the third of the picture where its middle is."""

    tint: str
    third: str


FRAMES: Sequence[Callable[[Drawn], str]] = (
    lambda drawn: f"{_rectangle(drawn)} {drawn.third}",
    lambda drawn: f"{drawn.third} is {_rectangle(drawn)}",
    lambda drawn: f"question: what is drawn {drawn.third}? answer: {_rectangle(drawn)}.",
    lambda drawn: f"question: where is {_rectangle(drawn)}? answer: {drawn.third}.",
)


def _rectangle(drawn: Drawn) -> str:
    return words.an(f"{drawn.tint} rectangle")


def of_rectangles(drawn: Sequence[Drawn], rng: random.Random) -> list[str]:
    """Return a true statement about one of the rectangles of a picture, and `WRONG` false ones."""
    form, one, there = rng.choice(FRAMES), rng.choice(drawn), set(drawn)
    thirds = [third for third in words.THIRDS if Drawn(one.tint, third) not in there]
    absent = [tint for tint in NAMES if all(tint != other.tint for other in drawn)]
    present = [o.tint for o in drawn if Drawn(o.tint, one.third) not in there]
    elsewhere = Drawn(rng.choice(present or absent), one.third)
    near, far = Drawn(one.tint, rng.choice(thirds)), Drawn(rng.choice(absent), one.third)
    return [form(said) for said in (one, elsewhere, near, far)]


def rectangles(tints: NDArray[np.bool_]) -> list[Drawn]:
    """Return the rectangles of a picture from the tints of its patches, as `Framed` has them."""
    covered = tints.reshape(GRID, GRID, len(NAMES))  # (rows, columns, tints)
    found = []
    for tint in np.flatnonzero(tints.any(axis=0)).tolist():
        columns = np.flatnonzero(covered[:, :, tint].any(axis=0))
        middle = (columns[0] + columns[-1] + 1) / 2
        found.append(Drawn(NAMES[tint], words.THIRDS[min(2, int(3 * middle / GRID))]))
    return found


def statements(scene: Scene, other: Scene, rng: random.Random) -> list[str]:
    """Return a true statement about a scene, and `WRONG` false ones, of which one is of `other`."""
    placed = rng.random() < PLACED_SHARE
    form = rng.choice(PLACED if placed else ANYWHERE)
    number = rng.randrange(len(scene.entities))
    third = _third(scene, number)
    right = form(Told(scene, number, third))
    elsewhere = _elsewhere(scene, form, third, rng) if placed else None
    far = form(Told(other, rng.randrange(len(other.entities)), third))
    near = (changed(right, rng) for _ in range(WRONG))
    return [right, elsewhere or next(near) or far, next(near) or far, far]


def _third(scene: Scene, number: int) -> str:
    return words.third(scene, scene.entities[number].placing.x)


def _elsewhere(scene: Scene, form: Form, third: str, rng: random.Random) -> str | None:
    """Return what is said of a third, told of something that stands in another; None if nothing."""
    true = {
        form(Told(scene, n, third)) for n in range(len(scene.entities)) if _third(scene, n) == third
    }
    false = [form(Told(scene, n, third)) for n in range(len(scene.entities))]
    left = sorted(text for text in set(false) if text not in true)
    return rng.choice(left) if left else None
