"""A student that writes is asked: from Python, by `lskd ask`, about places or a whole picture."""

import json
import math
from pathlib import Path

import PIL.Image
import pytest
import toys
from typer.testing import CliRunner

import generative_students
from lskd import marking
from lskd.cli import app
from lskd.distil import ask
from lskd.distil.ask import Manner
from lskd.distil.generative.student import Asked, GenerativeStudent
from lskd.errors import UserError
from lskd.types import Box, Region
from lskd.writing.pointing import Pictured
from lskd.writing.writer import Line

REGIONS = (
    Region(0, Box(4, 4, 24, 24), "", "", 1.0),
    Region(1, Box(32.5, 4, 52, 24), "", "", 1.0),
)
OUTSIDE = Region(7, Box(90, 90, 99, 99), "", "", 1.0)
QUESTION = "What colour is [1]?"
CHOICES = ["[1] is red.", "[1] is blue.", "It is white."]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a student's folder; a picture lies beside it."""
    root = tmp_path_factory.mktemp("speaking")
    toys.squares(root / "photo.png", ["red", "blue", "white"], 0, 56)
    base = generative_students.write_base(root / "base")
    return generative_students.write_generative_student(root / "student", base)


@pytest.fixture(scope="module")
def student(folder: Path) -> GenerativeStudent:
    return GenerativeStudent(folder)


@pytest.fixture(scope="module")
def pixels(folder: Path) -> PIL.Image.Image:
    with PIL.Image.open(folder.parent / "photo.png") as opened:
        return opened.convert("RGB")


def test_choices_are_ranked_by_their_likelihood_as_answers(
    student: GenerativeStudent, pixels: PIL.Image.Image
) -> None:
    scores = student.rank(pixels, REGIONS, QUESTION, CHOICES)
    prompt = f"question: {QUESTION} answer:"
    sights = student.writer.look([student.pointing.picture(Pictured(pixels, REGIONS))])
    lines = [Line(0, prompt, choice) for choice in CHOICES]
    expected = [math.exp(value) for value in student.writer.likelihoods(sights, lines)]
    assert scores == pytest.approx(expected, rel=1e-5) and all(0 < one < 1 for one in scores)
    assert isinstance(student, ask.Ranker) and isinstance(student, ask.Speaker)
    assert student.rank(pixels, REGIONS[::-1], QUESTION, CHOICES) == pytest.approx(scores, rel=1e-4)
    swapped = [REGIONS[1], REGIONS[0]]
    other = [Region(n, one.box, "", "", 1.0) for n, one in enumerate(swapped)]
    assert student.rank(pixels, other, QUESTION, CHOICES) != pytest.approx(scores, rel=1e-4)


def test_many_questions_are_answered_as_each_is_alone(
    student: GenerativeStudent, pixels: PIL.Image.Image
) -> None:
    pictured = [Pictured(pixels, REGIONS), Pictured(pixels.rotate(90), REGIONS)]
    asked = [Asked(0, QUESTION), Asked(1, "Why is [0] here?"), Asked(0, "What is this?")]
    together = student.answers(pictured, asked)
    for one, told in zip(asked, together, strict=True):
        alone = student.answer(pictured[one.view].pixels, REGIONS, one.question)
        assert (alone.answer, alone.rationale) == (told.answer, told.rationale)
        assert told.confidence == pytest.approx(alone.confidence, rel=1e-4)


def test_words_can_be_drawn_by_a_seed_or_sought_by_beams(
    student: GenerativeStudent, pixels: PIL.Image.Image
) -> None:
    def told(**manner: float | None) -> ask.Told:
        return student.answer(pixels, REGIONS, QUESTION, Manner(**manner))  # type: ignore[arg-type]

    drawn = [told(temperature=1.5, seed=seed) for seed in (1, 2, 1)]
    assert drawn[0] == drawn[2] != drawn[1]
    beams = told(beams=3, tokens=4)
    greedy = told(tokens=4)
    assert beams.confidence is not None and greedy.confidence is not None
    assert beams.confidence >= greedy.confidence - 1e-6
    with pytest.raises(UserError, match="choose one of both"):
        told(beams=3, temperature=1.0)


def test_a_name_of_what_is_not_drawn_and_a_choice_of_no_token_are_refused(
    student: GenerativeStudent, pixels: PIL.Image.Image
) -> None:
    regions = (*REGIONS, OUTSIDE)
    for question in ("What is [7]?", "What is [3]?"):
        with pytest.raises(UserError, match=r"names \[\d\], but drawn are: \[0\], \[1\]"):
            student.answer(pixels, regions, question)
    with pytest.raises(UserError, match=r"'\[5\]' names \[5\]"):
        student.rank(pixels, regions, QUESTION, ["[5]"])
    with pytest.raises(UserError, match="the student has no token for ' '"):
        student.rank(pixels, regions, QUESTION, [" "])


def test_a_moved_base_is_named_and_a_lost_one_is_one_clear_line(
    folder: Path, tmp_path: Path, pixels: PIL.Image.Image
) -> None:
    base = generative_students.write_base(tmp_path / "base")
    made = generative_students.write_generative_student(tmp_path / "student", base)
    expected = GenerativeStudent(made).rank(pixels, REGIONS, QUESTION, CHOICES)
    moved = base.rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="base") as raised:
        GenerativeStudent(made)
    assert "\n" not in str(raised.value)
    found = GenerativeStudent(made, checkpoint=str(moved))
    assert found.rank(pixels, REGIONS, QUESTION, CHOICES) == expected


def command(folder: Path, *words: str, boxes: int = 2) -> list[str]:
    corners = [",".join(f"{corner:g}" for corner in one.box) for one in REGIONS[:boxes]]
    given = [word for text in corners for word in ("--box", text)]
    return ["ask", str(folder), str(folder.parent / "photo.png"), *given, *words]


def test_the_command_line_writes_an_answer_where_no_choices_are_given(
    folder: Path, student: GenerativeStudent, pixels: PIL.Image.Image, tmp_path: Path
) -> None:
    png = tmp_path / "seen.png"
    told = student.answer(pixels, REGIONS, QUESTION)
    result = CliRunner().invoke(app, command(folder, "--png", str(png), QUESTION))
    assert result.exit_code == 0, result.output
    answer, rationale, *notes, picture = result.stdout.splitlines()
    assert answer == f"{told.confidence:.3f}  {told.answer}"
    assert rationale == f"{told.rationale_confidence:.3f}  {told.rationale}"
    assert notes == ["a text was ended because it became too long: raise --tokens"]
    assert Path(picture) == png
    with PIL.Image.open(png) as kept:
        assert kept.tobytes() == marking.mark(pixels, REGIONS, "clear").tobytes()

    as_json = CliRunner().invoke(app, command(folder, "--png", str(png), "--json", QUESTION))
    said = json.loads(as_json.stdout)
    assert said["answer"] == told.answer and said["undrawn"] == [] and said["marked"] == str(png)

    whole = CliRunner().invoke(app, command(folder, "--png", str(png), "What is this?", boxes=0))
    assert whole.exit_code == 0, whole.output


def test_the_command_line_ranks_with_a_student_that_writes_too(
    folder: Path, student: GenerativeStudent, pixels: PIL.Image.Image, tmp_path: Path
) -> None:
    words = ["--png", str(tmp_path / "seen.png"), "--choices", *CHOICES, QUESTION]
    result = CliRunner().invoke(app, command(folder, *words))
    assert result.exit_code == 0, result.output
    scores = dict(zip(CHOICES, student.rank(pixels, REGIONS, QUESTION, CHOICES), strict=True))
    ranked = sorted(CHOICES, key=lambda choice: -scores[choice])
    assert result.stdout.splitlines()[:-1] == [f"{scores[one]:.3f}  {one}" for one in ranked]


@pytest.mark.parametrize(
    ("words", "boxes", "told"),
    [
        (["one", QUESTION], 2, "'one' stands before the question: put --choices before"),
        (["What is [4]?"], 2, "names [4], but the boxes given are [0] to [1]"),
        ([QUESTION], 0, "names [1], but the boxes given are none"),
        ([" "], 2, "the question is empty"),
        (["--beams", "2", "--temperature", "1", QUESTION], 2, "choose one of both"),
        (["--choices", "a", QUESTION], 0, "no box is given"),
    ],
)
def test_what_cannot_be_asked_is_one_clear_line(
    folder: Path, words: list[str], boxes: int, told: str
) -> None:
    result = CliRunner().invoke(app, command(folder, *words, boxes=boxes))
    assert result.exit_code == 2 and told in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
