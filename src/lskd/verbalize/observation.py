"""Boxes and their labels become places that can be put into words; pixels are read for colour.

A colour is named only from pixels that certainly belong to what the label names: inside polygons
where there are any, else in the middle of a box that differs from its surroundings; never under
another, smaller box. Of a person it is what the torso wears, never skin.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from lskd.types import Box, Polygon
from lskd.verbalize import colour, wording
from lskd.verbalize.wording import Place

INNER = 0.15  # share of a box's sides left out all around where no polygon tells its outline
AROUND = 0.2  # share of a box's sides that is looked at around it
LEAST_SEEN = 0.2  # share of a place that other boxes must leave uncovered
BACKGROUND = 0.3  # share of a colour around a box from which it may as well shine through
WORN = 0.5  # share of a torso that must bear a colour; arms, straps and prints take some
STANDING = 2.2  # height / width from which a person's box shows all of the body


@dataclass(frozen=True, slots=True)
class Found:
    """A box with its label; polygons are its outline, or empty where it is not known."""

    box: Box
    label: str
    polygons: tuple[Polygon, ...] = ()


def observe(pixels: PIL.Image.Image, found: Sequence[Found]) -> tuple[Place, ...]:
    """Return what can be said of each box of an image; all must be within it."""
    width, height = pixels.size
    grey, cast = colour.is_grey(pixels), colour.cast(pixels)
    places = []
    for one in found:
        size = wording.size_word(one.box, one.label, width, height)
        seen = "" if grey else colour_of(pixels, one, found)
        if seen in cast:
            seen = ""
        high, across = wording.place_words(one.box, width, height)
        places.append(Place(one.box, one.label, size, seen, high, across))
    return tuple(places)


def colour_of(pixels: PIL.Image.Image, one: Found, others: Sequence[Found]) -> str:
    """Return the name of the colour that one of the boxes clearly has, or ""."""
    label = one.label.lower()
    person = wording.is_person(label)
    hidden = wording.BODY | wording.SHINY | wording.MIXED
    if not one.polygons:
        hidden |= wording.HOLLOW
    words = set(label.split())
    if wording.is_phrase(label) or words & set(colour.NAMES) or hidden & {label, label.split()[-1]}:
        return ""
    small = colour.thumbnail(pixels, one.box)
    if 0 in small.size:
        return ""
    belongs = own_pixels(small.size, one, others)
    if person:
        belongs &= torso(one.box, small.size, cut=one.box.y1 >= pixels.height - 2)
    name = colour.dominant(np.asarray(small)[belongs], WORN if person else colour.CLEAR)
    if person and name == "brown":  # which may be skin
        return ""
    # What an area shows is its own; what the box of a thing shows may be what is behind it.
    outlined = bool(one.polygons) or label == wording.AREA
    if name and not outlined and name in around(pixels, one.box):
        return ""
    return name


def own_pixels(size: tuple[int, int], one: Found, others: Sequence[Found]) -> NDArray[np.bool_]:
    """Return which pixels of a box's thumbnail show what its label names, (height, width).

    That is no pixel where smaller boxes cover nearly all of it.
    """
    width, height = size
    if one.polygons:
        inside = colour.mask(size, one.box, one.polygons)
    else:
        inside = window(size, (INNER, INNER, 1 - INNER, 1 - INNER))
    free = inside.copy()
    for other in others:
        if other is not one and other.box.area < one.box.area:
            x0, x1 = ((x - one.box.x0) / one.box.width for x in (other.box.x0, other.box.x1))
            y0, y1 = ((y - one.box.y0) / one.box.height for y in (other.box.y0, other.box.y1))
            free &= ~window(size, (x0, y0, x1, y1))
    return free if free.sum() >= LEAST_SEEN * inside.sum() else np.zeros((height, width), bool)


def window(size: tuple[int, int], part: tuple[float, float, float, float]) -> NDArray[np.bool_]:
    """Return a (height, width) mask of a part, in shares of the sides: x0, y0, x1, y1."""
    width, height = size
    x0, x1 = (round(min(max(x, 0.0), 1.0) * width) for x in (part[0], part[2]))
    y0, y1 = (round(min(max(y, 0.0), 1.0) * height) for y in (part[1], part[3]))
    chosen = np.zeros((height, width), dtype=bool)
    chosen[y0:y1, x0:x1] = True
    return chosen


def torso(box: Box, size: tuple[int, int], cut: bool) -> NDArray[np.bool_]:
    """Return where in a person's box the torso surely is; nowhere in a box wider than high.

    `cut` says that the image ends below the person, who is then seen from the waist up.
    """
    tall = box.height / box.width
    if tall < 1:
        return window(size, (0, 0, 0, 0))
    if tall >= STANDING:
        return window(size, (0.2, 0.2, 0.8, 0.45))
    return window(size, (0.15, 0.55, 0.85, 0.95) if cut else (0.2, 0.3, 0.8, 0.6))


def around(pixels: PIL.Image.Image, box: Box) -> frozenset[str]:
    """Return the colours of which there is much just around a box."""
    dx, dy = AROUND * box.width, AROUND * box.height
    x0, y0 = max(0.0, box.x0 - dx), max(0.0, box.y0 - dy)
    x1, y1 = min(pixels.width, box.x1 + dx), min(pixels.height, box.y1 + dy)
    wide = colour.thumbnail(pixels, Box(x0, y0, x1, y1))
    inside = tuple(
        (value - start) / (end - start)
        for value, start, end in (
            (box.x0, x0, x1),
            (box.y0, y0, y1),
            (box.x1, x0, x1),
            (box.y1, y0, y1),
        )
    )
    ring = np.asarray(wide)[~window(wide.size, (inside[0], inside[1], inside[2], inside[3]))]
    found = colour.shares(ring)
    return frozenset(
        name for name, share in zip(colour.NAMES, found, strict=True) if share >= BACKGROUND
    )
