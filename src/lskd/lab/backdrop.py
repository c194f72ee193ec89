"""The six places: a ground, what is behind, and a little clutter that nothing is said about."""

import random
from collections.abc import Callable, Mapping

import PIL.Image
import PIL.ImageDraw

from lskd.lab.pen import SMOOTH, Colour, gradient, shaded

HORIZON = 0.56  # where the ground begins, in shares of the height

# The colours of sky or wall, from top to bottom, and of the ground, near the horizon and in front.
GROUNDS: Mapping[str, tuple[Colour, Colour, Colour, Colour]] = {
    "beach": ((120, 190, 240), (214, 236, 250), (240, 220, 168), (228, 200, 140)),
    "park": ((150, 206, 246), (222, 240, 248), (140, 196, 104), (98, 164, 76)),
    "street": ((166, 180, 200), (214, 220, 228), (126, 128, 134), (96, 98, 104)),
    "station": ((206, 200, 190), (232, 228, 220), (176, 172, 170), (148, 144, 144)),
    "office": ((224, 230, 234), (240, 242, 244), (150, 160, 176), (128, 138, 156)),
    "kitchen": ((250, 238, 212), (252, 246, 230), (222, 196, 166), (204, 170, 136)),
}


class Brush:
    """Paints on a picture in shares of its width and height."""

    def __init__(self, picture: PIL.Image.Image) -> None:
        self._draw = PIL.ImageDraw.Draw(picture)
        self.width, self.height = picture.size

    def box(
        self,
        corners: tuple[float, float, float, float],
        fill: Colour,
        edge: Colour | None = None,
    ) -> None:
        """Fill a rectangle, with an edge if one is given."""
        self._draw.rectangle(self._scaled(corners), fill=fill, outline=edge, width=SMOOTH)

    def oval(
        self, centre: tuple[float, float], radius: float, fill: Colour, edge: Colour | None = None
    ) -> None:
        """Fill a circle; the radius is a share of the height."""
        x, y, r = centre[0] * self.width, centre[1] * self.height, radius * self.height
        self._draw.ellipse((x - r, y - r, x + r, y + r), fill=fill, outline=edge, width=SMOOTH)

    def line(self, corners: tuple[float, float, float, float], fill: Colour) -> None:
        """Draw a thin line between two points."""
        self._draw.line(self._scaled(corners), fill=fill, width=SMOOTH)

    def _scaled(self, corners: tuple[float, float, float, float]) -> list[float]:
        x0, y0, x1, y1 = corners
        return [x0 * self.width, y0 * self.height, x1 * self.width, y1 * self.height]


def beach(brush: Brush, rng: random.Random) -> None:
    """Paint the sea, a sun and some shells."""
    brush.box((0, HORIZON - 0.14, 1, HORIZON), (64, 146, 196))
    for _ in range(7):
        x, y = rng.random(), HORIZON - rng.uniform(0.02, 0.12)
        brush.line((x, y, x + 0.1, y), (150, 206, 232))
    brush.oval((rng.uniform(0.1, 0.9), 0.11), 0.07, (255, 226, 110))
    for _ in range(10):
        brush.oval((rng.random(), rng.uniform(HORIZON * 1.1, 1)), 0.009, (250, 240, 220))


def park(brush: Brush, rng: random.Random) -> None:
    """Paint trees and flowers."""
    for x in sorted(rng.random() for _ in range(4)):
        size = rng.uniform(0.2, 0.32)
        brush.box((x - 0.015, HORIZON - size / 2, x + 0.015, HORIZON), (112, 78, 46))
        leaf = shaded((58, 132, 62), rng.uniform(0.8, 1.2))
        brush.oval((x, HORIZON - 0.8 * size), size / 2, leaf)
    petals = ((250, 240, 240), (250, 214, 90), (232, 130, 170))
    for _ in range(22):
        brush.oval((rng.random(), rng.uniform(HORIZON * 1.06, 1)), 0.007, rng.choice(petals))


def street(brush: Brush, rng: random.Random) -> None:
    """Paint houses, a kerb, a dashed line and rain."""
    walls = ((178, 120, 100), (196, 170, 140), (150, 150, 160), (168, 140, 120))
    x = -rng.uniform(0, 0.1)
    while x < 1:
        wide, high = rng.uniform(0.14, 0.26), rng.uniform(0.28, 0.48)
        brush.box((x, HORIZON - high, x + wide, HORIZON), rng.choice(walls))
        for number in range(4):
            left = x + (0.16 + 0.42 * (number % 2)) * wide
            top = HORIZON - high * (0.84 - 0.42 * (number // 2))
            brush.box((left, top, left + 0.24 * wide, top + 0.24 * high), (236, 226, 170))
        x += wide + 0.01
    brush.box((0, HORIZON, 1, HORIZON + 0.04), (190, 190, 190))
    for number in range(6):
        left = (number + 0.2) / 6
        brush.box((left, 0.93, left + 0.09, 0.95), (236, 236, 236))
    for _ in range(26):
        x, y = rng.random(), rng.uniform(0, 0.9)
        brush.line((x, y, x - 0.012, y + 0.05), (186, 204, 226))


def station(brush: Brush, rng: random.Random) -> None:
    """Paint a train, a clock and the platform's edge."""
    train = rng.choice(((70, 120, 150), (150, 70, 70), (84, 130, 96)))
    brush.box((0, HORIZON - 0.34, 1, HORIZON - 0.02), train)
    brush.box((0, HORIZON - 0.12, 1, HORIZON - 0.09), (240, 236, 220))
    shift = rng.uniform(0, 0.1)
    for number in range(6):
        left = number / 5 - shift
        brush.box((left, HORIZON - 0.28, left + 0.13, HORIZON - 0.15), (206, 226, 236))
    brush.box((0, HORIZON, 1, HORIZON + 0.03), (240, 206, 70))
    x, dark = rng.uniform(0.2, 0.8), (40, 40, 40)
    brush.oval((x, 0.09), 0.06, (250, 250, 250), dark)
    brush.line((x, 0.09, x, 0.045), dark)
    brush.line((x, 0.09, x + 0.03, 0.09), dark)


def office(brush: Brush, rng: random.Random) -> None:
    """Paint windows, shelves and desks."""
    for number in range(3):
        left = (number + 0.14) / 3
        brush.box((left, 0.06, left + 0.22, 0.3), (176, 208, 228), (120, 130, 140))
    x = rng.uniform(0.0, 0.7)
    spines = ((170, 70, 60), (60, 100, 150), (80, 130, 80), (200, 170, 80))
    for number in range(6):
        left = x + number * 0.03
        brush.box((left, 0.34, left + 0.024, 0.43), rng.choice(spines))
    brush.box((x - 0.01, 0.43, x + 0.2, 0.445), (140, 104, 70))
    brush.box((0, HORIZON - 0.1, 1, HORIZON - 0.06), (176, 132, 88))
    for number in range(5):
        left = (number + 0.1) / 5
        brush.box((left, HORIZON - 0.06, left + 0.012, HORIZON + 0.04), (120, 90, 60))


def kitchen(brush: Brush, rng: random.Random) -> None:
    """Paint tiles, cupboards and a stove."""
    joint = (232, 218, 190)
    for number in range(1, 12):
        brush.line((number / 12, 0.2, number / 12, HORIZON), joint)
    for number in range(3, 8):
        brush.line((0, number * 0.075, 1, number * 0.075), joint)
    door = rng.choice(((190, 214, 196), (206, 160, 110), (176, 196, 220)))
    for number in range(4):
        brush.box(((number + 0.06) / 4, 0, (number + 0.94) / 4, 0.18), door, shaded(door, 0.7))
    brush.box((0, HORIZON - 0.16, 1, HORIZON), door)
    brush.box((0, HORIZON - 0.19, 1, HORIZON - 0.15), (120, 110, 104))
    x = rng.uniform(0.1, 0.7)
    brush.box((x, HORIZON - 0.15, x + 0.2, HORIZON), (70, 72, 78))
    for number in range(3):
        brush.oval((x + 0.035 + 0.06 * number, HORIZON - 0.11), 0.02, (210, 80, 60))


BEHIND: Mapping[str, Callable[[Brush, random.Random], None]] = {
    "beach": beach,
    "park": park,
    "street": street,
    "station": station,
    "office": office,
    "kitchen": kitchen,
}


def backdrop(place: str, width: int, height: int, clutter: int) -> PIL.Image.Image:
    """Return a place without anybody in it, RGB, `width` x `height` pixels."""
    wide, high = width * SMOOTH, height * SMOOTH
    top, low, near, front = GROUNDS[place]
    horizon = int(HORIZON * high)
    picture = PIL.Image.new("RGB", (wide, high))
    # One column beside the other: the same pixels as by any way of resizing, and the fastest.
    sky, ground = gradient(horizon, top, low), gradient(high - horizon, near, front)
    picture.paste(sky.resize((wide, horizon), PIL.Image.Resampling.NEAREST), (0, 0))
    picture.paste(ground.resize((wide, high - horizon), PIL.Image.Resampling.NEAREST), (0, horizon))
    BEHIND[place](Brush(picture), random.Random(clutter))
    return picture.reduce(SMOOTH)
