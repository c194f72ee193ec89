"""Students' folders go in; what each says of a picture and its regions comes out.

A student ranks choices that it is given, writes an answer of its own with a rationale, or both.

When the studio starts, folders are looked at and nothing is loaded. A student is loaded when it is
first asked, and kept.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import PIL.Image

from lskd import marking
from lskd.distil import note
from lskd.distil.ask import Ranker, Speaker, Told
from lskd.distil.note import About
from lskd.errors import UserError
from lskd.stage import named
from lskd.types import Region

if TYPE_CHECKING:  # it needs torch
    from lskd.distil.student import Student

STAGE1 = "lskd.distil.student:Student"
# What `lskd.distil.student` reads beside the note; named here so that torch is not needed to look.
STAGE1_FILES = ("config.json", "vocab.txt")
WEIGHTS = "model*.safetensors*"
GENERATIVE = "lskd.distil.generative.student:GenerativeStudent"
GENERATIVE_FILE = Path("writer", "writer.toml")
# So few may wait that labels, which share the server's threads, never wait for a student.
WAITING = 6
NO_CHOICE = "there is no answer to choose from: write some, one a line"


class Busy(UserError):
    """Too many questions wait for the students; the same question can be asked again."""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A student that can be asked: `name` is unique in the studio, `about` its folder's note."""

    name: str
    folder: Path
    about: About

    @property
    def writes(self) -> bool:
        """Return whether it is known to write answers."""
        return self.about.use == GENERATIVE

    @property
    def may_write(self) -> bool:
        """Return whether it may write answers: that of another class is known once it is loaded."""
        return self.about.use != STAGE1


@dataclass(frozen=True, slots=True)
class Ranked:
    """A choice, how well it matches, and its similarity of ITC, if there is one.

    `match` is in [0, 1]: the probability of ITM or, of a student that writes, the geometric mean of
    the probabilities of the choice's tokens. `similarity` is a cosine in [-1, 1].
    """

    choice: str
    match: float
    similarity: float | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a student says.

    Choices, the best match first; what it `wrote`, None if it writes nothing; and the very picture
    that it saw, if it is known.
    """

    ranked: tuple[Ranked, ...]
    wrote: Told | None
    view: PIL.Image.Image | None


def enrol(folders: Sequence[Path]) -> tuple[Enrolled, ...]:
    """Return the students of some folders, in order; raises UserError for a folder that is none.

    A student in `<run>/distil/student` is called by its run, one in `<run>/generative/student` by
    the run and "generative", any other by its folder; who would have a name that is taken gets a
    number.
    """
    enrolled: list[Enrolled] = []
    for folder in folders:
        about = note.read(folder)
        if about.use == STAGE1:
            _check_files(folder)
        elif about.use == GENERATIVE and not (folder / GENERATIVE_FILE).is_file():
            raise UserError(
                f"{folder} is a broken student: it lacks {GENERATIVE_FILE}; give a whole folder "
                "that the stage generative has made, as out/<run>/generative/student"
            )
        taken = {student.name for student in enrolled}
        enrolled.append(Enrolled(_name(folder, taken), folder, about))
    return tuple(enrolled)


class Examiner:
    """Asks students, one question at a time; whoever was asked stays in memory."""

    def __init__(self, students: Sequence[Enrolled]) -> None:
        self.students = {student.name: student for student in students}
        self._loaded: dict[str, Ranker | Speaker] = {}
        self._turn = threading.Lock()
        self._places = threading.BoundedSemaphore(WAITING)

    def ask(
        self,
        name: str,
        pixels: PIL.Image.Image,
        regions: Sequence[Region],
        question: str,
        choices: Sequence[str],
    ) -> Answer:
        """Return what a student says of each choice, and its own answer if it writes.

        Raises UserError for an unknown student, for one that cannot be loaded or has no choice to
        rank and writes nothing, for texts that name what is not drawn or are longer than the
        student reads, and Busy if many wait already.
        """
        if name not in self.students:
            known = ", ".join(self.students) or "none was given; lskd studio RUN.toml --student DIR"
            raise UserError(f"no student {name!r}; students: {known}")
        if not self._places.acquire(blocking=False):
            raise Busy("the students are busy with other questions: ask again in a moment")
        try:
            with self._turn:
                student = self._student(self.students[name])
                return _answer(student, pixels, regions, question, choices)
        finally:
            self._places.release()

    def _student(self, enrolled: Enrolled) -> Ranker | Speaker:
        if enrolled.name not in self._loaded:
            student = named(enrolled.about.use)(enrolled.folder)
            if not isinstance(student, Ranker | Speaker):
                raise UserError(
                    f"{enrolled.name} cannot be asked: {enrolled.about.use} has no .rank() and no "
                    ".answer()"
                )
            self._loaded[enrolled.name] = student
        return self._loaded[enrolled.name]


def _answer(
    student: Ranker | Speaker,
    pixels: PIL.Image.Image,
    regions: Sequence[Region],
    question: str,
    choices: Sequence[str],
) -> Answer:
    from lskd.distil.generative.student import GenerativeStudent
    from lskd.distil.student import Student
    from lskd.writing.pointing import Pictured

    speaks = isinstance(student, Speaker)
    if not choices and not speaks:
        raise UserError(f"{NO_CHOICE}, since this student ranks answers and writes none of its own")
    if isinstance(student, Student):
        return _stage1(student, pixels, regions, question, choices)
    ranked: list[Ranked] = []
    if choices and isinstance(student, Ranker):
        scores = student.rank(pixels, regions, question, choices)
        ranked = [Ranked(choice, p, None) for choice, p in zip(choices, scores, strict=True)]
    wrote = student.answer(pixels, regions, question) if isinstance(student, Speaker) else None
    view = None
    if isinstance(student, GenerativeStudent):
        view = student.pointing.picture(Pictured(pixels, tuple(regions)))
    return Answer(_best_first(ranked), wrote, view)


def _stage1(
    student: "Student",
    pixels: PIL.Image.Image,
    regions: Sequence[Region],
    question: str,
    choices: Sequence[str],
) -> Answer:
    from lskd.blip2.pixels import view_picture

    about = student.about
    texts = [about.text.text(question, choice) for choice in choices]
    _check_lengths(student.tokenizer.lengths(texts), about.tokens, choices)
    answers = student.answers(pixels, regions, texts)
    assert answers.similarity is not None  # a stage-1 student has the head for it
    matches: list[float] = answers.verdict.match.softmax(dim=1)[:, 1].tolist()
    near: list[float] = answers.similarity.tolist()
    ranked = [Ranked(*row) for row in zip(choices, matches, near, strict=True)]
    view = view_picture(pixels, regions, about.marking, about.image)
    return Answer(_best_first(ranked), None, view)


def _best_first(ranked: Sequence[Ranked]) -> tuple[Ranked, ...]:
    return tuple(sorted(ranked, key=lambda one: -one.match))


def _check_lengths(lengths: Sequence[int], limit: int, choices: Sequence[str]) -> None:
    # Cut off silently, two choices could become the same text.
    for choice, tokens in zip(choices, lengths, strict=True):
        if tokens > limit:
            raise UserError(
                f"the question with {choice!r} has {tokens} tokens, and this student reads at "
                f"most {limit}: shorten one of them"
            )


def check_words(drawn: int, question: str, choices: Sequence[str], may_write: bool) -> None:
    """Raise UserError where texts are empty, or name regions that are not among those `drawn`.

    Where a student `may_write`, there need be no choices.
    """
    if drawn == 0:
        raise UserError("no region is drawn: draw one on the picture; the first is [0]")
    if not question.strip():
        raise UserError('the question is empty: ask one, as "What is [0] doing?"')
    if not choices and not may_write:
        raise UserError(NO_CHOICE)
    if not all(choice.strip() for choice in choices):
        raise UserError("an answer is empty: write one a line")
    known = "[0]" if drawn == 1 else f"[0] to [{drawn - 1}]"
    for text in (question, *choices):
        for number in marking.named(text):
            if number >= drawn:
                raise UserError(f"{text!r} names [{number}], but drawn are: {known}")


def _check_files(folder: Path) -> None:
    lacking = [name for name in STAGE1_FILES if not (folder / name).is_file()]
    weights = [file for file in folder.glob(WEIGHTS) if file.stat().st_size > 0]
    if lacking or not weights:
        missing = ", ".join([*lacking, *([] if weights else ["model.safetensors"])])
        raise UserError(
            f"{folder} is a broken student: it lacks {missing}; give a whole folder that the "
            "stage distil has made, as out/<run>/distil/student"
        )


def _name(folder: Path, taken: set[str]) -> str:
    parts = folder.absolute().parts
    wanted = folder.absolute().name
    if len(parts) > 3 and parts[-2:] in (("distil", "student"), ("generative", "student")):
        wanted = parts[-3] if parts[-2] == "distil" else f"{parts[-3]} generative"
    name, number = wanted, 2
    while name in taken:
        name, number = f"{wanted} ({number})", number + 1
    return name
