"""Which systems can be compared, and what they answer: files of answers, the teacher, students.

The teacher's answers are the run's own accepted triples, which it wrote from verbalizations and
never saw the pixels. Students answer when a comparison begins (see `lskd.studio.answering`), or by
a file of answers that `lskd answers` had them make.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from lskd.errors import UserError
from lskd.human import answers, duels
from lskd.human.answers import Answer
from lskd.human.duels import Joined
from lskd.human.teacher import TEACHER, answer_of
from lskd.run import Run
from lskd.studio.students import Enrolled
from lskd.types import Example, Image, Reject

RANKS = "picks, for each question, among what the run says of the picture"
MOST = 5_000  # questions of one campaign; three judges would be months at them


@dataclass(frozen=True, slots=True)
class System:
    """A system that may be compared: what its answers are, or the fault why it has none."""

    name: str
    kind: Literal["teacher", "student"]
    note: str
    fault: str


@dataclass(frozen=True, slots=True)
class File:
    """A file of answers that the owner chose: its name and all of its text."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Pair:
    """The names of two systems, in the order that the tables will have."""

    first: str
    second: str


def systems(run: Run | None, students: Sequence[Enrolled]) -> tuple[System, ...]:
    """Return the systems that the studio knows beside files of answers."""
    count = 0
    if run is not None:
        count = sum(run.tables.count(Example, shard) for shard in run.tables.shards(Example))
    fault = "" if count else "no accepted triples are there yet: `lskd run` makes them"
    known = [System(TEACHER, "teacher", f"{count:,} accepted triples of this run", fault)]
    for student in students:
        note = "answers in its own words" if student.may_write else RANKS
        known.append(System(student.name, "student", note, fault))
    return tuple(known)


def taught(run: Run, wanted: Collection[str] | None = None) -> Iterator[Answer]:
    """Yield the teacher's answers: each accepted triple answers its own question, named by its id.

    With `wanted`, only those questions. Memory holds one shard.
    """
    for shard in run.tables.shards(Example):
        for example in run.tables.read(Example, shard):
            if wanted is None or example.id in wanted:
                yield answer_of(example)


def joined(run: Run | None, files: Sequence[File], pair: Pair) -> Joined:
    """Return the duels of two systems, over images of the run, and all rejects of the files.

    Raises UserError if there is no run, if a system has no answers, or if nothing is left to ask.
    """
    if run is None:
        raise UserError("comparing needs the images of a run: lskd studio RUN.toml")
    given = [answers.parse(file.text, file.name) for file in files]
    said = [answer for one in given for answer in one.answers]
    if TEACHER in (pair.first, pair.second):
        said = [*taught(run, {answer.question_id for answer in said}), *said]
    known = answers.systems(said)
    for name in (pair.first, pair.second):
        if name not in known:
            raise UserError(_lacks(name, known))
    made = duels.joined(said, pair.first, pair.second, duels.among(_images(run)))
    rejects = [*(reject for one in given for reject in one.rejects), *made.rejects]
    if not made.posed:
        first = f"; the first reason: {rejects[0].source}: {rejects[0].reason}" if rejects else ""
        raise UserError(f"{pair.first!r} and {pair.second!r} share no question{first}")
    if len(made.posed) > MOST:
        reason = f"a campaign has at most {MOST} questions"
        rejects += [Reject(f"question {one.id}", reason, "") for one in made.posed[MOST:]]
    return Joined(made.posed[:MOST], tuple(rejects))


def _lacks(name: str, known: Sequence[str]) -> str:
    if name == TEACHER:
        return (
            "the teacher has no answer to any question of these files: their question_id must be "
            "those of the teacher's own file, which this page gives"
        )
    return f"no answers of {name!r}; these files have those of: {', '.join(known) or 'nobody'}"


def _images(run: Run) -> Iterator[Image]:
    for shard in run.tables.shards(Image):
        yield from run.tables.read(Image, shard)
