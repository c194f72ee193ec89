"""What a simulated person thinks of what the studio shows: true or not by the scene, and errors.

In comes an item as the pages Annotate and Compare get it: texts, numbered regions, the id of the
picture. That id leads to the scene, as a look at the picture would; nothing else is known.
"""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from lskd.errors import UserError
from lskd.human.work import Rating
from lskd.lab import sayings, truth
from lskd.lab.annotators import REJECT, Annotators, rating
from lskd.lab.truth import Verdict
from lskd.lab.wire import Card, Place, Side, Sight, Words
from lskd.lab.world import Staged, World
from lskd.types import Region, Triple

V = TypeVar("V", bool, int, tuple[bool, bool, int])

SIDES: tuple[Side, ...] = ("left", "right", "tie")
PICTURE = re.compile(r"/images/([^/?]+)")
# "Why is a red ball by itself [2] here?": the studio's way to say what a phrase stands for.
BEFORE_NUMBER = re.compile(r"\ban? [^\[\]]*? (?=\[\d+\])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Preferred:
    """Which of two answers a person prefers, by aspect (section 3.4), as they see them."""

    correctness: Side
    informativeness: Side
    plausibility: Side
    overall: Side


@dataclass(frozen=True, slots=True)
class Worth:
    """What an answer is worth: whether it holds, whether its rationale does, and facts it names.

    `facts` counts what the rationale says of the region that can be seen: what it is, its colour,
    what it does or whether it is used, and the place.
    """

    verdict: Verdict
    facts: int


def rated(card: Card, world: World, annotators: Annotators, number: int) -> Rating:
    """Return how the annotator of a number rates an item of Annotate, always the same."""
    triple = Triple(
        id=card.id,
        reply_id="",
        image_id=card.image,
        style="description" if card.mentions else "id",
        question=card.question,
        answer=card.answer,
        rationale=card.rationale,
        region_ids=card.named,
        mentions=card.mentions,
    )
    holds = truth.verdict(triple, _staged(card.image, world), _regions(card.regions))
    # As `annotators.opinions` draws, so that a file of judgments and the studio agree.
    rng = random.Random(f"{annotators.seed}/{number}/{triple.id}")
    qa = rating(holds.answer, annotators, rng)
    return Rating(qa, None if qa == REJECT else rating(holds.rationale, annotators, rng))


def preferred(sight: Sight, world: World, judges: Annotators, number: int) -> Preferred:
    """Return which side the judge of a number prefers in an item of Compare, always the same.

    Correctness goes by whose answer is true, plausibility by whose rationale is, informativeness by
    who names more visible facts, and overall by these in turn: answer, rationale, facts.
    """
    left, right = (worth(sight, words, world) for words in (sight.left, sight.right))
    right_ones = (
        _side(left.verdict.answer, right.verdict.answer),
        _side(left.facts, right.facts),
        _side(left.verdict.rationale, right.verdict.rationale),
        _side(_whole(left), _whole(right)),
    )
    rng = random.Random(f"{judges.seed}/{number}/{sight.id}/prefers")
    return Preferred(*(_erring(side, judges.errors, rng) for side in right_ones))


def worth(sight: Sight, words: Words, world: World) -> Worth:
    """Return what one of the answers of an item of Compare is worth."""
    found = PICTURE.match(sight.image)
    image_id = sight.image if found is None else found[1]
    staged, regions = _staged(image_id, world), _regions(sight.regions)
    question, rationale = _numbered(sight.question), _numbered(words.rationale)
    triple = Triple(sight.id, "", image_id, "id", question, words.answer, rationale, tuple(regions))
    verdict = truth.verdict(triple, staged, regions)
    return Worth(verdict, _facts(triple, staged, regions))


def _facts(triple: Triple, staged: Staged, regions: Mapping[int, Region]) -> int:
    question, reason = sayings.asked(triple.question), sayings.reasoned(triple.rationale)
    if question is None or reason is None or reason.name != question[1]:
        return 0
    number = truth.entity_named(reason.name, triple, staged, regions)
    if number is None:
        return 0
    entity = staged.scene.entities[number]
    facts = (
        reason.what.kind == entity.kind,
        reason.what.paint == entity.colour,
        truth.fits(reason.what, staged.scene, number),
        reason.place == staged.scene.place,
    )
    return sum(facts)


def _whole(one: Worth) -> tuple[bool, bool, int]:
    return one.verdict.answer, one.verdict.rationale, one.facts


def _side(left: V, right: V) -> Side:
    return "left" if left > right else "right" if left < right else "tie"


def _erring(right: Side, errors: float, rng: random.Random) -> Side:
    """Return what is right, or at the rate of errors one of the others."""
    if rng.random() >= errors:
        return right
    return rng.choice([side for side in SIDES if side != right])


def _numbered(text: str) -> str:
    return BEFORE_NUMBER.sub("", text)


def _staged(image_id: str, world: World) -> Staged:
    staged = world.by_id.get(image_id)
    if staged is None:
        raise UserError(f"image {image_id} is none of the world in {world.folder}")
    return staged


def _regions(places: Sequence[Place]) -> dict[int, Region]:
    return {one.id: Region(one.id, one.box, "", "", 1.0) for one in places}
