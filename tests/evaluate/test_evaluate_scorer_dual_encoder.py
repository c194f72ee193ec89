"""Dual encoders, and CLIP from a file of OpenAI's names, equal the classes of transformers."""

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from scored import alike, close, counted, marked, panels

import checkpoints
import tiny_models
from lskd.errors import UserError
from lskd.evaluate.scorers.clip_event import OpenAiClipScorer
from lskd.evaluate.scorers.dual_encoder import DualEncoderScorer
from lskd.picture import load
from lskd.protocols import Panel, Scorer, Text
from lskd.stage import Model, check

WRITERS: dict[str, Callable[[Path], Path]] = {
    "clip": checkpoints.write_clip,
    "siglip": checkpoints.write_siglip,
    "siglip2": checkpoints.write_siglip2,
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: write(tmp_path_factory.mktemp(name)) for name, write in WRITERS.items()}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> list[Panel]:
    return panels(tmp_path_factory.mktemp("pictures"))


@cache
def loaded(folder: Path) -> tuple[Any, Any]:
    library = tiny_models.transformers
    processor = library.AutoProcessor.from_pretrained(folder)
    processor.image_processor = library.AutoImageProcessor.from_pretrained(folder, backend="pil")
    return library.AutoModel.from_pretrained(folder).eval(), processor


def cosine(folder: Path, picture: Any, text: str) -> float:
    """Return what the model's own forward says of one text and one picture."""
    model, processor = loaded(folder)
    sigmoid = hasattr(model, "logit_bias")
    read = processor.tokenizer(
        [text.lower() if sigmoid else text],
        padding="max_length" if sigmoid else True,
        truncation=True,
        max_length=model.config.text_config.max_position_embeddings,
        return_tensors="pt",
    )
    seen = processor.image_processor(images=picture, return_tensors="pt")
    with torch.inference_mode():
        output = model(**read, **seen)
    return float(output.image_embeds[0] @ output.text_embeds[0])


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_each_text_has_the_cosine_that_the_model_gives_it_alone(
    kind: str, folders: dict[str, Path], shown: list[Panel]
) -> None:
    scorer = DualEncoderScorer(str(folders[kind]), marking="release", device="cpu")
    assert isinstance(scorer, Scorer)
    filter = int(loaded(folders[kind])[1].image_processor.resample)
    for panel, fits in zip(shown, scorer.fits(shown), strict=True):
        picture = marked(panel, (32, 32), "release", filter)
        close(fits.itc, [cosine(folders[kind], picture, text.whole) for text in panel.texts])
        assert fits.itm is None and fits.likelihood is None


def test_siglip2_sees_a_picture_in_its_own_shape(
    folders: dict[str, Path], shown: list[Panel]
) -> None:
    scorer = DualEncoderScorer(str(folders["siglip2"]), device="cpu")
    for panel, size in zip(shown[:2], ((32, 24), (40, 24)), strict=True):
        picture = marked(panel, size, "clear", 2)
        expected = [cosine(folders["siglip2"], picture, text.whole) for text in panel.texts]
        close(scorer.fits([panel])[0].itc, expected)
    plain = Panel(shown[1].image, (), shown[1].texts)
    expected = [cosine(folders["siglip2"], load(plain.image), t.whole) for t in plain.texts]
    close(scorer.fits([plain])[0].itc, expected)


def test_a_cropped_picture_is_the_one_that_clips_own_processor_makes(
    folders: dict[str, Path], shown: list[Panel]
) -> None:
    scorer = DualEncoderScorer(str(folders["clip"]), fit="crop", device="cpu")
    plain = [Panel(panel.image, (), panel.texts) for panel in shown]
    for panel, fits in zip(plain, scorer.fits(plain), strict=True):
        pixels = load(panel.image)
        close(fits.itc, [cosine(folders["clip"], pixels, text.whole) for text in panel.texts])


def test_marks_are_drawn_before_the_middle_is_cut_out(
    folders: dict[str, Path], shown: list[Panel]
) -> None:
    scorer = DualEncoderScorer(str(folders["clip"]), fit="crop", device="cpu")
    wide = shown[1]  # 90 x 60 becomes 48 x 32
    picture = marked(wide, (48, 32), "clear", 3).crop((8, 0, 40, 32))
    expected = [cosine(folders["clip"], picture, text.whole) for text in wide.texts]
    close(scorer.fits([wide])[0].itc, expected)


def test_each_distinct_view_passes_the_vision_tower_once(
    folders: dict[str, Path], shown: list[Panel]
) -> None:
    for kind in WRITERS:
        scorer = DualEncoderScorer(str(folders[kind]), batch_views=2, device="cpu")
        with counted(scorer.encoders.model.vision_model) as seen:
            scorer.fits(shown)
        assert sum(seen) == 5 and max(seen) == 2


def test_what_is_beside_a_text_changes_nothing(
    folders: dict[str, Path], shown: list[Panel]
) -> None:
    for kind in WRITERS:
        one = DualEncoderScorer(str(folders[kind]), batch_views=1, batch_texts=1, device="cpu")
        many = DualEncoderScorer(str(folders[kind]), device="cpu")
        alike(one.fits(shown), many.fits(shown))
        alike([many.fits([panel])[0] for panel in shown], many.fits(shown))


def test_panels_without_texts_and_no_panels_have_no_scores(
    folders: dict[str, Path], shown: list[Panel]
) -> None:
    scorer = DualEncoderScorer(str(folders["clip"]), device="cpu")
    assert scorer.fits([]) == []
    assert [fits.itc for fits in scorer.fits([Panel(shown[0].image, (), ())])] == [()]
    assert scorer.shortened([]) == 0


def test_marks_and_their_style_change_what_is_seen(
    folders: dict[str, Path], shown: list[Panel]
) -> None:
    said = {
        style: DualEncoderScorer(str(folders["clip"]), marking=style, device="cpu").fits(shown)
        for style in ("release", "clear")
    }
    assert said["release"][0] != said["clear"][0]
    assert said["release"][2].itc == pytest.approx(said["clear"][2].itc), "it has no regions"


def test_texts_that_lose_their_end_are_counted(
    folders: dict[str, Path], shown: list[Panel]
) -> None:
    scorer = DualEncoderScorer(str(folders["clip"]), device="cpu")
    long = Panel(shown[0].image, (), (Text("", "a" * 75), Text("", "a" * 76), Text("", "a" * 99)))
    assert scorer.shortened([long]) == 2, "77 tokens with the two that begin and end a text"
    first = scorer.fits([long])[0].itc
    assert first is not None and first[1] == pytest.approx(first[2], abs=1e-5)


def test_bfloat16_is_near_float32(folders: dict[str, Path], shown: list[Panel]) -> None:
    exact = DualEncoderScorer(str(folders["clip"]), device="cpu").fits(shown)
    rough = DualEncoderScorer(str(folders["clip"]), device="cpu", dtype="bfloat16").fits(shown)
    alike(rough, exact, within=0.1)


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("under", ["", "state_dict"])
def test_a_file_of_openais_names_equals_the_model_that_it_is_of(
    prefix: str, under: str, folders: dict[str, Path], shown: list[Panel], tmp_path: Path
) -> None:
    file = checkpoints.write_openai_clip(tmp_path / "w.pt", folders["clip"], prefix, under)
    scorer = OpenAiClipScorer(str(file), str(folders["clip"]), device="cpu")
    assert isinstance(scorer, Scorer)
    expected = DualEncoderScorer(str(folders["clip"]), device="cpu")
    alike(scorer.fits(shown), expected.fits(shown))
    assert scorer.shortened(shown) == expected.shortened(shown)


def test_files_that_hold_no_clip_are_refused_in_one_line(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    def refused(file: Path, checkpoint: str = "clip") -> str:
        with pytest.raises(UserError) as caught:
            OpenAiClipScorer(str(file), str(folders[checkpoint]), device="cpu")
        assert "\n" not in str(caught.value)
        return str(caught.value)

    whole = checkpoints.write_openai_clip(tmp_path / "whole.pt", folders["clip"])
    tensors = torch.load(whole, weights_only=True)
    short = tmp_path / "short.pt"
    torch.save({n: t for n, t in tensors.items() if n != "ln_final.bias"}, short)
    assert "1 missing (text_model.final_layer_norm.bias)" in refused(short)
    more = tmp_path / "more.pt"
    torch.save({**tensors, "event.weight": torch.zeros(2)}, more)
    assert "1 unexpected (event.weight)" in refused(more)
    wide = tmp_path / "wide.pt"
    torch.save({**tensors, "ln_final.bias": torch.zeros(5)}, wide)
    assert "1 of another size (text_model.final_layer_norm.bias)" in refused(wide)
    other = tmp_path / "other.pt"
    torch.save({"layer.weight": torch.zeros(2)}, other)
    assert "no CLIP of a ViT by OpenAI's names; its tensors are: layer.weight" in refused(other)
    torch.save([1, 2], other)
    assert "holds no tensors by name" in refused(other)
    other.write_bytes(b"PK\x03\x04 nothing")
    assert "is no file of tensors alone" in refused(other)
    assert "cannot read" in refused(tmp_path / "absent.pt")
    assert "is a siglip model; needed is a CLIP" in refused(whole, "siglip")


def test_wrong_settings_are_refused_in_one_line(folders: dict[str, Path], tmp_path: Path) -> None:
    clip = str(folders["clip"])
    for settings, said in (
        ({"marking": "loud"}, "marking = 'loud': known are release, clear"),
        ({"fit": "stretch"}, "fit = 'stretch': known are squash, crop"),
        ({"workers": 0}, "workers = 0"),
        ({"batch_views": 0}, "batch_views and batch_texts must be 1 or more"),
        ({"dtype": "int8"}, "dtype = 'int8'"),
        ({"device": "abacus"}, "device = 'abacus'"),
    ):
        with pytest.raises(UserError, match=said):
            DualEncoderScorer(clip, **settings)
    with pytest.raises(UserError, match="pictures of any shape"):
        DualEncoderScorer(str(folders["siglip2"]), fit="crop", device="cpu")
    blip = checkpoints.write_blip(tmp_path / "blip")
    with pytest.raises(UserError, match=r"needed is a dual encoder"):
        DualEncoderScorer(str(blip), device="cpu")


def test_a_missing_picture_is_an_error_in_one_line(
    folders: dict[str, Path], shown: list[Panel], tmp_path: Path
) -> None:
    gone = tmp_path / "gone.png"
    shutil.copy(shown[0].image.path, gone)
    scorer = DualEncoderScorer(str(folders["clip"]), device="cpu")
    picture = tiny_models.picture(tmp_path, 20, 20, 9).image
    Path(picture.path).unlink()
    with pytest.raises(UserError, match="cannot read"):
        scorer.fits([Panel(picture, (), (Text("", "a"),))])


def test_both_can_stand_in_a_run_file() -> None:
    for use in ("dual_encoder:DualEncoderScorer", "clip_event:OpenAiClipScorer"):
        keys = {"weights": "w.pt"} if "OpenAi" in use else {"checkpoint": "c"}
        check(Scorer, Model(use=f"lskd.evaluate.scorers.{use}", **keys))
