"""Codecs of coordinates: boxes survive the way to text and back, and texts the way to boxes."""

import math
import re
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from transformers.models.florence2.processing_florence2 import Florence2PostProcessor

import tiny_models
from lskd import marking
from lskd.errors import UserError
from lskd.types import Box, Region
from lskd.writing import coordinates
from lskd.writing.coordinates import CODECS, Codec, Frame, decode, encode

NAMES = sorted(CODECS)
FRAME = Frame((640, 480), (560, 420))
BOX = Box(64, 120, 320, 360)

SIDES = st.integers(8, 5000)
FRAMES = st.builds(Frame, st.tuples(SIDES, SIDES), st.tuples(SIDES, SIDES))


@st.composite
def boxes(draw: st.DrawFn, frame: Frame) -> Box:
    """Return a box that has area in the image, and may reach beyond it."""
    width, height = frame.image
    across = st.floats(-0.5 * width, 1.5 * width)
    down = st.floats(-0.5 * height, 1.5 * height)
    x0, x1 = sorted((draw(across), draw(across)))
    y0, y1 = sorted((draw(down), draw(down)))
    box = Box(x0, y0, x1, y1)
    assume(box.within(width, height).area > 0)
    return box


def near(one: Box, other: Box, codec: Codec, frame: Frame) -> bool:
    """Say whether no corner is further off than a unit."""
    across, down = coordinates.units(codec, frame)
    width, height = frame.image
    pairs = zip(one, other, strict=True)
    reach = (width / across, height / down, width / across, height / down)
    return all(abs(a - b) <= r * (1 + 1e-5) for (a, b), r in zip(pairs, reach, strict=True))


def test_a_thin_box_grows_to_the_side_on_which_it_lies() -> None:
    frame = Frame((3501, 8), (8, 8))  # a unit of `thousand` is 3.5 pixels wide
    below, above = Box(6, 0, 7, 1), Box(7.1, 0, 8, 1)
    for box in (below, above):
        back = decode(encode(box, CODECS["thousand"], frame), CODECS["thousand"], frame)
        assert near(box, back, CODECS["thousand"], frame)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40)
@given(data=st.data(), frame=FRAMES)
def test_a_box_comes_back_within_a_unit_and_with_area(
    name: str, data: st.DataObject, frame: Frame
) -> None:
    codec = CODECS[name]
    box = data.draw(boxes(frame))
    back = decode(encode(box, codec, frame), codec, frame)
    assert near(box.within(*frame.image), back, codec, frame)
    assert back.area > 0 and back == back.within(*frame.image)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40)
@given(data=st.data(), frame=FRAMES)
def test_a_text_comes_back_word_for_word(name: str, data: st.DataObject, frame: Frame) -> None:
    codec = CODECS[name]
    across, down = coordinates.units(codec, frame)
    if codec.read is None:
        (x0, x1), (y0, y1) = (
            sorted(data.draw(st.lists(st.integers(0, most), min_size=2, max_size=2, unique=True)))
            for most in (across, down)
        )
    else:
        (x0, x1), (y0, y1) = (
            sorted(data.draw(st.lists(st.integers(0, most - 1), min_size=2, max_size=2)))
            for most in (across, down)
        )
    numbers = (x0, y0, x1, y1) if codec.order == "xyxy" else (y0, x0, y1, x1)
    text = codec.form.format(*(f"{number:0{codec.digits}}" for number in numbers))
    assert encode(decode(text, codec, frame), codec, frame) == text


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40)
@given(data=st.data(), frame=FRAMES)
def test_boxes_are_found_in_running_text_as_they_were_written(
    name: str, data: st.DataObject, frame: Frame
) -> None:
    codec = CODECS[name]
    texts = [encode(data.draw(boxes(frame)), codec, frame) for _ in range(3)]
    assert coordinates.found(f"a cup {texts[0]}, then {texts[1]} and{texts[2]}.", codec) == texts


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pixels", "[64, 120, 320, 360]"),
        ("seen_pixels", "[56, 105, 280, 315]"),
        ("thousand", "[100, 250, 500, 750]"),
        ("thousand_yx", "[250, 100, 750, 500]"),
        ("thousand_points", "(100,250),(500,750)"),
        ("thousand_nested", "[[100, 250, 500, 750]]"),
        ("loc", "<loc_100><loc_250><loc_500><loc_750>"),
        ("loc_yx", "<loc0256><loc0102><loc0768><loc0512>"),
    ],
)
def test_each_convention_words_one_box_in_its_own_way(name: str, text: str) -> None:
    assert encode(BOX, CODECS[name], FRAME) == text


def test_location_tokens_are_those_of_florence_2s_own_processor() -> None:
    kind: Any = Florence2PostProcessor
    own = kind({}, tiny_models.byte_tokenizer())
    codec = CODECS["loc"]
    for seed in range(20):
        made = torch.rand(4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        x0, x1 = sorted((made[0].item() * 640, made[1].item() * 640))
        y0, y1 = sorted((made[2].item() * 480, made[3].item() * 480))
        text = encode(Box(x0, y0, x1, y1), codec, FRAME)
        theirs = own.quantize(torch.tensor([[x0, y0, x1, y1]], dtype=torch.float64), (640, 480))
        assert [int(number) for number in re.findall(r"\d+", text)] == theirs[0].tolist()
        back = own.dequantize(theirs, (640, 480))[0].tolist()  # cut to whole pixels
        assert [int(corner) for corner in decode(text, codec, FRAME)] == back


@pytest.mark.parametrize("name", NAMES)
def test_a_box_outside_of_the_image_has_no_coordinates(name: str) -> None:
    for box in (Box(640, 0, 700, 10), Box(5, 5, 5, 9), Box(math.nan, 0, 4, 4)):
        with pytest.raises(UserError, match=r"covers no part of the 640 x 480 image"):
            encode(box, CODECS[name], FRAME)


def test_texts_of_another_convention_are_refused_with_what_would_be_right() -> None:
    with pytest.raises(UserError, match=r"its numbers go from 0 to 1000 in thousand"):
        decode("[0, 0, 1200, 900]", CODECS["thousand"], FRAME)
    with pytest.raises(UserError, match=r"its numbers go from 0 to 999 in loc"):
        decode("<loc_0><loc_0><loc_9><loc_1000>", CODECS["loc"], FRAME)
    with pytest.raises(UserError, match=r"its numbers go from 0 to 1000"):
        decode("[-3, 0, 10, 10]", CODECS["thousand"], FRAME)
    with pytest.raises(UserError, match=r"expected the form \(n,n\),\(n,n\)"):
        decode("[0, 0, 10, 10]", CODECS["thousand_points"], FRAME)
    with pytest.raises(UserError, match=r"second corner lies before its first"):
        decode("[500, 0, 100, 10]", CODECS["thousand"], FRAME)
    with pytest.raises(UserError, match=r"second corner lies before its first"):
        decode("[500, 0, 500, 10]", CODECS["thousand"], FRAME)


def test_blanks_that_a_model_wrote_otherwise_are_read() -> None:
    for text in ("[100,250,500,750]", "[ 100, 250 ,500, 750 ]", " [100, 250, 500, 750]\n"):
        assert decode(text, CODECS["thousand"], FRAME) == BOX


def test_each_family_gets_the_convention_that_it_was_trained_with() -> None:
    assert coordinates.codec_of("auto", "qwen2_5_vl").counts == "seen"
    assert coordinates.codec_of("auto", "qwen2_vl").form == "({},{}),({},{})"
    assert coordinates.codec_of("auto", "paligemma").order == "yxyx"
    assert coordinates.codec_of("pixels", "qwen2_5_vl").counts == "image"
    assert set(coordinates.FAMILIES.values()) <= set(CODECS)
    with pytest.raises(UserError, match=r"no convention is known of a smolvlm model; known are"):
        coordinates.codec_of("auto", "smolvlm")
    with pytest.raises(UserError, match=r"'polar': known are auto, pixels"):
        coordinates.codec_of("polar", "smolvlm")


def test_a_tokenizer_without_location_tokens_is_told_from_one_with_them() -> None:
    plain = tiny_models.byte_tokenizer()
    assert coordinates.lacking(CODECS["thousand"], plain) is None
    assert coordinates.lacking(CODECS["loc"], plain) == "<loc_0>"
    assert coordinates.lacking(CODECS["loc_yx"], plain) == "<loc0000>"
    plain.add_tokens(list(CODECS["loc_yx"].tokens))
    assert coordinates.lacking(CODECS["loc_yx"], plain) is None


def test_a_legend_says_where_each_region_lies() -> None:
    regions = [region(2, BOX), region(0, Box(0, 0, 640, 480))]
    told = coordinates.legend(regions, CODECS["thousand_points"], FRAME)
    assert told == "[2] is at (100,250),(500,750); [0] is at (0,0),(1000,1000)."
    assert marking.named(told) == (2, 0)
    assert coordinates.legend([], CODECS["loc"], FRAME) == ""


def region(number: int, box: Box) -> Region:
    return Region(number, box, "thing", "", 1.0)
