"""Everyday knowledge about the 80 COCO categories and some more, read from knowledge.toml."""

import functools
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Distance = Literal["touching", "close", "anywhere"]
ASK_NEED = "What might {a} depend on?"
Reasoned = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Category:
    """What usually holds of one category.

    `noun` is how it is named in a sentence, `generic` the same with its article, `metres` its usual
    longest side. `use`, `acts` (what it may be doing), `next` and `before` (what may come and what
    may have been) each come with the reason, which is what leads to them; `care` is what may go
    wrong and the reason, or empty.
    """

    name: str
    kind: str
    noun: str
    generic: str
    plural: str
    metres: float
    use: Reasoned
    acts: Reasoned
    found: str
    next: Reasoned
    before: Reasoned
    care: tuple[str, ...]
    need: str
    need_why: str
    ask_need: str
    group: tuple[str, ...]
    group_why: tuple[str, ...]

    @property
    def countable(self) -> bool:
        """Say whether one of them takes an article: "a cup", but "broccoli"."""
        return self.generic != self.noun

    @property
    def by_name(self) -> bool:
        """Say whether one of them is simply called by its name, unlike "a pair of skis"."""
        return self.countable and self.noun.lower() == self.name


@dataclass(frozen=True, slots=True)
class Pair:
    """What two categories or kinds suggest together when they are so near to each other.

    `next` and `before` are what may come and what may have been, each with its reason.
    """

    first: frozenset[str]
    second: frozenset[str]
    when: Distance
    says: tuple[str, ...]
    why: tuple[str, ...]
    next: Reasoned
    before: Reasoned

    def fits(self, a: Category, b: Category) -> bool:
        """Say whether two categories, in this order, are meant."""
        return bool({a.name, a.kind} & self.first) and bool({b.name, b.kind} & self.second)


@dataclass(frozen=True, slots=True)
class Scene:
    """A kind of place; at least one of the `needed` categories speaks for it, the `clues` help.

    `where` follows "may be" of something there: "in a kitchen". `tags` are labels of a whole image
    that mean the same place; a category in `unless` speaks against it.
    """

    name: str
    where: str
    tags: frozenset[str]
    clues: frozenset[str]
    needed: frozenset[str]
    unless: frozenset[str]
    why: str


@dataclass(frozen=True, slots=True)
class Weather:
    """What the presence of a category suggests about the weather."""

    clue: str
    answer: str
    why: str


@dataclass(frozen=True, slots=True)
class Knowledge:
    """The whole table. `synonyms` are other words for a category."""

    categories: dict[str, Category]
    synonyms: dict[str, str]
    pairs: tuple[Pair, ...]
    scenes: tuple[Scene, ...]
    weather: tuple[Weather, ...]
    belongings: frozenset[str]
    grounded: frozenset[str]

    def category(self, word: str) -> Category | None:
        """Return the category that a word names, itself or by a synonym."""
        word = word.lower()
        return self.categories.get(self.synonyms.get(word, word))


@functools.cache
def knowledge() -> Knowledge:
    """Read the table once."""
    table = tomllib.loads(Path(__file__).with_name("knowledge.toml").read_text(encoding="utf-8"))
    return Knowledge(
        categories={
            name: category(name, row, table["kind"][row["kind"]])
            for name, row in table["category"].items()
        },
        synonyms=table["synonyms"],
        pairs=tuple(
            Pair(
                frozenset(row["first"]),
                frozenset(row["second"]),
                row["when"],
                tuple(row["says"]),
                tuple(row["why"]),
                reasoned(row, "next"),
                reasoned(row, "before"),
            )
            for row in table["pair"]
        ),
        scenes=tuple(
            Scene(
                row["name"],
                row["where"],
                frozenset(row["tags"]),
                frozenset(row["clues"]),
                frozenset(row["needed"]),
                frozenset(row.get("unless", ())),
                row["why"],
            )
            for row in table["scene"]
        ),
        weather=tuple(Weather(row["clue"], row["answer"], row["why"]) for row in table["weather"]),
        belongings=frozenset(table["belongings"]),
        grounded=frozenset(table["grounded"]),
    )


@functools.cache
def pairs_of(first: str, second: str) -> tuple[Pair, ...]:
    """Return what two categories, in this order, suggest together."""
    table = knowledge()
    a, b = table.categories[first], table.categories[second]
    return tuple(pair for pair in table.pairs if pair.fits(a, b))


def category(name: str, row: dict[str, Any], kind: dict[str, Any]) -> Category:
    """Return a row of the table, completed by what holds of its kind."""
    noun = row.get("name", name)
    return Category(
        name=name,
        kind=row["kind"],
        noun=noun,
        generic=row.get("generic", f"{article(noun)} {noun}"),
        plural=row.get("plural", f"{noun}s"),
        metres=float(row["metres"]),
        use=reasoned(row, "use"),
        acts=reasoned(row, "acts"),
        found=row["found"],
        next=reasoned(row, "next"),
        before=reasoned(row, "before"),
        care=tuple(row.get("care", ())),
        need=row.get("needs", kind.get("need", "")),
        need_why=row.get("need_why", kind.get("need_why", "")),
        ask_need=kind.get("ask_need", ASK_NEED),
        group=tuple(kind.get("group", ())),
        group_why=tuple(kind.get("group_why", ())),
    )


def reasoned(row: dict[str, Any], name: str) -> Reasoned:
    """Return what a row says under a name, each with its reason."""
    return tuple((said, why) for said, why in row.get(name, ()))


def article(noun: str) -> str:
    """Return "a" or "an", whichever goes before one of the table's nouns."""
    return "an" if noun[0] in "aeiou" else "a"


def indefinite(category: Category) -> str:
    """Return one thing of a category with its article: "a cup", "a piece of broccoli"."""
    return category.generic if category.countable else f"a piece of {category.noun}"


def plural(label: str) -> str:
    """Return the plural of a category ("people", "cups"); raise KeyError for others."""
    return knowledge().categories[label].plural
