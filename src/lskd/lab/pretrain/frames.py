"""Frames of many colours, drawn into pictures as pictures from the web have them.

A frame is a rectangle, mostly around a thing, or an outline that follows one. Frames say nothing:
no number, no name, and their colours are no region's in particular.
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
MOST = 8
OUTLINED = 0.6  # of the frames, where outlines are drawn at all
INSIDE = 0.3  # a patch is surrounded by an outline if so much of it is
LABEL = 11  # pixels, from the upper edge of a label to the lower one

Mask = NDArray[np.bool_]
Spot = tuple[int, int, int, int]  # x0, y0, x1, y1


@dataclass(frozen=True)
class Framed:
    """A picture with frames, (SIDE, SIDE, 3) uint8, and which tints surround each patch.

    `tints` is (GRID * GRID, number of TINTS) bool.
    """

    pixels: NDArray[np.uint8]
    tints: Mask


def framed(
    pixels: NDArray[np.uint8],
    boxes: Sequence[Sequence[float]],
    masks: Sequence[Mask],
    rng: np.random.Generator,
) -> Framed:
    """Return a picture with 1 to `MOST` frames: rectangles, many of them around boxes, or outlines.

    `masks`, each (SIDE, SIDE), are what outlines are drawn around; without any, all are rectangles.
    """
    drawn = pixels.copy()
    tints = np.zeros((GRID * GRID, len(TINTS)), dtype=bool)
    count = int(rng.integers(1, MOST + 1))
    for tint in rng.choice(len(TINTS), size=count, replace=False).tolist():
        colour = _colour(tint, rng)
        if masks and rng.random() < OUTLINED:
            mask = masks[int(rng.integers(len(masks)))]
            outline(drawn, mask, colour, rng)
            tints[:, tint] = _mostly(mask)
        else:
            spot = _place(boxes, rng)
            _rectangle(drawn, spot, colour, rng)
            tints[:, tint] = _within(spot)
    return Framed(drawn, tints)


def _within(spot: Spot) -> Mask:
    """Return the patches whose middle lies in a rectangle."""
    x0, y0, x1, y1 = spot
    centres = (np.arange(GRID) + 0.5) * PATCH
    across, down = (centres >= x0) & (centres < x1), (centres >= y0) & (centres < y1)
    found: Mask = (down[:, None] & across[None, :]).reshape(-1)
    return found


def shares(mask: Mask) -> NDArray[np.float64]:
    """Return how much of each patch a mask covers, (GRID * GRID,), from 0 to 1."""
    covered: NDArray[np.float64] = mask.reshape(GRID, PATCH, GRID, PATCH).mean(axis=(1, 3))
    return covered.reshape(-1)


def _mostly(mask: Mask) -> Mask:
    """Return the patches that a mask covers to a good part, or that which it covers most."""
    covered = shares(mask)
    found: Mask = covered >= min(INSIDE, covered.max())
    return found


def _place(boxes: Sequence[Sequence[float]], rng: np.random.Generator) -> Spot:
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


def _rectangle(
    pixels: NDArray[np.uint8], spot: Spot, colour: NDArray[np.uint8], rng: np.random.Generator
) -> None:
    """Draw a rectangle, with or without a casing, a faint filling and a label."""
    x0, y0, x1, y1 = spot
    width = int(rng.integers(2, 4))
    if rng.random() < 0.3:
        inside = pixels[y0:y1, x0:x1].astype(np.float32)
        alpha = rng.uniform(0.08, 0.2)
        pixels[y0:y1, x0:x1] = (inside * (1 - alpha) + colour * alpha).astype(np.uint8)
    if rng.random() < 0.6:
        _edges(pixels, spot, width + 2, _casing(colour))
        _edges(pixels, (x0 + 1, y0 + 1, x1 - 1, y1 - 1), width, colour)
    else:
        _edges(pixels, spot, width, colour)
    if rng.random() < 0.5:
        _label(pixels, int(rng.integers(x0, x1)), y0 if rng.random() < 0.5 else y1, colour, rng)


def outline(
    pixels: NDArray[np.uint8], mask: Mask, colour: NDArray[np.uint8], rng: np.random.Generator
) -> None:
    """Draw a line along the edge of a mask, mostly with a casing, often with a label on it."""
    out = int(rng.integers(1, 3))
    if rng.random() < 0.8:
        pixels[_grown(mask, out + 1) & ~_shrunk(mask, 2)] = _casing(colour)
    line = _grown(mask, out) & ~_shrunk(mask, 1)
    pixels[line] = colour
    if rng.random() < 0.7:
        down, across = np.nonzero(line)
        at = int(rng.integers(len(down)))
        _label(pixels, int(across[at]), int(down[at]), colour, rng)


def _grown(mask: Mask, by: int) -> Mask:
    """Return what is at most so many pixels from a mask, across and down.

    Rows, then columns: a sixteenth of the time of a filter of ranks, which sorts each square.
    """
    wide, steps = np.pad(mask, by, mode="edge"), range(2 * by + 1)
    high = np.logical_or.reduce([wide[step : step + len(mask)] for step in steps])
    found: Mask = np.logical_or.reduce([high[:, step : step + mask.shape[1]] for step in steps])
    return found


def _shrunk(mask: Mask, by: int) -> Mask:
    return ~_grown(~mask, by)


def _casing(colour: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.full(3, 255 if colour.mean() < 110 else 0, dtype=np.uint8)


def _label(
    pixels: NDArray[np.uint8],
    x: int,
    y: int,
    colour: NDArray[np.uint8],
    rng: np.random.Generator,
) -> None:
    """Put a patch of a colour around a point, with strokes as of letters that cannot be read."""
    wide = int(rng.integers(8, 14))
    left, up = (min(max(0, v), SIDE - size) for v, size in ((x - wide // 2, wide), (y - 5, LABEL)))
    patch = pixels[up : up + LABEL, left : left + wide]
    patch[:] = _casing(colour)
    patch[1:-1, 1:-1] = colour
    for _ in range(int(rng.integers(0, 4))):
        row, column = int(rng.integers(2, LABEL - 3)), int(rng.integers(2, wide - 3))
        long = int(rng.integers(2, 7))
        if rng.random() < 0.5:
            patch[row : min(row + long, LABEL - 2), column : column + 2] = _casing(colour)
        else:
            patch[row : row + 2, column : min(column + long, wide - 2)] = _casing(colour)


def _edges(pixels: NDArray[np.uint8], spot: Spot, width: int, colour: NDArray[np.uint8]) -> None:
    x0, y0, x1, y1 = spot
    pixels[y0 : y0 + width, x0:x1] = colour
    pixels[max(y0, y1 - width) : y1, x0:x1] = colour
    pixels[y0:y1, x0 : x0 + width] = colour
    pixels[y0:y1, max(x0, x1 - width) : x1] = colour
