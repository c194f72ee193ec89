"""Short questions for a dialogue, in the few forms that an answerer without a model understands."""

import random
import re
from collections import Counter
from collections.abc import Iterator

from lskd.comparing import normal
from lskd.generate.commonsense.knowledge import knowledge
from lskd.generate.commonsense.view import Entity, View

LIGHT = "Is the picture bright or dark?"
COLOUR = "Is it in colour or black and white?"
PAIRS = 4  # questions about which of two is further to the left
ASIDE = 0.1  # least distance of centres, in widths of the picture, for such a question
EXPECTED = 3  # questions about things that were not seen, which mostly stay without an answer
WHERE = 3  # questions about where something is
# What a phrase says of a place; then neither where it is nor what is left of it is worth asking.
PLACED = re.compile(r"\b(?:left|middle|right|top|bottom)\b", re.IGNORECASE)


def questions(seen: View, count: int, rng: random.Random) -> list[str]:
    """Return at most `count` questions that the dialogue so far has not answered.

    Only words of the knowledge table and phrases that follow our describers' grammar are used.
    """
    answered = {normal(exchange.question) for exchange in seen.observations.dialogue}
    kept: list[str] = []
    for question in candidates(seen, rng):
        if normal(question) not in answered:
            answered.add(normal(question))
            kept.append(question)
    return kept[:count]


def candidates(seen: View, rng: random.Random) -> Iterator[str]:
    """Yield questions, those first whose answers tell most."""
    phrases = Counter(entity.phrase for entity in seen.everything)
    # "Where is the scissors?" would be bad English, and no other form can be answered.
    clear = [
        e
        for e in seen.everything
        if e.noun and phrases[e.phrase] == 1 and not (e.category and not e.category.by_name)
    ]
    things = [e for e in clear if e.category and e.category.name != "person"]
    colourless = [entity for entity in things if not entity.colour]
    vague = [entity for entity in clear if not PLACED.search(entity.phrase)]
    labels = [knowledge().category(text) for text in seen.observations.objects]
    there = {e.category for e in seen.everything if e.category} | {c for c in labels if c}
    yield LIGHT
    for category in sorted(there, key=lambda category: category.name):
        if category.by_name:
            yield f"How many {category.plural} are there?"
    yield from (f"What colour is {entity.phrase}?" for entity in colourless[:4])
    yield COLOUR
    yield from sides(seen, vague, rng)
    yield from (f"Where is {entity.phrase}?" for entity in vague[:WHERE])
    yield from presence({category.name for category in there}, rng)
    yield from (f"What colour is {entity.phrase}?" for entity in colourless[4:])


def presence(named: set[str], rng: random.Random) -> Iterator[str]:
    """Yield whether categories are there that often come with those that are."""
    table = knowledge()
    scenes = [scene for scene in table.scenes if scene.needed & named]
    expected = sorted({clue for scene in scenes for clue in scene.clues} - named)
    for name in rng.sample(expected, min(EXPECTED, len(expected))):
        if table.categories[name].by_name:
            yield f"Is there {table.categories[name].generic} in the picture?"


def sides(seen: View, clear: list[Entity], rng: random.Random) -> Iterator[str]:
    """Yield which of two is further to the left; `clear` are those whose phrases leave it open."""
    open_ones = [
        (a, b)
        for k, a in enumerate(clear)
        for b in clear[k + 1 :]
        if a.noun != b.noun and beside(seen, a, b)
    ]
    for a, b in rng.sample(open_ones, min(PAIRS, len(open_ones))):
        yield f"Is {a.phrase} to the left of {b.phrase}?"


def beside(seen: View, a: Entity, b: Entity) -> bool:
    """Say whether an answerer can tell which of two is further to the left."""
    if not seen.frame or not a.box or not b.box:
        return True
    return abs(a.box.x0 + a.box.x1 - b.box.x0 - b.box.x1) / 2 > ASIDE * seen.frame.width
