"""A teacher answers questions that others ask about a picture (section 3.4, Table 5).

In: a question with the regions that it is about, and what describers said of the picture. Out: the
teacher's answer and rationale, or why there is none. What it is told is in `prompts/answer.txt`.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from lskd.comparing import normal
from lskd.generate.parse import REFUSAL, canonical, pieces
from lskd.generate.replies import Settings
from lskd.prompt import LOOKALIKES, Descriptors, filled, observations, prompt_file
from lskd.protocols import Conversation, Teacher
from lskd.types import Reply

SYSTEM, PROMPT = "answerer", "answer"
PARTS = ("answer", "rationale")
SCHEMA = json.dumps(
    {
        "name": "answer",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {part: {"type": "string"} for part in PARTS},
            "required": list(PARTS),
            "additionalProperties": False,
        },
    }
)
TAGS = {code: sign for code, sign in LOOKALIKES.items() if chr(code) not in "[]"}


@dataclass(frozen=True, slots=True)
class Question:
    """A question about an image, which names regions of `seen` as "[2]"."""

    id: str
    text: str
    seen: Descriptors


@dataclass(frozen=True, slots=True)
class Said:
    """What a teacher says to a question; `fault` is why it says nothing that can be used, or ""."""

    answer: str
    rationale: str
    fault: str = ""


def answers(questions: Sequence[Question], teacher: Teacher, settings: Settings) -> list[Said]:
    """Return what a teacher says to each question, one conversation each.

    Descriptors, temperature and the length of a reply are those of its section in the run file.
    Raises what `Teacher.converse` does.
    """
    talks = [conversation(one, settings) for one in questions]
    return [
        said(one.text, replies[-1])
        for one, replies in zip(questions, teacher.converse(talks), strict=True)
    ]


def conversation(question: Question, settings: Settings) -> Conversation:
    """Return all that is said to the teacher."""
    named = f"{question.id} {question.seen.image.id} {question.text}"
    return Conversation(
        id=f"answer-{hashlib.blake2b(named.encode(), digest_size=12).hexdigest()}",
        image_id=question.seen.image.id,
        style="id",
        system=filled(prompt_file("lskd.generate", SYSTEM)),
        turns=(
            filled(
                prompt_file("lskd.generate", PROMPT),
                observations=observations(question.seen, "id", settings.descriptors),
                question=" ".join(question.text.translate(TAGS).split()),
            ),
        ),
        temperature=settings.temperature,
        reply_tokens=settings.reply_tokens,
        schema=SCHEMA,
    )


def said(question: str, reply: Reply) -> Said:
    """Return the answer that a reply holds, or why it holds none."""
    if reply.error is not None:
        return Said("", "", f"no reply: {reply.error}")
    found = [canonical(piece) for piece in pieces(reply.text) if piece.answer]
    if not found:
        refused = REFUSAL.search(reply.text)
        return Said("", "", "refusal" if refused else "the reply has no answer")
    first = found[0]
    if first.question and normal(first.question) != normal(question):
        return Said("", "", "the reply answers a question of its own")
    if REFUSAL.search(first.answer):
        return Said("", "", "refusal")
    return Said(first.answer, first.rationale)
