"""A student of the lab says that a photograph is outside of its world."""

from dataclasses import replace
from pathlib import Path

import PIL.Image
import pytest
from typer.testing import CliRunner

import checkpoints
from lskd.cli import app
from lskd.distil import note
from lskd.lab import scope, world

BASES = Path(scope.__file__).parent
WORDS = ("--box", "2,2,40,60", "--choices", "a dog", "a cat", "What is [0]?")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a tiny student, a photograph, and a scene in a world."""
    folder = tmp_path_factory.mktemp("scope")
    checkpoints.write_student(folder / "student")
    PIL.Image.new("RGB", (80, 80), "teal").save(folder / "photo.jpg")
    world.make(folder / "world", world.Numbers(1, 1, 1), 0, lambda count: None)
    return folder


def asked(home: Path, picture: Path) -> tuple[str, str]:
    """Ask the student about a picture; return what it says on both streams."""
    words = ["ask", str(home / "student"), str(picture), "--png", str(home / "asked.png"), *WORDS]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.stderr
    return result.stdout, result.stderr


def of_base(home: Path, base: str) -> None:
    about = note.read(home / "student")
    note.write(home / "student", replace(about, base=base))


def test_a_student_of_the_lab_says_once_that_a_photograph_is_outside_of_its_world(
    home: Path,
) -> None:
    of_base(home, str(BASES / "base"))
    said, beside = asked(home, home / "photo.jpg")
    assert beside.count("drawn scenes of the lab alone") == 1 and beside.count("\n") == 1
    assert str(home / "photo.jpg") in beside
    assert "lab" not in said.replace(str(home), "")


def test_it_says_nothing_of_the_kind_about_a_scene(home: Path) -> None:
    of_base(home, str(BASES / "base"))
    (scene, *_) = sorted((home / "world" / "test").glob("*.png"))
    assert asked(home, scene)[1] == ""


def test_a_student_of_another_base_says_nothing_of_the_kind(home: Path) -> None:
    of_base(home, "Salesforce/blip2-itm-vit-g")
    assert asked(home, home / "photo.jpg")[1] == ""


@pytest.mark.parametrize("name", ["base", "speaker"])
def test_bases_that_ship_with_lskd_are_known_wherever_the_student_was_made(name: str) -> None:
    assert scope.is_of_lab(str(BASES / name))
    assert scope.is_of_lab(f"src/lskd/lab/{name}")
    assert scope.is_of_lab(f"/some/other/machine/lskd/lab/{name}")


def test_a_folder_with_another_note_is_not_taken_for_the_labs(tmp_path: Path) -> None:
    for text in ("[]", "{}", '{"plan": {"steps": 1}}', "half"):
        (tmp_path / "pretrain.json").write_text(text)
        assert not scope.is_of_lab(str(tmp_path))
