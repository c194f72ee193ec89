"""Students in the studio: folders are looked at first, loaded when asked, asked one at a time."""

import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice
from pathlib import Path

import PIL.Image
import pytest

import checkpoints
from lskd.blip2.pixels import view_picture
from lskd.distil import note
from lskd.distil.student import Student
from lskd.errors import MissingExtra, UserError
from lskd.studio import students
from lskd.studio.students import WAITING, Busy, Examiner, check_words, enrol
from lskd.types import Box, Region

PIXELS = PIL.Image.new("RGB", (60, 40), "grey")
REGIONS = [Region(0, Box(4, 4, 24, 30), "", "", 1.0), Region(1, Box(30, 8, 50, 36), "", "", 1.0)]
QUESTION = "what is [0] ?"
CHOICES = ["a dog", "a red house", "[1] is a cup"]


class Patient:
    """A ranker that says when it was asked, and answers when it is told to."""

    asked = threading.Semaphore(0)
    told = threading.Event()
    at_once = 0
    most = 0

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def rank(
        self,
        pixels: PIL.Image.Image,
        regions: Sequence[Region],
        question: str,
        choices: Sequence[str],
    ) -> list[float]:
        cls = type(self)
        cls.at_once += 1
        cls.most = max(cls.most, cls.at_once)
        cls.asked.release()
        assert cls.told.wait(30)
        cls.at_once -= 1
        return [0.25 for _ in choices]


def folder_of(use: str, folder: Path, real: Path) -> Path:
    """Write a folder whose student is of another class."""
    folder.mkdir(parents=True)
    text = (real / note.FILE).read_text().replace("lskd.distil.student:Student", use)
    (folder / note.FILE).write_text(text)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.write_student(tmp_path_factory.mktemp("students") / "tiny")


def test_choices_are_ranked_as_the_student_scores_them_with_its_similarities(made: Path) -> None:
    answer = Examiner(enrol([made])).ask("tiny", PIXELS, REGIONS, QUESTION, CHOICES)
    student = Student(made)
    scores = student.rank(PIXELS, REGIONS, QUESTION, CHOICES)
    assert {one.choice: one.match for one in answer.ranked} == pytest.approx(
        dict(zip(CHOICES, scores, strict=True)), abs=1e-6
    )
    assert [one.match for one in answer.ranked] == sorted(scores, reverse=True)
    assert all(one.similarity is not None and -1 <= one.similarity <= 1 for one in answer.ranked)
    expected = view_picture(PIXELS, REGIONS, student.about.marking, student.about.image)
    assert answer.view is not None and answer.view.tobytes() == expected.tobytes()


def test_a_student_of_a_run_is_called_by_the_run_and_names_are_unique(
    made: Path, tmp_path: Path
) -> None:
    (tmp_path / "photos" / "distil").mkdir(parents=True)
    (tmp_path / "photos" / "distil" / "student").symlink_to(made)
    folders = [made, tmp_path / "photos" / "distil" / "student", made]
    assert [one.name for one in enrol(folders)] == ["tiny", "photos", "tiny (2)"]


@pytest.mark.parametrize("lacking", ["model.safetensors", "config.json", "vocab.txt"])
def test_a_broken_folder_is_one_clear_line_before_anything_is_loaded(
    made: Path, tmp_path: Path, lacking: str
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in made.iterdir():
        (broken / file.name).write_bytes(b"" if file.name == lacking else file.read_bytes())
    if lacking != "model.safetensors":
        (broken / lacking).unlink()
    with pytest.raises(UserError, match=f"is a broken student: it lacks {lacking};") as raised:
        enrol([made, broken])
    assert "\n" not in str(raised.value)
    with pytest.raises(UserError, match=r"is no student: it has no student\.toml"):
        enrol([tmp_path])


def test_weights_that_are_cut_off_are_one_clear_line_when_asked(made: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut"
    cut.mkdir()
    for file in made.iterdir():
        data = file.read_bytes()
        half = file.name == "model.safetensors"
        (cut / file.name).write_bytes(data[: len(data) // 2] if half else data)
    with pytest.raises(UserError) as raised:
        Examiner(enrol([cut])).ask("cut", PIXELS, REGIONS, QUESTION, CHOICES)
    assert "\n" not in str(raised.value) and "cut" in str(raised.value)


def test_a_text_that_the_student_would_cut_off_is_refused(made: Path) -> None:
    examiner = Examiner(enrol([made]))
    with pytest.raises(UserError, match=r"has \d+ tokens, and this student reads at most 48"):
        examiner.ask("tiny", PIXELS, REGIONS, QUESTION, ["a dog", "a dog " * 30])


def test_a_text_that_names_what_lies_outside_of_the_picture_is_refused(made: Path) -> None:
    outside = Region(1, Box(100, 100, 120, 120), "", "", 1.0)
    with pytest.raises(UserError, match=r"names \[1\], but drawn are: \[0\]"):
        Examiner(enrol([made])).ask("tiny", PIXELS, [REGIONS[0], outside], QUESTION, CHOICES)


@pytest.mark.parametrize(
    ("drawn", "question", "choices", "told"),
    [
        (0, "what is this ?", ["a"], "no region is drawn"),
        (1, "  ", ["a"], "the question is empty"),
        (1, "what is [0] ?", [], "there is no answer to choose from"),
        (1, "what is [0] ?", ["a", " "], "an answer is empty"),
        (1, "what is [1] ?", ["a"], r"names \[1\], but drawn are: \[0\]$"),
        (2, "what is [0] ?", ["a", "[0, 2]"], r"names \[2\], but drawn are: \[0\] to \[1\]"),
    ],
)
def test_words_that_cannot_be_asked_are_told(
    drawn: int, question: str, choices: list[str], told: str
) -> None:
    with pytest.raises(UserError, match=told):
        check_words(drawn, question, choices, may_write=False)


def test_a_library_that_is_missing_is_named_with_how_to_get_it(made: Path, tmp_path: Path) -> None:
    package = tmp_path / "lib"
    package.mkdir()
    # There is no such part of torch, so importing it fails as where torch itself is missing.
    (package / "wants_torch.py").write_text("import torch.that_is_not_there\n")
    sys.path.insert(0, str(package))
    try:
        folder = folder_of("wants_torch:Student", tmp_path / "one", made)
        with pytest.raises(MissingExtra, match=r"needs torch: pip install 'lskd\[models\]'"):
            Examiner(enrol([folder])).ask("one", PIXELS, REGIONS, QUESTION, CHOICES)
    finally:
        sys.path.remove(str(package))


def test_students_are_asked_one_at_a_time_and_no_queue_grows(made: Path, tmp_path: Path) -> None:
    folder = folder_of(f"{__name__}:Patient", tmp_path / "patient", made)
    examiner = Examiner(enrol([folder]))

    def ask() -> students.Answer:
        return examiner.ask("patient", PIXELS, REGIONS, QUESTION, CHOICES)

    with ThreadPoolExecutor(WAITING + 4) as pool:
        first = pool.submit(ask)
        assert Patient.asked.acquire(timeout=30)
        others = [pool.submit(ask) for _ in range(WAITING + 3)]
        # Those for whom there is no place are told at once, while the first is still at work.
        refused = list(islice(as_completed(others, timeout=30), 4))
        assert all(isinstance(one.exception(), Busy) for one in refused)
        Patient.told.set()
        answered = [one.result(30) for one in (first, *others) if one not in refused]
    assert len(answered) == WAITING and Patient.most == 1
    assert answered[0].ranked[0].similarity is None and answered[0].view is None
