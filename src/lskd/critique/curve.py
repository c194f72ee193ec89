"""Precision against kept share (Figure 2) as `curve.json` and as a picture, `curve.svg`."""

import json
from collections.abc import Sequence
from pathlib import Path

from lskd import table
from lskd.critique.evaluation import CONFIDENCE, Evaluation
from lskd.critique.metrics import Threshold, in_digits

JSON, SVG = "curve.json", "curve.svg"
WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 44, 52
INK, PALE, LINE, BAND, RANDOM = "#222", "#555", "#0b62a4", "#cfe1f0", "#a8450b"
POINTS = 200  # more cannot be told apart
KEPT = 0.2  # section 2.3: the share that the paper keeps


def write(folder: Path, evaluation: Evaluation) -> None:
    """Write both files; raises UserError if there is no room."""
    with table.draft(folder / JSON) as unfinished:
        unfinished.write_text(as_json(evaluation), encoding="utf-8")
    with table.draft(folder / SVG) as unfinished:
        unfinished.write_text(svg(evaluation), encoding="utf-8")


def as_json(evaluation: Evaluation) -> str:
    """Return an evaluation as JSON text; what could not be measured is null."""
    return json.dumps({"confidence": CONFIDENCE, **table.plain(evaluation)}, indent=1) + "\n"


def svg(evaluation: Evaluation) -> str:
    """Return the picture: the curve with its interval, and what keeping at random would give."""
    points = thinned(evaluation.points)
    title = f"Precision of {evaluation.judged:,} held-out triples by the share that is kept"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            'font-family="system-ui, sans-serif" font-size="12">',
            f"<title>{title}</title><desc>{said(evaluation)}</desc>",
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
            f'<text x="{LEFT}" y="24" font-size="15" fill="{INK}">{title}</text>',
            *_axes(),
            *(_band(points) if points else (_middle("nothing was held out to evaluate on"),)),
            *(_random(evaluation.accepted) if evaluation.accepted is not None else ()),
            *(_marked(points, evaluation.points) if points else ()),
            "</svg>\n",
        ]
    )


def thinned(points: Sequence[Threshold]) -> list[Threshold]:
    """Return about as many points as can be told apart, first and last included."""
    step = max(1, len(points) // POINTS)
    return [*points[:-1:step], *points[-1:]]


def nearest(points: Sequence[Threshold], kept: float) -> Threshold:
    """Return the point that keeps nearest to a share."""
    return min(points, key=lambda point: abs(point.kept - kept))


def said(evaluation: Evaluation) -> str:
    """Return the curve in words, by the measured points that are nearest to a few shares."""
    if not evaluation.points:
        return "No triples were held out."
    points = dict.fromkeys(nearest(evaluation.points, share) for share in (0.1, KEPT, 0.5, 1.0))
    told = [f"{point.precision:.3f} of the best {point.kept:.0%}" for point in points]
    return f"Accepted by people: {', '.join(told)}."


def _x(kept: float) -> float:
    return LEFT + kept * (WIDTH - LEFT - RIGHT)


def _y(precision: float) -> float:
    return HEIGHT - BOTTOM - precision * (HEIGHT - TOP - BOTTOM)


def _axes() -> list[str]:
    made = []
    for share in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        x, y = _x(share), _y(share)
        made.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#e2e2e2"/>')
        made.append(_text(LEFT - 8, y + 4, f"{share:.0%}", "end"))
        made.append(_text(x, HEIGHT - BOTTOM + 18, f"{share:.0%}", "middle"))
    made.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, "share of triples kept", "middle"))
    middle = (TOP + HEIGHT - BOTTOM) / 2
    made.append(
        f'<text x="16" y="{middle}" text-anchor="middle" fill="{PALE}" '
        f'transform="rotate(-90 16 {middle})">share of kept that people accept</text>'
    )
    return made


def _random(accepted: float) -> list[str]:
    y = _y(accepted)
    return [
        f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="{RANDOM}" stroke-dasharray="5 4"/>',
        f'<text x="{LEFT + 6}" y="{y + 15:.1f}" fill="{RANDOM}">'
        f"kept at random: {accepted:.0%}</text>",
    ]


def _band(points: Sequence[Threshold]) -> list[str]:
    """Return the confidence intervals."""
    upper = [f"{_x(point.kept):.1f},{_y(point.high):.1f}" for point in points]
    lower = [f"{_x(point.kept):.1f},{_y(point.low):.1f}" for point in reversed(points)]
    corners = " ".join((*upper, *lower))
    return [f'<polygon points="{corners}" fill="{BAND}" fill-opacity="0.7"/>']


def _marked(points: Sequence[Threshold], every: Sequence[Threshold]) -> list[str]:
    """Return the curve, and on it the point that keeps as much as the paper does.

    Its score is told in so many digits as keep no other of `every` point's triples.
    """
    line = " ".join(f"{_x(point.kept):.1f},{_y(point.precision):.1f}" for point in points)
    point = nearest(points, KEPT)
    x, y = _x(point.kept), _y(point.precision)
    return [
        f'<polyline points="{line}" fill="none" stroke="{LINE}" stroke-width="2" '
        'stroke-linejoin="round"/>',
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{LINE}"/>',
        f'<text x="{x + 8:.1f}" y="{max(TOP + 2, y - 8):.1f}" fill="{INK}">'
        f"{point.precision:.0%} of the best {point.kept:.0%}, "
        f"those with a score of {in_digits(point, every)} or more</text>",
    ]


def _middle(text: str) -> str:
    return _text(WIDTH / 2, HEIGHT / 2, text, "middle")


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{PALE}">{text}</text>'
