"""What goes between the studio and those who visit it: what they see, and what they send.

The same words as the studio's own API, as far as a visitor needs them; that has more in places.
"""

from dataclasses import dataclass
from typing import Literal

from lskd.types import Box, Mention

Side = Literal["left", "right", "tie"]


@dataclass(frozen=True, slots=True)
class Token:
    """What a request that changes something has to show."""

    csrf: str


@dataclass(frozen=True, slots=True)
class Name:
    """The name of a person who is to get a link."""

    name: str


@dataclass(frozen=True, slots=True)
class Link:
    """A person's own link, as a path."""

    path: str


@dataclass(frozen=True, slots=True)
class Agreed:
    """The digest of the text that a person has read and agrees to."""

    digest: str


@dataclass(frozen=True, slots=True)
class Place:
    """A numbered region, in pixels of the upright picture."""

    id: int
    box: Box


@dataclass(frozen=True, slots=True)
class Card:
    """An item of the page Annotate; `image` is the id of its picture."""

    id: str
    image: str
    regions: tuple[Place, ...]
    named: tuple[int, ...]
    question: str
    answer: str
    rationale: str
    mentions: tuple[Mention, ...]


@dataclass(frozen=True, slots=True)
class Cards:
    """The items that a person has at hand on Annotate, the one to be judged now first."""

    items: tuple[Card, ...]


@dataclass(frozen=True, slots=True)
class Words:
    """One of two answers."""

    answer: str
    rationale: str


@dataclass(frozen=True, slots=True)
class Sight:
    """An item of the page Compare; `image` is the address of its picture."""

    id: str
    image: str
    regions: tuple[Place, ...]
    question: str
    left: Words
    right: Words


@dataclass(frozen=True, slots=True)
class Sights:
    """The item that a judge has at hand on Compare, None where there is nothing more."""

    item: Sight | None


@dataclass(frozen=True, slots=True)
class Label:
    """What an annotator thinks of an item, from 1 to 3."""

    item: str
    key: str
    qa: int
    rationale: int | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which side a judge prefers, by aspect (section 3.4)."""

    item: str
    key: str
    correctness: Side
    informativeness: Side
    plausibility: Side
    overall: Side
    seconds: float


@dataclass(frozen=True, slots=True)
class Passed:
    """An item that a person skips or flags."""

    item: str
    key: str
    reason: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Undo:
    """The wish to take back what was said last."""

    key: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """A file of answers: its name, and all of its text."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """A campaign of comparing that is to begin: whom, and how many judges an item gets."""

    name: str
    first: str
    second: str
    judges: int
    seed: int
    files: tuple[Sheet, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """How far a campaign is: `complete` of its items have all their labels."""

    items: int
    complete: int
    labels: int
