"""The canvas of an image processor: marks are drawn at the size at which the model sees them."""

from typing import Any

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lskd.errors import UserError
from lskd.marking import clear
from lskd.writing.canvas import Canvases
from tiny_models import CLIP_IMAGE, SQUARE, transformers

got_ocr2 = transformers.models.got_ocr2.image_processing_pil_got_ocr2
TILES: dict[str, Any] = {"max_image_size": {"longest_edge": 32}}
PROCESSORS: dict[str, Any] = {
    "clip": transformers.CLIPImageProcessorPil(**CLIP_IMAGE),
    "gemma3": transformers.Gemma3ImageProcessorPil(**SQUARE),
    "qwen": transformers.Qwen2VLImageProcessorPil(
        size={"shortest_edge": 56 * 56, "longest_edge": 280 * 280}
    ),
    "idefics3": transformers.Idefics3ImageProcessorPil(size={"longest_edge": 128}, **TILES),
    "llava_onevision": transformers.LlavaOnevisionImageProcessorPil(
        **SQUARE, image_grid_pinpoints=[[32, 32], [32, 64], [64, 32], [64, 64]]
    ),
    "internvl": got_ocr2.GotOcr2ImageProcessorPil(
        **SQUARE, crop_to_patches=True, min_patches=1, max_patches=6
    ),
    "pixtral": transformers.PixtralImageProcessorPil(size={"longest_edge": 128}),
    "smolvlm": transformers.SmolVLMImageProcessorPil(size={"longest_edge": 128}, **TILES),
}
SIDES = st.integers(16, 400)


@pytest.mark.parametrize("name", PROCESSORS)
@settings(max_examples=15)
@given(width=SIDES, height=SIDES)
def test_a_picture_at_its_canvas_is_resized_no_more(name: str, width: int, height: int) -> None:
    if max(width, height) > 8 * min(width, height):
        return  # beyond what some of them take
    canvases = Canvases(PROCESSORS[name])
    size = canvases.canvas(width, height)
    way = canvases.way(size)
    if name != "llava_onevision":  # it may find another grid that fits the canvas as well
        assert way.size == size
    assert way.narrowest >= 1


@pytest.mark.parametrize(
    ("name", "size", "canvas"),
    [
        ("clip", (100, 50), (32, 32)),
        ("gemma3", (100, 50), (32, 32)),
        ("qwen", (100, 50), (112, 56)),
        ("idefics3", (100, 50), (128, 64)),
        ("llava_onevision", (100, 50), (64, 32)),
        ("internvl", (100, 50), (64, 32)),
        ("pixtral", (100, 50), (112, 64)),
    ],
)
def test_each_processor_has_a_canvas_of_its_own(
    name: str, size: tuple[int, int], canvas: tuple[int, int]
) -> None:
    assert Canvases(PROCESSORS[name]).canvas(*size) == canvas


def test_what_is_drawn_at_the_ends_of_a_picture_is_not_cut_off() -> None:
    images = transformers.CLIPImageProcessorPil(
        size={"shortest_edge": 36}, crop_size={"height": 32, "width": 32}, do_normalize=False
    )
    canvases = Canvases(images)
    assert canvases.canvas(300, 100) == (32, 32)
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    seen = images(images=PIL.Image.fromarray(noise), return_tensors="np")["pixel_values"][0]
    np.testing.assert_allclose(seen.transpose(1, 2, 0) * 255, noise, atol=0.01)


def test_marks_that_are_resized_away_are_warned_of() -> None:
    # It goes down to 48 pixels, then up to two tiles of 32: a canvas that is no canvas.
    images = transformers.Idefics3ImageProcessorPil(size={"longest_edge": 48}, **TILES)
    canvases = Canvases(images)
    assert canvases.canvas(640, 480) == (64, 64)
    assert canvases.thinnest(640, 480, "release") == pytest.approx(1.5)
    doubt = canvases.doubt(640, 480, "release")
    assert doubt is not None
    assert "are 1.5 pixels thin" in doubt and "from 64 x 64" in doubt and "\n" not in doubt
    assert canvases.thinnest(640, 480, "clear") == 0.75 * clear.thickness((64, 64))
    for sound in PROCESSORS.values():
        assert Canvases(sound).doubt(64, 48, "release") is None


def test_a_picture_that_a_processor_cannot_take_is_told_in_one_line() -> None:
    with pytest.raises(UserError, match=r"a picture of 300 x 1 pixels: absolute aspect ratio"):
        Canvases(PROCESSORS["qwen"]).canvas(300, 1)
