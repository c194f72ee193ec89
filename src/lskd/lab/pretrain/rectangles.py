"""Rectangles of many colours, drawn into pictures as photographs from the web have them.

They say nothing: no number, no name, and their colours are no region's in particular.
"""

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lskd.lab.drawing import SIDE

PATCH = 12  # pixels
GRID = SIDE // PATCH
# The tints that a patch is asked to tell apart: hue in degrees, lightness and saturation in [0, 1].
# A drawn colour lies near one of them.
TINTS = (
    (330, 0.60, 0.9),
    (0, 0.55, 0.9),
    (30, 0.50, 0.9),
    (55, 0.60, 0.9),
    (110, 0.55, 0.9),
    (165, 0.40, 0.8),
    (200, 0.62, 0.9),
    (220, 0.28, 0.9),
    (285, 0.50, 0.8),
    (35, 0.20, 0.9),
    (0, 0.95, 0.0),
    (0, 0.06, 0.0),
)
# What a caption calls a tint.
NAMES = (
    "pink", "red", "orange", "yellow", "green", "teal", "azure", "navy", "purple", "brown",
    "white", "black",
)  # fmt: skip
MOST = 6


@dataclass(frozen=True)
class Framed:
    """A picture with rectangles, (SIDE, SIDE, 3) uint8, and which tints cover each patch.

    `tints` is (GRID * GRID, number of TINTS) bool.
    """

    pixels: NDArray[np.uint8]
    tints: NDArray[np.bool_]


def framed(
    pixels: NDArray[np.uint8], boxes: Sequence[Sequence[float]], rng: np.random.Generator
) -> Framed:
    """Return a picture with 0 to `MOST` rectangles, many of them around things."""
    drawn = pixels.copy()
    tints = np.zeros((GRID, GRID, len(TINTS)), dtype=bool)
    used: set[int] = set()
    for _ in range(int(rng.integers(1, MOST + 1))):
        tint = int(rng.integers(len(TINTS)))
        if tint in used:
            continue
        used.add(tint)
        x0, y0, x1, y1 = _place(boxes, rng)
        _draw(drawn, (x0, y0, x1, y1), _colour(tint, rng), rng)
        centres = (np.arange(GRID) + 0.5) * PATCH
        across, down = (centres >= x0) & (centres < x1), (centres >= y0) & (centres < y1)
        tints[..., tint] |= down[:, None] & across[None, :]
    return Framed(drawn, tints.reshape(-1, len(TINTS)))


def _place(boxes: Sequence[Sequence[float]], rng: np.random.Generator) -> tuple[int, int, int, int]:
    if rng.random() < 0.85:
        box = boxes[int(rng.integers(len(boxes)))]
        x0, y0, x1, y1 = (int(edge + rng.integers(-3, 4)) for edge in box)
    else:
        wide, high = rng.integers(20, 90, size=2)
        x0, y0 = int(rng.integers(0, SIDE - wide)), int(rng.integers(0, SIDE - high))
        x1, y1 = x0 + int(wide), y0 + int(high)
    return max(0, x0), max(0, y0), min(SIDE, max(x1, x0 + 12)), min(SIDE, max(y1, y0 + 12))


def _colour(tint: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    hue, light, vivid = TINTS[tint]
    turned = (hue + rng.uniform(-9, 9)) / 360 % 1
    lit = min(1.0, max(0.0, light + rng.uniform(-0.05, 0.05)))
    red, green, blue = colorsys.hls_to_rgb(turned, lit, vivid)
    return np.array([round(255 * v) for v in (red, green, blue)], dtype=np.uint8)


def _draw(
    pixels: NDArray[np.uint8],
    box: tuple[int, int, int, int],
    colour: NDArray[np.uint8],
    rng: np.random.Generator,
) -> None:
    """Draw a frame, with or without a casing, a faint filling and a plain corner."""
    x0, y0, x1, y1 = box
    width = int(rng.integers(2, 4))
    if rng.random() < 0.3:
        inside = pixels[y0:y1, x0:x1].astype(np.float32)
        alpha = rng.uniform(0.08, 0.2)
        pixels[y0:y1, x0:x1] = (inside * (1 - alpha) + colour * alpha).astype(np.uint8)
    if rng.random() < 0.6:
        casing = np.uint8(255 if colour.mean() < 110 else 0)
        _frame(pixels, (x0, y0, x1, y1), width + 2, np.full(3, casing, dtype=np.uint8))
        _frame(pixels, (x0 + 1, y0 + 1, x1 - 1, y1 - 1), width, colour)
    else:
        _frame(pixels, (x0, y0, x1, y1), width, colour)
    if rng.random() < 0.5:  # a plain patch on the frame, as of a caption that cannot be read
        wide = int(rng.integers(8, 14))
        left = int(rng.integers(x0, max(x0 + 1, x1 - wide)))
        up = y0 if rng.random() < 0.5 else max(y0, y1 - 11)
        pixels[up : up + 11, left : left + wide] = colour


def _frame(
    pixels: NDArray[np.uint8],
    box: tuple[int, int, int, int],
    width: int,
    colour: NDArray[np.uint8],
) -> None:
    x0, y0, x1, y1 = box
    pixels[y0 : y0 + width, x0:x1] = colour
    pixels[max(y0, y1 - width) : y1, x0:x1] = colour
    pixels[y0:y1, x0 : x0 + width] = colour
    pixels[y0:y1, max(x0, x1 - width) : x1] = colour
