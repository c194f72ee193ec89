"""Observations become entities: regions with a name to use, a category, a colour and a place."""

import math
import re
from collections import Counter
from dataclasses import dataclass

from lskd.generate.commonsense.knowledge import Category, knowledge
from lskd.generate.commonsense.observations import Observations, Sighting
from lskd.generate.commonsense.spatial import Frame
from lskd.types import Box, Style

COLOURS = "black|white|grey|red|orange|yellow|green|blue|purple|pink|brown"
ORDINAL = r"(?:first|second|third|[a-z]+th|\d+(?:st|nd|rd|th))"
WORD = r"(?!(?:an?|the|and|at|by|from|in|of|on|with)\b)[^\W\d_]+"
# The grammar of our own describers: "a large white cup at the bottom on the right", "the second
# person from the left in red". Adjectives come first, and only one of each.
PHRASE = re.compile(
    rf"(?:an?|the) (?P<rank>{ORDINAL} )?(?:(?:large|small) )?(?:(?P<colour>{COLOURS}) )?"
    rf"(?P<noun>{WORD}(?:[ -]{WORD}){{0,3}}?)(?P<from> from the left)?(?: in (?P<worn>{COLOURS}))?"
    r"(?: at the (?P<high>top|bottom))?(?: (?P<across>on the left|in the middle|on the right))?",
    re.IGNORECASE,
)
# After the words of a category these begin something else; any other word may change its meaning,
# as in "a dog house".
NEXT = (
    r"(?:in|on|at|with|of|by|near|from|next|beside|behind|under|and|is|that|who|which|[a-z]+ing)\b"
)
ENTITIES = 16  # of so many regions triples are made; all are looked at for what is nearest or only


@dataclass(frozen=True, slots=True)
class Entity:
    """A region. `tag` is how texts name it, brackets included; "" if it cannot be named.

    `category` is None where it is not known; `noun` is the word of a phrase that follows our
    grammar; `colour`, `high` ("top", "bottom") and `across` ("on the left", ...) are from the
    phrase; each is "" where not known.
    """

    index: int
    tag: str
    phrase: str
    noun: str
    category: Category | None
    colour: str
    high: str
    across: str
    box: Box | None


@dataclass(frozen=True, slots=True)
class View:
    """All that is known of a picture. `entities` can be named; `everything` is every region."""

    style: Style
    frame: Frame | None
    entities: tuple[Entity, ...]
    everything: tuple[Entity, ...]
    observations: Observations

    @property
    def categories_known(self) -> bool:
        """Say whether the category of every region is known, so that one can be called the only."""
        return all(entity.category for entity in self.everything)


def view(observations: Observations, style: Style) -> View:
    """Return what can be talked about, in a style of reference."""
    phrases = Counter(sighting.phrase for sighting in observations.regions)
    everything = tuple(
        entity(index, sighting, style, unique=phrases[sighting.phrase] == 1)
        for index, sighting in enumerate(observations.regions)
    )
    return View(
        style=style,
        frame=frame(observations),
        entities=tuple(entity for entity in everything if entity.tag)[:ENTITIES],
        everything=everything,
        observations=observations,
    )


def frame(observations: Observations) -> Frame | None:
    """Return the picture's size, or None: without it no distance means anything."""
    if not observations.width or not observations.height:
        return None
    return Frame(observations.width, observations.height)


def entity(index: int, sighting: Sighting, style: Style, unique: bool) -> Entity:
    """Return the entity of a region; a phrase that two share names neither."""
    tag = "" if sighting.id is None else f"[{sighting.id}]"
    if style == "description":
        clean = unique and sighting.phrase and not set(sighting.phrase) & set("[]\n")
        tag = f"[{sighting.phrase}]" if clean else ""
    parts = PHRASE.fullmatch(sighting.phrase)
    noun = parts["noun"].lower() if parts else ""
    return Entity(
        index=index,
        tag=tag,
        phrase=sighting.phrase,
        noun=noun,
        category=knowledge().category(noun) or head_category(sighting.phrase),
        colour=(parts["colour"] or parts["worn"] or "").lower() if parts else "",
        high=(parts["high"] or "").lower() if parts else "",
        across=(parts["across"] or "").lower() if parts else "",
        box=usable(sighting.box),
    )


def head_category(phrase: str) -> Category | None:
    """Return the category that a free phrase begins with, as in "a man riding a brown horse"."""
    opening = rf"(?:(?:an?|the|one) )?(?:(?:large|big|small|little|young|old|tall|{COLOURS}) )*"
    rest = re.sub(rf"^{opening}", "", phrase.lower(), count=1)
    known = knowledge()
    words = re.match(r"[a-z]+(?: [a-z]+)?", rest)
    for name in (words[0], words[0].split()[0]) if words else ():
        after = rest[len(name) :]
        if (found := known.category(name)) and (not after or re.match(rf"[,.;]| {NEXT}", after)):
            return found
    return None


def usable(box: Box | None) -> Box | None:
    """Return a box that has an area, else None."""
    return box if box and box.x1 > box.x0 and box.y1 > box.y0 and math.isfinite(box.area) else None
