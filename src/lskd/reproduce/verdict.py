"""A claim becomes a plain sentence: agrees in direction, does not, or cannot be told.

A difference agrees if its whole interval is above 0, and does not if its whole interval is below;
what the paper did not ask holds or does not, and agrees with nothing.
What the lab could not have shown otherwise is never called agreement, and neither is what a handful
of images gives, or one seed: how much another training would differ is then not known.
"""

import math
from collections.abc import Iterator
from typing import Literal

from lskd.reproduce.experiment import Claim, Figure

Verdict = Literal[
    "agrees", "does not agree", "holds", "does not hold", "cannot be told", "by construction"
]
FEWEST = 20  # images: drawn again, fewer say too little of others
SEEDS = 2  # what a training gives is told from chance by how much seeds differ


def verdict(claim: Claim) -> Verdict:
    """Return what is to be made of a claim."""
    found = claim.found
    if not claim.learned:
        return "by construction"
    if not enough(found) or len(found.seeds) < SEEDS:
        return "cannot be told"
    if found.low > 0:
        return "holds" if claim.beyond else "agrees"
    if found.high < 0:
        return "does not hold" if claim.beyond else "does not agree"
    return "cannot be told"


def enough(found: Figure) -> bool:
    """Return whether a figure is of as many images as it takes to say anything of others."""
    return found.images is None or found.images >= FEWEST


def sentence(claim: Claim) -> str:
    """Return a verdict in words, with its numbers."""
    begun = {
        "agrees": "Agrees in direction:",
        "does not agree": "Does not agree that",
        "holds": "It holds that",
        "does not hold": "It does not hold that",
        "cannot be told": "Cannot be told whether",
        "by construction": "By construction, no evidence either way of whether",
    }[verdict(claim)]
    return f"{begun} {claim.said} ({', '.join(_numbers(claim))})."


def _numbers(claim: Claim) -> Iterator[str]:
    found = claim.found
    yield f"{signed(found)} here"
    if claim.paper is not None:
        yield f"{claim.paper:+.1f} in the paper"
    if len(found.seeds) > 1:
        yield "seeds " + " ".join(f"{_rounded(one, found.digits):+}" for one in found.seeds)
    else:
        yield "one seed"
    if not enough(found):
        yield f"{found.images} image{'' if found.images == 1 else 's'} only"


def signed(one: Figure) -> str:
    """Return a difference with its interval: "+3.1 [1.0, 5.2]"."""
    return f"{_rounded(one.value, one.digits):+.{one.digits}f} [{bounds(one)}]"


def plain(one: Figure | None) -> str:
    """Return a figure with its interval: "59.0 [57.1, 60.8]", or a dash."""
    if one is None or math.isnan(one.value):
        return "–"
    return f"{_rounded(one.value, one.digits):.{one.digits}f} [{bounds(one)}]"


def bounds(one: Figure) -> str:
    """Return the ends of an interval, or that it is not known."""
    if math.isnan(one.low) or math.isnan(one.high):
        return "unknown"
    ends = (_rounded(end, one.digits) for end in (one.low, one.high))
    return ", ".join(f"{end:.{one.digits}f}" for end in ends)


def _rounded(value: float, digits: int) -> float:
    """Return a rounded number; what rounds to nothing has no sign."""
    return round(value, digits) + 0.0
