"""Students that write, and their bases, as scorers: likelihoods as the writer itself gives them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from scored import marked, panels

import checkpoints
import generative_students
import tiny_writers
from lskd import marking
from lskd.cli.evaluations import entry_of
from lskd.errors import UserError
from lskd.evaluate.scorers.generative import BaseScorer, GenerativeScorer
from lskd.evaluate.stage import Entry
from lskd.protocols import Fits, Panel, Scorer, Text
from lskd.stage import Model, check
from lskd.writing.blip2 import Blip2Writer
from lskd.writing.chat import ChatWriter
from lskd.writing.coordinates import CODECS, Frame, legend
from lskd.writing.writer import Line

CANVAS = (tiny_writers.SIDE, tiny_writers.SIDE)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a base, and students over it."""
    folder = tmp_path_factory.mktemp("scoring")
    base = generative_students.write_base(folder / "base", "opt")
    generative_students.write_generative_student(folder / "student", base)
    generative_students.write_generative_student(folder / "told", base, coordinates="thousand")
    return folder


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> list[Panel]:
    return panels(tmp_path_factory.mktemp("pictures"))


def expected(writer: Blip2Writer, shown: list[Panel]) -> list[Fits]:
    """Return likelihoods, each text asked alone, with the regions drawn."""
    found = []
    for panel in shown:
        sights = writer.look([marked(panel, CANVAS, "clear", 3)])
        told = [writer.likelihoods(sights, [Line(0, t.prompt, t.target)])[0] for t in panel.texts]
        found.append(Fits(likelihood=tuple(told)))
    return found


def in_words(panel: Panel) -> Panel:
    """Return a panel with no regions, whose prompts say where they were."""
    size = panel.image.width, panel.image.height
    seen = [region for region in panel.regions if marking.visible(region, size)]
    places = legend(seen, CODECS["thousand"], Frame(size, CANVAS))
    texts = [Text(f"{places} {text.prompt}".strip(), text.target) for text in panel.texts]
    return replace(panel, regions=(), texts=tuple(texts))


def alike(found: list[Fits], wanted: list[Fits]) -> bool:
    pairs = zip(found, wanted, strict=True)
    return all(one.likelihood == pytest.approx(other.likelihood, abs=1e-5) for one, other in pairs)


def test_likelihoods_are_the_writers_own_in_whatever_batches(
    root: Path, shown: list[Panel]
) -> None:
    writer = Blip2Writer(str(root / "base"), device="cpu")
    wanted = expected(writer, shown)
    for views, texts in ((16, 64), (1, 1), (2, 3)):
        student = GenerativeScorer(str(root / "student"), "cpu", views, texts, workers=2)
        assert isinstance(student, Scorer) and alike(student.fits(shown), wanted)
    assert alike(BaseScorer(writer, workers=1).fits(shown), wanted)


def test_each_distinct_view_is_looked_at_once(root: Path, shown: list[Panel]) -> None:
    scorer = GenerativeScorer(str(root / "student"), "cpu", workers=1)
    seen: list[int] = []
    module: Any = scorer.told.writer.module
    tower = module.model.vision_model.embeddings
    hook = tower.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    scorer.fits(shown)
    hook.remove()
    assert sum(seen) == 5


def test_coordinates_stand_in_the_prompt_and_nothing_is_drawn(
    root: Path, shown: list[Panel]
) -> None:
    by_marks = GenerativeScorer(str(root / "student"), "cpu").fits(shown)
    told = GenerativeScorer(str(root / "told"), "cpu").fits(shown)
    assert not alike(told[:1], by_marks[:1])
    assert alike(told[2:3], by_marks[2:3])  # it has no regions
    writer = Blip2Writer(str(root / "base"), device="cpu")
    assert alike(told, expected(writer, [in_words(panel) for panel in shown]))
    assert alike(BaseScorer(writer, coordinates="thousand").fits(shown), told)


def test_the_command_asks_a_student_that_writes_by_likelihood(root: Path) -> None:
    entry = Entry.model_validate(entry_of(root / "student", str(root / "student")))
    assert entry.model is not None and entry.protocol.score == "likelihood"
    assert entry.model.use == "lskd.evaluate.scorers.generative:GenerativeScorer"
    check(Scorer, entry.model)
    line = {"use": "lskd.writing.blip2:Blip2Writer", "checkpoint": str(root / "base")}
    base = {"use": "lskd.evaluate.scorers.generative:BaseScorer", "writer": line}
    check(Scorer, Model.model_validate(base))


def test_auto_is_the_convention_of_the_writers_family(tmp_path: Path, shown: list[Panel]) -> None:
    writer = ChatWriter(str(checkpoints.write_gemma3(tmp_path / "base")), device="cpu")
    assert writer.family == "gemma3"
    auto, named, other = (
        BaseScorer(writer, coordinates=name, workers=1).fits(shown)
        for name in ("auto", "thousand_yx", "thousand")
    )
    assert alike(auto, named) and not alike(auto, other)


def test_what_cannot_be_used_is_one_clear_line(root: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is no student: it has no student\.toml"):
        GenerativeScorer(str(tmp_path))
    with pytest.raises(UserError, match="batch_texts = 0: 1 is the least"):
        GenerativeScorer(str(root / "student"), "cpu", batch_texts=0)
    with pytest.raises(UserError, match="coordinates = 'auto': no convention is known"):
        BaseScorer(Blip2Writer(str(root / "base"), device="cpu"), coordinates="auto")


torch.set_num_threads(1)
