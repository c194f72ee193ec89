"""The lab's sentences read back: what a question asks, what an answer or a rationale claims.

All sentences of the lab are made by `lskd.lab.words` and the knowledge table; whoever judges or
teaches reads them here, and nothing is judged that cannot be read.
"""

import re
from dataclasses import dataclass

from lskd.lab.knowledge import ASKS, QUESTIONS, Ask, Sight, Use, knowledge
from lskd.lab.scene import COLOURS, FURS, KINDS, PEOPLE

PLACES = tuple(sorted(knowledge().places))
_PAINT = "|".join(dict.fromkeys((*COLOURS, *FURS)))
_THING = rf"an? (?P<paint>{_PAINT}) (?P<kind>{'|'.join(sorted(KINDS, key=len, reverse=True))})"
_PERSON = rf"an? (?P<kind>{'|'.join(PEOPLE)}) in an? (?P<paint>{_PAINT}) coat"
_VERB = r"(?P<verb>holds|gives|takes|rides|sits on|points at|stands|walks)"
_ACTOR = re.compile(rf"{_PERSON} who {_VERB}(?: (?P<object>an? .+))?", re.IGNORECASE)
_OBJECT = re.compile(rf"{_THING}(?: (?P<use>by itself|with an? .+))?", re.IGNORECASE)
_SOMEBODY = re.compile(_PERSON, re.IGNORECASE)
_REASON = re.compile(
    rf"(?P<name>\[[^\]]*\]) is (?P<what>an? .+?) "
    rf"(?P<use>who .+|that nobody uses|that somebody uses), at an? (?P<place>{'|'.join(PLACES)})\.",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Described:
    """What a phrase says of an entity.

    `kind` and `paint` as in a scene; `doing` is a person's verb, "" if it is not told; `object` is
    what that person is at, as a phrase, or ""; `used` is whether a thing is used, None if not told.
    """

    kind: str
    paint: str
    doing: str = ""
    object: str = ""
    used: bool | None = None

    @property
    def is_person(self) -> bool:
        """Return whether the phrase is of a person."""
        return self.kind in PEOPLE

    def sight(self, place: str) -> Sight | None:
        """Return what the knowledge table needs to know of this at a place; None if too little."""
        if not self.is_person:
            use: Use = "used" if self.used else "free"
            return Sight(use, knowledge().sorts[self.kind], place)
        match self.doing:
            case "holds":
                held = described(self.object)
                if held is None or held.is_person:
                    return None
                return Sight("person", f"holds {knowledge().sorts[held.kind]}", place)
            case "":
                return None
            case verb:
                act = {"sits on": "sits", "points at": "points", "walks": "stands"}.get(verb, verb)
                return Sight("person", act, place)


def described(text: str) -> Described | None:
    """Return what a phrase says, or None if it is none of the lab's."""
    text = text.strip().rstrip(".")
    if found := _ACTOR.fullmatch(text):
        verb = found["verb"].lower()
        return Described(found["kind"].lower(), found["paint"].lower(), verb, found["object"] or "")
    if found := _SOMEBODY.fullmatch(text):
        return Described(found["kind"].lower(), found["paint"].lower())
    if found := _OBJECT.fullmatch(text):
        used = None if found["use"] is None else found["use"].lower() != "by itself"
        return Described(found["kind"].lower(), found["paint"].lower(), used=used)
    return None


def asked(question: str) -> tuple[Ask, str] | None:
    """Return what is asked and of what, as ("why", "[2]"), or None for no question of the lab."""
    for ask in ASKS:
        before, after = QUESTIONS[ask].split("{}")
        if question.startswith(before) and question.endswith(after):
            return ask, question[len(before) : len(question) - len(after)]
    return None


@dataclass(frozen=True, slots=True)
class Reason:
    """What a rationale claims: of what, what it is and does, and where."""

    name: str
    what: Described
    place: str


def reasoned(rationale: str) -> Reason | None:
    """Return what a rationale claims, or None if it is none of the lab's."""
    found = _REASON.fullmatch(rationale.strip())
    if found is None:
        return None
    use = found["use"]
    if use.startswith("who "):
        what = described(f"{found['what']} {use}")
    else:
        what = described(
            found["what"] + (" by itself" if "nobody" in use else " with a man in a red coat")
        )
    return None if what is None else Reason(found["name"], what, found["place"].lower())
