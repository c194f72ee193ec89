"""Students' folders go in; what each says of a picture, its regions and some choices comes out.

When the studio starts, folders are looked at and nothing is loaded. A student is loaded when it is
first asked, and kept.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import PIL.Image

from lskd import marking
from lskd.distil import note
from lskd.distil.ask import Ranker
from lskd.distil.note import About
from lskd.errors import UserError
from lskd.stage import named
from lskd.types import Region

STAGE1 = "lskd.distil.student:Student"
# What `lskd.distil.student` reads beside the note; named here so that torch is not needed to look.
STAGE1_FILES = ("config.json", "vocab.txt")
WEIGHTS = "model*.safetensors*"
# So few may wait that labels, which share the server's threads, never wait for a student.
WAITING = 6


class Busy(UserError):
    """Too many questions wait for the students; the same question can be asked again."""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A student that can be asked: `name` is unique in the studio, `about` its folder's note."""

    name: str
    folder: Path
    about: About


@dataclass(frozen=True, slots=True)
class Ranked:
    """A choice, the probability of ITM that it matches, and its similarity of ITC, if there is one.

    `match` is in [0, 1], `similarity` a cosine in [-1, 1].
    """

    choice: str
    match: float
    similarity: float | None


@dataclass(frozen=True, slots=True)
class Answer:
    """Choices, the best match first, and the very picture that the student saw, if it is known."""

    ranked: tuple[Ranked, ...]
    view: PIL.Image.Image | None


def enrol(folders: Sequence[Path]) -> tuple[Enrolled, ...]:
    """Return the students of some folders, in order; raises UserError for a folder that is none.

    A student in `<run>/distil/student` is called by its run, any other by its folder; who would
    have a name that is taken gets a number.
    """
    enrolled: list[Enrolled] = []
    for folder in folders:
        about = note.read(folder)
        if about.use == STAGE1:
            _check_files(folder)
        taken = {student.name for student in enrolled}
        enrolled.append(Enrolled(_name(folder, taken), folder, about))
    return tuple(enrolled)


class Examiner:
    """Asks students, one question at a time; whoever was asked stays in memory."""

    def __init__(self, students: Sequence[Enrolled]) -> None:
        self.students = {student.name: student for student in students}
        self._loaded: dict[str, Ranker] = {}
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
        """Return what a student says of each choice.

        Raises UserError for an unknown student, for one that cannot be loaded, for texts that name
        what is not drawn or are longer than the student reads, and Busy if many wait already.
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

    def _student(self, enrolled: Enrolled) -> Ranker:
        if enrolled.name not in self._loaded:
            student = named(enrolled.about.use)(enrolled.folder)
            if not isinstance(student, Ranker):
                raise UserError(
                    f"{enrolled.name} cannot be asked: {enrolled.about.use} has no .rank()"
                )
            self._loaded[enrolled.name] = student
        return self._loaded[enrolled.name]


def _answer(
    student: Ranker,
    pixels: PIL.Image.Image,
    regions: Sequence[Region],
    question: str,
    choices: Sequence[str],
) -> Answer:
    from lskd.blip2.pixels import view_picture
    from lskd.distil.student import Student

    if not isinstance(student, Student):
        scores = student.rank(pixels, regions, question, choices)
        foreign = [Ranked(choice, p, None) for choice, p in zip(choices, scores, strict=True)]
        return Answer(_best_first(foreign), None)
    about = student.about
    texts = [about.text.text(question, choice) for choice in choices]
    _check_lengths(student.tokenizer.lengths(texts), about.tokens, choices)
    answers = student.answers(pixels, regions, texts)
    assert answers.similarity is not None  # a stage-1 student has the head for it
    matches: list[float] = answers.verdict.match.softmax(dim=1)[:, 1].tolist()
    near: list[float] = answers.similarity.tolist()
    ranked = [Ranked(*row) for row in zip(choices, matches, near, strict=True)]
    view = view_picture(pixels, regions, about.marking, about.image)
    return Answer(_best_first(ranked), view)


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


def check_words(drawn: int, question: str, choices: Sequence[str]) -> None:
    """Raise UserError where texts are empty, or name regions that are not among those `drawn`."""
    if drawn == 0:
        raise UserError("no region is drawn: draw one on the picture; the first is [0]")
    if not question.strip():
        raise UserError('the question is empty: ask one, as "What is [0] doing?"')
    if not choices:
        raise UserError("there is no answer to choose from: write some, one a line")
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
    run = len(parts) > 3 and parts[-2:] == ("distil", "student")
    wanted = parts[-3] if run else folder.absolute().name
    name, number = wanted, 2
    while name in taken:
        name, number = f"{wanted} ({number})", number + 1
    return name
