"""Regions become colours in a picture and numbers in a text; both are changed here and only here.

Pixels and regions go in, a marked copy comes out (section 2.4). Marks are drawn after any geometric
change of the picture, never before: resize the pixels, pass the regions through `resized`, then
`mark`. A region's colour follows its `id`, wherever it stands in the sequence.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import PIL.Image

from lskd.errors import UserError
from lskd.marking import clear, release
from lskd.marking.tags import named, renumber
from lskd.types import Box, Region

__all__ = ["MarkStyle", "boxed", "colour", "mark", "named", "renumber", "resized", "visible"]

MarkStyle = Literal["release", "clear"]

_DRAW: dict[str, Callable[[PIL.Image.Image, Sequence[Region]], None]] = {
    "release": release.draw,
    "clear": clear.draw,
}
_COLOUR: dict[str, Callable[[int], tuple[int, int, int]]] = {
    "release": release.outline,
    "clear": clear.outline,
}


def mark(pixels: PIL.Image.Image, regions: Sequence[Region], style: MarkStyle) -> PIL.Image.Image:
    """Return an RGB copy of `pixels` with each region drawn in the colour of its id.

    "release" draws boxes as the paper's official release does, pixel for pixel, so that its
    weights see what they were trained on: a translucent fill, and later regions over earlier ones.
    It draws no polygons, since those weights never saw any. "clear" outlines polygons where a
    region has them, else its box, leaves the inside untouched and adds the number.

    Raises UserError for an unknown style and for a region that is not `visible`.
    """
    draw = _DRAW[_known(style)]
    for region in regions:
        if not visible(region, pixels.size):
            corners = ", ".join(f"{corner:g}" for corner in region.box)
            raise UserError(
                f"region [{region.id}] cannot be drawn: its box ({corners}) covers no part of the "
                f"{pixels.width} x {pixels.height} picture; leave the region out or mend its box"
            )
    marked = pixels.convert("RGB")  # a copy, even if the picture is RGB already
    draw(marked, regions)
    return marked


def visible(region: Region, size: tuple[int, int]) -> bool:
    """Return whether a region's box has area within a picture of `size`, (width, height)."""
    width, height = size
    x0, y0, x1, y1 = region.box
    if not all(math.isfinite(corner) for corner in region.box):
        return False
    return Box(max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)).area > 0


def colour(region_id: int, style: MarkStyle) -> tuple[int, int, int]:
    """Return the RGB colour, 0 to 255, of the outline that `mark` gives to a region's id.

    Raises UserError for an unknown style and for an id below 0.
    """
    return _COLOUR[_known(style)](region_id)


def resized(region: Region, from_size: tuple[int, int], to_size: tuple[int, int]) -> Region:
    """Return a region of a picture of `from_size` as it lies in the picture resized to `to_size`.

    Sizes are (width, height) in pixels; box and polygons are scaled, width and height apart.
    """
    across = to_size[0] / from_size[0]
    down = to_size[1] / from_size[1]
    x0, y0, x1, y1 = region.box
    return replace(
        region,
        box=Box(x0 * across, y0 * down, x1 * across, y1 * down),
        polygons=tuple(
            tuple(number * (down if odd % 2 else across) for odd, number in enumerate(polygon))
            for polygon in region.polygons
        ),
    )


def boxed(region: Region) -> Region:
    """Return a region without its outline, so that its box is drawn, as section 2.1 has it."""
    return replace(region, polygons=())


def _known(style: str) -> str:
    if style not in _DRAW:
        raise UserError(f"no marking style {style!r}; styles: {', '.join(_DRAW)}")
    return style
