"""Boxes become text and text becomes boxes, in the way in which each family of models counts.

In: a box in pixels of the upright image, and the frame in which numbers count. Out: its text, and
from text the box again. Models differ in what a number is a share of, in which axis comes first and
in what stands around the numbers; a box that is worded in another family's way lies elsewhere.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lskd.errors import UserError
from lskd.types import Box, Region

Extent = tuple[int, int]
Counting = Literal["image", "seen"]
Order = Literal["xyxy", "yxyx"]
NUMBER = "{}"


@dataclass(frozen=True, slots=True)
class Frame:
    """What numbers count in: the upright image, and that image as a model sees it.

    Both are (width, height) in pixels; `seen` is what `Writer.canvas` says of `image`.
    """

    image: Extent
    seen: Extent


@dataclass(frozen=True, slots=True)
class Codec:
    """How a family words a box.

    `counts` is what a number counts: pixels of the image, pixels of what is seen, or, where it is a
    whole number n, the n-ths of a side. An n-th is a line, from 0 to n, where `read` is None; else
    it is an interval, from 0 to n - 1, that is read as the place `read` of its width. `order` says
    which axis comes first. `form` is the text of a box, with {} where its numbers go, `digits` the
    least that a number has.
    """

    name: str
    counts: Counting | int
    order: Order
    form: str
    read: float | None = None
    digits: int = 1

    @property
    def pattern(self) -> re.Pattern[str]:
        """Return what matches a box's text and captures its numbers; blanks may stand between."""
        width = rf"(-?\d{{{self.digits},}})"
        parts = (re.escape(part).replace(r"\ ", r"\s*") for part in self.form.split(NUMBER))
        return re.compile(rf"\s*{width}\s*".join(parts))

    @property
    def tokens(self) -> tuple[str, ...]:
        """Return the tokens that a tokenizer must have for this, () where plain digits are used."""
        word = self.form.partition(">")[0] + ">"
        if self.read is None or not word.startswith("<"):
            return ()
        assert isinstance(self.counts, int)
        return tuple(word.format(f"{n:0{self.digits}}") for n in range(self.counts))


CODECS: Mapping[str, Codec] = {
    codec.name: codec
    for codec in (
        Codec("pixels", "image", "xyxy", "[{}, {}, {}, {}]"),
        Codec("seen_pixels", "seen", "xyxy", "[{}, {}, {}, {}]"),
        Codec("thousand", 1000, "xyxy", "[{}, {}, {}, {}]"),
        Codec("thousand_yx", 1000, "yxyx", "[{}, {}, {}, {}]"),
        Codec("thousand_points", 1000, "xyxy", "({},{}),({},{})"),
        Codec("thousand_nested", 1000, "xyxy", "[[{}, {}, {}, {}]]"),
        Codec("loc", 1000, "xyxy", "<loc_{}><loc_{}><loc_{}><loc_{}>", read=0.5),
        Codec("loc_yx", 1024, "yxyx", "<loc{}><loc{}><loc{}><loc{}>", read=0.0, digits=4),
    )
}

# By the type of a model's configuration, as its authors trained it. Qwen2-VL and Qwen2.5-VL: issue
# 866 of their repository; Qwen3-VL: issue 1486 there; GLM-V and InternVL: their documentation;
# PaliGemma: big_vision's demonstration; Florence-2: its processor in transformers. Gemma 3 has
# nothing published of its own; this is what Gemini's documentation says.
FAMILIES: Mapping[str, str] = {
    "qwen2_vl": "thousand_points",
    "qwen2_5_vl": "seen_pixels",
    "qwen3_vl": "thousand",
    "qwen3_vl_moe": "thousand",
    "glm4v": "thousand",
    "internvl": "thousand_nested",
    "gemma3": "thousand_yx",
    "gemma3n": "thousand_yx",
    "paligemma": "loc_yx",
    "florence2": "loc",
}


def codec_of(name: str, family: str = "") -> Codec:
    """Return a codec by its name; "auto" is what the `family`, a model type, was trained with.

    Raises UserError for a name that is not known, or a family of which no convention is.
    """
    if name == "auto":
        if family not in FAMILIES:
            raise UserError(
                f"coordinates = 'auto': no convention is known of a {family} model; known are "
                f"{', '.join(CODECS)}"
            )
        name = FAMILIES[family]
    if name not in CODECS:
        raise UserError(f"coordinates = {name!r}: known are auto, {', '.join(CODECS)}")
    return CODECS[name]


def lacking(codec: Codec, tokenizer: Any) -> str | None:
    """Return a token that a codec needs and a tokenizer of transformers lacks, or None."""
    known = tokenizer.get_vocab() if codec.tokens else {}
    return next((token for token in codec.tokens if token not in known), None)


def encode(box: Box, codec: Codec, frame: Frame) -> str:
    """Return the text of a box, cut at the edges of the image.

    What is read from it is no more than a unit off, and has an area: a box too thin for the numbers
    becomes one unit wide. Raises UserError for a box without area in the image.
    """
    inside = box.within(*frame.image) if all(map(math.isfinite, box)) else Box(0, 0, 0, 0)
    if not inside.area:
        corners = ", ".join(f"{corner:g}" for corner in box)
        width, height = frame.image
        raise UserError(
            f"the box ({corners}) covers no part of the {width} x {height} image: it has no "
            "coordinates to be told"
        )
    across, down = units(codec, frame)
    left, right = _ends(inside.x0 / frame.image[0], inside.x1 / frame.image[0], across, codec.read)
    top, bottom = _ends(inside.y0 / frame.image[1], inside.y1 / frame.image[1], down, codec.read)
    numbers = (left, top, right, bottom) if codec.order == "xyxy" else (top, left, bottom, right)
    return codec.form.format(*(f"{number:0{codec.digits}}" for number in numbers))


def decode(text: str, codec: Codec, frame: Frame) -> Box:
    """Return the box of a text, in pixels of the image.

    Raises UserError for a text of another form, numbers beyond the frame (as those of another
    convention are), or corners in the wrong order.
    """
    found = codec.pattern.fullmatch(text.strip())
    if found is None:
        raise UserError(f"{text!r} is no box: expected the form {codec.form.replace('{}', 'n')}")
    first, second, third, fourth = map(int, found.groups())
    x0, y0, x1, y1 = (
        (first, second, third, fourth) if codec.order == "xyxy" else (second, first, fourth, third)
    )
    across, down = units(codec, frame)
    for low, high, most in ((x0, x1, across), (y0, y1, down)):
        last = most if codec.read is None else most - 1
        if not 0 <= low <= last or not 0 <= high <= last:
            raise UserError(f"{text!r}: its numbers go from 0 to {last} in {codec.name}")
        if high < low or (high == low and codec.read is None):
            raise UserError(f"{text!r} is no box: its second corner lies before its first")
    left, right = _shares(x0, x1, across, codec.read)
    top, bottom = _shares(y0, y1, down, codec.read)
    width, height = frame.image
    return Box(left * width, top * height, right * width, bottom * height)


def found(text: str, codec: Codec) -> list[str]:
    """Return the texts of boxes that stand in a text, in their order, for `decode`."""
    return [match[0] for match in codec.pattern.finditer(text)]


def legend(regions: Sequence[Region], codec: Codec, frame: Frame) -> str:
    """Return where regions lie, as "[0] is at <box>; [1] is at <box>."; "" for none.

    It stands in place of marks, before a prompt that names regions by number. No tag may be sought
    in it afterwards, since the numbers of some codecs read like tags.
    """
    places = [f"[{region.id}] is at {encode(region.box, codec, frame)}" for region in regions]
    return "; ".join(places) + "." if places else ""


def units(codec: Codec, frame: Frame) -> Extent:
    """Return into how many units width and height are divided."""
    if isinstance(codec.counts, int):
        return codec.counts, codec.counts
    return frame.image if codec.counts == "image" else frame.seen


def _ends(low: float, high: float, most: int, read: float | None) -> tuple[int, int]:
    """Return the numbers of two shares of a side, low < high."""
    if read is not None:
        return _interval(low * most, most), _interval(high * most, most)
    first, last = math.floor(low * most + 0.5), math.floor(high * most + 0.5)
    if first == last:  # a box without area would not be seen; the side that the box lies on grows
        up = first < most and (low + high) / 2 * most >= first
        return (first, first + 1) if up else (first - 1, first)
    return first, last


def _interval(place: float, most: int) -> int:
    """Return in which interval of length 1 a place lies; its own start may be a rounding below."""
    return min(math.floor(place + 1e-6), most - 1)


def _shares(low: int, high: int, most: int, read: float | None) -> tuple[float, float]:
    """Return the shares of a side of two numbers."""
    if read is None:
        return low / most, high / most
    if low == high:  # half the interval, about its middle: it is written with the same numbers
        return (low + 0.25) / most, (high + 0.75) / most
    return (low + read) / most, (high + read) / most
