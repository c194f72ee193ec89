"""A simulated teacher: it reads only words, knows the lab's table, and invents at a known rate.

It answers the conversations of the stages from their messages alone, so that it can stand behind
the OpenAI protocol (`lskd.lab.server`) as well as in this process.
"""

import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lskd.errors import UserError
from lskd.generate.commonsense.observations import BLOCK, Observations, read
from lskd.lab import sayings
from lskd.lab.imagination import imagined
from lskd.lab.knowledge import ASKS, Ask, knowledge
from lskd.lab.sayings import Described
from lskd.lab.scene import COLOURS, KINDS
from lskd.lab.words import an, looks, question, reason
from lskd.protocols import Conversation
from lskd.types import Message, Reply

MODEL = "lskd-lab-teacher"
HALLUCINATIONS = 0.28  # with the describers' mistakes about 45 % of all triples are acceptable
ELSEWHERE = 1 / 6  # of these are true of another region
WANTED = re.compile(r"\bwrite exactly (\d{1,6})\b", re.IGNORECASE)
ASKED = re.compile(r"\bask exactly (\d{1,6})\b", re.IGNORECASE)
# How a question of others is put to it (`lskd.generate.given`).
POSED = re.compile(r"^Somebody who sees the picture asks: (.+)$", re.MULTILINE)
NARRATIVE = re.compile(rf"- An? ({'|'.join(sayings.PLACES)}) with (.+)\.", re.IGNORECASE)
NOTHING = "There is nothing more to ask about these regions."
UNSEEN = "I cannot answer that: nobody has told me of it."


@dataclass(frozen=True, slots=True)
class Habits:
    """How a teacher errs: the share of triples in which something is invented, and its seed."""

    hallucinations: float = HALLUCINATIONS
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Subject:
    """A region as the teacher understands it; `name` is what stands in brackets."""

    name: str
    what: Described


@dataclass(frozen=True, slots=True)
class Understood:
    """What the teacher makes of the observations."""

    place: str
    subjects: tuple[Subject, ...]


class SimulatedTeacher:
    """Writes triples and short questions; equal messages get equal replies, and nothing is sent."""

    notice = "the teacher is simulated: it knows the lab's own table, and invents at a known rate"

    def __init__(self, hallucinations: float = HALLUCINATIONS, seed: int = 0) -> None:
        """Make a teacher; raises UserError for a rate outside of [0, 1]."""
        if not 0 <= hallucinations <= 1:
            raise UserError(f"hallucinations = {hallucinations}: a rate is from 0 to 1")
        self.habits = Habits(hallucinations, seed)

    def converse(self, conversations: Sequence[Conversation]) -> list[tuple[Reply, ...]]:
        """Return the replies of each conversation, in turn; there are no failures."""
        return [self._held(conversation) for conversation in conversations]

    def _held(self, conversation: Conversation) -> tuple[Reply, ...]:
        messages = [Message("system", conversation.system)] if conversation.system else []
        replies = []
        for turn, text in enumerate(conversation.turns):
            messages.append(Message("user", text))
            said = reply(messages, self.habits)
            replies.append(
                Reply(
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
            )
            messages.append(Message("assistant", said))
        return tuple(replies)


def reply(messages: Sequence[Message], habits: Habits) -> str:
    """Return what the teacher says next; what it has said before is read from the messages."""
    turns = [message.text for message in messages if message.role == "user"]
    block = BLOCK.search(turns[0]) if turns else None
    rng = random.Random(f"{habits.seed}/{turns[0] if turns else ''}")
    if block is None:
        return NOTHING
    seen = read(block[1])
    last = BLOCK.sub("", turns[-1])
    if posed := POSED.search(last):
        return answered(understood(seen, block[1], rng), posed[1].strip(), habits, rng)
    if wanted := ASKED.search(last):
        return "\n".join(_questions(seen, rng)[: int(wanted[1])])
    counts = [int(found[1]) if (found := WANTED.search(turn)) else 3 for turn in turns]
    written = triples(understood(seen, block[1], rng), habits, rng)
    start = sum(counts[:-1])
    return "\n\n".join(written[start : start + counts[-1]]) or NOTHING


def _questions(seen: Observations, rng: random.Random) -> list[str]:
    asked = ["What place is this?"]
    things = [f"{rng.choice(COLOURS)} {rng.choice(KINDS)}" for _ in range(4)]
    found = [sayings.described(one.phrase) for one in seen.regions]
    things += [f"{one.paint} {one.kind}" for one in found if one is not None and not one.is_person]
    rng.shuffle(things)
    return [*asked, *(f"Is there {an(thing)}?" for thing in dict.fromkeys(things))]


def understood(seen: Observations, block: str, rng: random.Random) -> Understood:
    """Return the place that most describers name, and each region as far as its phrase tells.

    Where a region has no phrase (Table 2), the teacher guesses among what else is told of.
    """
    told = [found for line in block.split("\n") if (found := NARRATIVE.fullmatch(line))]
    votes = Counter(place.lower() for place in seen.places if place.lower() in sayings.PLACES)
    votes.update({found[1].lower() for found in told})
    votes.update(
        place
        for exchange in seen.dialogue
        for place in sayings.PLACES
        if exchange.question.startswith("What place") and place in exchange.answer
    )
    place = votes.most_common(1)[0][0] if votes else rng.choice(sayings.PLACES)
    elsewhere = [
        what
        for found in told
        for phrase in re.split(r", (?=an? )", found[2])
        if (what := sayings.described(phrase)) is not None
    ]
    elsewhere += [Described(kind, rng.choice(COLOURS)) for kind in seen.objects if kind in KINDS]
    subjects = []
    for one in seen.regions:
        what = sayings.described(one.phrase)
        if what is None and not one.phrase and elsewhere:
            what = rng.choice(elsewhere)
        name = f"[{one.phrase}]" if one.id is None else f"[{one.id}]"
        sight = None if what is None else what.sight(place)
        if what is not None and sight is not None and knowledge().knows(sight):
            subjects.append(Subject(name, what))
    return Understood(place, tuple(subjects))


def triples(seen: Understood, habits: Habits, rng: random.Random) -> list[str]:
    """Return all triples that the teacher would write, in its order."""
    ideas = [(subject, ask) for subject in seen.subjects for ask in ASKS]
    rng.shuffle(ideas)
    # Subjects take turns, so that one conversation is not all about one region.
    met: Counter[str] = Counter()
    ranked: list[tuple[int, int, Subject, Ask]] = []
    for subject, ask in ideas:
        ranked.append((met[subject.name], len(ranked), subject, ask))
        met[subject.name] += 1
    return [
        _triple(seen, subject, ask, habits, rng)
        for _, _, subject, ask in sorted(ranked, key=lambda r: r[:2])
    ]


def answered(seen: Understood, posed: str, habits: Habits, rng: random.Random) -> str:
    """Return the answer to a question that somebody else asks about a region, and its rationale.

    The teacher invents as often as where it asks itself. It refuses what is no question of the lab,
    and what is about a region of which it was told nothing.
    """
    about = sayings.asked(posed)
    subject = next((one for one in seen.subjects if about and one.name == about[1]), None)
    if about is None or subject is None:
        return UNSEEN
    return _triple(seen, subject, about[0], habits, rng).partition("\n")[2]


def _triple(
    seen: Understood, subject: Subject, ask: Ask, habits: Habits, rng: random.Random
) -> str:
    what = subject.what
    if rng.random() < habits.hallucinations:
        # Another region's answer and reason, or those of something that is not there.
        others = [one.what for one in seen.subjects if one is not subject]
        elsewhere = others and rng.random() < ELSEWHERE
        what = rng.choice(others) if elsewhere else _invented(seen.place, rng)
    return (
        f"Question: {question(subject.name, ask)}\n"
        f"Answer: {_answer(what, ask, seen.place).capitalize()}.\n"
        f"Rationale: {_reason(subject.name, what, seen.place)}"
    )


def _answer(what: Described, ask: Ask, place: str) -> str:
    if ask == "what":
        return _looks(what)
    sight = what.sight(place)
    assert sight is not None
    return knowledge().answer(sight, ask)


def _looks(what: Described) -> str:
    return looks(what.kind, what.paint, what.is_person)


def _reason(name: str, what: Described, place: str) -> str:
    if what.is_person:
        use = f"who {what.doing}{' ' + what.object if what.object else ''}"
    else:
        use = "that somebody uses" if what.used else "that nobody uses"
    return reason(name, _looks(what), use, place)


def _invented(place: str, rng: random.Random) -> Described:
    """Return something that nobody told of, but that could be seen at a place."""
    what = sayings.described(rng.choice(imagined(place)).description)
    assert what is not None
    return what
