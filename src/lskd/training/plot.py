"""The losses of a training as a picture of our own making (SVG), with its numbers in words."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from lskd import table
from lskd.training.history import Measured

WIDTH, HEIGHT = 760, 380
LEFT, RIGHT, TOP, BOTTOM = 56, 120, 40, 44
POINTS = 400  # as many as can be told apart at this width
SMOOTH = 20  # points on each side that a smooth line is the mean of, at most
APART = 15.0  # between two names
# Okabe and Ito's colours, which the colour-blind can tell apart; the total is black.
COLOURS = ("#000000", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")


@dataclass(frozen=True, slots=True)
class Curve:
    """A loss over the steps; `values` are finite."""

    name: str
    colour: str
    steps: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Scale:
    """What the corners of the plot stand for."""

    first: float
    last: float
    low: float
    high: float

    def x(self, step: float) -> float:
        """Return where a step lies."""
        span = max(1e-12, self.last - self.first)
        return LEFT + (step - self.first) / span * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Return where a loss lies."""
        span = max(1e-12, self.high - self.low)
        return HEIGHT - BOTTOM - (value - self.low) / span * (HEIGHT - TOP - BOTTOM)


def write(file: Path, history: Sequence[Measured]) -> None:
    """Write the picture, whole or not at all. Raises UserError if there is no room."""
    with table.draft(file) as unfinished:
        unfinished.write_text(svg(history), encoding="utf-8")


def svg(history: Sequence[Measured]) -> str:
    """Return the picture of all losses; of none, an empty frame."""
    curves = [curve for curve in _curves(history) if curve.values]
    scale = _scale(curves)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'font-family="system-ui, sans-serif" font-size="12">',
        f"<title>Losses</title><desc>{escape(_said(curves))}</desc>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="24" font-size="15" fill="#222">Losses</text>',
        *_axes(scale),
        *(_line(curve, scale, 0.25, 1) for curve in curves),
        *(_line(_smoothed(curve), scale, 1.0, 2) for curve in curves),
        *_names(curves, scale),
        "</svg>\n",
    ]
    return "\n".join(parts)


def ticks(low: float, high: float, most: int) -> list[float]:
    """Return at most `most` + 1 round numbers from `low` to `high`."""
    span = max(high - low, 1e-12)
    power = 10.0 ** math.floor(math.log10(span / most))
    counted = (_multiples(low, high, power * unit) for unit in (1, 2, 5, 10))
    return next(found for found in counted if len(found) <= most + 1)


def _multiples(low: float, high: float, step: float) -> list[float]:
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [place * step for place in range(first, last + 1)]


def _curves(history: Sequence[Measured]) -> list[Curve]:
    names = list(dict.fromkeys(name for measured in history for name, _ in measured.parts))
    of_name: dict[str, list[tuple[float, float]]] = {name: [] for name in ["loss", *names]}
    for measured in history:
        for name, value in (("loss", measured.loss), *measured.parts):
            if math.isfinite(value):
                of_name[name].append((measured.step, value))
    if len(names) == 1:  # it is the loss itself
        del of_name[names[0]]
    curves = []
    for place, (name, points) in enumerate(of_name.items()):
        thinned = _thinned(points)
        steps, values = tuple(p[0] for p in thinned), tuple(p[1] for p in thinned)
        curves.append(Curve(name, COLOURS[place % len(COLOURS)], steps, values))
    return curves


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return means of neighbours, so few that they can be told apart."""
    each = math.ceil(len(points) / POINTS)
    groups = [points[start : start + each] for start in range(0, len(points), max(1, each))]
    return [(sum(p[0] for p in g) / len(g), sum(p[1] for p in g) / len(g)) for g in groups]


def _smoothed(curve: Curve) -> Curve:
    reach = min(SMOOTH, len(curve.values) // 20)
    values = []
    for place in range(len(curve.values)):
        near = min(reach, place, len(curve.values) - 1 - place)  # as far to both sides
        some = curve.values[place - near : place + near + 1]
        values.append(sum(some) / len(some))
    return Curve(curve.name, curve.colour, curve.steps, tuple(values))


def _scale(curves: Sequence[Curve]) -> Scale:
    values = [value for curve in curves for value in curve.values] or [0.0, 1.0]
    steps = [step for curve in curves for step in curve.steps] or [0.0, 1.0]
    low, high = min(0.0, *values), max(values)
    return Scale(min(steps), max(steps), low, high if high > low else low + 1.0)


def _axes(scale: Scale) -> list[str]:
    right, base = WIDTH - RIGHT, HEIGHT - BOTTOM
    made = []
    for value in ticks(scale.low, scale.high, 5):
        y = scale.y(value)
        made.append(f'<path d="M{LEFT} {y:.1f}H{right}" stroke="#e2e2e2"/>')
        made.append(
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="#555">{value:g}</text>'
        )
    for step in (tick for tick in ticks(scale.first, scale.last, 6) if tick == round(tick)):
        made.append(
            f'<text x="{scale.x(step):.1f}" y="{base + 18}" text-anchor="middle" '
            f'fill="#555">{step:,g}</text>'
        )
    middle = (LEFT + right) / 2
    made.append(f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle" fill="#555">step</text>')
    return made


def _line(curve: Curve, scale: Scale, opacity: float, width: int) -> str:
    if len(curve.values) == 1:
        x, y = scale.x(curve.steps[0]), scale.y(curve.values[0])
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{curve.colour}"/>'
    points = " ".join(
        f"{scale.x(step):.1f},{scale.y(value):.1f}"
        for step, value in zip(curve.steps, curve.values, strict=True)
    )
    return (
        f'<polyline points="{points}" fill="none" stroke="{curve.colour}" '
        f'stroke-width="{width}" stroke-opacity="{opacity:g}" stroke-linejoin="round"/>'
    )


def _names(curves: Sequence[Curve], scale: Scale) -> list[str]:
    """Return each name and last value beside the end of its line, none over another."""
    ends = sorted(
        ((scale.y(_smoothed(curve).values[-1]), curve) for curve in curves), key=lambda end: end[0]
    )
    made, above = [], -math.inf
    for y, curve in ends:
        above = max(y, above + APART)
        made.append(
            f'<text x="{WIDTH - RIGHT + 8}" y="{above + 4:.1f}" fill="{curve.colour}">'
            f"{escape(curve.name)} {_smoothed(curve).values[-1]:.3g}</text>"
        )
    return made


def _said(curves: Sequence[Curve]) -> str:
    """Return the picture in words."""
    return " ".join(
        f"{curve.name}: {curve.values[0]:.4g} at step {curve.steps[0]:g}, "
        f"{curve.values[-1]:.4g} at step {curve.steps[-1]:g}."
        for curve in curves
    )
