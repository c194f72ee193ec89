"""The six places: a ground, what is behind, and a little clutter that nothing is said about."""

import random
from collections.abc import Callable, Mapping

import PIL.Image
import PIL.ImageDraw

from lskd.lab.pen import SMOOTH, Colour, gradient, shaded

Paint = Callable[[PIL.ImageDraw.ImageDraw, int, int, random.Random], None]
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


def beach(pen: PIL.ImageDraw.ImageDraw, width: int, height: int, rng: random.Random) -> None:
    """Paint the sea, a sun and some shells."""
    horizon = HORIZON * height
    pen.rectangle((0, horizon - 0.14 * height, width, horizon), fill=(64, 146, 196))
    for _ in range(7):
        x, y = rng.uniform(0, width), horizon - rng.uniform(0.02, 0.12) * height
        pen.line((x, y, x + 0.1 * width, y), fill=(150, 206, 232), width=SMOOTH)
    x = rng.uniform(0.1, 0.9) * width
    radius = 0.07 * height
    pen.ellipse((x - radius, radius * 0.6, x + radius, radius * 2.6), fill=(255, 226, 110))
    for _ in range(10):
        x, y = rng.uniform(0, width), rng.uniform(horizon * 1.1, height)
        pen.ellipse((x, y, x + 4 * SMOOTH, y + 2 * SMOOTH), fill=(250, 240, 220))


def park(pen: PIL.ImageDraw.ImageDraw, width: int, height: int, rng: random.Random) -> None:
    """Paint trees and flowers."""
    horizon = HORIZON * height
    for x in sorted(rng.uniform(0, width) for _ in range(4)):
        size = rng.uniform(0.2, 0.32) * height
        pen.rectangle(
            (x - 0.02 * height, horizon - size * 0.5, x + 0.02 * height, horizon),
            fill=(112, 78, 46),
        )
        leaf = shaded((58, 132, 62), rng.uniform(0.8, 1.2))
        pen.ellipse(
            (x - size / 2, horizon - size * 1.3, x + size / 2, horizon - size * 0.3), fill=leaf
        )
    for _ in range(22):
        x, y = rng.uniform(0, width), rng.uniform(horizon * 1.06, height)
        petal = rng.choice(((250, 240, 240), (250, 214, 90), (232, 130, 170)))
        pen.ellipse((x, y, x + 2 * SMOOTH, y + 2 * SMOOTH), fill=petal)


def street(pen: PIL.ImageDraw.ImageDraw, width: int, height: int, rng: random.Random) -> None:
    """Paint houses, a kerb, a dashed line and rain."""
    horizon = HORIZON * height
    x = -rng.uniform(0, 0.1) * width
    while x < width:
        wide, high = rng.uniform(0.14, 0.26) * width, rng.uniform(0.28, 0.48) * height
        wall = rng.choice(((178, 120, 100), (196, 170, 140), (150, 150, 160), (168, 140, 120)))
        pen.rectangle((x, horizon - high, x + wide, horizon), fill=wall)
        for row in range(2):
            for column in range(2):
                left = x + (0.16 + 0.42 * column) * wide
                top = horizon - high * (0.84 - 0.42 * row)
                pen.rectangle(
                    (left, top, left + 0.24 * wide, top + 0.24 * high), fill=(236, 226, 170)
                )
        x += wide + 0.01 * width
    pen.rectangle((0, horizon, width, horizon + 0.04 * height), fill=(190, 190, 190))
    for k in range(6):
        left = (k + 0.2) * width / 6
        pen.rectangle(
            (left, 0.93 * height, left + 0.09 * width, 0.95 * height), fill=(236, 236, 236)
        )
    for _ in range(26):
        x, y = rng.uniform(0, width), rng.uniform(0, 0.9 * height)
        pen.line((x, y, x - 0.012 * width, y + 0.05 * height), fill=(186, 204, 226), width=SMOOTH)


def station(pen: PIL.ImageDraw.ImageDraw, width: int, height: int, rng: random.Random) -> None:
    """Paint a train, a clock and the platform's edge."""
    horizon = HORIZON * height
    body = rng.choice(((70, 120, 150), (150, 70, 70), (84, 130, 96)))
    pen.rectangle((0, horizon - 0.34 * height, width, horizon - 0.02 * height), fill=body)
    pen.rectangle(
        (0, horizon - 0.12 * height, width, horizon - 0.09 * height), fill=(240, 236, 220)
    )
    shift = rng.uniform(0, 0.1) * width
    for k in range(6):
        left = k * width / 5 - shift
        pen.rectangle(
            (left, horizon - 0.28 * height, left + 0.13 * width, horizon - 0.15 * height),
            fill=(206, 226, 236),
        )
    pen.rectangle((0, horizon, width, horizon + 0.03 * height), fill=(240, 206, 70))
    x = rng.uniform(0.2, 0.8) * width
    radius = 0.06 * height
    pen.ellipse(
        (x - radius, 0.03 * height, x + radius, 0.03 * height + 2 * radius),
        fill=(250, 250, 250),
        outline=(40, 40, 40),
        width=SMOOTH,
    )
    pen.line((x, 0.03 * height + radius, x, 0.045 * height), fill=(40, 40, 40), width=SMOOTH)
    pen.line(
        (x, 0.03 * height + radius, x + radius * 0.6, 0.03 * height + radius),
        fill=(40, 40, 40),
        width=SMOOTH,
    )


def office(pen: PIL.ImageDraw.ImageDraw, width: int, height: int, rng: random.Random) -> None:
    """Paint windows, shelves and desks."""
    horizon = HORIZON * height
    for k in range(3):
        left = (k + 0.14) * width / 3
        pen.rectangle(
            (left, 0.06 * height, left + 0.22 * width, 0.3 * height),
            fill=(176, 208, 228),
            outline=(120, 130, 140),
            width=SMOOTH,
        )
    x = rng.uniform(0.0, 0.7) * width
    for k in range(6):
        spine = rng.choice(((170, 70, 60), (60, 100, 150), (80, 130, 80), (200, 170, 80)))
        pen.rectangle(
            (x + k * 0.03 * width, 0.34 * height, x + (k + 0.8) * 0.03 * width, 0.43 * height),
            fill=spine,
        )
    pen.rectangle(
        (x - 0.01 * width, 0.43 * height, x + 0.2 * width, 0.445 * height), fill=(140, 104, 70)
    )
    pen.rectangle((0, horizon - 0.1 * height, width, horizon - 0.06 * height), fill=(176, 132, 88))
    for k in range(5):
        left = (k + 0.1) * width / 5
        pen.rectangle(
            (left, horizon - 0.06 * height, left + 0.012 * width, horizon + 0.04 * height),
            fill=(120, 90, 60),
        )


def kitchen(pen: PIL.ImageDraw.ImageDraw, width: int, height: int, rng: random.Random) -> None:
    """Paint tiles, cupboards and a stove."""
    horizon = HORIZON * height
    for k in range(1, 12):
        pen.line(
            (k * width / 12, 0.2 * height, k * width / 12, horizon),
            fill=(232, 218, 190),
            width=SMOOTH,
        )
    for k in range(3, 8):
        pen.line(
            (0, k * 0.075 * height, width, k * 0.075 * height), fill=(232, 218, 190), width=SMOOTH
        )
    door = rng.choice(((190, 214, 196), (206, 160, 110), (176, 196, 220)))
    for k in range(4):
        pen.rectangle(
            ((k + 0.06) * width / 4, 0, (k + 0.94) * width / 4, 0.18 * height),
            fill=door,
            outline=shaded(door, 0.7),
            width=SMOOTH,
        )
    pen.rectangle((0, horizon - 0.16 * height, width, horizon), fill=door)
    pen.rectangle(
        (0, horizon - 0.19 * height, width, horizon - 0.15 * height), fill=(120, 110, 104)
    )
    x = rng.uniform(0.1, 0.7) * width
    pen.rectangle((x, horizon - 0.15 * height, x + 0.2 * width, horizon), fill=(70, 72, 78))
    for k in range(3):
        left = x + (0.02 + 0.06 * k) * width
        pen.ellipse(
            (left, horizon - 0.13 * height, left + 0.03 * width, horizon - 0.09 * height),
            fill=(210, 80, 60),
        )


BEHIND: Mapping[str, Paint] = {
    "beach": beach,
    "park": park,
    "street": street,
    "station": station,
    "office": office,
    "kitchen": kitchen,
}


def backdrop(place: str, width: int, height: int, clutter: int) -> PIL.Image.Image:
    """Return a place without anybody in it, RGB, `width` x `height` pixels."""
    rng = random.Random(clutter)
    wide, high = width * SMOOTH, height * SMOOTH
    top, low, near, front = GROUNDS[place]
    horizon = int(HORIZON * high)
    picture = PIL.Image.new("RGB", (wide, high))
    picture.paste(gradient(horizon, top, low).resize((wide, horizon)), (0, 0))
    ground = gradient(high - horizon, near, front).resize((wide, high - horizon))
    picture.paste(ground, (0, horizon))
    BEHIND[place](PIL.ImageDraw.Draw(picture), wide, high, rng)
    return picture.reduce(SMOOTH)
