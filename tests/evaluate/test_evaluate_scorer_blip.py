"""BLIP: both heads equal the class of transformers, asked one text at a time."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from scored import alike, close, counted, marked, panels

import checkpoints
import tiny_models
from lskd.errors import UserError
from lskd.evaluate.scorers.blip import BlipScorer
from lskd.protocols import Panel, Scorer, Text
from lskd.stage import Model, check


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.write_blip(tmp_path_factory.mktemp("blip"))


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> list[Panel]:
    return panels(tmp_path_factory.mktemp("pictures"))


@cache
def loaded(folder: Path) -> tuple[Any, Any]:
    library = tiny_models.transformers
    processor = library.AutoProcessor.from_pretrained(folder)
    processor.image_processor = library.AutoImageProcessor.from_pretrained(folder, backend="pil")
    return library.BlipForImageTextRetrieval.from_pretrained(folder).eval(), processor


def plain(folder: Path, panel: Panel, text: str, head: bool, first: int | None = None) -> float:
    """Return what the model's own forward says of one text."""
    model, processor = loaded(folder)
    picture = marked(panel, (32, 32), "release", int(processor.image_processor.resample))
    inputs = processor(
        images=picture, text=text, truncation=True, max_length=48, return_tensors="pt"
    )
    if first is not None:
        inputs["input_ids"][:, 0] = first
    with torch.inference_mode():
        score = model(**inputs, use_itm_head=head).itm_score
    return float(score[0, 1] if head else score[0, 0])


def scorer(folder: Path, **settings: Any) -> BlipScorer:
    return BlipScorer(str(folder), marking="release", device="cpu", tokens=48, **settings)


def test_both_heads_say_of_each_text_what_they_say_of_it_alone(
    folder: Path, shown: list[Panel]
) -> None:
    made = scorer(folder)
    assert isinstance(made, Scorer)
    for panel, fits in zip(shown, made.fits(shown), strict=True):
        close(fits.itm, [plain(folder, panel, text.whole, True) for text in panel.texts], 1e-4)
        close(fits.itc, [plain(folder, panel, text.whole, False) for text in panel.texts])
        assert fits.likelihood is None


def test_the_token_that_begins_a_matched_text_can_be_that_of_lavis(
    folder: Path, shown: list[Panel]
) -> None:
    enc = loaded(folder)[0].config.text_config.vocab_size - 1
    fits = scorer(folder, first_token=enc).fits(shown[:1])[0]
    texts = shown[0].texts
    close(fits.itm, [plain(folder, shown[0], text.whole, True, enc) for text in texts], 1e-4)
    close(fits.itc, [plain(folder, shown[0], text.whole, False) for text in texts])


def test_each_distinct_view_passes_the_vision_tower_once(folder: Path, shown: list[Panel]) -> None:
    made = scorer(folder, batch_views=2, batch_texts=1)
    with counted(made.model.vision_model) as seen:
        made.fits(shown)
    assert sum(seen) == 5 and max(seen) == 2


def test_what_is_beside_a_text_changes_nothing(folder: Path, shown: list[Panel]) -> None:
    alike(scorer(folder, batch_texts=1).fits(shown), scorer(folder).fits(shown), 1e-4)
    assert scorer(folder).fits([]) == []


def test_texts_that_lose_their_end_are_counted(folder: Path, shown: list[Panel]) -> None:
    long = Panel(shown[0].image, (), (Text("", "cat " * 46), Text("cat " * 30, "cat " * 17)))
    made = scorer(folder)
    assert made.shortened([long]) == 1, "48 tokens with the two that begin and end a text"
    first = made.fits([long])[0].itm
    assert first is not None and first[0] == pytest.approx(first[1], abs=1e-4)


def test_wrong_settings_are_refused_in_one_line(folder: Path, tmp_path: Path) -> None:
    for settings, said in (
        ({"tokens": 129}, "tokens = 129: this model reads 128"),
        ({"first_token": 99999}, "first_token = 99999"),
        ({"batch_texts": 0}, "batch_views and batch_texts must be 1 or more"),
        ({"marking": "loud"}, "marking = 'loud'"),
    ):
        with pytest.raises(UserError, match=said):
            BlipScorer(str(folder), device="cpu", **({"tokens": 48} | settings))
    with pytest.raises(UserError, match="is a clip model; needed is a BLIP with heads"):
        BlipScorer(str(checkpoints.write_clip(tmp_path)), device="cpu")


def test_it_can_stand_in_a_run_file() -> None:
    keys = {"checkpoint": "c"}
    check(Scorer, Model(use="lskd.evaluate.scorers.blip:BlipScorer", **keys))
