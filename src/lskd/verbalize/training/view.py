"""A picture and a box become what a writer looks at: brought to its canvas, then marked.

The box is always drawn as region 0, in training and after it: a captioner is told of one place at a
time, and its number must not matter.
"""

import PIL.Image

from lskd import marking
from lskd.types import Box, Region
from lskd.writing.pointing import Canvas, Pictured, Pointing


def shown(
    pixels: PIL.Image.Image, box: Box | None, style: marking.MarkStyle, canvas: Canvas
) -> PIL.Image.Image:
    """Return the RGB picture at the size of a writer's canvas, with the box drawn if there is one.

    `pixels` is the upright picture, whose frame the box is in.
    """
    regions = () if box is None else (Region(0, box, "", "", 1.0),)
    return Pointing(style, canvas).picture(Pictured(pixels, regions))
