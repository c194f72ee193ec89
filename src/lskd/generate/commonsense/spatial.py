"""What may be said of boxes. Every rule has a margin, so that nobody who looks would disagree.

All are about the flat picture: "above" is higher up in it, "close" is close in it. Lengths are
shares of the picture's width, height or diagonal. None of these holds of a box without area.
"""

import math
from dataclasses import dataclass
from typing import Literal

from lskd.types import Box

APART = 0.02  # least gap between things that lie side by side or one above the other
SHARED = 0.15  # share of the smaller box that lies in the other when two overlap
CLOSE, FAR = 0.05, 0.35  # gaps, in diagonals
LARGER = 1.5  # ratio of areas
FILLS = 0.15  # share of the picture that its main subject takes at least
WIDE = 0.6  # share of the width from which a box is not on one side
EDGE = 0.01  # a box that comes as near to the edge reaches it

Side = Literal["left", "right", "top", "bottom"]
Across = Literal["on the left", "in the middle", "on the right"]


@dataclass(frozen=True, slots=True)
class Frame:
    """The picture's size in pixels."""

    width: float
    height: float

    @property
    def diagonal(self) -> float:
        """Return the length of the diagonal in pixels."""
        return math.hypot(self.width, self.height)

    def gap(self, a: Box, b: Box) -> float:
        """Return the distance between two boxes in diagonals; 0 where they meet."""
        return math.hypot(max(0.0, beside(a, b)), max(0.0, over(a, b))) / self.diagonal

    def left_of(self, a: Box, b: Box) -> bool:
        """Say whether all of `a` is to the left of all of `b`, more than above or below it."""
        across = b.x0 - a.x1
        return across >= APART * self.width and across >= over(a, b)

    def above(self, a: Box, b: Box) -> bool:
        """Say whether all of `a` is higher up than all of `b`, more than beside it."""
        down = b.y0 - a.y1
        return down >= APART * self.height and down >= beside(a, b)

    def in_row(self, a: Box, b: Box, c: Box) -> bool:
        """Say whether three boxes follow each other from left to right without overlap."""
        least = APART * self.width
        return b.x0 - a.x1 >= least and c.x0 - b.x1 >= least

    def close(self, a: Box, b: Box) -> bool:
        """Say whether two boxes meet or nearly meet."""
        return self.gap(a, b) <= CLOSE

    def far(self, a: Box, b: Box) -> bool:
        """Say whether there is much of the picture between two boxes."""
        return self.gap(a, b) >= FAR

    def lower(self, a: Box, b: Box) -> bool:
        """Say whether `a` reaches further down than `b`."""
        return a.y1 - b.y1 >= APART * self.height

    def across(self, box: Box) -> Across | None:
        """Return the third of the picture that a box is centred in; None for a wide one."""
        if box.width >= WIDE * self.width:
            return None
        centre = (box.x0 + box.x1) / 2 / self.width
        if abs(centre - 1 / 3) < APART or abs(centre - 2 / 3) < APART:
            return None
        return (
            "on the left"
            if centre < 1 / 3
            else "on the right"
            if centre > 2 / 3
            else "in the middle"
        )

    def edge(self, box: Box) -> Side | None:
        """Return the only edge of the picture that a box reaches; None for none or several."""
        reached: list[Side] = []
        if box.x0 <= EDGE * self.width:
            reached.append("left")
        if box.x1 >= (1 - EDGE) * self.width:
            reached.append("right")
        if box.y0 <= EDGE * self.height:
            reached.append("top")
        if box.y1 >= (1 - EDGE) * self.height:
            reached.append("bottom")
        return reached[0] if len(reached) == 1 else None

    def share(self, box: Box) -> float:
        """Return how much of the picture a box takes, in [0, 1]."""
        return box.area / (self.width * self.height)


def beside(a: Box, b: Box) -> float:
    """Return the horizontal gap between two boxes in pixels; below 0 where they overlap."""
    return max(a.x0, b.x0) - min(a.x1, b.x1)


def over(a: Box, b: Box) -> float:
    """Return the vertical gap between two boxes in pixels; below 0 where they overlap."""
    return max(a.y0, b.y0) - min(a.y1, b.y1)


def overlap(a: Box, b: Box) -> bool:
    """Say whether two boxes share a good part of the smaller one."""
    common = max(0.0, -beside(a, b)) * max(0.0, -over(a, b))
    return common >= SHARED * min(a.area, b.area) > 0


def larger(a: Box, b: Box, ratio: float = LARGER) -> bool:
    """Say whether `a` takes up clearly more of the picture than `b`."""
    return a.area >= ratio * b.area
