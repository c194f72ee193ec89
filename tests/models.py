"""Models for tests of the house: they meet the protocols with what little a test needs.

Run files name them as `use = "models:Class"`, the way that a user names a class of their own.
"""

import weakref
from collections.abc import Sequence
from typing import ClassVar

import PIL.Image

from lskd.picture import Picture
from lskd.protocols import Conversation, Proposal, Seen
from lskd.types import Box, Concept, Concepts, Message, Region, Reply, Score, Triple


class Eyes:
    """Takes every role of sight, and says what follows from an image's size."""

    notice = "the eyes of this run are a test's"

    without_effect = frozenset({"patience"})

    def __init__(self, boxes: int = 2, patience: int = 1) -> None:
        self.boxes = boxes
        self.patience = patience

    def tag(self, pictures: Sequence[Picture]) -> list[Concepts]:
        return [
            Concepts(p.image.id, (Concept("field", 0.5),), (Concept("dog", 0.4),), ())
            for p in pictures
        ]

    def narrate(
        self, pictures: Sequence[Picture], samples: int, temperature: float
    ) -> list[tuple[str, ...]]:
        # Each image has words of its own, so that no two prompts are equal.
        return [(f"A dog runs in field {p.image.id}.",)[:samples] for p in pictures]

    def propose(self, pictures: Sequence[Picture]) -> list[list[Proposal]]:
        return [[self.box(p, k) for k in range(self.boxes)] for p in pictures]

    @staticmethod
    def box(picture: Picture, k: int) -> Proposal:
        width, height = picture.pixels.size
        box = Box(0, 0, width / (k + 1), height / (k + 1))
        return Proposal(box, f"thing{k}", 0.9 - 0.1 * k)

    def describe(
        self, pictures: Sequence[Picture], regions: Sequence[Sequence[Region]]
    ) -> list[tuple[str, ...]]:
        return [tuple(f"a {r.label} at place {r.id}" for r in several) for several in regions]

    def answer(self, pictures: Sequence[Picture], questions: Sequence[str]) -> list[str]:
        return [
            "" if "why" in q.lower() else f"yes, {p.image.width}"
            for p, q in zip(pictures, questions, strict=True)
        ]


class Mute(Eyes):
    """Says nothing of the first region of each image, and tells no narrative."""

    def narrate(
        self, pictures: Sequence[Picture], samples: int, temperature: float
    ) -> list[tuple[str, ...]]:
        return [() for _ in pictures]

    def describe(
        self, pictures: Sequence[Picture], regions: Sequence[Sequence[Region]]
    ) -> list[tuple[str, ...]]:
        return [("", *some[1:]) for some in super().describe(pictures, regions)]


class Parrot:
    """Teaches one good triple a turn, one about region 9, and one about nothing."""

    def converse(self, conversations: Sequence[Conversation]) -> list[tuple[Reply, ...]]:
        return [tuple(self.replies(one)) for one in conversations]

    def replies(self, one: Conversation) -> list[Reply]:
        name = "[0]" if one.style == "id" else "[a thing0 at place 0]"
        strange = "[9]" if one.style == "id" else "[the queen of hearts]"
        return [
            Reply(
                id=f"{one.id}-{turn}",
                image_id=one.image_id,
                style=one.style,
                turn=turn,
                messages=(Message("user", text),),
                text=self.text(text, name, strange, turn),
                model="parrot",
                finish="stop",
                input_tokens=None,
                output_tokens=None,
                price=None,
                seconds=0.0,
            )
            for turn, text in enumerate(one.turns)
        ]

    @staticmethod
    def text(asked: str, name: str, strange: str, turn: int) -> str:
        if "short questions" in asked:
            return "1. Is it day?\n2. Why is it day?\nIs it  day ?\nThat is all."
        return (
            f"Question: Why does {name} run, {turn}?\nAnswer: It does.\nRationale: It runs.\n\n"
            f"Question: Where is {strange}, {turn}?\nAnswer: Far.\nRationale: It is so.\n\n"
            f"Question: What now, {turn}?\nAnswer: Nothing.\nRationale: It is over.\n"
        )


class Judge:
    """Likes triples about region 0 by id, and half likes the others."""

    def score(
        self, seen: Sequence[Seen], triples: Sequence[Sequence[Triple]]
    ) -> list[tuple[Score, ...]]:
        return [
            tuple(
                Score(t.id, t.image_id, 0.9 if t.style == "id" else 0.4, None, None)
                for t in several
            )
            for several in triples
        ]


class Holding:
    """Looks at all pixels that it is shown, and notes how many of all so far are still held."""

    seen: ClassVar[list[weakref.ref[PIL.Image.Image]]] = []
    most: ClassVar[int] = 0

    @staticmethod
    def look(pictures: Sequence[Picture]) -> None:
        distinct = {id(one.pixels): one.pixels for one in pictures}
        Holding.seen += map(weakref.ref, distinct.values())
        held = sum(one() is not None for one in Holding.seen)
        Holding.most = max(Holding.most, held)


class HoldingEyes(Eyes, Holding):
    """Takes every role of sight."""

    def tag(self, pictures: Sequence[Picture]) -> list[Concepts]:
        self.look(pictures)
        return super().tag(pictures)

    def narrate(
        self, pictures: Sequence[Picture], samples: int, temperature: float
    ) -> list[tuple[str, ...]]:
        self.look(pictures)
        return super().narrate(pictures, samples, temperature)

    def propose(self, pictures: Sequence[Picture]) -> list[list[Proposal]]:
        self.look(pictures)
        return super().propose(pictures)

    def answer(self, pictures: Sequence[Picture], questions: Sequence[str]) -> list[str]:
        self.look(pictures)
        return super().answer(pictures, questions)


class HoldingJudge(Judge, Holding):
    """Judges with a look at the picture."""

    def score(
        self, seen: Sequence[Seen], triples: Sequence[Sequence[Triple]]
    ) -> list[tuple[Score, ...]]:
        self.look([one.picture for one in seen])
        return super().score(seen, triples)
