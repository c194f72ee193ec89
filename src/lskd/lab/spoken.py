"""What a student that writes, and its base, answer in their own words, judged by the true world.

In: a student's folder, and a world of which no picture of a split was trained on. Out: for each
question whether the answer is right: about a region by its number, all regions of the scene being
drawn, and about the whole picture, of which nothing is drawn. Both models are asked in the same
words, and write the likeliest text.
"""

import inspect
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import PIL.Image

from lskd.distil import note
from lskd.distil.generative.prompts import Prompts
from lskd.lab import truth
from lskd.lab.bars import Bar
from lskd.lab.gold import whole
from lskd.lab.gold.files import chance
from lskd.lab.gold.regions import asked, numbered
from lskd.lab.knowledge import ASKS
from lskd.lab.measures import Measure, measure
from lskd.lab.words import question
from lskd.lab.world import Split, Staged, World
from lskd.stage import batches, named
from lskd.types import Region, Triple
from lskd.writing import note as writers
from lskd.writing.coordinates import codec_of
from lskd.writing.pointing import Pictured, Pointing
from lskd.writing.writer import Decoding, Line, Writer

Who = Literal["base", "student"]
WHO: tuple[Who, ...] = ("base", "student")

AT_ONCE = 16  # scenes
LINES = 64  # that are written together, by models that are small
WHOLE = 3  # questions about a whole picture, of different kinds
ARTICLE = re.compile(r"^(an?|the) ", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Question:
    """A question about a scene: of a region by its number if `regions` are drawn, else of all.

    `right` is the right answer where the question is about the whole picture, else "".
    """

    staged: Staged
    regions: tuple[Region, ...]
    text: str
    right: str = ""

    @property
    def named(self) -> bool:
        """Return whether it is about a region by its number."""
        return bool(self.regions)


@dataclass(frozen=True, slots=True)
class Said:
    """An answer and its rationale, and what is true of them; a whole picture's has no rationale."""

    question: Question
    answer: str
    rationale: str
    right: bool
    justified: bool


@dataclass(frozen=True, slots=True)
class Pupil:
    """A model that is asked: how it is pointed at regions, and the words it is asked in."""

    writer: Writer
    pointing: Pointing
    prompts: Prompts
    tokens: int


def pupils(folder: Path) -> tuple[Pupil, Pupil]:
    """Return the base of a student's folder as it was before training, and the student."""
    about = note.read(folder)
    told = writers.read(folder / "writer")
    kind = named(told.use)
    batch = LINES if "batch" in inspect.signature(kind).parameters else None
    student = writers.opened(folder / "writer", batch=batch)
    base = kind(**{**told.keys, **writers.without_none(batch=batch)})
    codec = None if about.coordinates is None else codec_of(about.coordinates)
    prompts = Prompts(about.text, about.whole)
    return tuple(  # type: ignore[return-value]
        Pupil(one, Pointing(about.marking, one.canvas, codec), prompts, about.tokens)
        for one in (base, student)
    )


def questions(world: World, split: Split) -> Iterator[Question]:
    """Yield what is asked of the scenes of a split, in their order.

    Of each, one region by chance is asked about in every way that the lab knows ("held": one of a
    combination that training never showed), and up to three things of the whole picture are.
    """
    for staged in world.of(split):
        seen = numbered(staged, world.seed)
        rng = chance(world.seed, staged, "spoken")
        regions = tuple(
            Region(id=place, box=staged.boxes[entity], label="", description="", score=1.0)
            for place, entity in enumerate(seen.order)
        )
        able = [entity for entity in seen.order if asked(staged, entity)]
        chosen = seen.region(rng.choice(able))
        for ask in ASKS:
            yield Question(staged, regions, question(f"[{chosen}]", ask))
        every = whole.questions(staged.scene, rng)
        rng.shuffle(every)
        kinds = {one.kind: one for one in every}
        for one in list(kinds.values())[:WHOLE]:
            yield Question(staged, (), one.text, one.answer)


def told(pupil: Pupil, world: Path, asked: Sequence[Question]) -> list[Said]:
    """Return what a pupil says to each question, and whether it is true."""
    found: list[Said] = []
    for some in batches(asked, AT_ONCE * (len(ASKS) + WHOLE)):
        found += _told(pupil, world, some)
    return found


def judged(asked: Question, answer: str, rationale: str) -> Said:
    """Return an answer with what is true of it.

    About a whole picture it is right in the words of the benchmark, article or none.
    """
    if not asked.named:
        right = _plain(answer) == _plain(asked.right)
        return Said(asked, answer, rationale, right, False)
    ids = tuple(region.id for region in asked.regions)
    triple = Triple("", "", asked.staged.image_id, "id", asked.text, answer, rationale, ids)
    verdict = truth.verdict(triple, asked.staged, {one.id: one for one in asked.regions})
    return Said(asked, answer, rationale, verdict.answer, verdict.rationale)


@dataclass(frozen=True, slots=True)
class Compared:
    """What a base and its student say to the same questions, side by side."""

    base: tuple[Said, ...]
    student: tuple[Said, ...]

    def share(self, who: Who, named: bool) -> Measure:
        """Return the share of right answers, about named regions or about whole pictures."""
        rows = [one for one in getattr(self, who) if one.question.named == named]
        return measure([float(one.right) for one in rows], _images(rows))

    def gain(self, named: bool) -> Measure:
        """Return how many points the student is above the base on the same questions."""
        pairs = [
            (base, student)
            for base, student in zip(self.base, self.student, strict=True)
            if base.question.named == named
        ]
        values = [float(student.right) - float(base.right) for base, student in pairs]
        return measure(values, _images([base for base, _ in pairs]))

    def justified(self, who: Who) -> Measure:
        """Return the share of true rationales of answers about named regions."""
        rows = [one for one in getattr(self, who) if one.question.named]
        return measure([float(one.justified) for one in rows], _images(rows))


def compared(folder: Path, world: World, split: Split) -> Compared:
    """Ask the student of a folder, and its base, about the scenes of a split."""
    every = list(questions(world, split))
    base, student = (tuple(told(one, world.folder, every)) for one in pupils(folder))
    return Compared(base, student)


def bars(folder: Path, world: World) -> Iterator[Bar]:
    """Yield what the lab claims of a student that writes, measured."""
    test, held = (compared(folder, world, split) for split in ("test", "held"))
    gained = test.gain(named=True)
    yield _bar("writes above base, named regions", gained, 25)
    kept = held.gain(named=True)
    yield _bar("writes above base, held-out combinations", kept, gained.value / 2)
    for name, found in (("test", test), ("held-out", held)):
        title = f"writes above base, whole pictures of {name} scenes"
        yield _bar(title, found.gain(named=False), -1)
    for who in WHO:
        yield _bar(f"{who} right about named regions", test.share(who, named=True))
        yield _bar(f"{who} right about whole pictures", test.share(who, named=False))
        yield _bar(f"true rationales of the {who}", test.justified(who))


def _bar(claim: str, found: Measure, least: float | None = None) -> Bar:
    if least is None:
        return Bar(claim, "reported", found, (found.value,), None)
    return Bar(claim, f"at least {least:.3g}", found, (found.value,), found.value >= least)


def _images(rows: Sequence[Said]) -> list[str]:
    return [one.question.staged.image_id for one in rows]


def _told(pupil: Pupil, world: Path, some: Sequence[Question]) -> list[Said]:
    places = list(dict.fromkeys((one.staged.file, one.regions) for one in some))
    looked = [pupil.pointing.picture(_pictured(world, *place)) for place in places]
    sights = [sight for few in batches(looked, AT_ONCE) for sight in pupil.writer.look(few)]
    views = {place: number for number, place in enumerate(places)}
    lines = [
        _line(pupil, one, views[one.staged.file, one.regions], pupil.prompts.answer(one.text))
        for one in some
    ]
    decoding = Decoding(tokens=pupil.tokens, stop=pupil.prompts.after_answer)
    answers = [said.text for said in pupil.writer.write(sights, lines, decoding)]
    able = [n for n, one in enumerate(some) if one.named and answers[n].strip()]
    more = [
        replace(
            lines[n],
            prompt=_line(
                pupil, some[n], lines[n].view, pupil.prompts.rationale(some[n].text, answers[n])
            ).prompt,
        )
        for n in able
    ]
    ends = replace(decoding, stop=pupil.prompts.after_rationale)
    reasons = dict(zip(able, pupil.writer.write(sights, more, ends), strict=True)) if more else {}
    return [
        judged(one, answers[n], reasons[n].text if n in reasons else "")
        for n, one in enumerate(some)
    ]


def _line(pupil: Pupil, asked: Question, view: int, prompt: str) -> Line:
    size = asked.staged.scene.width, asked.staged.scene.height
    return Line(view, pupil.pointing.prompt(prompt, asked.regions, size))


def _pictured(world: Path, file: str, regions: tuple[Region, ...]) -> Pictured:
    with PIL.Image.open(world / file) as opened:
        return Pictured(opened.convert("RGB"), regions)


def _plain(answer: str) -> str:
    return ARTICLE.sub("", " ".join(answer.split()).strip(" .").lower())
