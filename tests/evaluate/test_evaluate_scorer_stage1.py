"""BLIP-2 stage 1: a student's folder and published weights score as the model itself does."""

from pathlib import Path

import pytest
import torch
from scored import alike, close, counted, panels

import checkpoints
import tiny_models
from lskd.blip2 import files, weights
from lskd.blip2.pixels import view_pixels
from lskd.blip2.stage1 import Stage1, new_student
from lskd.blip2.text import Tokenizer, collate
from lskd.distil.student import Student
from lskd.errors import UserError
from lskd.evaluate.scorers.stage1 import Blip2Scorer, StudentScorer
from lskd.picture import load
from lskd.protocols import Panel, Scorer, Text
from lskd.stage import Model, check

SIZE = tiny_models.stage1_size("eva")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.write_stage1(tmp_path_factory.mktemp("stage1"))


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.write_student(tmp_path_factory.mktemp("house") / "student")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> list[Panel]:
    return panels(tmp_path_factory.mktemp("pictures"))


def blip2(folder: Path, **settings: object) -> Blip2Scorer:
    given = {"image": 28, "tokens": 48, "marking": "clear", "device": "cpu"} | settings
    return Blip2Scorer(str(folder), **given)  # type: ignore[arg-type]


def alone(folder: Path, panel: Panel, text: str) -> tuple[float, float]:
    """Return the logit of matching and the similarity of one text, by the model's own parts."""
    model: Stage1 = new_student(SIZE, dropout=0.0).eval()
    weights.load(model, folder)
    words = collate(Tokenizer(folder / "vocab.txt").encode([text], 48))
    view = view_pixels(load(panel.image), panel.regions, "clear", 28)
    with torch.no_grad():
        memory = model.backbone.remember(model.backbone.features(view[None]))
        states = model.backbone.qformer.match(memory, words)
        match = model.matching(states)[0, :, 1].mean()  # queries
        seen = model.contrast.of_views(model.backbone.qformer.look(memory))[0]
        read = model.contrast.of_texts(model.backbone.qformer.read(words))[0]
    return float(match), float((seen @ read).max())


def test_published_weights_give_the_raw_logit_and_the_similarity(
    base: Path, shown: list[Panel]
) -> None:
    made = blip2(base)
    assert isinstance(made, Scorer)
    for panel, fits in zip(shown, made.fits(shown), strict=True):
        expected = [alone(base, panel, text.whole) for text in panel.texts]
        close(fits.itm, [match for match, _ in expected])
        close(fits.itc, [near for _, near in expected])
        assert fits.likelihood is None


def test_a_student_is_asked_as_its_note_says(student: Path, shown: list[Panel]) -> None:
    made = StudentScorer(str(student), device="cpu")
    assert isinstance(made, Scorer)
    own = Student(student, device="cpu")
    for panel, fits in zip(shown, made.fits(shown), strict=True):
        pixels = load(panel.image)
        regions = panel.regions
        drawn = own.answers(pixels, regions, ["a dog", *(t.target for t in panel.texts)])
        again = made.fits(
            [Panel(panel.image, regions, tuple(Text("", t.target) for t in panel.texts))]
        )
        close(again[0].itm, drawn.verdict.match[1:, 1].tolist())
        assert drawn.similarity is not None
        close(again[0].itc, drawn.similarity[1:].tolist())
        expected = [alone(student, panel, text.whole) for text in panel.texts]
        close(fits.itm, [match for match, _ in expected])


def test_each_distinct_view_passes_the_vision_tower_once(base: Path, shown: list[Panel]) -> None:
    made = blip2(base, batch_texts=3)
    with counted(made.reader.model.backbone.vision) as seen:
        made.fits(shown)
    assert sum(seen) == 5


def test_what_is_beside_a_text_changes_nothing(base: Path, shown: list[Panel]) -> None:
    alike(blip2(base, batch_views=1, batch_texts=1).fits(shown), blip2(base).fits(shown))
    assert blip2(base).fits([]) == []


def test_a_lavis_file_with_its_tower_apart_scores_alike(
    base: Path, shown: list[Panel], tmp_path: Path
) -> None:
    model = new_student(SIZE, dropout=0.0)
    weights.load(model, base)
    weights.save(model, tmp_path / "tower.pth")
    checkpoints.write_without_tower(tmp_path / "stage1.pth", tmp_path / "tower.pth")
    made = blip2(
        tmp_path / "stage1.pth",
        frozen=str(tmp_path / "tower.pth"),
        size=str(base),
        vocabulary=str(base),
    )
    alike(made.fits(shown), blip2(base).fits(shown))


def test_weights_without_the_language_head_are_enough(
    base: Path, shown: list[Panel], tmp_path: Path
) -> None:
    held = files.read(base)
    kept = {n: t for n, t in held.items() if not n.startswith("language_head") and n != "temp"}
    assert len(kept) < len(held)
    files.write_folder(tmp_path, kept, SIZE, "Stage1")
    (tmp_path / "vocab.txt").write_bytes((base / "vocab.txt").read_bytes())
    alike(blip2(tmp_path).fits(shown), blip2(base).fits(shown))


def test_texts_that_lose_their_end_are_counted(base: Path, shown: list[Panel]) -> None:
    long = Panel(shown[0].image, (), (Text("", "dog " * 47), Text("dog " * 30, "dog " * 16)))
    assert blip2(base).shortened([long]) == 1


def test_bf16_is_near_float32(base: Path, student: Path, shown: list[Panel]) -> None:
    alike(blip2(base, precision="bf16").fits(shown), blip2(base).fits(shown), 0.3)
    exact = StudentScorer(str(student), device="cpu").fits(shown)
    alike(StudentScorer(str(student), "cpu", "bf16").fits(shown), exact, 0.3)


def test_wrong_folders_and_settings_are_refused_in_one_line(
    base: Path, student: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"is no student: it has no student\.toml"):
        StudentScorer(str(base))
    note = tmp_path / "student.toml"
    note.write_text('use = "lskd.no.such:Thing"\n')
    with pytest.raises(UserError, match=r"use = 'lskd\.no\.such:Thing'"):
        StudentScorer(str(tmp_path))
    for settings, said in (
        ({"precision": "int8"}, "precision = 'int8': expected float32 or bf16"),
        ({"workers": 0}, "workers = 0"),
        ({"batch_texts": 0}, "0 texts"),
        ({"tokens": 49}, "tokens = 49; the model reads at most 48"),
        ({"device": "abacus"}, "device = 'abacus'"),
        ({"marking": "loud"}, "marking = 'loud'"),
        ({"size": "vit_x"}, "size = 'vit_x'"),
        ({"vocabulary": str(tmp_path)}, "no vocabulary at"),
    ):
        with pytest.raises(UserError, match=said):
            blip2(base, **settings)
    with pytest.raises(UserError, match="no checkpoint at"):
        blip2(tmp_path / "absent.pth", size=str(base), vocabulary=str(base))


def test_both_can_stand_in_a_run_file() -> None:
    for name, keys in (
        ("StudentScorer", {"folder": "out/run/distil/student"}),
        ("Blip2Scorer", {"weights": "blip2_pretrained.pth"}),
    ):
        check(Scorer, Model(use=f"lskd.evaluate.scorers.stage1:{name}", **keys))
