"""Swapped texts that are false: before training, a critic looks at some swaps of every example.

"[1] and [2] are talking" stays true when its ids are swapped, so a swapped text is a sure negative
only if something has judged it, in the form in which it is said: with its rationale, or without.
That is done once and not in training: a swap is judged by the ids of the example, with all of its
regions, and holds under whatever ids the regions are drawn later; all swaps of an image share one
view of it; and the critic need not stay in memory.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from lskd import marking
from lskd.blip2.negatives import swap
from lskd.distil import augmentation, ledger
from lskd.distil.ledger import Ledger
from lskd.picture import Picture
from lskd.protocols import Critic, Seen
from lskd.stage import Context
from lskd.types import Concepts, Dialogue, Example, Image, Narratives, Regions, Triple

FILE = "rejected_swaps.jsonl"  # "swaps.jsonl" once had no form without a rationale
AT_ONCE = 64  # examples


@dataclass(frozen=True, slots=True)
class Swapped:
    """The texts of an example with its own ids permuted; `rationale` is "" where none is said."""

    question: str
    answer: str
    rationale: str


@dataclass(frozen=True, slots=True)
class SwapsOf:
    """The swapped texts of an example that are false: `full` ones, and those without rationale."""

    example_id: str
    full: tuple[Swapped, ...]
    bare: tuple[Swapped, ...]

    def said(self, rationale: bool | None) -> tuple[Swapped, ...]:
        """Return those that are said with the rationale, or without it; for None, both."""
        if rationale is None:
            return (*self.full, *self.bare)
        return self.full if rationale else self.bare


@dataclass(frozen=True, slots=True)
class Look:
    """How many swaps of an example are judged, and below which acceptance a text is rejected."""

    candidates: int
    threshold: float
    seed: int


def judged(
    examples: Ledger[Example], critic: Critic, look: Look, folder: Path, context: Context
) -> Ledger[SwapsOf]:
    """Return, by the examples' numbers, the swaps that the critic rejected.

    Kept in `folder`; after a kill it goes on where it was.
    """
    file = folder / FILE
    if not ledger.exists(file):
        done = ledger.begun(file)
        if done:
            context.say(f"going on with the swaps of example {done} of {len(examples)}")
        for start in range(done, len(examples), AT_ONCE):
            end = min(start + AT_ONCE, len(examples))
            some = [examples[number] for number in range(start, end)]
            ledger.append(file, _judged(some, critic, look))
        ledger.finish(file)
    found = Ledger(SwapsOf, file)
    kept = sum(len(set(found[number].said(None))) for number in range(len(found)))
    context.say(f"swap_critic rejects {kept} swapped texts of {len(found)} examples")
    return found


def candidates(example: Example, look: Look) -> list[Swapped]:
    """Return swaps of an example, each in full and without its rationale, no two alike.

    None if it names no region by number.
    """
    if not augmentation.by_id(example):
        return []
    rng = random.Random(f"{look.seed}/swaps/{example.id}")
    texts = (example.question, example.answer, example.rationale)
    places = sorted(augmentation.visible(example))
    drawn = (swap(texts, places, rng) for _ in range(look.candidates))
    full = [one for one in drawn if one is not None]
    # Where only the rationale names what is swapped, what is left without it is the true text.
    bare = [(*one[:2], "") for one in full if one[:2] != texts[:2]]
    return [Swapped(*one) for one in dict.fromkeys([*full, *bare])]


def _judged(examples: Sequence[Example], critic: Critic, look: Look) -> list[SwapsOf]:
    """Return what the critic rejects of some examples; those of one image are seen together."""
    swaps = [candidates(example, look) for example in examples]
    seen: list[Seen] = []
    triples: list[list[Triple]] = []
    together = groupby(
        zip(examples, swaps, strict=True), key=lambda pair: (pair[0].path, pair[0].regions)
    )
    for _, some in together:
        pairs = list(some)
        seen.append(_seen(pairs[0][0]))
        triples.append([t for example, several in pairs for t in _triples(example, several)])
    asked = [n for n, several in enumerate(triples) if several]
    answers = critic.score([seen[n] for n in asked], [triples[n] for n in asked])
    accept = {score.triple_id: score.accept for scores in answers for score in scores}
    found = []
    for example, several in zip(examples, swaps, strict=True):
        both = zip(several, _triples(example, several), strict=True)
        rejected = [one for one, triple in both if accept[triple.id] < look.threshold]
        found.append(_false(example, rejected))
    return found


def _false(example: Example, rejected: Sequence[Swapped]) -> SwapsOf:
    """Return which of the rejected texts are false.

    What is false without its rationale is so with it. Both must be rejected: a critic may never
    have met a text without one, and reject them all.
    """
    full = [one for one in rejected if bool(one.rationale) is bool(example.rationale)]
    bare = dict.fromkeys(replace(one, rationale="") for one in full)
    return SwapsOf(example.id, tuple(full), tuple(one for one in bare if one in rejected))


def numbers(swapped: Swapped) -> frozenset[int]:
    """Return the ids that swapped texts name."""
    texts = (swapped.question, swapped.answer, swapped.rationale)
    return frozenset(number for text in texts for number in marking.named(text))


def _triples(example: Example, several: Sequence[Swapped]) -> list[Triple]:
    return [
        Triple(
            id=f"{example.id}/{number}",
            reply_id="",
            image_id=example.image_id,
            style="id",
            question=one.question,
            answer=one.answer,
            rationale=one.rationale,
            region_ids=tuple(sorted(numbers(one))),
        )
        for number, one in enumerate(several)
    ]


def _seen(example: Example) -> Seen:
    """Return what is known of an example's image: its pixels and regions, and no descriptors."""
    name = example.image_id
    return Seen(
        Picture(Image(name, example.path, example.width, example.height)),
        Concepts(name, (), (), ()),
        Narratives(name, ()),
        Regions(name, example.regions),
        Dialogue(name, ()),
    )
