"""`lskd ask`: choices about boxes are ranked, and whatever is wrong is one clear line."""

from pathlib import Path

import PIL.Image
import pytest
import toys
from typer.testing import CliRunner

from lskd import marking
from lskd.cli import app
from lskd.distil import ask, note, student
from lskd.distil.note import About
from lskd.distil.student import Student
from lskd.distil.wording import Wording
from lskd.errors import UserError
from lskd.types import Region

BOXES = ["4,4,24,24", "32.5,4,52,24"]
QUESTION = "What colour is [1]?"
CHOICES = ["[1] is red.", "[1] is blue.", "It is white."]


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Return a student's folder; a picture lies beside it."""
    folder = tmp_path / "student"
    about = About(
        use="lskd.distil.student:Student",
        marking="clear",
        image=56,
        tokens=48,
        base="toy",
        seed=0,
        fingerprint="f",
        text=Wording(),
    )
    student.write(folder, toys.student(), about, toys.vocabulary(tmp_path))
    toys.squares(tmp_path / "photo.png", ["red", "blue", "white"], 0, 56)
    return folder


def asked(made: Path, **changes: object) -> ask.Ranking:
    given: dict[str, object] = {
        "student_folder": made,
        "image": made.parent / "photo.png",
        "boxes": BOXES,
        "question": QUESTION,
        "choices": CHOICES,
        "marked": made.parent / "marked.png",
    }
    return ask.ask(**(given | changes))  # type: ignore[arg-type]  # some are wrong on purpose


def test_choices_are_ranked_as_the_student_scores_them_and_the_picture_is_kept(made: Path) -> None:
    ranking = asked(made)
    scores = [score for _, score in ranking.choices]
    assert scores == sorted(scores, reverse=True) and all(0 < score < 1 for score in scores)
    regions = [Region(n, ask.box(text), "", "", 1.0) for n, text in enumerate(BOXES)]
    with PIL.Image.open(made.parent / "photo.png") as pixels:
        alone = [Student(made).rank(pixels, regions, QUESTION, [choice])[0] for choice in CHOICES]
        drawn = marking.mark(pixels, regions, "clear")
    assert dict(ranking.choices) == pytest.approx(dict(zip(CHOICES, alone, strict=True)), abs=1e-5)
    with PIL.Image.open(ranking.marked) as kept:
        assert kept.tobytes() == drawn.tobytes()


def test_other_boxes_give_other_scores(made: Path) -> None:
    assert asked(made).choices != asked(made, boxes=BOXES[::-1]).choices


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"boxes": []}, r"no box is given: add --box x0,y0,x1,y1"),
        ({"boxes": ["1,2,3"]}, r"--box '1,2,3': expected four numbers"),
        ({"boxes": ["1,2,3,x"]}, r"--box '1,2,3,x': expected four numbers"),
        ({"boxes": ["9,2,3,8"]}, r"--box '9,2,3,8': x1 must be right of x0"),
        ({"boxes": ["1,2,3,nan"]}, r"--box '1,2,3,nan'"),
        ({"boxes": [*BOXES, "90,90,99,99"]}, r"--box 90,90,99,99 lies outside of .* 56 x 56"),
        ({"choices": []}, r"no choice is given"),
        ({"choices": ["yes", " "]}, r"an empty choice is given"),
        ({"question": " "}, r"the question is empty"),
        ({"question": "What is [5]?"}, r"names \[5\], but the boxes given are \[0\] to \[1\]"),
        ({"choices": ["[2]", "no"]}, r"'\[2\]' names \[2\], but the boxes"),
        ({"image": Path("nowhere.jpg")}, r"no image nowhere.jpg"),
        ({"image": Path(__file__)}, r"cannot read .*test_distil_ask.py as a picture"),
        ({"image": Path(__file__).parent}, r"cannot read .* as a picture"),
        ({"student_folder": Path(__file__).parent}, r"is no student: it has no student.toml"),
        ({"marked": Path(__file__) / "x.png"}, r"cannot write"),
    ],
)
def test_what_is_wrong_is_one_clear_line(made: Path, changes: dict[str, object], told: str) -> None:
    with pytest.raises(UserError, match=told) as raised:
        asked(made, **changes)
    assert "\n" not in str(raised.value)


def test_a_text_that_names_what_is_not_drawn_is_refused_by_the_student(made: Path) -> None:
    regions = [Region(0, ask.box(BOXES[0]), "", "", 1.0)]
    with (
        PIL.Image.open(made.parent / "photo.png") as pixels,
        pytest.raises(UserError, match=r"names \[1\], but drawn are: \[0\]"),
    ):
        Student(made).rank(pixels, regions, QUESTION, CHOICES)


def test_an_unknown_device_is_refused(made: Path) -> None:
    with pytest.raises(UserError, match="device = 'abacus' cannot be used"):
        Student(made, device="abacus")


def test_a_note_comes_back_and_a_strange_one_is_one_clear_line(made: Path) -> None:
    about = note.read(made)
    note.write(made, about)
    assert note.read(made) == about
    file = made / note.FILE
    text = file.read_text()
    for was, now, told in (
        ('marking = "clear"', 'marking = "loud"', "marking: "),
        ("image = 56", "", "image: "),
        ("{rationale}", "{reason}", "rationale_text"),
        ("seed", "[[seed", "cannot be read"),
    ):
        file.write_text(text.replace(was, now))
        with pytest.raises(UserError, match=told) as raised:
            note.read(made)
        assert "\n" not in str(raised.value)


def test_a_student_that_was_being_written_is_none(made: Path) -> None:
    (made / note.FILE).unlink()
    with pytest.raises(UserError, match="is no student"):
        asked(made)


def test_the_command_line_ranks_choices_and_says_where_the_picture_is(made: Path) -> None:
    boxes = [word for text in BOXES for word in ("--box", text)]
    marked = made.parent / "seen.png"
    # As people write it: further choices follow the first, the question comes last.
    words = ["--choices", *CHOICES, QUESTION]
    files = [str(made), str(made.parent / "photo.png")]
    result = CliRunner().invoke(app, ["ask", *files, *boxes, "--png", str(marked), *words])
    assert result.exit_code == 0, result.output
    *lines, picture = result.stdout.splitlines()
    expected = [f"{score:.3f}  {choice}" for choice, score in asked(made).choices]
    assert lines == expected and Path(picture) == marked and marked.exists()
    missing = CliRunner().invoke(app, ["ask", *files, *boxes, "--choices", "a", "What is [9]?"])
    assert missing.exit_code == 2 and "names [9]" in missing.stderr
