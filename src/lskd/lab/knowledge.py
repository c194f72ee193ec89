"""The table of `knowledge.toml`: from what is seen of an entity to why, before and next.

What is seen is a `Sight`: what somebody is at or what sort of thing is used or free, and the place.
"""

import hashlib
import importlib.resources
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple, get_args

Ask = Literal["what", "why", "before", "next"]
ASKS: tuple[Ask, ...] = get_args(Ask)
# Those whose answers are in the table; what something is can be seen.
INFERRED: tuple[Ask, ...] = ("why", "before", "next")
Use = Literal["free", "used", "person"]

# The one wording of each question: it fits people and things alike, so any region can be asked of.
QUESTIONS: Mapping[Ask, str] = {
    "what": "What is {}?",
    "why": "Why is {} here?",
    "before": "What came before this for {}?",
    "next": "What comes next for {}?",
}


class Sight(NamedTuple):
    """What decides the inferences of one entity: all of it can be seen.

    `sort` is a sort of thing where `use` is "free" or "used", else what a person is at.
    """

    use: Use
    sort: str
    place: str


@dataclass(frozen=True, slots=True)
class Place:
    """A place: its kind ("open", "way", "inside") and its own words, as "on the sand"."""

    name: str
    kind: str
    where: str


@dataclass(frozen=True)
class Knowledge:
    """The whole table. `sorts` tells the sort of each kind of thing."""

    places: Mapping[str, Place]
    sorts: Mapping[str, str]
    rows: Mapping[tuple[Use, str, str], Mapping[Ask, str]]

    def answer(self, sight: Sight, ask: Ask) -> str:
        """Return what follows from a sight, as a phrase without a full stop."""
        place = self.places[sight.place]
        return self.rows[sight.use, sight.sort, place.kind][ask].format(where=place.where)

    def knows(self, sight: Sight) -> bool:
        """Return whether the table has a row for a sight."""
        place = self.places.get(sight.place)
        return place is not None and (sight.use, sight.sort, place.kind) in self.rows


def fingerprint() -> str:
    """Return a hash of what the table of this package says, whatever stands between its lines."""
    said = json.dumps(tomllib.loads(_text()), sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def _text() -> str:
    return importlib.resources.files("lskd.lab").joinpath("knowledge.toml").read_text("utf-8")


@cache
def knowledge() -> Knowledge:
    """Return the table of this package."""
    found = tomllib.loads(_text())
    uses: tuple[Use, ...] = ("free", "used", "person")
    return Knowledge(
        places={name: Place(name, **row) for name, row in found["place"].items()},
        sorts={kind: sort for sort, kinds in found["sort"].items() for kind in kinds},
        rows={
            (use, sort, kind): row
            for use in uses
            for sort, kinds in found[use].items()
            for kind, row in kinds.items()
        },
    )
