"""Style "clear": outlines that can be told apart, and the number of each region beside it.

No fill, so that the inside of a region looks as it is. Every line has a colour of its id and a
casing of black or white, whichever differs more from it, so that it is seen on any ground. Sizes
follow the picture's shorter side.
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from lskd.errors import UserError
from lskd.types import Box, Polygon, Region

Colour = tuple[int, int, int]
Point = tuple[float, float]

# Pink first, as in the paper (section 2.4). Found by a search for the largest least distance: no
# two are closer than 18.9 by CIEDE2000, and each of the first few is far from those before it.
COLOURS: tuple[Colour, ...] = (
    (255, 51, 153),
    (51, 255, 51),
    (51, 187, 255),
    (255, 136, 0),
    (0, 68, 136),
    (102, 68, 0),
    (0, 119, 85),
    (221, 187, 255),
    (153, 0, 34),
    (136, 0, 136),
    (119, 255, 221),
    (255, 34, 51),
    (136, 170, 34),
    (255, 153, 153),
    (85, 102, 0),
    (119, 68, 255),
    (0, 187, 119),
    (170, 136, 17),
    (221, 238, 17),
    (0, 119, 221),
    (255, 204, 119),
    (187, 85, 0),
    (34, 187, 187),
    (221, 102, 255),
)
BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)
SMOOTH_BADGE, SMOOTH_LINE = 4, 2  # curves are drawn this much larger, then reduced


def outline(region_id: int) -> Colour:
    """Return the colour of a region's outline; raises UserError for an id below 0."""
    if region_id < 0:
        raise UserError(f"no colour for region {region_id}: ids count from 0")
    return COLOURS[region_id % len(COLOURS)]


def casing(colour: Colour) -> Colour:
    """Return black or white, whichever has the higher contrast (WCAG 2) with a colour."""
    linear = [
        value / 255 / 12.92 if value <= 10 else ((value / 255 + 0.055) / 1.055) ** 2.4
        for value in colour
    ]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return BLACK if (luminance + 0.05) ** 2 > 1.05 * 0.05 else WHITE


class _Shape(NamedTuple):
    """A region as it is drawn; regions may share an id. Sorts by area, then by id."""

    area: float
    region_id: int
    box: Box
    contours: tuple[tuple[Point, ...], ...]


def draw(picture: PIL.Image.Image, regions: Sequence[Region]) -> None:
    """Draw the regions into an RGB picture: outlines, large ones first, and numbers over them."""
    side = min(picture.size)
    width = max(2, round(side / 180))
    edge = max(1, round(width / 3))
    shapes = sorted(_shape(region, picture.size) for region in regions)
    for shape in reversed(shapes):
        (_trace if shape.contours else _frame)(picture, shape, width, edge)
    boxes = [shape.box for shape in shapes]
    taken: list[Box] = []
    for shape in shapes:  # the smallest first: it has the most to lose by a bad place
        badge = _badge(shape.region_id, max(11, round(side / 27)))
        place = _place(_corners(shape, badge.size), badge.size, picture.size, boxes, taken)
        taken.append(place)
        picture.paste(badge, (int(place.x0), int(place.y0)), badge)


def _shape(region: Region, size: tuple[int, int]) -> _Shape:
    """Return the whole pixels of a picture that a region's box touches, and its contours."""
    box = Box(
        max(0, region.box.x0 // 1),
        max(0, region.box.y0 // 1),
        min(size[0], -(-region.box.x1 // 1)),
        min(size[1], -(-region.box.y1 // 1)),
    )
    return _Shape(box.area, region.id, box, tuple(_contours(region.polygons, size)))


def _frame(picture: PIL.Image.Image, shape: _Shape, width: int, edge: int) -> None:
    """Draw a box's outline around it, not upon it; at the picture's border it moves inwards."""
    pen = PIL.ImageDraw.Draw(picture)
    colour = outline(shape.region_id)
    box, full = shape.box, width + 2 * edge
    x0, y0 = max(0, int(box.x0) - full), max(0, int(box.y0) - full)
    x1 = min(picture.width, int(box.x1) + full) - 1
    y1 = min(picture.height, int(box.y1) + full) - 1
    pen.rectangle((x0, y0, x1, y1), outline=casing(colour), width=full)
    if x1 - x0 > 2 * edge and y1 - y0 > 2 * edge:
        pen.rectangle((x0 + edge, y0 + edge, x1 - edge, y1 - edge), outline=colour, width=width)


def _trace(picture: PIL.Image.Image, shape: _Shape, width: int, edge: int) -> None:
    """Draw smooth closed lines along a region's contours."""
    colour = outline(shape.region_id)
    margin = width + 2 * edge
    across, down = zip(*itertools.chain(*shape.contours), strict=True)
    left, top = max(0, int(min(across)) - margin), max(0, int(min(down)) - margin)
    right = min(picture.width, int(max(across)) + margin + 1)
    bottom = min(picture.height, int(max(down)) + margin + 1)
    for ink, thickness in ((casing(colour), width + 2 * edge), (colour, width)):
        mask = PIL.Image.new("L", ((right - left) * SMOOTH_LINE, (bottom - top) * SMOOTH_LINE))
        pen = PIL.ImageDraw.Draw(mask)
        for points in shape.contours:
            around = (*points, *points[:2])
            line = [((x - left) * SMOOTH_LINE, (y - top) * SMOOTH_LINE) for x, y in around]
            pen.line(line, fill=255, width=thickness * SMOOTH_LINE, joint="curve")
        picture.paste(ink, (left, top), mask.reduce(SMOOTH_LINE))


def _contours(polygons: Sequence[Polygon], size: tuple[int, int]) -> Iterator[tuple[Point, ...]]:
    """Yield the corners of those polygons that can be seen in a picture."""
    width, height = size
    for polygon in polygons:
        if len(polygon) < 6 or not all(map(math.isfinite, polygon)):
            continue
        across, down = polygon[::2], polygon[1::2]
        if min(across) < width and max(across) > 0 and min(down) < height and max(down) > 0:
            # Far outside the picture the line's course does not matter, but Pillow's integers do.
            yield tuple(
                (min(max(x, -width), 2 * width), min(max(y, -height), 2 * height))
                for x, y in zip(across, down, strict=False)
            )


@lru_cache(maxsize=4096)
def _badge(region_id: int, height: int) -> PIL.Image.Image:
    """Return a rounded plate with a region's number, `height` pixels high, RGBA."""
    colour = outline(region_id)
    ink = casing(colour)
    text = str(region_id)
    tall = height * SMOOTH_BADGE
    font = PIL.ImageFont.load_default(round(0.86 * tall))
    bold = round(tall / 60)
    ruler = PIL.ImageDraw.Draw(PIL.Image.new("L", (1, 1)))
    left, top, right, bottom = ruler.textbbox((0, 0), text, font=font)
    wide = -(-max(int(right - left + tall / 2), tall) // SMOOTH_BADGE) * SMOOTH_BADGE
    plate = PIL.Image.new("RGBA", (wide, tall), (*ink, 0))
    pen = PIL.ImageDraw.Draw(plate)
    pen.rounded_rectangle(
        (0, 0, wide - 1, tall - 1), tall / 5, fill=colour, outline=ink, width=SMOOTH_BADGE
    )
    corner = ((wide - left - right) / 2, (tall - top - bottom) / 2)
    pen.text(corner, text, fill=ink, font=font, stroke_width=bold, stroke_fill=ink)
    return plate.reduce(SMOOTH_BADGE)


def _place(
    corners: Iterable[Point],
    badge: tuple[int, int],
    size: tuple[int, int],
    boxes: list[Box],
    taken: list[Box],
) -> Box:
    """Return where a badge hides least, of the places at `corners`; the first are preferred.

    Never over another badge if there is any other way; a small region counts more than a large one.
    """
    width, height = badge
    least, best = math.inf, None
    for rank, (x, y) in enumerate(corners):
        x0 = max(0, min(int(x), size[0] - width))
        y0 = max(0, min(int(y), size[1] - height))
        place = Box(x0, y0, x0 + width, y0 + height)
        badges = sum(_overlap(place, other) for other in taken)
        hidden = sum(
            area * (1 + place.area / box.area) for box in boxes if (area := _overlap(place, box))
        )
        cost = 1000 * badges + hidden + place.area * rank / 100
        if cost < least:
            least, best = cost, place
        if not badges and not hidden:
            break  # all that follow look worse
    assert best is not None
    return best


def _corners(shape: _Shape, badge: tuple[int, int]) -> Iterator[Point]:
    """Yield where the top left corner of a badge could lie, best looking first.

    At the outermost of a contour's points, if there are any; else beside the region's own box;
    within that box in the end.
    """
    width, height = badge
    own = shape.box
    points = list(itertools.chain(*shape.contours))
    if points:
        x, y = min(points, key=lambda point: point[1])
        yield x - width / 2, y - height
        x, y = max(points, key=lambda point: point[1])
        yield x - width / 2, y
        x, y = max(points)
        yield x, y - height / 2
        x, y = min(points)
        yield x - width, y - height / 2
    else:
        yield own.x0, own.y0 - height
        yield own.x1 - width, own.y0 - height
        yield own.x0, own.y1
        yield own.x1 - width, own.y1
        yield own.x0 - width, own.y0
        yield own.x1, own.y0
    yield from itertools.product((own.x0, own.x1 - width), (own.y0, own.y1 - height))
    for step in range(1, 25):  # where many regions are all of the picture
        yield own.x0 + step * width, own.y0


def _overlap(one: Box, other: Box) -> float:
    across = min(one.x1, other.x1) - max(one.x0, other.x0)
    down = min(one.y1, other.y1) - max(one.y0, other.y0)
    return across * down if across > 0 and down > 0 else 0.0
