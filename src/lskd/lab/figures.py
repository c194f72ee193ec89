"""How people and things look: each figure is drawn by a pen in the frame of its own box."""

from collections.abc import Callable, Mapping

from lskd.lab.pen import Colour, Pen, shaded
from lskd.lab.scene import Act, Posture

PAINT: Mapping[str, Colour] = {
    "red": (214, 48, 44),
    "blue": (44, 92, 214),
    "green": (40, 156, 72),
    "yellow": (244, 204, 48),
    "purple": (140, 66, 176),
    "white": (244, 242, 236),
    "brown": (140, 90, 48),
    "black": (52, 48, 52),
}
SKIN: Colour = (236, 190, 156)
DARK: Colour = (48, 44, 52)
WOOD: Colour = (150, 104, 62)
STEEL: Colour = (150, 156, 164)
HAIR: Mapping[str, Colour] = {
    "man": (70, 48, 32),
    "woman": (150, 74, 28),
    "boy": (196, 150, 70),
    "girl": (60, 40, 36),
}

Figure = Callable[[Pen, Colour], None]


def ball(pen: Pen, paint: Colour) -> None:
    """Draw a ball with two seams."""
    pen.disc(0, 0, 1, 1, paint)
    pen.disc(0.36, 0.02, 0.64, 0.98, shaded(paint, 1.5))
    pen.disc(0.2, 0.14, 0.36, 0.3, (255, 255, 255))


def kite(pen: Pen, paint: Colour) -> None:
    """Draw a kite with its tail."""
    pen.line([(0.5, 0.7), (0.36, 0.84), (0.6, 0.9), (0.46, 1)], DARK, 0.04)
    pen.polygon([(0.5, 0), (1, 0.32), (0.5, 0.76), (0, 0.32)], paint)
    pen.polygon([(0.5, 0), (1, 0.32), (0.5, 0.32)], shaded(paint, 1.45))
    pen.polygon([(0.5, 0.32), (0.5, 0.76), (0, 0.32)], shaded(paint, 0.75))


def skateboard(pen: Pen, paint: Colour) -> None:
    """Draw a skateboard from its side."""
    for x in (0.2, 0.8):
        pen.disc(x - 0.1, 0.5, x + 0.1, 1, DARK)
    pen.line([(0.04, 0.1), (0.16, 0.36), (0.84, 0.36), (0.96, 0.1)], paint, 0.34)


def cake(pen: Pen, paint: Colour) -> None:
    """Draw a cake with three candles."""
    for x in (0.3, 0.5, 0.7):
        pen.line([(x, 0.12), (x, 0.4)], (250, 250, 250), 0.06)
        pen.disc(x - 0.05, 0, x + 0.05, 0.16, (255, 190, 40))
    pen.box(0.04, 0.4, 0.96, 1, (222, 176, 120), 0.15)
    pen.box(0.04, 0.36, 0.96, 0.62, paint, 0.4)


def apple(pen: Pen, paint: Colour) -> None:
    """Draw an apple with stalk and leaf."""
    pen.line([(0.5, 0.3), (0.56, 0.02)], WOOD, 0.08)
    pen.polygon([(0.56, 0.16), (0.8, 0.02), (0.84, 0.18)], (60, 150, 60))
    pen.disc(0.02, 0.2, 0.62, 1, paint)
    pen.disc(0.38, 0.2, 0.98, 1, paint)
    pen.disc(0.16, 0.34, 0.32, 0.54, shaded(paint, 1.6))


def cup(pen: Pen, paint: Colour) -> None:
    """Draw a cup with a handle."""
    pen.disc(0.56, 0.3, 1, 0.8, paint)
    pen.disc(0.68, 0.42, 0.9, 0.68, (236, 232, 226))
    pen.polygon([(0.02, 0.14), (0.76, 0.14), (0.66, 1), (0.12, 1)], paint)
    pen.disc(0.02, 0, 0.76, 0.28, shaded(paint, 0.6))


def laptop(pen: Pen, paint: Colour) -> None:
    """Draw an open laptop, its lid in colour."""
    pen.box(0.12, 0, 0.88, 0.72, paint, 0.1)
    pen.box(0.2, 0.1, 0.8, 0.62, (176, 220, 240), 0.05)
    pen.polygon([(0.1, 0.74), (0.9, 0.74), (1, 1), (0, 1)], STEEL)


def book(pen: Pen, paint: Colour) -> None:
    """Draw an open book."""
    pen.polygon([(0, 0.16), (0.5, 0.28), (1, 0.16), (1, 0.88), (0.5, 1), (0, 0.88)], paint)
    page = (250, 246, 232)
    pen.polygon([(0.07, 0.06), (0.5, 0.2), (0.5, 0.9), (0.07, 0.78)], page)
    pen.polygon([(0.93, 0.06), (0.5, 0.2), (0.5, 0.9), (0.93, 0.78)], shaded(page, 0.93))
    for y in (0.3, 0.46, 0.62):
        pen.line([(0.16, y), (0.42, y + 0.07)], STEEL, 0.03)
        pen.line([(0.84, y), (0.58, y + 0.07)], STEEL, 0.03)


def lamp(pen: Pen, paint: Colour) -> None:
    """Draw a lamp on a foot."""
    pen.line([(0.5, 0.4), (0.5, 0.92)], STEEL, 0.1)
    pen.box(0.18, 0.9, 0.82, 1, DARK, 0.4)
    pen.polygon([(0.28, 0), (0.72, 0), (1, 0.46), (0, 0.46)], paint)
    pen.disc(0.34, 0.4, 0.66, 0.54, (255, 240, 170))


def suitcase(pen: Pen, paint: Colour) -> None:
    """Draw a suitcase with handle and straps."""
    pen.line([(0.36, 0.2), (0.36, 0.04), (0.64, 0.04), (0.64, 0.2)], DARK, 0.08)
    pen.box(0, 0.18, 1, 1, paint, 0.16)
    for x in (0.2, 0.7):
        pen.box(x, 0.18, x + 0.1, 1, shaded(paint, 0.6))


def bucket(pen: Pen, paint: Colour) -> None:
    """Draw a bucket with its bail."""
    pen.line([(0.06, 0.3), (0.2, 0.04), (0.8, 0.04), (0.94, 0.3)], STEEL, 0.07)
    pen.polygon([(0, 0.3), (1, 0.3), (0.8, 1), (0.2, 1)], paint)
    pen.disc(0, 0.2, 1, 0.42, shaded(paint, 0.6))


def bicycle(pen: Pen, paint: Colour) -> None:
    """Draw a bicycle from its side."""
    for x in (0.22, 0.78):
        pen.disc(x - 0.22, 0.36, x + 0.22, 1, DARK)
        pen.disc(x - 0.16, 0.45, x + 0.16, 0.91, (214, 214, 214))
    frame = [(0.22, 0.68), (0.4, 0.26), (0.7, 0.26), (0.5, 0.7), (0.22, 0.68)]
    pen.line(frame, paint, 0.1)
    pen.line([(0.5, 0.7), (0.38, 0.16)], paint, 0.1)
    pen.line([(0.78, 0.68), (0.68, 0.1), (0.82, 0.04)], paint, 0.1)
    pen.line([(0.3, 0.14), (0.46, 0.14)], DARK, 0.12)


def guitar(pen: Pen, paint: Colour) -> None:
    """Draw a guitar that stands upright."""
    pen.box(0.42, 0, 0.58, 0.6, WOOD, 0.2)
    pen.box(0.36, 0, 0.64, 0.1, DARK, 0.3)
    pen.disc(0.14, 0.42, 0.86, 0.74, paint)
    pen.disc(0, 0.6, 1, 1, paint)
    pen.disc(0.34, 0.6, 0.66, 0.76, DARK)


def drum(pen: Pen, paint: Colour) -> None:
    """Draw a drum with its sticks."""
    pen.box(0.02, 0.26, 0.98, 0.94, paint, 0.1)
    pen.disc(0.02, 0.76, 0.98, 1, paint)
    for x in (0.1, 0.4, 0.7):
        pen.line([(x, 0.36), (x + 0.14, 0.92)], (250, 240, 220), 0.04)
    pen.disc(0.02, 0.12, 0.98, 0.42, (250, 244, 232))
    pen.line([(0.3, 0.28), (0.04, 0)], WOOD, 0.06)
    pen.line([(0.66, 0.28), (0.96, 0.02)], WOOD, 0.06)


def dog(pen: Pen, paint: Colour) -> None:
    """Draw a dog from its side."""
    pen.line([(0.12, 0.42), (0, 0.12)], paint, 0.14)
    for x in (0.18, 0.3, 0.58, 0.68):
        pen.line([(x, 0.64), (x, 0.96)], shaded(paint, 0.8), 0.14)
    pen.box(0.1, 0.34, 0.76, 0.72, paint, 0.5)
    pen.disc(0.62, 0.04, 0.92, 0.5, paint)
    pen.box(0.84, 0.22, 1, 0.42, paint, 0.4)
    pen.polygon([(0.64, 0.06), (0.74, 0.1), (0.66, 0.42), (0.56, 0.34)], shaded(paint, 0.6))
    pen.disc(0.94, 0.22, 1, 0.32, DARK)
    pen.disc(0.78, 0.16, 0.84, 0.26, (20, 20, 20))


def cat(pen: Pen, paint: Colour) -> None:
    """Draw a cat that sits."""
    pen.line([(0.2, 0.9), (0.02, 0.76), (0.08, 0.5)], paint, 0.12)
    pen.disc(0.12, 0.38, 0.74, 1, paint)
    pen.polygon([(0.42, 0.3), (0.46, 0), (0.62, 0.18)], paint)
    pen.polygon([(0.96, 0.3), (0.92, 0), (0.76, 0.18)], paint)
    pen.disc(0.4, 0.12, 0.98, 0.6, paint)
    for x in (0.58, 0.78):
        pen.disc(x - 0.05, 0.28, x + 0.05, 0.4, (150, 220, 90))
    pen.polygon([(0.64, 0.44), (0.74, 0.44), (0.69, 0.5)], (230, 130, 140))


def chair(pen: Pen, paint: Colour) -> None:
    """Draw a chair with a back."""
    for x in (0.1, 0.86):
        pen.line([(x, 0.56), (x, 0.97)], WOOD, 0.1)
    pen.box(0.04, 0, 0.2, 0.62, WOOD, 0.3)
    pen.box(0.04, 0.06, 0.3, 0.44, paint, 0.2)
    pen.box(0, 0.52, 0.98, 0.68, paint, 0.3)


def stool(pen: Pen, paint: Colour) -> None:
    """Draw a stool with three legs."""
    for x, foot in ((0.24, 0.06), (0.5, 0.5), (0.76, 0.94)):
        pen.line([(x, 0.24), (foot, 0.96)], WOOD, 0.12)
    pen.box(0, 0, 1, 0.3, paint, 0.5)


def open_umbrella(pen: Pen, paint: Colour) -> None:
    """Draw an open umbrella."""
    pen.line([(0.5, 0.4), (0.5, 0.92), (0.42, 0.98), (0.36, 0.9)], DARK, 0.05)
    pen.line([(0.5, 0), (0.5, 0.1)], DARK, 0.05)
    dome = [(0, 0.46), (0.06, 0.28), (0.22, 0.12), (0.5, 0.05), (0.78, 0.12), (0.94, 0.28)]
    scallop = [(1, 0.46), (0.84, 0.4), (0.67, 0.47), (0.5, 0.4), (0.33, 0.47), (0.16, 0.4)]
    pen.polygon([*dome, *scallop], paint)
    pen.polygon([(0.5, 0.05), (0.67, 0.47), (0.5, 0.4), (0.33, 0.47)], shaded(paint, 1.4))


def closed_umbrella(pen: Pen, paint: Colour) -> None:
    """Draw an umbrella that is rolled up."""
    pen.line([(0.5, 0.02), (0.5, 0.14)], DARK, 0.16)
    pen.polygon([(0.5, 0.06), (0.9, 0.2), (0.62, 0.78), (0.38, 0.78), (0.1, 0.2)], paint)
    pen.line([(0.5, 0.74), (0.5, 0.92), (0.3, 0.98), (0.16, 0.9)], DARK, 0.2)


FIGURES: Mapping[str, Figure] = {
    "ball": ball,
    "kite": kite,
    "skateboard": skateboard,
    "cake": cake,
    "apple": apple,
    "cup": cup,
    "laptop": laptop,
    "book": book,
    "lamp": lamp,
    "suitcase": suitcase,
    "bucket": bucket,
    "bicycle": bicycle,
    "guitar": guitar,
    "drum": drum,
    "dog": dog,
    "cat": cat,
    "chair": chair,
    "stool": stool,
    "open umbrella": open_umbrella,
    "closed umbrella": closed_umbrella,
}
ASPECT = 0.62  # the width of a person's box, in shares of the height, arms included


def person(pen: Pen, kind: str, coat: Colour, posture: Posture, act: Act, lifted: bool) -> None:
    """Draw a person who faces to the right, in a coat of a colour.

    `lifted` raises the hand that holds something, as an open umbrella.
    """
    trousers: Colour = (64, 72, 104) if kind in ("man", "boy") else (96, 60, 84)
    _legs(pen, trousers, posture)
    skirted = kind in ("woman", "girl")
    hem = 0.66 if skirted else 0.58
    wide = 0.2 if skirted else 0.15
    pen.polygon([(0.36, 0.26), (0.64, 0.26), (0.5 + wide, hem), (0.5 - wide, hem)], coat)
    _head(pen, kind)
    _arms(pen, shaded(coat, 0.86), act, lifted)


def _head(pen: Pen, kind: str) -> None:
    hair = HAIR[kind]
    if kind in ("woman", "girl"):
        pen.box(0.33, 0.03, 0.63, 0.3, hair, 0.4)
    pen.disc(0.36, 0.03, 0.66, 0.25, SKIN)
    pen.polygon([(0.35, 0.13), (0.38, 0.02), (0.52, 0), (0.66, 0.06), (0.64, 0.09)], hair)
    if kind in ("boy", "girl"):
        pen.box(0.4, 0, 0.82, 0.06, (224, 84, 60) if kind == "boy" else (250, 160, 190), 0.4)
    pen.disc(0.56, 0.11, 0.61, 0.15, (24, 24, 24))


def _legs(pen: Pen, trousers: Colour, posture: Posture) -> None:
    match posture:
        case "walking":
            feet = [[(0.48, 0.55), (0.3, 0.96)], [(0.54, 0.55), (0.76, 0.95)]]
        case "sitting":
            feet = [
                [(0.46, 0.6), (0.78, 0.64), (0.78, 0.96)],
                [(0.46, 0.62), (0.7, 0.66), (0.7, 0.97)],
            ]
        case "riding":
            feet = [
                [(0.48, 0.56), (0.66, 0.74), (0.56, 0.96)],
                [(0.46, 0.56), (0.54, 0.78), (0.4, 0.94)],
            ]
        case _:
            feet = [[(0.44, 0.55), (0.42, 0.96)], [(0.56, 0.55), (0.58, 0.96)]]
    for line in feet:
        pen.line(line, trousers, 0.17)
        x, y = line[-1]
        pen.line([(x, y), (x + 0.1, y)], DARK, 0.11)


def _arms(pen: Pen, sleeve: Colour, act: Act, lifted: bool) -> None:
    back, front = (0.38, 0.31), (0.6, 0.31)
    match act:
        case "points at":
            lines = [[back, (0.3, 0.54)], [front, (0.98, 0.28)]]
        case "gives":
            lines = [[back, (0.66, 0.48)], [front, (0.92, 0.46)]]
        case "rides":
            lines = [[back, (0.7, 0.46)], [front, (0.84, 0.44)]]
        case "holds":
            hand = (0.84, 0.3) if lifted else (0.88, 0.52)
            lines = [[back, (0.3, 0.54)], [front, (0.76, 0.46), hand]]
        case _:
            lines = [[back, (0.28, 0.54)], [front, (0.7, 0.54)]]
    for line in lines:
        pen.line(line, sleeve, 0.12)
        x, y = line[-1]
        pen.disc(x - 0.06, y - 0.035, x + 0.06, y + 0.035, SKIN)
