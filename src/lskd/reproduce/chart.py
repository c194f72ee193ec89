"""Lines over a number line as a picture of our own making (SVG), with all numbers in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from lskd.training.plot import COLOURS, ticks

WIDTH, HEIGHT = 640, 340
LEFT, RIGHT, TOP, BOTTOM = 56, 150, 20, 48
INK, GRID, PAPER = "#555", "#e2e2e2", "#ffffff"
APART = 15.0  # between two names


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a line; `low` to `high` is its interval, where there is one."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Curve:
    """A line with its name; `dashed` is for what the paper says."""

    name: str
    points: tuple[Point, ...]
    dashed: bool = False


def svg(title: str, across: str, up: str, curves: Sequence[Curve]) -> str:
    """Return the picture of some lines, or "" if none has a point."""
    shown = [curve for curve in curves if curve.points]
    if not shown:
        return ""
    scale = _Scale(shown)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'font-family="system-ui, sans-serif" font-size="12">',
        f"<title>{escape(title)}</title><desc>{escape(_said(shown))}</desc>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{PAPER}"/>',
        *_axes(scale, across, up),
    ]
    for number, curve in enumerate(shown):
        parts += _line(curve, scale, COLOURS[number % len(COLOURS)])
    return "\n".join([*parts, *_names(shown, scale), "</svg>\n"])


class _Scale:
    """Where numbers lie on the picture."""

    def __init__(self, curves: Sequence[Curve]) -> None:
        points = [point for curve in curves for point in curve.points]
        ends = [end for p in points for end in (p.y, p.low, p.high) if end is not None]
        self.first, self.last = _apart([point.x for point in points])
        self.low, self.high = _apart(ends)

    def x(self, value: float) -> float:
        span = self.last - self.first
        return LEFT + (value - self.first) / span * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        span = self.high - self.low
        return HEIGHT - BOTTOM - (value - self.low) / span * (HEIGHT - TOP - BOTTOM)


def _apart(values: Sequence[float]) -> tuple[float, float]:
    """Return the least and the most of some numbers, with a little room; never the same twice."""
    low, high = min(values), max(values)
    room = (high - low) / 20 or 1.0
    return low - room, high + room


def _axes(scale: _Scale, across: str, up: str) -> list[str]:
    right, base = WIDTH - RIGHT, HEIGHT - BOTTOM
    made = []
    for value in ticks(scale.low, scale.high, 5):
        y = scale.y(value)
        made.append(f'<path d="M{LEFT} {y:.1f}H{right}" stroke="{GRID}"/>')
        made.append(_text(LEFT - 8, y + 4, f"{value:g}", "end", INK))
    for value in ticks(scale.first, scale.last, 6):
        made.append(_text(scale.x(value), base + 18, f"{value:g}", "middle", INK))
    made.append(_text((LEFT + right) / 2, HEIGHT - 10, across, "middle", INK))
    made.append(_text(LEFT, TOP - 6, up, "start", INK))
    return made


def _line(curve: Curve, scale: _Scale, colour: str) -> list[str]:
    points = sorted(curve.points, key=lambda point: point.x)
    path = " ".join(f"{scale.x(point.x):.1f},{scale.y(point.y):.1f}" for point in points)
    dashes = ' stroke-dasharray="5 4"' if curve.dashed else ""
    made = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>']
    for point in points:
        x = scale.x(point.x)
        if point.low is not None and point.high is not None:
            made.append(
                f'<path d="M{x:.1f} {scale.y(point.low):.1f}V{scale.y(point.high):.1f}" '
                f'stroke="{colour}" stroke-opacity="0.5"/>'
            )
        made.append(f'<circle cx="{x:.1f}" cy="{scale.y(point.y):.1f}" r="3" fill="{colour}"/>')
    return made


def _names(curves: Sequence[Curve], scale: _Scale) -> list[str]:
    """Return each name beside the end of its line, none over another."""
    ends = sorted(
        (scale.y(max(curve.points, key=lambda point: point.x).y), number)
        for number, curve in enumerate(curves)
    )
    made, above = [], float("-inf")
    for y, number in ends:
        above = max(y, above + APART)
        colour = COLOURS[number % len(COLOURS)]
        made.append(_text(WIDTH - RIGHT + 8, above + 4, curves[number].name, "start", colour))
    return made


def _text(x: float, y: float, said: str, anchor: str, colour: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">'
        f"{escape(said)}</text>"
    )


def _said(curves: Sequence[Curve]) -> str:
    """Return the picture in words."""
    return " ".join(
        f"{curve.name}: " + ", ".join(f"{p.y:.1f} at {p.x:g}" for p in curve.points) + "."
        for curve in curves
    )
