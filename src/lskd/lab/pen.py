"""A pen that draws in shares of a box, larger than wanted, so that edges come out smooth."""

from collections.abc import Sequence
from functools import lru_cache

import PIL.Image
import PIL.ImageDraw

Colour = tuple[int, int, int]
SMOOTH = 3  # how much larger a layer is drawn


def shaded(colour: Colour, factor: float) -> Colour:
    """Return a colour made darker (below 1) or lighter (above 1)."""
    if factor <= 1:
        return (int(colour[0] * factor), int(colour[1] * factor), int(colour[2] * factor))
    lift = factor - 1
    r, g, b = (int(value + (255 - value) * lift) for value in colour)
    return (r, g, b)


class Pen:
    """Draws on a layer of its own; (0, 0) is the upper left of its box and (1, 1) the lower right.

    With `facing` -1 everything is mirrored. A layer has a margin, so that outlines are not cut.
    """

    def __init__(self, width: float, height: float, facing: int = 1) -> None:
        self.margin = 4 * SMOOTH
        self.width, self.height = max(2.0, width) * SMOOTH, max(2.0, height) * SMOOTH
        self.facing = facing
        size = (int(self.width) + 2 * self.margin, int(self.height) + 2 * self.margin)
        size = (size[0] + -size[0] % SMOOTH, size[1] + -size[1] % SMOOTH)
        self.layer = PIL.Image.new("RGBA", size)
        self._draw = PIL.ImageDraw.Draw(self.layer)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return a point of the layer."""
        across = x if self.facing > 0 else 1 - x
        return self.margin + across * self.width, self.margin + y * self.height

    def thick(self, share: float) -> int:
        """Return the width of a line that is a share of the box's shorter side."""
        return max(SMOOTH, int(share * min(self.width, self.height)))

    def polygon(self, points: Sequence[tuple[float, float]], fill: Colour) -> None:
        """Fill a polygon, with a darker edge."""
        corners = [self.at(x, y) for x, y in points]
        self._draw.polygon(corners, fill=fill)
        self._draw.line([*corners, corners[0]], fill=shaded(fill, 0.62), width=SMOOTH)

    def box(
        self, x0: float, y0: float, x1: float, y1: float, fill: Colour, round: float = 0.0
    ) -> None:
        """Fill a rectangle, its corners rounded by a share of its shorter side."""
        (a, b), (c, d) = self.at(x0, y0), self.at(x1, y1)
        left, right, top, bottom = min(a, c), max(a, c), min(b, d), max(b, d)
        radius = round * min(right - left, bottom - top)
        self._draw.rounded_rectangle(
            (left, top, right, bottom), radius, fill=fill, outline=shaded(fill, 0.62), width=SMOOTH
        )

    def disc(self, x0: float, y0: float, x1: float, y1: float, fill: Colour) -> None:
        """Fill an ellipse."""
        (a, b), (c, d) = self.at(x0, y0), self.at(x1, y1)
        around = (min(a, c), min(b, d), max(a, c), max(b, d))
        self._draw.ellipse(around, fill=fill, outline=shaded(fill, 0.62), width=SMOOTH)

    def line(self, points: Sequence[tuple[float, float]], fill: Colour, width: float) -> None:
        """Draw a line; `width` is a share of the box's shorter side."""
        corners = [self.at(x, y) for x, y in points]
        thick = self.thick(width)
        self._draw.line(corners, fill=fill, width=thick, joint="curve")
        for x, y in corners:
            half = thick / 2
            self._draw.ellipse((x - half, y - half, x + half, y + half), fill=fill)

    def done(self) -> PIL.Image.Image:
        """Return the layer in its wanted size, RGBA."""
        return self.layer.reduce(SMOOTH)

    def solid(self) -> PIL.Image.Image:
        """Return how solid the layer is where, in its wanted size, L."""
        return self.layer.getchannel("A").reduce(SMOOTH)


@lru_cache(maxsize=64)
def gradient(height: int, top: Colour, bottom: Colour) -> PIL.Image.Image:
    """Return a column of pixels, (1, height), that goes from one colour to another."""
    parts = [y / max(1, height - 1) for y in range(height)]
    pairs = list(zip(top, bottom, strict=True))
    mixed = bytes(round(a + (b - a) * part) for part in parts for a, b in pairs)
    return PIL.Image.frombytes("RGB", (1, height), mixed)
