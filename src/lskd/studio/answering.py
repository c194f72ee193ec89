"""Students answer questions of the run, so that they can be compared: questions in, a file out.

Questions are those of accepted triples. A student that writes answers in its own words. One that
ranks says whichever it finds likeliest of what the run says to this question and to others about
the picture, with the reason that is given there. What goes out are lines as `lskd.human.answers`
reads them, some questions at a time, so that a page can tell how far it is.
"""

import random
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from typing import Annotated, TypeVar

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field

from lskd.errors import UserError
from lskd.human import answers
from lskd.human.answers import Answer
from lskd.human.teacher import answer_of
from lskd.run import Run
from lskd.studio.desk import Desk
from lskd.studio.hand import Body
from lskd.studio.prompts import choices, names_only
from lskd.studio.results import Fault
from lskd.studio.students import Busy, Enrolled
from lskd.types import Example, Triple

QUESTIONS = 40  # for one judge half an hour's work
MOST = 500
EVERY = 2.0  # seconds after which what was answered so far goes out

T = TypeVar("T", Triple, Example)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of the run, and the triples whose answers can be chosen from, its own first."""

    example: Example
    choices: tuple[Triple | Example, ...]


class Wish(Body):
    """Whom to ask how many questions, and how many of them were answered already."""

    student: Annotated[str, Field(min_length=1, max_length=300)]
    count: Annotated[int, Field(ge=1, le=MOST)] = QUESTIONS
    seed: Annotated[int, Field(ge=0, le=2**31)] = 0
    after: Annotated[int, Field(ge=0, le=MOST)] = 0


class Part(BaseModel):
    """Lines of a file of answers; `done` of `total` questions are asked by now."""

    text: str
    done: int
    total: int
    faults: list[Fault]


def questions(run: Run, count: int, seed: int) -> tuple[Asked, ...]:
    """Return at most `count` questions of a run that name regions by number, drawn by seed.

    Each is about another image, as far as there are so many. Memory holds no more shards than it
    takes to find them.
    """
    source = random.Random(f"{seed} questions")
    shards = sorted(run.tables.shards(Example))
    source.shuffle(shards)
    rounds: list[list[Asked]] = []  # the first question of each image, the second of each, ...
    for shard in shards:
        if rounds and len(rounds[0]) >= count:
            break
        for of_image in _of_shard(run, shard, source):
            for turn, one in enumerate(of_image):
                if turn == len(rounds):
                    rounds.append([])
                rounds[turn].append(one)
    return tuple(islice((one for turn in rounds for one in turn), count))


def _of_shard(run: Run, shard: str, source: random.Random) -> Iterator[list[Asked]]:
    """Yield the questions of each image of a shard, in an order that is drawn."""
    posed = _by_image(run.tables.read(Example, shard))
    said = _by_image(run.tables.read(Triple, shard))
    for image_id in source.sample(sorted(posed), len(posed)):
        some = posed[image_id]
        drawn = {region.id for region in some[0].regions}
        pool = [one for one in said.get(image_id, some) if names_only(one, drawn)]
        yield [
            Asked(one, choices(one, pool))
            for one in source.sample(some, len(some))
            if names_only(one, drawn)
        ]


def _by_image(rows: Iterable[T]) -> dict[str, list[T]]:
    found: dict[str, list[T]] = {}
    for row in rows:
        found.setdefault(row.image_id, []).append(row)
    return found


def answered(desk: Desk, student: Enrolled, asked: Asked) -> Answer:
    """Return what a student says to a question.

    Raises UserError where it can say nothing, and Busy if too many wait for the students.
    """
    example, said = asked.example, {one.answer: one for one in asked.choices}
    pixels = desk.photographs.pixels(example.image_id)
    if pixels is None:
        raise UserError(f"no picture {example.image_id}")
    texts = () if student.writes else tuple(said)
    reply = desk.examiner.ask(student.name, pixels, example.regions, example.question, texts)
    row = replace(answer_of(example), system=student.name)
    if reply.wrote is not None:
        return replace(row, answer=reply.wrote.answer, rationale=reply.wrote.rationale)
    if len(said) < 2:
        raise UserError("the run says nothing else of this picture, so there is nothing to choose")
    best = said[reply.ranked[0].choice]
    return replace(row, answer=best.answer, rationale=best.rationale)


def router(desk: Desk) -> APIRouter:
    """Return the API by which students answer, for a router of the owner."""
    api = APIRouter()

    @lru_cache(maxsize=4)
    def drawn(count: int, seed: int) -> tuple[Asked, ...]:
        return () if desk.run is None else questions(desk.run, count, seed)

    @api.post("/answers")
    def answer(wish: Wish) -> Part:
        """Return what a student says to the next few questions; all of it, asked until `total`."""
        student = next((one for one in desk.students if one.name == wish.student), None)
        if student is None:
            known = ", ".join(one.name for one in desk.students) or "none was given"
            raise UserError(f"no student {wish.student!r}; students: {known}")
        return _part(desk, student, drawn(wish.count, wish.seed), wish.after)

    return api


def _part(desk: Desk, student: Enrolled, asked: Sequence[Asked], after: int) -> Part:
    if not asked:
        raise UserError(
            "there are no accepted triples that name regions by number, so nothing to ask students"
        )
    rows: list[Answer] = []
    faults: list[Fault] = []
    done, until = min(after, len(asked)), time.monotonic() + EVERY
    for one in asked[done:]:
        try:
            rows.append(answered(desk, student, one))
        except Busy as error:
            if not rows and not faults:
                raise HTTPException(503, str(error)) from error
            break
        except UserError as error:
            faults.append(Fault(source=f"question {one.example.id}", reason=str(error)))
        done += 1
        if time.monotonic() > until:
            break
    return Part(text="".join(answers.written(rows)), done=done, total=len(asked), faults=faults)
