"""The stage with each family of writers: trained, saved, loaded, asked and scored."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import generative_house
import PIL.Image
import pytest
import toys

import checkpoints
import tiny_writers
from lskd.distil.ask import Manner
from lskd.distil.generative.student import GenerativeStudent
from lskd.marking import MarkStyle
from lskd.writing.blip2 import Blip2Writer

CHAT = {
    "answer_text": "{question} {answer}",
    "rationale_text": "{question} {answer} Why? {rationale}",
}
Line = dict[str, Any]


def blip2(folder: Path) -> Line:
    base = tiny_writers.write_blip2_writer(folder / "base", "opt")
    return {"use": "lskd.writing.blip2:Blip2Writer", "checkpoint": str(base), "ln_vision": True}


def minigpt4(folder: Path) -> Line:
    return {
        "use": "lskd.writing.minigpt4:MiniGPT4Writer",
        "checkpoint": str(tiny_writers.write_vicuna(folder / "vicuna")),
        "projection": str(tiny_writers.write_minigpt4(folder / "projection.pth")),
        "blip2": str(tiny_writers.write_blip2_writer(folder / "eyes", "opt")),
        "image": tiny_writers.SIDE,
    }


def chat(folder: Path) -> Line:
    base = checkpoints.write_idefics3(folder / "base")
    return {"use": "lskd.writing.chat:ChatWriter", "checkpoint": str(base), "rank": 4}


@pytest.mark.parametrize(
    ("line", "changes"),
    [(blip2, {}), (minigpt4, {"prefixes": 1.0}), (chat, CHAT | {"views": 1})],
    ids=["blip2", "minigpt4", "chat"],
)
def test_a_student_of_each_family_is_trained_and_asked_as_it_was_saved(
    tmp_path: Path, line: Callable[[Path], Line], changes: Line
) -> None:
    hall = generative_house.hall(tmp_path / "run", tmp_path)
    said: list[str] = []
    hall.train(said, student=line(tmp_path), learning_rate=1e-2, **changes)
    assert any(text.startswith("step 4 of 4: loss") for text in said)
    example = toys.examples(tmp_path / "new", 1, seed=9)[0]
    with PIL.Image.open(example.path) as opened:
        pixels = opened.convert("RGB")
    one, other = GenerativeStudent(hall.student), GenerativeStudent(hall.student)
    choices = ["[0] is red.", "[0] is blue."]
    scores = one.rank(pixels, example.regions, "What is [0]?", choices)
    assert scores == other.rank(pixels, example.regions, "What is [0]?", choices)
    assert all(0 < score < 1 for score in scores)
    told = one.answer(pixels, example.regions, "What is [0]?", Manner(tokens=3))
    assert told == other.answer(pixels, example.regions, "What is [0]?", Manner(tokens=3))
    drawn = one.answer(pixels, example.regions, "What?", Manner(temperature=1.0, tokens=3))
    assert drawn.confidence is None or 0 < drawn.confidence < 1


class Doubter(Blip2Writer):
    """A writer that has something against every picture."""

    def doubts(self, width: int, height: int, style: MarkStyle | None) -> list[str]:
        return [f"marks of {width} x {height} in {style}", "odd names"]


def test_what_a_writer_has_against_pictures_is_told_before_training(tmp_path: Path) -> None:
    hall = generative_house.hall(tmp_path / "run", tmp_path)
    line = blip2(tmp_path) | {"use": f"{__name__}:Doubter"}
    for coordinates, style in ((None, "clear"), ("thousand", None)):
        said: list[str] = []
        hall.train(said, student=line, coordinates=coordinates)
        told = [text for text in said if text.startswith("careful: ")]
        assert told == [f"careful: marks of 56 x 56 in {style}", "careful: odd names"]
