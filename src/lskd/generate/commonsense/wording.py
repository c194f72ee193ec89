"""Facts and knowledge become English; a Writer remembers what it said and does not say it again."""

import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lskd.generate.commonsense.facts import Fact, Relation
from lskd.generate.commonsense.knowledge import Reasoned, indefinite, knowledge
from lskd.generate.commonsense.view import Entity
from lskd.types import Style

# Each form says the same; a clause without capital and stop, true on its own.
FORMS: dict[Relation, tuple[str, ...]] = {
    "overlap": ("{a} and {b} overlap in the picture", "{a} overlaps {b} in the picture"),
    "close": (
        "{a} and {b} are close together in the picture",
        "{a} is close to {b} in the picture",
    ),
    "far": ("{a} and {b} are far apart in the picture",),
    "left": ("{a} is to the left of {b}", "{b} is to the right of {a}"),
    "above": (
        "{a} is higher up in the picture than {b}",
        "{b} is lower down in the picture than {a}",
    ),
    "between": ("from left to right, {a} is between {b} and {c}",),
    "nearest person": ("{b} is the nearest to {a} of the marked people",),
    "larger": (
        "{a} takes up more of the picture than {b}",
        "{b} takes up less of the picture than {a}",
    ),
    "largest": (
        "{a} takes up more of the picture than any other marked region",
        "no other marked region takes up as much of the picture as {a}",
    ),
    "lower": ("{a} reaches further down in the picture than {b}",),
    "edge": ("{a} reaches the {word} edge of the picture",),
    "is": ("{a} is {word}",),
    "are": ("{a} are {word}",),
    "count": ("exactly {word} of the marked regions show {category}",),
    "only": (
        "{a} is the only {word} among the marked regions",
        "no marked region other than {a} shows {word2}",
    ),
    "others": (
        "apart from {a}, the marked regions show only {word}",
        "the marked regions other than {a} show {word} and nothing else",
    ),
    "opposite": ("one side of the picture shows {a} and the other side shows {b}",),
    "same word": ("{a} and {b} show the same kind of thing",),
    "looks like": ("the picture as a whole looks like {word}",),
}
NUMBERS = "no one two three four five six seven eight nine ten".split()
SLOT = re.compile(r"\{(\w+)\}")
NAMED = 0.4  # share of first mentions that say what the region is: "the cup [1]"

Value = Entity | Sequence[Entity] | str


@dataclass(frozen=True, slots=True)
class Draft:
    """A triple in words, before it is put into a reply."""

    question: str
    answer: str
    rationale: str


@dataclass(frozen=True, slots=True)
class Idea:
    """A triple that could be written; `write` returns None if it would only repeat itself."""

    kind: str
    entities: tuple[Entity, ...]
    write: Callable[["Writer"], Draft | None]


class Writer:
    """Puts things into words for one conversation, and prefers what it has not yet said."""

    def __init__(self, rng: random.Random, style: Style) -> None:
        self.rng = rng
        self.style = style
        self.said: Counter[str] = Counter()

    def pick(self, options: Sequence[str]) -> str:
        """Return one of the options that were used least."""
        least = min(self.said[option] for option in options)
        chosen = self.rng.choice([option for option in options if self.said[option] == least])
        self.said[chosen] += 1
        return chosen

    def fresh(self, *groups: Sequence[str]) -> list[str]:
        """Return an unused option of each group, or nothing if one of them has none left."""
        unused = [[option for option in group if not self.said[option]] for group in groups]
        return [self.pick(group) for group in unused] if all(unused) else []

    def reasoned(self, options: Reasoned) -> tuple[str, str] | None:
        """Return one of the statements of which neither it nor its reason was said, with that."""
        unused = [pair for pair in options if not self.said[pair[0]] and not self.said[pair[1]]]
        if not unused:
            return None
        chosen = self.rng.choice(unused)
        self.said.update(chosen)
        return chosen

    def fill(self, template: str, named: float = NAMED, **values: Value) -> str:
        """Return a template with its {slots} filled; a region's first mention may say what it is.

        `named` is the probability of that, in style "id". Filled text is never read as a template.
        """
        met: set[str] = set()

        def slot(found: re.Match[str]) -> str:
            value = values[found[1]]
            if isinstance(value, str):
                return value
            entities = (value,) if isinstance(value, Entity) else tuple(value)
            tags = [
                self.tag(e, 0.0 if e.tag in met or len(entities) > 1 else named) for e in entities
            ]
            met.update(entity.tag for entity in entities)
            return listed(tags)

        return SLOT.sub(slot, template)

    def tag(self, entity: Entity, named: float) -> str:
        """Return how an entity is named: "[1]", "the cup [1]" or "[a cup on the left]"."""
        if self.style == "id" and entity.category and self.rng.random() < named:
            return f"the {entity.category.noun} {entity.tag}"
        return entity.tag

    def clause(self, fact: Fact) -> str:
        """Return a fact in words, without capital and stop."""
        slots: dict[str, Value] = {"word": fact.word}
        if fact.relation == "are":
            slots |= {"a": fact.entities, "word": knowledge().categories[fact.word].plural}
        else:
            slots |= dict(zip("abc", fact.entities, strict=False))
        # "The cup [1] is a cup" says nothing.
        named = 0.0 if fact.relation in ("is", "are", "only", "others") else NAMED
        if fact.relation in ("overlap", "close"):
            named = 1.0  # it tells only together with what they are
        if fact.relation == "is":
            slots["word"] = indefinite(knowledge().categories[fact.word])
        elif fact.relation == "only":
            category = knowledge().categories[fact.word]
            slots |= {"word": category.noun, "word2": indefinite(category)}
        elif fact.relation == "count":
            category = knowledge().categories[fact.word]
            slots |= {"word": number(fact.count), "category": category.plural}
        return self.fill(self.pick(FORMS[fact.relation]), named, **slots)

    def rationale(self, facts: Sequence[Fact], general: str, **values: Value) -> str:
        """Return what is seen and what is generally so, in either order."""
        seen = listed([self.clause(fact) for fact in facts])
        known = self.fill(general, 0.0, **values)
        if not seen:
            return sentence(known)
        if not known:
            return sentence(seen)
        if self.rng.random() < 0.5:
            return f"{sentence(seen)} {sentence(known)}"
        return f"{sentence(known)} Here, {seen}."


def sentence(clause: str) -> str:
    """Return a clause with a capital and a full stop."""
    ended = clause if clause.endswith((".", "?")) else f"{clause}."
    return ended[0].upper() + ended[1:]


def listed(items: Sequence[str]) -> str:
    """Return "a", "a and b" or "a, b and c"."""
    return " and ".join(part for part in (", ".join(items[:-1]), *items[-1:]) if part)


def number(count: int) -> str:
    """Return a number in words up to ten."""
    return NUMBERS[count] if count < len(NUMBERS) else str(count)


def length(metres: float) -> str:
    """Return a length in words: "about 30 centimetres", "about 2 metres"."""
    if metres < 1:
        return f"about {round(metres * 100)} centimetres"
    return f"about {metres:g} metre{'' if metres == 1 else 's'}"
