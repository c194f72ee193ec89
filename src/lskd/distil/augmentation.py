"""Region-based augmentation (section 2.4): new ids in text and picture alike, and more regions.

An example's ids are shuffled, and colours follow the new ids. Beside the regions that the example
names, which are always drawn, a random number of others is. Everything here is a function of the
example and the generator that is passed in.
"""

import random
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal

from lskd import marking
from lskd.types import Example, Image, Region, View

# What an example that names its regions by phrase is shown with: "plain", nothing drawn, as in the
# paper, or "drawn", its regions and others.
Described = Literal["plain", "drawn"]


@dataclass(frozen=True, slots=True)
class Shown:
    """A view of an example. The region that is drawn as k was `old[k]` in the example."""

    view: View
    old: tuple[int, ...]

    @property
    def drawn(self) -> range:
        """Return the ids that are drawn."""
        return range(len(self.old))


def named(example: Example) -> frozenset[int]:
    """Return the ids of the regions that an example's texts name, by number or by phrase."""
    texts = (example.question, example.answer, example.rationale)
    by_number = (number for text in texts for number in marking.named(text))
    phrases = (mention.region_id for mention in example.mentions)
    return frozenset((*example.region_ids, *phrases, *(by_number if by_id(example) else ())))


def by_id(example: Example) -> bool:
    """Return whether an example's texts name regions by number."""
    return example.style == "id"


def visible(example: Example) -> dict[int, Region]:
    """Return the regions of an example that can be drawn, by id."""
    size = example.width, example.height
    return {region.id: region for region in example.regions if marking.visible(region, size)}


def fault(example: Example) -> str | None:
    """Return why an example cannot be shown, or None if it can."""
    ids = [region.id for region in example.regions]
    if len(set(ids)) < len(ids):
        twice = next(number for number in ids if ids.count(number) > 1)
        return f"two of its regions have the id {twice}"
    drawable = visible(example)
    for number in sorted(named(example)):
        if number not in ids:
            return f"names region [{number}], which it has not got"
        if number not in drawable:
            return f"names region [{number}], which lies outside of the picture"
    return None


def show(
    example: Example,
    rng: random.Random,
    further: int | None = None,
    described: Described = "plain",
    swappable: bool = False,
    also: Collection[int] = (),
) -> Shown:
    """Draw the view of an example that has no `fault`.

    Drawn are the regions that it names, those of `also` (ids of the example), and 0 to `further`
    others, as many as there are if None, each number being as likely. They get the ids from 0 on
    in a random order, and are drawn in that of their new ids. `swappable` draws at least two where
    there are two, so that their ids can be swapped.
    """
    image = Image(example.image_id, example.path, example.width, example.height)
    if not by_id(example) and described == "plain":
        return Shown(View(image, ()), ())
    places = visible(example)
    wanted = sorted(named(example) | frozenset(also))
    others = sorted(places.keys() - frozenset(wanted))
    fewest = min(len(others), max(0, 2 - len(wanted))) if swappable else 0
    most = len(others) if further is None else min(further, len(others))
    old = [*wanted, *rng.sample(others, rng.randint(fewest, max(fewest, most)))]
    rng.shuffle(old)
    regions = tuple(replace(places[number], id=new) for new, number in enumerate(old))
    return Shown(View(image, regions), tuple(old))


def renumbered(example: Example, shown: Shown) -> Example:
    """Return an example whose texts name regions as a view draws them.

    Raises UserError if they name one that the view does not draw.
    """
    if not by_id(example):
        return example
    new = {number: place for place, number in enumerate(shown.old)}
    question, answer, rationale = (
        marking.renumber(text, new)
        for text in (example.question, example.answer, example.rationale)
    )
    return replace(example, question=question, answer=answer, rationale=rationale)
