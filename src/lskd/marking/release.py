"""Style "release": the marks on which the official release's published weights were trained.

Its geometry and colours, flaws included: regions 1 and 3 share a fill, 2 and 4 as well, and the
colours of ids from 5 on are nearly one grey. Style "clear" mends these.
"""

import colorsys
from collections.abc import Sequence

import PIL.Image
import PIL.ImageColor
import PIL.ImageDraw

from lskd.errors import UserError
from lskd.types import Region

Colour = tuple[int, int, int]

ALPHA = 0x20
WIDTH = 2
FILLS = ("#ff05cd", "#ff8000", "#862d2d", "#ff8000", "#862d2d")
OUTLINES = ("#05ff37", "#99ccff", "#cc99ff", "#f5ad42", "#f55d42")


def outline(region_id: int) -> Colour:
    """Return the colour of a region's outline; raises UserError for an id below 0."""
    return _hex(OUTLINES[region_id]) if _fixed(region_id) else _later(region_id)


def draw(picture: PIL.Image.Image, regions: Sequence[Region]) -> None:
    """Draw the regions' boxes into an RGB picture, in the order given.

    Corners are cut to whole pixels, and the pixel of x1 and y1 is part of the drawn box. A pen
    that blends gives, for this alpha, the same bits as a composite of full-size layers.
    """
    pen = PIL.ImageDraw.Draw(picture, "RGBA")
    width, height = picture.size
    margin = WIDTH + 1  # nothing beyond it can be seen, and Pillow counts in 32-bit integers
    for region in regions:
        x0, x1 = (min(max(x, -margin), width + margin) for x in region.box[::2])
        y0, y1 = (min(max(y, -margin), height + margin) for y in region.box[1::2])
        fill = _hex(FILLS[region.id]) if _fixed(region.id) else _later(region.id)
        pen.rectangle(
            (x0, y0, x1, y1), fill=(*fill, ALPHA), outline=outline(region.id), width=WIDTH
        )


def _fixed(region_id: int) -> bool:
    if region_id < 0:
        raise UserError(f"no colour for region {region_id}: ids count from 0")
    return region_id < len(OUTLINES)


def _hex(colour: str) -> Colour:
    red, green, blue = PIL.ImageColor.getrgb(colour)[:3]
    return red, green, blue


def _later(region_id: int) -> Colour:
    """Return fill and outline of an id above 4: hue, saturation and lightness grow with it."""
    hue = region_id % 1024 / 1024
    saturation = region_id % 1023 / 1023
    lightness = region_id % 1025 / 1025 * (1.0 - 0.4) + 0.4
    red, green, blue = colorsys.hls_to_rgb(hue, lightness, saturation)
    return int(red * 255), int(green * 255), int(blue * 255)
