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
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return
    up, left = int(rows[0]), int(columns[0])
    leaving = _leaving(mask[up : rows[-1] + 1, left : columns[-1] + 1])
    ways_out = leaving.reshape(4, -1)
    wide, corners = leaving.shape[2], ways_out.shape[1]
    edges = np.flatnonzero(ways_out)  # those to the right first, row by row
    ways, starts = np.divmod(edges, corners)
    ends = starts + np.array([x + y * wide for x, y in STEPS])[ways]
    # To the right hand if a line leaves that way, else straight on, else to the left.
    turns = [(ways + turn) % 4 for turn in (1, 0, 3)]
    taken = np.select([ways_out[way, ends] for way in turns], turns)
    following = np.searchsorted(edges, taken * corners + ends).tolist()
    bends = (taken != ways).tolist()
    begins, reached = (
        list(zip((at % wide + left).tolist(), (at // wide + up).tolist(), strict=True))
        for at in (starts, ends)
    )
    followed = bytearray(len(edges))
    for first in range(np.count_nonzero(ways_out[0])):
        if followed[first]:
            continue
        ring, edge = [begins[first]], first
        while following[edge] != first:
            followed[edge] = True
            if bends[edge]:
                ring.append(reached[edge])
            edge = following[edge]
        yield ring


def _leaving(mask: Mask) -> Mask:
    """Return which ways lines leave each corner, (4, height + 1, width + 1), as in `STEPS`."""
    wide = np.pad(mask, 1)
    leaving: Mask = np.zeros((4, mask.shape[0] + 1, mask.shape[1] + 1), dtype=np.bool_)
    leaving[0, :-1, :-1] = mask & ~wide[:-2, 1:-1]
    leaving[1, :-1, 1:] = mask & ~wide[1:-1, 2:]
    leaving[2, 1:, 1:] = mask & ~wide[2:, 1:-1]
    leaving[3, 1:, :-1] = mask & ~wide[1:-1, :-2]
    return leaving


def _turns_left(ring: list[Corner]) -> bool:
    """Return whether a line runs round a hole: its area, in y downwards, is negative."""
    following = [*ring[1:], ring[0]]
    return sum(x * v - u * y for (x, y), (u, v) in zip(ring, following, strict=True)) < 0
