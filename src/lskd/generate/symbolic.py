"""A teacher without weights, key or network: rules, and a table of everyday knowledge.

It stands in for a language model so that a first run costs nothing, and reads only what such a
model would read: the words of the conversation. What it states plainly follows from the
observations; what it infers is said to be probable, usual or possible. It repeats no text of the
observations but the phrases of regions, so nothing that they say can steer it.
"""

import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from heapq import heapify, heappop, heapreplace
from itertools import islice

from lskd.generate.commonsense import groups, layout, pairs, single
from lskd.generate.commonsense.observations import Observations, split
from lskd.generate.commonsense.questions import questions
from lskd.generate.commonsense.view import View, view
from lskd.generate.commonsense.wording import Draft, Writer
from lskd.protocols import Conversation
from lskd.types import Message, Reply

MODEL = "symbolic"
TRIPLES = 3  # a turn, where a prompt does not say "Write exactly N" (section 2.2)
# What a kind of triple costs each time it comes: the more it asks of common sense, the cheaper.
COST = {
    **dict.fromkeys(("pair", "next", "before"), 1.0),
    **dict.fromkeys(("use", "scene", "evidence", "owner", "acts"), 1.5),
    **dict.fromkeys(("need", "found"), 3.0),
}
USUAL = 2.0
# Kinds that rest on boxes alone, or on counts: told only when nothing else is left.
PLAIN = frozenset("hidden subject reach depth front size only alike eye across down middle".split())
WANTED = re.compile(r"\bwrite exactly (\d{1,6})\b", re.IGNORECASE)
ASKED = re.compile(r"\bask exactly (\d{1,6})\b", re.IGNORECASE)
NO_REGION = "There is no region here that a question could name."
NOTHING_MORE = "There is nothing more to say about these regions that is sure to be true."


class SymbolicTeacher:
    """Writes triples and short questions from boxes, phrases and everyday knowledge.

    Replies are free text, also where a conversation has a schema; pictures and temperature are not
    looked at. `seed` and a conversation's id decide which of all true triples are written, so equal
    input gives equal replies. Nothing is sent anywhere: the price is 0, tokens are not counted
    (None), and `seconds` is 0, so that a table made again is the same table.
    """

    notice = (
        "no language model takes part: a symbolic teacher writes the triples, from boxes, phrases "
        "and a small table of everyday knowledge"
    )

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def converse(self, conversations: Sequence[Conversation]) -> list[tuple[Reply, ...]]:
        """Return the replies of each conversation, in turn; there are no failures.

        A reply has fewer triples than were asked for, or none, when no more can be said.
        """
        return [tuple(self.replies(conversation)) for conversation in conversations]

    def replies(self, conversation: Conversation) -> Iterator[Reply]:
        """Yield the reply to each turn of a conversation."""
        rng = random.Random(f"{self.seed}/{conversation.id}")
        messages = [Message("system", conversation.system)] if conversation.system else []
        seen = view(Observations(), conversation.style)
        drafts: Iterator[Draft] = iter(())
        for turn, text in enumerate(conversation.turns):
            observations, instructions = split(text)
            if observations:
                seen = view(observations, conversation.style)
                drafts = triples(seen, rng)
            messages.append(Message("user", text))
            said = answer(seen, drafts, instructions, rng)
            yield Reply(
                id=f"{conversation.id}-{turn}",
                image_id=conversation.image_id,
                style=conversation.style,
                turn=turn,
                messages=tuple(messages),
                text=said,
                model=MODEL,
                finish="stop",
                input_tokens=None,
                output_tokens=None,
                price=0.0,
                seconds=0.0,
            )
            messages.append(Message("assistant", said))


def answer(seen: View, drafts: Iterator[Draft], instructions: str, rng: random.Random) -> str:
    """Return the text of a reply: questions if they are asked for, else triples."""
    if asked := ASKED.search(instructions):
        return "\n".join(questions(seen, int(asked[1]), rng))
    wanted = WANTED.search(instructions)
    count = int(wanted[1]) if wanted else TRIPLES
    written = list(islice(drafts, count))
    if written:
        return "\n\n".join(
            f"Question: {draft.question}\nAnswer: {draft.answer}\nRationale: {draft.rationale}"
            for draft in written
        )
    return NOTHING_MORE if seen.entities else NO_REGION


def triples(seen: View, rng: random.Random) -> Iterator[Draft]:
    """Yield triples that differ in kind and in subject as long as they can; none comes twice.

    Each time the idea is taken whose kind is cheapest and whose regions were met least; what rests
    on the layout of boxes alone comes last.
    """
    writer = Writer(rng, seen.style)
    pool = [
        *single.ideas(seen),
        *pairs.ideas(seen),
        *groups.ideas(seen),
        *layout.ideas(seen),
    ]
    rng.shuffle(pool)
    kinds: Counter[str] = Counter()
    regions: Counter[int] = Counter()
    asked: set[str] = set()

    def weight(place: int) -> tuple[bool, float, int]:
        idea = pool[place]
        met = sum(regions[entity.index] for entity in idea.entities) / len(idea.entities)
        cost = COST.get(idea.kind, USUAL) * (1 + kinds[idea.kind]) + met
        return idea.kind in PLAIN, cost, place

    # A weight only grows, so one that was told long ago is at least no larger than it is now.
    heap = [weight(place) for place in range(len(pool))]
    heapify(heap)
    while heap:
        now = weight(heap[0][-1])
        if now != heap[0]:
            heapreplace(heap, now)
            continue
        idea = pool[heappop(heap)[-1]]
        draft = idea.write(writer)
        if draft and draft.question not in asked:
            asked.add(draft.question)
            kinds[idea.kind] += 1
            regions.update(entity.index for entity in idea.entities)
            yield draft
