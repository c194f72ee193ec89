"""Pixels become colour names where the colour is clear; no name is better than a wrong one.

Names are the eleven basic colour terms of English. Borders between them lie in CIELAB (D65), as
lightness L in [0, 100], chroma C and hue in degrees. Some colours lie in no name's territory on
purpose: beige, teal and the half-lit greys are called one thing by one person and another by the
next.
"""

import math
from collections.abc import Sequence

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFilter
from numpy.typing import NDArray

from lskd.types import Box, Polygon

NAMES = (
    "black",
    "white",
    "grey",
    "red",
    "orange",
    "yellow",
    "green",
    "blue",
    "purple",
    "pink",
    "brown",
)

HUES = {
    "red": (350.0, 41.0),
    "orange": (42.0, 67.0),
    "yellow": (80.0, 100.0),
    "green": (104.0, 175.0),
    "blue": (235.0, 303.0),
    "purple": (306.0, 340.0),
    "pink": (335.0, 22.0),
    "brown": (40.0, 85.0),
}  # degrees in CIELAB; some begin before 0

SIDE = 96  # pixels of the longer side at which colours are counted
FEWEST = 150  # pixels below which no colour is named
CLEAR = 0.6  # share of the pixels that must bear a name
RIVAL = 0.2  # share at which a second name makes the first one doubtful
HUED = 14.0  # chroma from which a pixel has a hue
WINDOW = 4  # tens of degrees of hue that pass as one colour in light and shade
CAST = 0.5  # share of an image that must have one hue for its light to be under suspicion
MARGIN = 10.0  # degrees of hue beyond a name's territory that its light may shift
BRIGHT, DARK = 62.0, 32.0  # mean lightness from which, and up to which, a picture is so called


def lab(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return CIELAB (D65) of sRGB, (..., 3) uint8 -> (..., 3) float32."""
    value = rgb.astype(np.float32) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [
            [0.4124564, 0.3575761, 0.1804375],
            [0.2126729, 0.7151522, 0.0721750],
            [0.0193339, 0.1191920, 0.9503041],
        ]
    )
    white = to_xyz.sum(axis=1)
    xyz = linear @ to_xyz.T / white
    root = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    x, y, z = root[..., 0], root[..., 1], root[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1).astype(np.float32)


def named(rgb: NDArray[np.uint8]) -> NDArray[np.int8]:
    """Return the index in NAMES of each pixel, (n, 3) -> (n,); -1 where no name is certain."""
    light, a, b = np.moveaxis(lab(rgb), -1, 0)
    chroma = np.hypot(a, b)
    hue = np.degrees(np.arctan2(b, a)) % 360
    within = {n: (hue - start) % 360 < (end - start) % 360 for n, (start, end) in HUES.items()}
    red = within["red"] & (
        (hue < 36) | (hue > 41) | (chroma > 70)
    )  # full red is near orange in hue
    rules = {
        "black": (light < 20) & (chroma < 10),
        "white": (light > 82) & (chroma < 8),
        "grey": (light > 30) & (light < 52) & (chroma < 6),
        "red": (chroma > 32) & (light > 16) & (light < 62) & red,
        "orange": (chroma > 38) & (light > 52) & (light < 82) & within["orange"],
        "yellow": (chroma > 38) & (light > 62) & within["yellow"],
        # Yellow grass is green in the shade; a tennis ball in the light is neither to all.
        "green": (chroma > 14) & (light > 15) & within["green"] & ((light < 64) | (hue > 118)),
        "blue": (chroma > 14) & (light > 12) & within["blue"],
        "purple": (chroma > 18) & (light > 12) & (light < 70) & within["purple"],
        "pink": (chroma > 18) & (light >= 62) & within["pink"] & ~within["purple"],
        "brown": (chroma > 10) & (chroma < 56) & (light > 14) & (light < 48) & within["brown"],
    }
    result = np.full(light.shape, -1, dtype=np.int8)
    for index, name in enumerate(NAMES):
        result[rules[name]] = index
    return result


def shares(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the share of the pixels that bears each of NAMES, (n, 3) -> (11,), sum at most 1."""
    indices = named(rgb)
    counts = np.bincount(indices[indices >= 0], minlength=len(NAMES))
    return counts / max(1, len(indices))


def dominant(rgb: NDArray[np.uint8], clear: float = CLEAR) -> str:
    """Return the colour name that clearly prevails among pixels, (n, 3), or "".

    Black, white and grey prevail by the pixels of that name; the others by the pixels of one hue,
    in light and shade, whose median is then named.
    """
    if len(rgb) < FEWEST:
        return ""
    found = shares(rgb)
    hued, hues_share, other_hues = main_hue(rgb)
    if hues_share >= clear and max(other_hues, *found[:3]) <= RIVAL:
        index = int(named(np.median(rgb[hued], axis=0, keepdims=True).astype(np.uint8))[0])
        return NAMES[index] if index > 2 else ""
    first = int(np.argmax(found[:3]))
    rivals = max(hues_share, *np.delete(found[:3], first))
    return NAMES[first] if found[first] >= clear and rivals <= RIVAL else ""


def main_hue(rgb: NDArray[np.uint8]) -> tuple[NDArray[np.bool_], float, float]:
    """Return which pixels, (n, 3), share the commonest hue, their share, and other hues' share."""
    light, a, b = np.moveaxis(lab(rgb), -1, 0)
    coloured = (np.hypot(a, b) > HUED) & (light > 10)
    hue = np.degrees(np.arctan2(b, a)) % 360
    counts = np.bincount((hue[coloured] // 10).astype(np.int64), minlength=36)
    ring = np.concatenate([counts, counts[:WINDOW]])
    sums = np.convolve(ring, np.ones(WINDOW, dtype=np.int64), mode="valid")[:36]
    start = 10 * int(np.argmax(sums))
    chosen = coloured & ((hue - start) % 360 < 10 * WINDOW)
    share = float(chosen.mean())
    return chosen, share, float(coloured.mean()) - share


def thumbnail(pixels: PIL.Image.Image, box: Box, side: int = SIDE) -> PIL.Image.Image:
    """Return the part of an image in a box, clipped to the image, its longer side at most `side`.

    The result has no pixels (a side of 0) where nothing of the box lies in the image.
    """
    x0, y0 = max(0, round(box.x0)), max(0, round(box.y0))
    x1, y1 = min(pixels.width, round(box.x1)), min(pixels.height, round(box.y1))
    if x1 <= x0 or y1 <= y0:
        return PIL.Image.new("RGB", (0, 0))
    part = (x0, y0, x1, y1)
    scale = min(1.0, side / max(x1 - x0, y1 - y0))
    size = (max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale)))
    # Whole-number reduction first: averaging the pixels of a 20-megapixel crop at once is slow.
    return pixels.resize(size, PIL.Image.Resampling.BOX, box=part, reducing_gap=2.0)


def mask(size: tuple[int, int], box: Box, polygons: Sequence[Polygon]) -> NDArray[np.bool_]:
    """Return which pixels of a thumbnail of `box` lie well inside polygons, (height, width).

    Polygons are in pixels of the image. One pixel along their border is left out, since it shows
    what lies behind.
    """
    width, height = size
    layer = PIL.Image.new("L", size, 0)
    draw = PIL.ImageDraw.Draw(layer)
    for polygon in polygons:
        xs = [(x - box.x0) * width / box.width for x in polygon[0::2]]
        ys = [(y - box.y0) * height / box.height for y in polygon[1::2]]
        if len(xs) >= 3:
            draw.polygon(list(zip(xs, ys, strict=True)), fill=255)
    inner = layer.filter(PIL.ImageFilter.MinFilter(3))
    return np.asarray(inner) > 0


def lightness(pixels: PIL.Image.Image) -> float:
    """Return the mean CIELAB lightness of an image, in [0, 100]."""
    small = thumbnail(pixels, Box(0, 0, *pixels.size))
    return float(lab(np.asarray(small))[..., 0].mean())


def brightness(pixels: PIL.Image.Image) -> str:
    """Return "bright" or "dark", or "" for an image that is neither."""
    light = lightness(pixels)
    return "bright" if light >= BRIGHT else "dark" if light <= DARK else ""


def cast(pixels: PIL.Image.Image) -> frozenset[str]:
    """Return the names that an image's light may give to anything in it.

    One hue in most of an image may be that of a lamp or of dusk: its names, and those next to it,
    then say nothing of a thing.
    """
    small = np.asarray(thumbnail(pixels, Box(0, 0, *pixels.size))).reshape(-1, 3)
    hued, share, _ = main_hue(small)
    if share < CAST:
        return frozenset()
    _, a, b = np.median(lab(small[hued]), axis=0)
    hue = math.degrees(math.atan2(b, a)) % 360
    return frozenset(
        name
        for name, (start, end) in HUES.items()
        if (hue - start + MARGIN) % 360 <= (end - start) % 360 + 2 * MARGIN
    )


def is_grey(pixels: PIL.Image.Image) -> bool:
    """Say whether an image is black and white: hardly a pixel of it has a hue."""
    small = thumbnail(pixels, Box(0, 0, *pixels.size))
    colours = lab(np.asarray(small))
    return bool(np.quantile(np.hypot(colours[..., 1], colours[..., 2]), 0.995) < 5)
