"""The stage `generative`: what it trains, what it leaves out and says why, and how it goes on."""

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import generative_house
import pytest
import toys
from generative_house import Hall
from pydantic import ValidationError
from safetensors.torch import load_file
from torch import Tensor

import generative_students
from forked import begun
from lskd.distil import note
from lskd.distil.generative.stage import STAGE
from lskd.distil.generative.student import GenerativeStudent
from lskd.types import GenerativeStudent as Row
from lskd.types import Reject


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generative_students.write_base(tmp_path_factory.mktemp("bases") / "base")


@pytest.fixture(scope="module")
def opt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a base that reads 128 tokens."""
    return generative_students.write_base(tmp_path_factory.mktemp("bases") / "opt", "opt")


def trained(hall: Hall) -> dict[str, Tensor]:
    (file,) = hall.student.glob("writer/*.safetensors")
    tensors: dict[str, Tensor] = load_file(file)
    return tensors


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(one[name].equal(other[name]) for name in one)


def test_a_student_is_made_and_needs_nothing_of_its_run_but_the_base(
    base: Path, tmp_path: Path
) -> None:
    hall = generative_house.hall(tmp_path / "run", base)
    said: list[str] = []
    (row,) = hall.train(said)
    about = note.read(hall.student)
    assert row == Row(hall.student.as_posix(), about.fingerprint, 9, 4)
    assert (about.marking, about.image, about.tokens) == ("clear", 32, 6)
    assert about.use == generative_students.USE and about.base == str(base)
    assert any(line.startswith("step 4 of 4: loss") for line in said)
    assert list(hall.folder.glob("training/*/losses.svg"))
    moved = hall.student.rename(tmp_path / "student")
    example = toys.examples(tmp_path / "new", 1, seed=9)[0]
    student = GenerativeStudent(moved)
    told = student.answer(toys_picture(example.path), example.regions, example.question)
    assert told.answer and told.confidence is not None and 0 < told.confidence < 1


def toys_picture(path: str) -> Any:
    import PIL.Image

    with PIL.Image.open(path) as opened:
        return opened.convert("RGB")


def test_the_same_settings_train_nothing_again_and_others_do(base: Path, tmp_path: Path) -> None:
    hall = generative_house.hall(tmp_path, base)
    hall.train(steps=2)
    before = trained(hall)
    said: list[str] = []
    hall.train(said, steps=2, workers=2, log_every=1)
    assert said == [] and equal(before, trained(hall))
    assert not note.read(hall.student).whole
    hall.train(said, steps=2, prefixes=1.0)
    assert not equal(before, trained(hall))
    assert note.read(hall.student).whole
    assert len(list((hall.folder / "training").iterdir())) == 2


def test_fixed_views_are_kept_and_looked_at_once(base: Path, tmp_path: Path) -> None:
    hall = generative_house.hall(tmp_path, base)
    said: list[str] = []
    hall.train(said, views=1, steps=1)
    # A view for the two examples by id of each picture, and an empty one for that by phrase.
    assert any("of 6 views will take about" in line for line in said)
    hall.train(said, views=1, steps=2)
    assert any(line.startswith("all 6 views were seen before") for line in said)
    hall.train(said, views=1, steps=1, marking="release")
    assert len(list((hall.folder / "sights").iterdir())) == 2


def test_what_was_kept_trains_to_the_same_bits_as_what_is_kept_elsewhere(
    base: Path, tmp_path: Path
) -> None:
    one = generative_house.hall(tmp_path / "one", base)
    other = Hall(tmp_path / "other", base)
    other.fill(toys.examples(tmp_path / "one" / "pictures", 3))
    one.train(views=2, steps=2)
    other.train(views=2, steps=2, cache=str(tmp_path / "cache"), cache_batch=1)
    assert equal(trained(one), trained(other))
    assert not (other.folder / "sights").exists()


LAST = "step 5 of 6"
SIX: dict[str, Any] = {"steps": 6, "log_every": 1, "prefixes": 0.3, "accumulate": 2}


class Stop(Exception):
    """Ends a training where a kill would."""


class Stopping(list[str]):
    """Lines, of which one ends the training."""

    def append(self, line: str) -> None:
        if line.startswith(LAST):
            raise Stop
        super().append(line)


def test_a_stopped_training_ends_in_the_same_bits(base: Path, tmp_path: Path) -> None:
    hall = generative_house.hall(tmp_path / "stopped", base)
    with pytest.raises(Stop):
        hall.train(Stopping(), **SIX)
    ends_as_one_that_nobody_disturbed(hall, tmp_path / "whole")


def train(root: Path, base: Path) -> None:
    Hall(root, base).train(toys.Fatal(LAST), **SIX)


# It loads transformers in a process of its own.
@pytest.mark.check
def test_a_killed_training_ends_in_the_same_bits(base: Path, tmp_path: Path) -> None:
    hall = generative_house.hall(tmp_path / "killed", base)
    process = begun(train, hall.root, base)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    ends_as_one_that_nobody_disturbed(hall, tmp_path / "whole")


def ends_as_one_that_nobody_disturbed(hall: Hall, place: Path) -> None:
    """Check that a training goes on from its checkpoint to the weights of one in another place."""
    assert not hall.student.exists()
    said: list[str] = []
    hall.train(said, **SIX)
    assert "going on after step 4 of 6" in said

    whole = Hall(place, hall.base)
    whole.fill(toys.examples(hall.root / "pictures", 3))
    whole.train(**SIX)
    assert equal(trained(hall), trained(whole))


def test_what_cannot_be_learnt_is_left_out_with_its_reason(opt: Path, tmp_path: Path) -> None:
    hall = Hall(tmp_path / "run", opt)
    examples = toys.examples(tmp_path / "pictures", 2)
    long = generative_house.longer(examples[0], 200)
    empty = replace(examples[1], id="empty", answer=" ")
    gone = replace(examples[2], id="gone", path=str(tmp_path / "gone.png"))
    hall.fill([*examples, long, empty, gone])
    rejects = {row.source: row.reason for row in hall.train(steps=1) if isinstance(row, Reject)}
    assert "is too long for the student" in rejects[long.id]
    assert rejects["empty"] == "its answer is empty, so there is nothing to learn to write"
    assert "its image cannot be read" in rejects["gone"] and len(rejects) == 3


def test_a_whole_text_that_is_too_long_to_be_cut_at_random_is_left_out(
    opt: Path, tmp_path: Path
) -> None:
    hall = Hall(tmp_path / "run", opt)
    examples = toys.examples(tmp_path / "pictures", 2)
    wordy = replace(examples[0], id="wordy", question="why " * 150 + examples[0].question)
    hall.fill([*examples, wordy])
    left_out = [row.source for row in hall.train(steps=1, prefixes=0.1) if isinstance(row, Reject)]
    assert left_out == ["wordy"]


def test_a_rationale_that_is_never_asked_for_is_held_against_no_room(
    opt: Path, tmp_path: Path
) -> None:
    hall = Hall(tmp_path / "run", opt)
    examples = toys.examples(tmp_path / "pictures", 2)
    wordy = replace(examples[0], id="wordy", rationale="so " * 200)
    # Its answer can be asked for, but before its rationale no room is left for all of it.
    near = replace(examples[1], id="near", answer="red " * 40, rationale="so " * 30)
    hall.fill([*examples, wordy, near])
    said: list[str] = []
    rows = hall.train(said, steps=1, rationales=1.0)
    assert [row.source for row in rows if isinstance(row, Reject)] == ["wordy"]
    assert any("their prompts lose their beginning" in line for line in said)
    said.clear()
    assert not [row for row in hall.train(said, steps=1, rationales=0.0) if isinstance(row, Reject)]
    assert not any("their prompts lose their beginning" in line for line in said)


def test_prompts_that_lose_their_beginning_are_counted_and_told(opt: Path, tmp_path: Path) -> None:
    hall = Hall(tmp_path / "run", opt)
    examples = toys.examples(tmp_path / "pictures", 2)
    wordy = replace(examples[0], id="wordy", question="why " * 150 + examples[0].question)
    hall.fill([*examples, wordy])
    said: list[str] = []
    assert not [row for row in hall.train(said, steps=1) if isinstance(row, Reject)]
    assert (
        "1 examples are longer than the student reads: their prompts lose their beginning" in said
    )


def test_coordinates_are_told_in_the_way_that_the_note_keeps(base: Path, tmp_path: Path) -> None:
    hall = generative_house.hall(tmp_path, base)
    hall.train(steps=1, coordinates="thousand")
    student = GenerativeStudent(hall.student)
    assert student.pointing.codec is not None and student.pointing.codec.name == "thousand"
    example = toys.examples(tmp_path / "new", 1, seed=9)[0]
    pixels = toys_picture(example.path)
    choices = ["[0] is red.", "[0] is blue."]
    scores = student.rank(pixels, example.regions, "What is [0]?", choices)
    swapped = [replace(one, id=1 - one.id) if one.id < 2 else one for one in example.regions]
    assert scores != student.rank(pixels, swapped, "What is [0]?", choices)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"warmup": 9}, "warmup = 9: expected 0 to 4, all steps"),
        ({"answer_text": "{answer} to {question}"}, "expected it to end with {answer}"),
        ({"rationale_text": "{answer} {rationale}"}, "rationale_text"),
        ({"prefixes": 1.5}, "prefixes"),
        ({"weights": "x"}, "weights"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    base: Path, tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValidationError) as raised:
        Hall(tmp_path, base).settings(**changes)
    assert told in str(raised.value)


def test_the_stage_can_be_looked_at_without_torch() -> None:
    code = "import sys, lskd.stages; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert STAGE.optional and STAGE.writes == (Row, Reject)
