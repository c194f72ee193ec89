"""Students answer the questions of a run, for people to compare with the teacher (section 3.4).

In: examples, whose questions the teacher answered from verbalizations, or a file of questions; and
students that write. Out: a file of answers for each system (`lskd.human.answers`), which the
studio's page Compare reads, and a page that shows them side by side (Figure 5). What a student said
is in `journal/` at once: the same again asks only what is missing.
"""

import hashlib
import heapq
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path

from lskd import marking, picture, table
from lskd.distil import note
from lskd.distil.ask import Manner, Told
from lskd.distil.generative import bare, panel, spoken
from lskd.distil.generative.spoken import Kept
from lskd.distil.generative.student import Asked, GenerativeStudent
from lskd.errors import UserError
from lskd.human import answers, duels
from lskd.human.answers import Answer
from lskd.human.teacher import TEACHER, answer_of
from lskd.stage import batches, named
from lskd.storage import mirror
from lskd.table import Tables
from lskd.types import Example, Image
from lskd.writing.pointing import Pictured

AT_ONCE = 32  # questions
JOURNAL, PAGE = "journal", "panel.html"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which questions are asked: `limit` at most, drawn by seed, of examples or of a file.

    `split` is that of the examples, None for all.
    """

    split: str | None
    limit: int
    seed: int
    file: Path | None


@dataclass(frozen=True, slots=True)
class Posed:
    """A question about an image, and the answers to it that are there already, one a system.

    `question` is a row that has the question; what it has of an answer does not count.
    """

    image: Image
    question: Answer
    given: tuple[Answer, ...]

    @property
    def digest(self) -> str:
        """Return a hash of the question, its picture and its regions."""
        one = self.question
        places = [(region.id, tuple(region.box), region.polygons) for region in one.regions]
        said = repr((one.question_id, one.question, self.image.id, places))
        return hashlib.blake2b(said.encode(), digest_size=8).hexdigest()


@dataclass(frozen=True)
class Pupil:
    """A student that is asked, by the name that it has as a system; loaded when first needed."""

    name: str
    folder: Path

    @cached_property
    def student(self) -> GenerativeStudent:
        """Return the student."""
        student: GenerativeStudent = named(note.read(self.folder).use)(self.folder)
        return student


def pupils(given: Sequence[str]) -> list[Pupil]:
    """Return the students that "NAME=DIR" or "DIR" stand for.

    One in `<run>/generative/student` is called by its run, any other by its folder. Raises
    UserError for a folder that holds no student that writes, and for a name that is taken.
    """
    found: dict[str, Pupil] = {}
    for text in given:
        name, equals, path = text.partition("=")
        folder = mirror.brought(path if equals else text)
        about = note.read(folder)
        if not callable(getattr(named(about.use), "answers", None)):
            raise UserError(f"{folder} ranks answers and writes none: give a generative student")
        pupil = Pupil(name if equals else _name(folder), folder)
        if pupil.name in (*found, TEACHER):
            raise UserError(f"{pupil.name!r} is taken: name the student, as other={folder}")
        found[pupil.name] = pupil
    return list(found.values())


def asked(tables: Tables, wanted: Wanted) -> list[Posed]:
    """Return what is asked, in the order of images; raises UserError if it is nothing."""
    every = _of_examples(tables, wanted) if wanted.file is None else _of_file(tables, wanted.file)
    chosen = drawn(every, wanted.limit, wanted.seed)
    if not chosen:
        of = "" if wanted.split is None else f" of the split {wanted.split!r}"
        raise UserError(f"there is no question to ask: the run has no examples{of}")
    return chosen


def drawn(every: Iterable[Posed], limit: int, seed: int) -> list[Posed]:
    """Return `limit` questions at most, drawn by seed, in the order of images."""
    chosen = heapq.nsmallest(limit, every, key=lambda one: _lot(seed, one.question.question_id))
    return sorted(chosen, key=lambda one: (one.image.id, one.question.question_id))


def write(
    pupils: Sequence[Pupil],
    asked: Sequence[Posed],
    manner: Manner,
    folder: Path,
    say: Say,
    shown: int = 12,
    notices: Sequence[str] = (),
) -> list[Path]:
    """Have students answer, write the files and the page, and return their paths.

    The page shows `shown` questions, and `notices` that none of its readers may miss. What cannot
    be asked, and empty answers, are told and left out. Raises UserError for a student that cannot
    be loaded, two systems of one name and files that cannot be written.
    """
    systems: dict[str, list[Answer]] = {}
    for posed in asked:
        for answer in posed.given:
            systems.setdefault(answer.system, []).append(answer)
    _check_names([*systems, *(pupil.name for pupil in pupils)])
    for pupil in pupils:
        kept = _kept(pupil, asked, manner, folder, say)
        systems[pupil.name] = [
            _answer(pupil.name, posed.question, kept[posed.digest])
            for posed in asked
            if kept.get(posed.digest, _NOTHING).answer.strip()
        ]
        if empty := len(asked) - len(systems[pupil.name]):
            say(f"{pupil.name}: {empty} of {len(asked)} questions have no answer and are left out")
    made = []
    for name, rows in systems.items():
        made.append(folder / f"{_file_name(name)}.jsonl")
        with table.draft(made[-1]) as unfinished:
            unfinished.write_text("".join(answers.written(rows)), encoding="utf-8")
    if shown:
        made.append(folder / PAGE)
        page = panel.render(
            [one.image for one in asked[:shown]], _side_by_side(systems, asked[:shown]), notices
        )
        with table.draft(made[-1]) as unfinished:
            unfinished.write_text(page, encoding="utf-8")
    return made


_NOTHING = Told("", "", None, None)


def _of_examples(tables: Tables, wanted: Wanted) -> Iterator[Posed]:
    for shard in tables.shards(Example):
        for one in tables.read(Example, shard):
            if wanted.split in (None, one.split):
                image = Image(one.image_id, one.path, one.width, one.height)
                answer = answer_of(one)
                yield Posed(image, answer, (answer,))


def _of_file(tables: Tables, file: Path) -> Iterator[Posed]:
    """Yield the questions of a file, with all answers that it has to each."""
    given = bare.read(file)
    if given.rejects:
        first = given.rejects[0]
        raise UserError(
            f"{file}: {len(given.rejects)} rows cannot be used; {first.source}: {first.reason}"
        )
    find = duels.among(
        image for shard in tables.shards(Image) for image in tables.read(Image, shard)
    )
    of_question: dict[str, list[Answer]] = {}
    for answer in given.answers:
        of_question.setdefault(answer.question_id, []).append(answer)
    for rows in of_question.values():
        image = find(rows[0].image)
        if image is None:
            raise UserError(
                f"{rows[0].source}: the run has no image {rows[0].image!r}, or several: make a run "
                "of the pictures that are asked about"
            )
        yield Posed(image, rows[0], tuple(row for row in rows if row.system != bare.NOBODY))


def _kept(
    pupil: Pupil, asked: Sequence[Posed], manner: Manner, folder: Path, say: Say
) -> dict[str, Told]:
    """Return what a student says, by the digest of what was asked; asks what is missing.

    A question that cannot be asked is told and is not there.
    """
    about = note.read(pupil.folder)
    decisive = json.dumps([about.fingerprint, table.plain(manner)])
    digest = hashlib.blake2b(decisive.encode(), digest_size=6).hexdigest()
    file = folder / JOURNAL / f"{_file_name(pupil.name)}-{digest}.jsonl"
    kept = spoken.read(file)
    able = []
    for posed in asked:
        if (fault := _fault(posed)) is not None:
            say(f"{pupil.name} cannot be asked {posed.question.question_id}: {fault}")
        elif posed.digest not in kept:
            able.append(posed)
    for number, some in enumerate(batches(able, AT_ONCE)):
        told = _told(pupil.student, some, manner)
        spoken.append(file, told)
        kept |= {one.asked: one.told for one in told}
        say(f"{pupil.name}: {min(len(able), (number + 1) * AT_ONCE)} of {len(able)} answered")
    return kept


def _told(student: GenerativeStudent, some: Sequence[Posed], manner: Manner) -> list[Kept]:
    pictured: list[Pictured] = []
    questions: list[Asked] = []
    # Questions about one image stand together, and it is looked at once.
    for _, group in groupby(some, key=lambda one: (one.image.id, one.question.regions)):
        several = list(group)
        pixels = picture.load(several[0].image)
        pictured.append(Pictured(pixels, several[0].question.regions))
        questions += [Asked(len(pictured) - 1, one.question.question) for one in several]
    told = student.answers(pictured, questions, manner)
    return [
        Kept(one.question.question_id, one.digest, answer)
        for one, answer in zip(some, told, strict=True)
    ]


def _fault(posed: Posed) -> str | None:
    """Return why a question cannot be asked, or None."""
    size = posed.image.width, posed.image.height
    seen = {one.id for one in posed.question.regions if marking.visible(one, size)}
    lacking = [number for number in marking.named(posed.question.question) if number not in seen]
    return f"it names [{lacking[0]}], which lies outside of the picture" if lacking else None


def _answer(system: str, question: Answer, told: Told) -> Answer:
    return Answer(
        question_id=question.question_id,
        image=question.image,
        width=question.width,
        height=question.height,
        regions=question.regions,
        question=question.question,
        system=system,
        answer=told.answer,
        rationale=told.rationale,
        source=system,
    )


def _side_by_side(systems: dict[str, list[Answer]], asked: Sequence[Posed]) -> list[list[Answer]]:
    """Return the answers to each question, in the order of the systems."""
    by_id = [{one.question_id: one for one in rows} for rows in systems.values()]
    return [
        [rows[key] for rows in by_id if (key := posed.question.question_id) in rows]
        for posed in asked
    ]


def _check_names(systems: Sequence[str]) -> None:
    """Raise UserError if two systems have one name, or names that no two files can have."""
    files: dict[str, str] = {}
    for name in systems:
        if (other := files.get(_file_name(name))) is not None:
            raise UserError(
                f"the files of {other!r} and {name!r} would be one: name the student otherwise, as "
                "--student other=DIR"
            )
        files[_file_name(name)] = name


def _lot(seed: int, name: str) -> bytes:
    return hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest()


def _name(folder: Path) -> str:
    parts = folder.absolute().parts
    of_run = len(parts) > 3 and parts[-2:] == ("generative", "student")
    return parts[-3] if of_run else folder.absolute().name


def _file_name(system: str) -> str:
    """Return a system's name as that of a file."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in system)
