"""Items to put before people, and people to whom they can be put."""

import secrets

from lskd.human.store import Store
from lskd.human.work import Annotator, Choice, Claim, Duel, Entry, Posed, Rating, Remark, Said
from lskd.types import Box, Region, Triple

GOOD, BAD, MAYBE = Rating(3, 3), Rating(1, None), Rating(2, 1)
FIRST = Choice("first", "tie", "first", "first")
SECOND = Choice("second", "tie", "first", "second")
REGIONS = (Region(0, Box(1, 2, 30, 40), "dog", "a wet dog", 0.5, ((1.0, 2.0, 30.0, 2.0),)),)


def claim(number: int, gold: Rating | None = None, answer: str = "it is [0]") -> Posed:
    name = f"t{number}"
    triple = Triple(name, f"r{number}", f"i{number}", "id", "who?", answer, "wet, so", (0,))
    return Posed(name, f"i{number}", Claim(triple, "/photos/a.jpg", 60, 50, REGIONS), gold)


def duel(number: int, gold: Choice | None = None) -> Posed:
    said = Said("student", "a dog", "it is wet"), Said("teacher", "[0]", "")
    what = Duel("who?", "/photos/a.jpg", 60, 50, REGIONS, *said)
    return Posed(f"q{number}", f"i{number}", what, gold)


def judging(store: Store, number: int, overlap: int = 2, gold: int = 0) -> str:
    """Begin a campaign of `number` items and `gold` others, whose answer is GOOD."""
    store.campaign("critic", "judge", overlap, seed=7)
    known = [claim(1_000_000 + n, GOOD) for n in range(gold)]
    assert store.put("critic", [*(claim(n) for n in range(number)), *known]) == number + gold
    return "critic"


def answer(
    store: Store, campaign: str, who: Annotator, said: Remark = GOOD, key: str | None = None
) -> Entry | None:
    """Take the next item and answer it; None if there is none."""
    item = store.next(campaign, who)
    if item is None:
        return None
    made = secrets.token_hex(16) if key is None else key
    return store.record(campaign, who, item.id, made, said, 1.5)
