"""Style "clear": outlines that can be told apart, and the number of each region upon its outline.

No fill, so that the inside of a region looks as it is. Every line has a colour of its id and a
casing of black or white, whichever differs more from it, so that it is seen on any ground. Sizes
follow the picture's shorter side.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
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
# A badge's place costs the shares of the regions that it hides, and these:
LOOKS = 0.01  # for each better looking place
CONFUSED = 0.1  # for each other outline or badge that it meets


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
    along: tuple[Point, ...]  # of the contours, in the picture, no further apart than a badge


def draw(picture: PIL.Image.Image, regions: Sequence[Region]) -> None:
    """Draw the regions into an RGB picture: outlines, large ones first, and numbers over them."""
    width, edge = _line(picture.size)
    shapes = sorted(_shape(region, picture.size) for region in regions)
    for shape in reversed(shapes):
        (_trace if shape.contours else _frame)(picture, shape, width, edge)
    for region_id, place in badges(regions, picture.size):
        badge = _badge(region_id, _height(picture.size))
        picture.paste(badge, (int(place.x0), int(place.y0)), badge)


def thickness(size: tuple[int, int]) -> int:
    """Return how thick an outline is in a picture of `size`, (width, height), in pixels."""
    width, edge = _line(size)
    return width + 2 * edge


def badges(regions: Sequence[Region], size: tuple[int, int]) -> list[tuple[int, Box]]:
    """Return the ids of the regions and where their numbers lie in a picture of `size`.

    Boxes are whole pixels. The smallest region comes first, since it has the most to lose by a bad
    place. Every badge lies upon its own region's outline; upon a frame it covers at least as much
    across and down as the outline is thick, and it covers an earlier badge only if it would in all
    such places. Along a contour, places no further apart than a badge is high are looked at.
    """
    shapes = sorted(_shape(region, size) for region in regions)
    taken: list[Box] = []
    for shape in shapes:
        badge = _badge(shape.region_id, _height(size)).size
        taken.append(_place(shape, badge, size, shapes, taken))
    return [(shape.region_id, place) for shape, place in zip(shapes, taken, strict=True)]


def _line(size: tuple[int, int]) -> tuple[int, int]:
    """Return the width of a line and of each edge of its casing."""
    width = max(2, round(min(size) / 180))
    return width, max(1, round(width / 3))


def _height(size: tuple[int, int]) -> int:
    return max(11, round(min(size) / 27))


def _shape(region: Region, size: tuple[int, int]) -> _Shape:
    """Return the whole pixels of a picture that a region's box touches, and its contours."""
    box = Box(
        max(0, region.box.x0 // 1),
        max(0, region.box.y0 // 1),
        min(size[0], -(-region.box.x1 // 1)),
        min(size[1], -(-region.box.y1 // 1)),
    )
    contours = tuple(_contours(region.polygons, size))
    along = tuple(
        (x, y)
        for x, y in itertools.chain.from_iterable(_walk(line, _height(size)) for line in contours)
        if 0 <= x <= size[0] and 0 <= y <= size[1]
    )
    return _Shape(box.area, region.id, box, contours, along)


def _frame(picture: PIL.Image.Image, shape: _Shape, width: int, edge: int) -> None:
    """Draw a box's outline around it, not upon it; at the picture's border it moves inwards."""
    pen = PIL.ImageDraw.Draw(picture)
    colour = outline(shape.region_id)
    outer = _outer(shape, picture.size)
    x0, y0, x1, y1 = int(outer.x0), int(outer.y0), int(outer.x1) - 1, int(outer.y1) - 1
    pen.rectangle((x0, y0, x1, y1), outline=casing(colour), width=width + 2 * edge)
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
        # A last number without its pair is no corner, and decides nothing.
        across, down = polygon[: len(polygon) // 2 * 2 : 2], polygon[1::2]
        if min(across) < width and max(across) > 0 and min(down) < height and max(down) > 0:
            # Far outside the picture the line's course does not matter, but Pillow's integers do.
            yield tuple(
                (min(max(x, -width), 2 * width), min(max(y, -height), 2 * height))
                for x, y in zip(across, down, strict=True)
            )


def _walk(corners: Sequence[Point], step: int) -> Iterator[Point]:
    """Yield a closed line's corners and points between them, at most `step` apart."""
    for (x0, y0), (x1, y1) in itertools.pairwise((*corners, corners[0])):
        parts = math.ceil(math.hypot(x1 - x0, y1 - y0) / step)
        for part in range(max(1, parts)):
            way = part / max(1, parts)
            yield x0 + way * (x1 - x0), y0 + way * (y1 - y0)


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
    shape: _Shape,
    badge: tuple[int, int],
    size: tuple[int, int],
    shapes: list[_Shape],
    taken: list[Box],
) -> Box:
    """Return where upon a region's outline its badge spoils least; the best looking come first.

    Never over another badge if there is any other way.
    """
    width, height = badge
    thick = thickness(size)
    others = [other for other in shapes if other is not shape]
    least, best = math.inf, Box(0, 0, *badge)
    for rank, (x, y) in enumerate(_corners(shape, badge, size)):
        x0 = max(0, min(int(x), size[0] - width))
        y0 = max(0, min(int(y), size[1] - height))
        place = Box(x0, y0, x0 + width, y0 + height)
        spoilt = _share(place, shape.box) + _spoilt(place, others, taken, thick)
        if spoilt + LOOKS * rank < least:
            least, best = spoilt + LOOKS * rank, place
        if least <= LOOKS * (rank + 1):
            break  # nothing that follows can be better
    if any(_overlap(best, other) for other in taken):
        gaps = _gaps(_strips(shape, size), badge, size, taken)
        best = min(gaps, key=lambda gap: _spoilt(gap, others, taken, thick), default=best)
    return best


def _spoilt(place: Box, others: Sequence[_Shape], taken: Sequence[Box], thick: int) -> float:
    """Return how much a badge spoils: 1 for each region that it hides, 1000 for each badge.

    So a small region counts more than a large one. A badge at another region's outline counts too,
    since it could be taken for that region's.
    """
    near = _grown(place, thick)
    spoilt = 0.0
    for badge in taken:
        if _overlap(near, badge):
            spoilt += CONFUSED + 1000 * _share(place, badge)
    for other in others:
        reach = _overlap(near, other.box)
        if not reach:
            continue
        spoilt += _share(place, other.box)
        if other.along:
            inside = any(near.x0 < x < near.x1 and near.y0 < y < near.y1 for x, y in other.along)
            spoilt += CONFUSED * inside
        elif reach < near.area:
            spoilt += CONFUSED
    return spoilt


def _corners(shape: _Shape, badge: tuple[int, int], size: tuple[int, int]) -> Iterator[Point]:
    """Yield where the top left corner of a badge could lie upon an outline, best looking first.

    At the outermost of a contour's points, if there are any, then along it; else outside the
    corners of the region's box, within them, and along its sides.
    """
    width, height = badge
    thick = thickness(size)
    if points := shape.along:
        x, y = min(points, key=lambda point: point[1])
        yield x - width / 2, y - height + thick
        x, y = max(points, key=lambda point: point[1])
        yield x - width / 2, y - thick
        x, y = max(points)
        yield x - thick, y - height / 2
        x, y = min(points)
        yield x - width + thick, y - height / 2
        for x, y in points[:: -(-len(points) // 24)]:
            yield x - width / 2, y - height / 2
        return
    box, outer = shape.box, _outer(shape, size)
    left, right = outer.x0, outer.x1 - width
    above, below = box.y0 - height, box.y1
    yield from ((left, above), (right, above), (left, below), (right, below))
    yield from itertools.product((left, right), (outer.y0, outer.y1 - height))
    yield from itertools.product((box.x0 - width, box.x1), (outer.y0, outer.y1 - height))
    for part in (1 / 2, 1 / 4, 3 / 4):
        x, y = left + part * (right - left), outer.y0 + part * (outer.height - height)
        yield from ((x, above), (x, below), (box.x0 - width, y), (box.x1, y))


def _gaps(
    strips: Sequence[Box], badge: tuple[int, int], size: tuple[int, int], taken: Sequence[Box]
) -> Iterator[Box]:
    """Yield places upon strips of an outline that are free of other badges, if there are any.

    Whatever lies free can be moved up, then left, until it meets an end or a badge: it is enough to
    look from the ends and from behind each badge.
    """
    width, height = badge
    thick = thickness(size)
    for strip in strips:
        left, top = max(0, strip.x0 + thick - width), max(0, strip.y0 + thick - height)
        right = min(size[0] - width, strip.x1 - thick)
        bottom = min(size[1] - height, strip.y1 - thick)
        for y in sorted({top, *(other.y1 for other in taken if top < other.y1 <= bottom)}):
            row = sorted(other for other in taken if other.y0 < y + height and other.y1 > y)
            x = left
            for other in row:
                if other.x0 < x + width:
                    x = max(x, other.x1)
            if x <= right and y <= bottom:
                yield Box(x, y, x + width, y + height)


def _strips(shape: _Shape, size: tuple[int, int]) -> list[Box]:
    """Return the four sides of a frame, or a square at each point of a contour."""
    thick = thickness(size)
    if shape.along:
        corners = ((int(x - thick / 2), int(y - thick / 2)) for x, y in shape.along)
        return [Box(x, y, x + thick, y + thick) for x, y in corners]
    x0, y0, x1, y1 = _outer(shape, size)
    return [
        Box(x0, y0, x1, y0 + thick),
        Box(x0, y1 - thick, x1, y1),
        Box(x0, y0, x0 + thick, y1),
        Box(x1 - thick, y0, x1, y1),
    ]


def _outer(shape: _Shape, size: tuple[int, int]) -> Box:
    """Return the box around a frame, which never leaves the picture."""
    x0, y0, x1, y1 = _grown(shape.box, thickness(size))
    return Box(max(0, x0), max(0, y0), min(size[0], x1), min(size[1], y1))


def _grown(box: Box, by: float) -> Box:
    return Box(box.x0 - by, box.y0 - by, box.x1 + by, box.y1 + by)


def _share(place: Box, hidden: Box) -> float:
    """Return the share of a box that lies under a badge."""
    return _overlap(place, hidden) / hidden.area


def _overlap(one: Box, other: Box) -> float:
    across = min(one.x1, other.x1) - max(one.x0, other.x0)
    down = min(one.y1, other.y1) - max(one.y0, other.y0)
    return across * down if across > 0 and down > 0 else 0.0
