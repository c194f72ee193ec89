"""Short questions of known forms find their answers in what was seen; any other goes unanswered.

The forms, in any case and with or without "?":

- How many PLURAL are there?
- Is there a LABEL in the picture?
- What colour is DESCRIPTION?
- Where is DESCRIPTION?
- Is DESCRIPTION to the left of DESCRIPTION?
- Is the picture bright or dark?
- Is it in colour or black and white?

A description is resolved only if it is the phrase of one place, or a label that one place bears.
What is not seen is not denied: an annotator or a detector may have passed it over.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import PIL.Image

from lskd.verbalize import colour, wording
from lskd.verbalize.wording import Place

EXACT = 10  # more than so many are not counted out: annotators stop counting, too


@dataclass(frozen=True)
class Scene:
    """What an answer may rest on; `phrases` are those of `places`, in the same order.

    `complete` says that all places of a label that occurs are known, so that they can be counted.
    """

    pixels: PIL.Image.Image
    places: tuple[Place, ...]
    phrases: tuple[str, ...]
    complete: bool


def answer(question: str, scene: Scene) -> str:
    """Return the answer to a question of a known form, or "" if it cannot be told."""
    asked = " ".join(question.split()).rstrip("?. ").lower()
    for form, respond in FORMS:
        found = re.fullmatch(form, asked)
        if found:
            return respond(scene, *found.groups())
    return ""


def how_many(scene: Scene, plural: str) -> str:
    """Return the number of places of a label."""
    labels = [wording.head(place.label).lower() for place in scene.places]
    number = sum(plural in (label, wording.plural(label)) for label in labels)
    if number == 0:
        return ""
    if not scene.complete:
        return f"at least {number}"
    return str(number) if number <= EXACT else f"more than {EXACT}"


def is_there(scene: Scene, label: str) -> str:
    """Return "yes" if a place bears the label."""
    wanted = wording.head(label).lower()
    return "yes" if any(wording.head(p.label).lower() == wanted for p in scene.places) else ""


def what_colour(scene: Scene, description: str) -> str:
    """Return the colour of a thing; people have none."""
    place = resolved(scene, description)
    return place.colour if place and not wording.is_person(place.label) else ""


def where(scene: Scene, description: str) -> str:
    """Return where in the image a place is."""
    place = resolved(scene, description)
    return place.where if place else ""


def is_left_of(scene: Scene, one: str, other: str) -> str:
    """Return "yes" or "no" where all of one place is on one side of all of the other."""
    a, b = resolved(scene, one), resolved(scene, other)
    if a is None or b is None:
        return ""
    if a.box.x1 <= b.box.x0:
        return "yes"
    return "no" if b.box.x1 <= a.box.x0 else ""


def bright_or_dark(scene: Scene) -> str:
    """Return "bright" or "dark", or "" for a picture in between."""
    return colour.brightness(scene.pixels)


def colour_or_grey(scene: Scene) -> str:
    """Return "black and white" or "in colour"."""
    return "black and white" if colour.is_grey(scene.pixels) else "in colour"


FORMS: tuple[tuple[str, Callable[..., str]], ...] = (
    (r"how many (.+) are there(?: in the (?:picture|image|photo))?", how_many),
    (r"is there (an? .+) in the (?:picture|image|photo)", is_there),
    (r"what colou?r (?:is|are) (.+)", what_colour),
    (r"where (?:is|are) (.+)", where),
    (r"(?:is|are) (.+) to the left of (.+)", is_left_of),
    (r"is the (?:picture|image|photo) bright or dark", bright_or_dark),
    (r"is (?:it|the (?:picture|image|photo)) in colou?r or black and white", colour_or_grey),
)


def bare(description: str) -> str:
    """Return a description in lower case, without brackets and without its article."""
    return wording.head(re.sub(r"[][<>()‹›]", " ", description).lower())


def resolved(scene: Scene, description: str) -> Place | None:
    """Return the one place that a description stands for, or None."""
    wanted = bare(description)
    if not scene.complete and "from the left" in wanted:
        return None  # a place that was not seen may have been counted
    by_phrase = [
        p for p, said in zip(scene.places, scene.phrases, strict=True) if bare(said) == wanted
    ]
    by_label = [p for p in scene.places if bare(p.label) == wanted]
    candidates = by_phrase or by_label
    return candidates[0] if len(candidates) == 1 else None
