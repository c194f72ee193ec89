"""The stage `generative` with packed rows, rehearsal and all layers trained."""

import json
from pathlib import Path
from typing import Any

import generative_house
import PIL.Image
import pytest
import toys
from generative_house import Hall
from safetensors.torch import load_file

import checkpoints
import generative_students
from lskd.distil import note
from lskd.distil.ask import Manner
from lskd.distil.generative.stage import STAGE
from lskd.distil.generative.student import GenerativeStudent
from lskd.errors import UserError
from lskd.writing.blip2 import Blip2Writer

CHAT = {
    "answer_text": "{question} {answer}",
    "rationale_text": "{question} {answer} Why? {rationale}",
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.write_idefics3(tmp_path_factory.mktemp("bases") / "base")


def student(base: Path, **keys: Any) -> dict[str, Any]:
    line = {"use": "lskd.writing.chat:ChatWriter", "checkpoint": str(base), "trains": "layers"}
    return {"student": line | keys, **CHAT}


def rehearsed(folder: Path, count: int = 6, words: int = 1) -> Path:
    """Write questions about a picture whose answers are so many words."""
    folder.mkdir(exist_ok=True)
    PIL.Image.new("RGB", (40, 30), "red").save(folder / "a.png")
    file = folder / "questions.jsonl"
    lines = [
        {"image": "a.png", "prompt": f"Which {n}?", "answer": "old " * words} for n in range(count)
    ]
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return file


def losses(hall: Hall) -> list[float]:
    (file,) = hall.folder.glob("training/*/losses.jsonl")
    return [json.loads(line)["loss"] for line in file.read_text("utf-8").splitlines()]


def test_packed_rows_and_questions_train_all_layers_and_the_student_is_asked(
    base: Path, tmp_path: Path
) -> None:
    hall = generative_house.hall(tmp_path / "run", tmp_path)
    old = rehearsed(tmp_path / "old")
    changes = student(base) | {
        "packed": True,
        "views": 1,
        "rehearsal": str(old),
        "rehearsed": 0.4,
        "steps": 12,
        "learning_rate": 1e-2,
    }
    said: list[str] = []
    hall.train(said, **changes)
    # A view for the two examples by id of each picture, an empty one, and that of the questions.
    assert any("of 7 views will take about" in line for line in said)
    first, *_, last = losses(hall)
    assert last < first
    assert [path.name for path in sorted((hall.student / "writer").iterdir())] == [
        "trained.safetensors",
        "writer.toml",
    ]
    names = set(load_file(hall.student / "writer" / "trained.safetensors"))
    assert names and all("text_model." in n and "embed" not in n for n in names)
    example = toys.examples(tmp_path / "new", 1, seed=9)[0]
    with PIL.Image.open(example.path) as opened:
        pixels = opened.convert("RGB")
    one, other = GenerativeStudent(hall.student), GenerativeStudent(hall.student)
    told = one.answer(pixels, example.regions, "What is [0]?", Manner(tokens=3))
    assert told == other.answer(pixels, example.regions, "What is [0]?", Manner(tokens=3))


def test_packed_rows_learn_what_the_same_rows_learn_alone(base: Path, tmp_path: Path) -> None:
    trained = []
    for packed in (False, True):
        hall = generative_house.hall(tmp_path / str(packed), tmp_path, pictures=2)
        # Every step takes all there is, with one view each, so that both take the same lines.
        batch = 2 if packed else 6
        keys = student(base) | {"packed": packed, "views": 1, "batch": batch, "steps": 3}
        hall.train([], **keys)
        trained.append(losses(hall))
    assert trained[1] == pytest.approx(trained[0], abs=1e-4)


def test_what_is_rehearsed_decides_the_student(base: Path, tmp_path: Path) -> None:
    hall = generative_house.hall(tmp_path / "run", tmp_path)
    old = rehearsed(tmp_path / "old")
    keys = student(base) | {"rehearsal": str(old), "steps": 1}
    hall.train([], **keys)
    before = note.read(hall.student).fingerprint
    assert STAGE.files(hall.settings(**keys)) == [old]
    rehearsed(tmp_path / "old", count=7)
    hall.train([], **keys)
    assert note.read(hall.student).fingerprint != before
    assert STAGE.files(hall.settings(**student(base))) == []


def test_a_question_that_has_no_room_is_told_before_training(base: Path, tmp_path: Path) -> None:
    hall = generative_house.hall(tmp_path / "run", tmp_path)
    old = rehearsed(tmp_path / "old", words=400)
    with pytest.raises(
        UserError, match="what is rehearsed has questions that are too long: line 0"
    ):
        hall.train([], **student(base), rehearsal=str(old))
    said: list[str] = []
    small = rehearsed(tmp_path / "small")
    lines = small.read_text().replace("Which 0?", "which " * 200)
    small.write_text(lines)
    hall.train(said, **student(base, context=400), rehearsal=str(small), steps=1)
    assert any("1 questions that are rehearsed are longer than the student" in one for one in said)


class Plain(Blip2Writer):
    """A writer that is no `Packing`."""

    pack = None  # type: ignore[assignment]


def test_a_writer_that_cannot_pack_is_told_before_anything_is_looked_at(tmp_path: Path) -> None:
    t5 = generative_students.write_base(tmp_path / "t5")
    hall = generative_house.hall(tmp_path / "run", t5)
    with pytest.raises(UserError, match=r"packed = true: .*t5 cannot read lines side by side"):
        hall.train([], packed=True)
    line = {"use": f"{__name__}:Plain", "checkpoint": str(t5)}
    with pytest.raises(UserError, match=r"packed = true: .*:Plain reads no lines side by side"):
        hall.train([], packed=True, student=line)
    assert not (hall.folder / "sights").exists()


def test_texts_of_the_ranking_student_can_be_rehearsed_too(base: Path, tmp_path: Path) -> None:
    hall = generative_house.hall(tmp_path / "run", tmp_path)
    old = rehearsed(tmp_path / "old")
    old.write_text(json.dumps({"image": "a.png", "text": "a red wall", "wrong": ["a blue one"]}))
    hall.train([], **student(base), rehearsal=str(old), rehearsed=0.5, steps=2)
    assert len(losses(hall)) == 2
