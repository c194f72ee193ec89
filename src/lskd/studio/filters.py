"""Filters become SQL conditions with their values; no text of a visitor is ever part of the SQL."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from lskd.types import Style

Accepted = Literal["yes", "no", "unfiltered"]
Order = Literal["corpus", "best", "worst"]
Words = Literal["said", "asked"]
COLUMNS: dict[Words, tuple[str, ...]] = {
    "said": ("content",),
    "asked": ("question", "answer", "rationale"),
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Filters; None lets everything through. `low` and `high` are scores in [0, 1].

    `text` is searched for word by word, the last one also as the beginning of a word. Of an image,
    `accepted`, `style` and the scores ask for one triple that is so, `stage` and `reason` for a
    reject. `fewest` and `most` are numbers of regions.
    """

    text: str = ""
    accepted: Accepted | None = None
    low: float | None = None
    high: float | None = None
    style: Style | None = None
    fewest: int | None = None
    most: int | None = None
    stage: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """Which page: `size` rows after the row `after`, whose score was `score` if sorted by it."""

    size: int = 24
    after: int | None = None
    score: float | None = None
    order: Order = "corpus"


class Condition(NamedTuple):
    """A condition in SQL, and the values of its question marks."""

    sql: str
    values: tuple[str | int | float, ...] = ()


def joined(conditions: Sequence[Condition]) -> Condition:
    """Return the condition that all of some hold."""
    sql = " AND ".join(f"({one.sql})" for one in conditions) or "1"
    return Condition(sql, tuple(value for one in conditions for value in one.values))


def of_triple(wanted: Wanted) -> list[Condition]:
    """Return what is wanted of a triple, beside its words."""
    found: list[Condition] = []
    if wanted.accepted == "unfiltered":
        found.append(Condition("triple.accepted IS NULL"))
    elif wanted.accepted is not None:
        found.append(Condition("triple.accepted = ?", (int(wanted.accepted == "yes"),)))
    if wanted.low is not None or wanted.high is not None:
        # Written as the index is, so that it is used; a triple without a score has -1 there.
        span = (wanted.low or 0.0, 1.0 if wanted.high is None else wanted.high)
        found.append(Condition("coalesce(triple.accept, -1) BETWEEN ? AND ?", span))
    if wanted.style is not None:
        found.append(Condition("triple.style = ?", (wanted.style,)))
    return found


def of_reject(wanted: Wanted) -> list[Condition]:
    """Return what is wanted of a reject, beside its words."""
    found: list[Condition] = []
    if wanted.stage is not None:
        found.append(Condition("reject.stage = ?", (wanted.stage,)))
    if wanted.reason is not None:
        found.append(Condition("reject.gist = ?", (wanted.reason,)))
    return found


def of_image(wanted: Wanted) -> list[Condition]:
    """Return what is wanted of an image itself, beside its words."""
    found: list[Condition] = []
    if wanted.fewest is not None:
        found.append(Condition("image.regions >= ?", (wanted.fewest,)))
    if wanted.most is not None:
        found.append(Condition("image.regions <= ?", (wanted.most,)))
    return found


def some(table: Literal["triple", "reject"], conditions: Sequence[Condition]) -> list[Condition]:
    """Return the condition that an image has a triple or reject that is so; none for none."""
    if not conditions:
        return []
    sql, values = joined(conditions)
    return [Condition(f"image.number IN (SELECT image FROM {table} WHERE {sql})", values)]


def words_of(text: str) -> list[str]:
    """Return the words to search for; a NUL, at which SQLite would stop, parts words."""
    return text.replace("\0", " ").split()


def spoken(table: Words, text: str, full_text: bool) -> Condition:
    """Return the condition that a text holds all words of another, in any order.

    `full_text` is whether the table is one of FTS5; a search without it looks for parts of words.
    """
    words = words_of(text)
    if full_text:
        # Quoted, so that no word is an operator of FTS5's.
        quoted = ['"{}"'.format(word.replace('"', '""')) for word in words]
        return Condition(f"{table} MATCH ?", (" ".join(quoted) + "*",))
    return joined([held(word, COLUMNS[table]) for word in words])


def held(text: str, columns: Sequence[str]) -> Condition:
    """Return the condition that one of some columns holds a text, as it is."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    sql = " OR ".join(f"{column} LIKE ? ESCAPE '\\'" for column in columns)
    return Condition(sql, (f"%{escaped}%",) * len(columns))


def following(turn: Turn, key: str) -> list[Condition]:
    """Return the condition that a row comes after those of the page before."""
    # The worst would else begin with all that have no score.
    scored = [Condition("triple.accept IS NOT NULL")] if turn.order == "worst" else []
    if turn.after is None:
        return scored
    if turn.order == "corpus":
        return [Condition(f"{key} > ?", (turn.after,))]
    sign = "<" if turn.order == "best" else ">"
    score = -1.0 if turn.score is None else turn.score
    place = Condition(f"(coalesce(triple.accept, -1), {key}) {sign} (?, ?)", (score, turn.after))
    return [*scored, place]


def ordered(turn: Turn, key: str) -> str:
    """Return the order of a page, which an index of the same expressions gives without sorting."""
    if turn.order == "corpus":
        return key
    way = " DESC" if turn.order == "best" else ""
    return f"coalesce(triple.accept, -1){way}, {key}{way}"
