"""A picture and its regions become the pixels that a model sees."""

import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

from lskd.blip2.pixels import view_picture, view_pixels
from lskd.marking import MarkStyle, colour, mark
from lskd.types import Box, Region


def noise(width: int, height: int) -> PIL.Image.Image:
    values = np.random.default_rng(width * height).integers(0, 256, (height, width, 3))
    return PIL.Image.fromarray(values.astype(np.uint8))


def region(number: int, *box: float) -> Region:
    return Region(number, Box(*box), "thing", "a thing", 1.0)


def test_pixels_without_regions_are_those_of_the_blip_processor() -> None:
    picture = noise(90, 61)
    processor = BlipImageProcessorPil(size={"height": 56, "width": 56})
    theirs = processor(picture, return_tensors="pt")["pixel_values"][0]
    ours = view_pixels(picture, [], "clear", 56)
    assert ours.dtype == torch.float32
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("style", ["clear", "release"])
def test_regions_are_drawn_where_they_lie_after_the_resize(style: MarkStyle) -> None:
    grey = PIL.Image.new("RGB", (200, 100), (128, 128, 128))
    seen = view_picture(grey, [region(1, 100, 0, 180, 50)], style, 60)
    square = PIL.Image.new("RGB", (60, 60), (128, 128, 128))
    assert seen.tobytes() == mark(square, [region(1, 30, 0, 54, 30)], style).tobytes()
    lines = (np.asarray(seen) == colour(1, style)).all(axis=2)
    assert lines[:, 30:54].any()  # unblurred


def test_regions_without_a_visible_part_are_left_out() -> None:
    picture = noise(40, 40)
    outside = [region(0, 50, 50, 60, 60), region(1, 10, 10, 10, 30), region(2, 5, 5, 30, 30)]
    both = view_pixels(picture, outside, "clear", 28)
    assert torch.equal(both, view_pixels(picture, outside[2:], "clear", 28))
    assert not torch.equal(both, view_pixels(picture, [], "clear", 28))


@given(st.integers(1, 80), st.integers(1, 80), st.integers(14, 64))
def test_any_picture_becomes_a_square_and_stays_as_it_was(
    width: int, height: int, size: int
) -> None:
    picture = noise(width, height)
    before = picture.tobytes()
    seen = view_pixels(picture, [region(0, 0, 0, width, height)], "clear", size)
    assert seen.shape == (3, size, size)
    assert torch.isfinite(seen).all()
    assert picture.tobytes() == before
