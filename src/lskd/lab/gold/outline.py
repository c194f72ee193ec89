"""A mask becomes what annotation files hold: polygons along the edges of its pixels, or runs.

Both are exact: a pixel belongs to the mask if its middle lies in one of the polygons.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lskd.types import Polygon

Mask = NDArray[np.bool_]
Corner = tuple[int, int]
# To the right, down, to the left, up, in pixels (x, y); the mask lies on the right hand.
STEPS: tuple[Corner, ...] = ((1, 0), (0, 1), (-1, 0), (0, -1))


def polygons(mask: Mask) -> tuple[Polygon, ...]:
    """Return the outlines of a mask, (height, width), as x0, y0, x1, y1, ... in pixels.

    No polygon has a hole and no two overlap: a mask with a hole is cut in two through it.
    """
    rings = list(_rings(mask))
    hole = next((ring for ring in rings if _turns_left(ring)), None)
    if hole is None:
        return tuple(tuple(float(side) for corner in ring for side in corner) for ring in rings)
    cut = min(x for x, _ in hole) + 1
    left, right = mask.copy(), mask.copy()
    left[:, cut:] = False
    right[:, :cut] = False
    return (*polygons(left), *polygons(right))


def runs(mask: Mask) -> tuple[int, ...]:
    """Return the lengths of runs of equal pixels, down the columns, of which the first is outside.

    These are the `counts` of COCO's uncompressed run-length encoding; the first may be 0.
    """
    flat = mask.ravel(order="F")
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    lengths = np.diff(np.concatenate(([0], changes, [flat.size]))).tolist()
    return (0, *lengths) if flat.size and flat[0] else tuple(lengths)


def _rings(mask: Mask) -> Iterator[list[Corner]]:
    """Yield the corners of each closed line between the mask and the rest.

    Where two pixels touch at a corner alone, the line stays with its own.
    """
    edges = _edges(mask)
    for start in [corner for corner, ways in edges.items() if 0 in ways]:
        if 0 not in edges[start]:  # on a line that was followed already
            continue
        ring, corner, way = [start], start, 0
        while True:
            corner = (corner[0] + STEPS[way][0], corner[1] + STEPS[way][1])
            turned = next(t % 4 for t in (way + 1, way, way + 3) if t % 4 in edges[corner])
            edges[corner].remove(turned)
            if corner == start and turned == 0:
                break
            if turned != way:
                ring.append(corner)
            way = turned
        yield ring


def _edges(mask: Mask) -> dict[Corner, list[int]]:
    """Return which ways lines leave each corner, row by row; ways are places in `STEPS`."""
    wide = np.pad(mask, 1)
    inner = wide[1:-1, 1:-1]
    # The neighbour across an edge, and where the edge starts from the pixel's upper left corner.
    sides = (
        (wide[:-2, 1:-1], (0, 0)),
        (wide[1:-1, 2:], (1, 0)),
        (wide[2:, 1:-1], (1, 1)),
        (wide[1:-1, :-2], (0, 1)),
    )
    edges: dict[Corner, list[int]] = {}
    for way, (across, (right, down)) in enumerate(sides):
        for y, x in np.argwhere(inner & ~across).tolist():
            edges.setdefault((x + right, y + down), []).append(way)
    return edges


def _turns_left(ring: list[Corner]) -> bool:
    """Return whether a line runs round a hole: its area, in y downwards, is negative."""
    following = [*ring[1:], ring[0]]
    return sum(x * v - u * y for (x, y), (u, v) in zip(ring, following, strict=True)) < 0
