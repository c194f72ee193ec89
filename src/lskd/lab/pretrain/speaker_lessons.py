"""What a speaker is asked of a scene: questions with their right answers.

In: a scene, and the rectangles that are drawn over it. Things are named by where they stand and by
what they look like, never by a region's number, and nothing says that a rectangle points at
anything: that is left for distillation to teach. Questions about the whole picture are those of the
benchmarks.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from lskd.distil.generative.prompts import Prompts
from lskd.distil.wording import Wording
from lskd.lab import words
from lskd.lab.gold import whole
from lskd.lab.knowledge import ASKS, INFERRED
from lskd.lab.pretrain.frames import NAMES
from lskd.lab.pretrain.statements import Drawn
from lskd.lab.scene import Scene

# As runs/lab/generative.toml asks a student.
PROMPTS = Prompts(Wording("{question} {answer}", "{question} {answer} rationale: {rationale}"))
# What a speaker calls the tints of rectangles (`frames.TINTS`): words that no paint has, so
# that each can be told by a word of its own.
TINTS = (
    "pink", "crimson", "orange", "lemon", "lime", "teal", "azure", "navy", "violet", "tan",
    "ivory", "jet",
)  # fmt: skip
DRAWN = "rectangle"
# Shares of the questions: about drawn rectangles where there are some, and about the whole picture.
RECTANGLES, WHOLE = 0.4, 0.2
THIRDS = 0.75  # of the questions about a thing: those that name it by where it stands
REASONS = 0.2  # of these: those for the rationale, given the answer

# What a question is about: so it is told what was learnt.
KINDS = ("whole", "rectangle", "what", "inferred", "rationale")


class Asked(NamedTuple):
    """What is asked, what is to be written after it, and its place in KINDS."""

    prompt: str
    target: str
    kind: int


class Name(NamedTuple):
    """A name that only one entity of a scene has: by the third where it stands, or by its looks."""

    number: int
    text: str
    looks: bool


def ask(scene: Scene, drawn: Sequence[Drawn], rng: random.Random) -> Asked:
    """Return a question about a scene, by chance."""
    about = rng.random()
    if drawn and about < RECTANGLES:
        return _of_rectangles(drawn, rng)
    of_third, of_looks = _parted(names(scene))
    if about < RECTANGLES + WHOLE or not of_third + of_looks:
        every: dict[str, list[whole.Question]] = {}
        for question in whole.questions(scene, rng):
            every.setdefault(question.kind, []).append(question)
        one = rng.choice(every[rng.choice(sorted(every))])
        return Asked(PROMPTS.answer(one.text), f"{one.answer}.", 0)
    by_third = bool(of_third) and (not of_looks or rng.random() < THIRDS)
    return _of_thing(scene, rng.choice(of_third if by_third else of_looks), rng)


def names(scene: Scene) -> Iterator[Name]:
    """Yield the names of the entities of a scene."""
    stands = [whole.sides(scene, number) for number in range(len(scene.entities))]
    seen = [words.phrase(entity) for entity in scene.entities]
    for number, (entity, own, looks) in enumerate(zip(scene.entities, stands, seen, strict=True)):
        alike = [n for n, one in enumerate(scene.entities) if one.is_person == entity.is_person]
        if len(own) == 1 and not any(own[0] in stands[n] for n in alike if n != number):
            sort = "person" if entity.is_person else "thing"
            yield Name(number, f"the only {sort} {own[0]}", looks=False)
        if [seen[n] for n in alike].count(looks) == 1:
            yield Name(number, f"[{words.description(scene, number)}]", looks=True)


def _parted(every: Iterable[Name]) -> tuple[list[Name], list[Name]]:
    """Return names by third, and those by looks."""
    found: tuple[list[Name], list[Name]] = [], []
    for name in every:
        found[name.looks].append(name)
    return found


def _of_thing(scene: Scene, name: Name, rng: random.Random) -> Asked:
    # By its looks it is named already: what it is, is not asked.
    ask = rng.choice(INFERRED if name.looks else (*ASKS, "what", "what"))
    asked = words.question(name.text, ask)
    right = f"{words.answer(scene, name.number, ask)}."
    if not name.looks and rng.random() < REASONS:  # such a name would be said twice
        reason = words.rationale(scene, name.number, name.text)
        return Asked(PROMPTS.rationale(asked, right), reason, 4)
    return Asked(PROMPTS.answer(asked), right, 2 if ask == "what" else 3)


def _of_rectangles(drawn: Sequence[Drawn], rng: random.Random) -> Asked:
    one = rng.choice(drawn)
    name = words.an(f"{TINTS[NAMES.index(one.tint)]} {DRAWN}")
    there = [other for other in drawn if other.third == one.third]
    if len(there) == 1 and rng.random() < 0.5:
        return Asked(PROMPTS.answer(f"What is drawn {one.third}?"), f"{name}.", 1)
    return Asked(PROMPTS.answer(f"Where is {name}?"), f"{one.third}.", 1)
