"""A run's teacher answers questions that others ask, from what its describers say (Table 5).

In: a run whose pictures were described, and questions about these, with regions of their own. Out:
the same questions with the teacher's answers. Pixels are seen by the run's captioner alone, which
describes the regions; all else is read from the run's tables. Replies are kept in its journal.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from lskd.distil.generative.answers import Posed
from lskd.errors import UserError
from lskd.generate import given, replies
from lskd.generate.given import Question
from lskd.human.answers import Answer
from lskd.human.teacher import TEACHER
from lskd.picture import Picture
from lskd.prompt import Descriptors
from lskd.protocols import Captioner, Teacher
from lskd.run import Run
from lskd.stage import Shard, batches
from lskd.types import Concepts, Dialogue, Image, Narratives, Region, Regions
from lskd.verbalize import regions

Say = Callable[[str], None]
View = tuple[str, tuple[Region, ...]]  # of an image, by its id


@dataclass(frozen=True, slots=True)
class Told:
    """What a run says of an image."""

    picture: Picture
    words: Descriptors


def taught(run: Run, asked: Sequence[Posed], say: Say) -> list[Posed]:
    """Return questions with the teacher's answers beside those that they have.

    What it does not answer is told. Raises UserError for a run that has no teacher, or has not
    described a picture that is asked about; and what a teacher raises.
    """
    settings = run.settings.get("generate")
    if not isinstance(settings, replies.Settings):
        raise UserError(f"the run {run.name} has no teacher: name one in [models]")
    if any(one.system == TEACHER for posed in asked for one in posed.given):
        raise UserError(f"{TEACHER!r} has answered already: leave --teacher out, or its answers")
    told = _told(run, {posed.image.id for posed in asked})
    places = _described(run, asked, told)
    teacher = run.context(replies.STAGE).build(Teacher, settings.teacher)
    found: list[Posed] = []
    faults: list[str] = []
    for some in batches(asked, settings.conversations):
        questions = [_question(posed, told, places) for posed in some]
        for posed, said in zip(some, given.answers(questions, teacher, settings), strict=True):
            if said.fault:
                faults.append(f"{posed.question.question_id}: {said.fault}")
            own = () if said.fault else (_answer(posed, said),)
            found.append(replace(posed, given=(*posed.given, *own)))
        say(f"{TEACHER}: {len(found)} of {len(asked)} asked")
    if faults:
        say(f"{TEACHER}: {len(faults)} of {len(asked)} have no answer, as {faults[0]}")
    return found


def _told(run: Run, images: set[str]) -> dict[str, Told]:
    """Return what the run says of some images."""
    found: dict[str, Told] = {}
    for name in run.tables.shards(Image):
        shard = Shard(name, run.tables)
        pictures = [one for one in shard.pictures() if one.image.id in images]
        if pictures:
            found |= _of_shard(run, shard, pictures)
    return found


def _of_shard(run: Run, shard: Shard, pictures: Sequence[Picture]) -> Iterator[tuple[str, Told]]:
    concepts, narratives = shard.one_each(Concepts), shard.one_each(Narratives)
    places, dialogue = shard.one_each(Regions), shard.one_each(Dialogue)
    for one in pictures:
        name = one.image.id
        if not all(name in table for table in (concepts, narratives, places, dialogue)):
            raise UserError(
                f"the run {run.name} has not described {one.image.path} yet, so its teacher knows "
                "nothing of it: lskd run with --until dialogue first"
            )
        words = Descriptors(
            one.image, concepts[name], narratives[name], places[name], dialogue[name]
        )
        yield name, Told(one, words)


def _described(
    run: Run, asked: Sequence[Posed], told: Mapping[str, Told]
) -> dict[View, tuple[Region, ...]]:
    """Return the regions of each view with their phrases: the run's own, or its captioner's."""
    found: dict[View, tuple[Region, ...]] = {}
    new: list[View] = []
    for view in dict.fromkeys(_view(posed) for posed in asked):
        own = told[view[0]].words.regions.regions
        if _alike(own, view[1]):
            found[view] = own
        else:
            new.append(view)
    if not new:
        return found
    settings = run.settings["regions"]
    assert isinstance(settings, regions.Settings)
    captioner = run.context(regions.STAGE).build(Captioner, settings.captioner)
    for some in batches(new, settings.batch):
        pictures = [told[name].picture.fresh() for name, _ in some]
        phrases = captioner.describe(pictures, [places for _, places in some])
        for view, said in zip(some, phrases, strict=True):
            found[view] = regions.described(view[1], said)
    return found


def _alike(own: Sequence[Region], others: Sequence[Region]) -> bool:
    """Return whether regions have the same numbers and boxes."""
    return [(one.id, one.box) for one in own] == [(one.id, one.box) for one in others]


def _view(posed: Posed) -> View:
    return posed.image.id, posed.question.regions


def _question(
    posed: Posed, told: Mapping[str, Told], places: Mapping[View, tuple[Region, ...]]
) -> Question:
    words = told[posed.image.id].words
    own = Regions(posed.image.id, places[_view(posed)])
    question = posed.question
    return Question(question.question_id, question.question, replace(words, regions=own))


def _answer(posed: Posed, said: given.Said) -> Answer:
    return replace(
        posed.question,
        system=TEACHER,
        answer=said.answer,
        rationale=said.rationale,
        source=TEACHER,
    )
