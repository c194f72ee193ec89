"""What is seen of a place becomes a phrase: how big, what colour, what, where.

The phrase is an article, a size if it is remarkable, a colour if it is clear, the label word for
word, what a person wears, and where it is: "a large white cup at the bottom on the right". A phrase
that would also fit another place of the image becomes an ordinal that holds among all the places of
that label: "the second cup from the left".
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lskd.types import Box

LARGE, SMALL = 0.25, 0.005  # share of the image's area
FEW_WORDS = 3  # a longer label is a phrase, which already says what its author wanted said

AREA = "area"  # the label of a part of an image that is not known to be a thing
PEOPLE = frozenset(
    "people men women children kid kids baby toddler teenager adult human guy lady gentleman "
    "couple family crowd audience player rider driver cyclist skier surfer snowboarder "
    "skateboarder batter pitcher catcher umpire referee athlete dancer singer musician worker "
    "farmer cook chef waiter waitress vendor officer soldier pilot astronaut doctor nurse "
    "teacher student tourist pedestrian passenger spectator bride groom friend mother father "
    "son daughter".split()
)
HUMAN = ("person", "man", "woman", "boy", "girl", "child")  # so end "policeman" and "schoolgirl"
# Of these no colour is said: it would be that of skin, of a reflection, or of many things at once;
# of the hollow ones it would be that of what is behind, unless their outline is known.
BODY = frozenset("face head hand arm leg foot neck finger skin body".split())
SHINY = frozenset(
    "glass window mirror eyeglasses glasses bottle fork knife spoon vase sink".split()
)
MIXED = frozenset("pizza sandwich cake salad meal food crowd".split())
HOLLOW = frozenset("bicycle scissors racket kite tripod tower fence chair bench".split())
MASS = frozenset(
    "broccoli coffee tea water milk juice food bread rice grass snow sand hair sky fur".split()
)
IRREGULAR = {
    "person": "people",
    "man": "men",
    "woman": "women",
    "child": "children",
    "foot": "feet",
    "tooth": "teeth",
    "mouse": "mice",
    "goose": "geese",
    "knife": "knives",
    "leaf": "leaves",
    "loaf": "loaves",
    "shelf": "shelves",
    "sheep": "sheep",
    "fish": "fish",
    "deer": "deer",
    "scissors": "scissors",
    "skis": "skis",
    "glasses": "glasses",
    "trousers": "trousers",
    "jeans": "jeans",
    "shorts": "shorts",
    "people": "people",
    "potato": "potatoes",
    "tomato": "tomatoes",
}
ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth "
    "fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
).split()
NUMBERS = "no one two three four five six seven eight nine ten".split()


@dataclass(frozen=True, slots=True)
class Place:
    """What can be said of one place of an image; a word is "" where it is better left out.

    `high` is "at the top" or "at the bottom", `across` is "on the left", "in the middle" or "on the
    right".
    """

    box: Box
    label: str
    size: str
    colour: str
    high: str
    across: str

    @property
    def where(self) -> str:
        """Return its place in the image, as in "at the bottom on the left"."""
        return joined(self.high, self.across)


def joined(*words: str) -> str:
    """Return the words that are not empty, with single spaces."""
    return " ".join(word for word in words if word)


def plural(label: str) -> str:
    """Return the plural of a label: "wine glasses", "people"."""
    first, _, last = label.rpartition(" ")
    if last in IRREGULAR:
        ending = IRREGULAR[last]
    elif last in MASS or is_plural(last):
        ending = last
    elif re.search(r"(s|x|z|ch|sh)$", last):
        ending = f"{last}es"
    elif re.search(r"[^aeiou]y$", last):
        ending = f"{last[:-1]}ies"
    else:
        ending = f"{last}s"
    return joined(first, ending)


def is_plural(label: str) -> bool:
    """Say whether a label already speaks of more than one, as "scissors" and "trees" do."""
    last = label.rpartition(" ")[2]
    same = last in IRREGULAR.values() and IRREGULAR.get(last, last) == last
    return same or bool(re.search(r"[^aious]s$", last))


def article(words: str) -> str:
    """Return "a" or "an", whichever goes before the words."""
    sounds_like_u = re.match(r"(uni|use|eu|one\b|once\b)", words, re.IGNORECASE)
    silent_h = re.match(r"(hour|honest|heir)", words, re.IGNORECASE)
    vowel = re.match(r"[aeiou]", words, re.IGNORECASE) and not sounds_like_u
    return "an" if vowel or silent_h else "a"


def ordinal(number: int) -> str:
    """Return "first" for 1, ... "twentieth", "21st"."""
    if number <= len(ORDINALS):
        return ORDINALS[number - 1]
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else ending}"


def counted(number: int, label: str) -> str:
    """Return "a dog", "two people", "more than ten cups"; mass nouns go without a number."""
    if label.rpartition(" ")[2] in MASS:
        return label
    if number == 1:
        return label if is_plural(label) else f"{article(label)} {label}"
    how_many = NUMBERS[number] if number < len(NUMBERS) else "more than ten"
    return f"{how_many} {plural(label)}"


def listed(items: Sequence[str]) -> str:
    """Return "a", "a and b" or "a, b and c"."""
    return " and ".join(item for item in (", ".join(items[:-1]), *items[-1:]) if item)


def head(label: str) -> str:
    """Return a label in one line and without its own article; "thing" for an empty one."""
    line = joined(*label.split()) or "thing"
    return re.sub(r"^(a|an|the) (?=.)", "", line, flags=re.IGNORECASE)


def is_phrase(label: str) -> bool:
    """Say whether a label is more than a name: it has an article or many words."""
    words = label.split()
    return len(words) > FEW_WORDS or joined(*words) != head(label)


def is_person(label: str) -> bool:
    """Say whether a label names a human being."""
    last = label.lower().rpartition(" ")[2]
    return last in PEOPLE or last.endswith(HUMAN)


def size_word(box: Box, label: str, width: int, height: int) -> str:
    """Return "large" or "small" for a box that takes much or little of the image, else ""."""
    # A person far away is not a small person; nor is a long label's author to be contradicted.
    if is_person(label) or is_phrase(label) or label.lower() in BODY:
        return ""
    share = box.area / (width * height)
    return "large" if share >= LARGE else "small" if share <= SMALL else ""


def place_words(box: Box, width: int, height: int) -> tuple[str, str]:
    """Return where the centre of a box lies, by thirds of the image: height, then side."""
    x, y = (box.x0 + box.x1) / 2 / width, (box.y0 + box.y1) / 2 / height
    high = "at the top" if y < 1 / 3 else "at the bottom" if y > 2 / 3 else ""
    across = "on the left" if x < 1 / 3 else "on the right" if x > 2 / 3 else "in the middle"
    return high, across


def plain(place: Place) -> str:
    """Return the phrase for a place that no other resembles."""
    named = noun(place, place.colour, place.size)
    line = joined(*place.label.split())
    if line and line != head(line):
        named = line
    elif is_plural(place.label.lower()) or place.label.lower().rpartition(" ")[2] in MASS:
        named = f"the {named}"
    else:
        named = f"{article(named)} {named}"
    return joined(named, worn(place, place.colour), place.where)


def noun(place: Place, colour: str, size: str) -> str:
    """Return size, colour and label; a person's colour is not put before the label."""
    return joined(size, "" if is_person(place.label) else colour, head(place.label))


def worn(place: Place, colour: str) -> str:
    """Return "in red" for a person in red, else ""."""
    return f"in {colour}" if colour and is_person(place.label) else ""


def from_left(place: Place, colour: str, high: str, rank: int) -> str:
    """Return the phrase for the place that is number `rank` of its label from the left."""
    named = noun(place, colour, "")
    return joined("the", ordinal(rank), named, "from the left", worn(place, colour), high)


def fits(phrase: Place, other: Place) -> bool:
    """Say whether all that a place's phrase says could also be said of another place."""
    if head(phrase.label).lower() != head(other.label).lower():
        return False
    return all(
        mine in ("", theirs)
        for mine, theirs in (
            (phrase.size, other.size),
            (phrase.colour, other.colour),
            (phrase.high, other.high),
            (phrase.across, other.across),
        )
    )


def ordinal_phrase(place: Place, alike: Sequence[Place]) -> str:
    """Return a phrase with the place's rank among all places of its label, from left to right.

    Colour and height are said only where the rank among those that share them is the same, so that
    "the second cup from the left in red" is right however it is read.
    """
    rank = position(place, alike)
    for colour, high in ((place.colour, place.high), (place.colour, ""), ("", place.high)):
        sharing = [p for p in alike if colour in ("", p.colour) and high in ("", p.high)]
        if (colour or high) and position(place, sharing) == rank:
            return from_left(place, colour, high, rank)
    return from_left(place, "", "", rank)


def position(place: Place, among: Sequence[Place]) -> int:
    """Return the rank of a place from the left, by centres; 1 is the leftmost."""
    ranked = sorted(among, key=lambda p: (p.box.x0 + p.box.x1, p.box.y0 + p.box.y1, p.box))
    return next(k for k, p in enumerate(ranked, 1) if p is place)


def phrases(places: Sequence[Place]) -> tuple[str, ...]:
    """Return a phrase for each place of an image, each different from the others."""
    kin = [[p for p in places if head(p.label).lower() == head(q.label).lower()] for q in places]
    made = [
        ordinal_phrase(place, alike)
        if any(fits(place, p) for p in alike if p is not place)
        else plain(place)
        for place, alike in zip(places, kin, strict=True)
    ]
    # A label of "red cup" can meet a red "cup": the bare ordinal of each label is always its own.
    while len(set(made)) < len(made):
        for k, (place, alike) in enumerate(zip(places, kin, strict=True)):
            if made.count(made[k]) > 1:
                made[k] = from_left(place, "", "", position(place, alike))
    return tuple(made)
