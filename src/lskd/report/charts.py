"""Numbers become the geometry of small charts, in the units of their view box; `charts.html` draws.

Every chart carries a title and all its numbers as text, for those who cannot see it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lskd.report.sketch import Bins

WIDTH, HEIGHT = 360.0, 190.0
LEFT, RIGHT, TOP, BOTTOM = 40.0, 8.0, 16.0, 30.0
ROW, NAME, TAIL = 24.0, 104.0, 64.0
SHADES = 9


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle; `kind` is "strong" or "pale", `text` what it stands for."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Columns:
    """A histogram: upright bars over a number line; `line` is a value to mark, if any."""

    title: str
    text: str
    bars: tuple[Bar, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    line: Tick | None
    unit: str
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = WIDTH - RIGHT
    base: float = HEIGHT - BOTTOM


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a bar chart: its name, its bars one over the other, and what stands behind."""

    y: float
    name: str
    bars: tuple[Bar, ...]
    tail: str


@dataclass(frozen=True, slots=True)
class Lines:
    """A bar chart: lying bars with names on their left."""

    title: str
    text: str
    lines: tuple[Line, ...]
    height: float
    width: float = WIDTH
    left: float = NAME


@dataclass(frozen=True, slots=True)
class Shade:
    """All cells of a map that are about as full as each other: one path, and how dark it is."""

    opacity: float
    path: str


@dataclass(frozen=True, slots=True)
class Heat:
    """A map of counts; the darkest cell has `most`."""

    title: str
    text: str
    shades: tuple[Shade, ...]
    columns: int
    rows: int
    most: int


def nice(limit: float, steps: int) -> tuple[float, ...]:
    """Return at most `steps` + 1 round numbers from 0 up to at most `limit`; (0,) if that is 0."""
    if limit <= 0:
        return (0.0,)
    power = 10.0 ** math.floor(math.log10(limit / steps))
    step = next(power * unit for unit in (1, 2, 5, 10) if power * unit * steps >= limit * 0.999)
    return tuple(step * place for place in range(math.floor(limit / step + 1e-9) + 1))


def plain(value: float) -> str:
    """Return a number as on an axis: 12,000 or 0.25."""
    return f"{value:,.0f}" if value == round(value) else f"{value:g}"


def share(part: float, whole: float) -> str:
    """Return a share in per cent; "" of nothing."""
    return f"{100 * part / whole:.1f} %" if whole else ""


def columns(
    title: str,
    bins: Bins,
    unit: str,
    threshold: Tick | None = None,
    names: Sequence[str] = (),
) -> Columns:
    """Return a histogram; columns of equal width are named by `names`, or stand over their edges.

    What lies at or above `threshold` (its `at` is a value) is strong, the rest pale.
    """
    count = len(bins.counts)
    step = (WIDTH - LEFT - RIGHT) / max(1, count)
    most = max(bins.counts, default=0)
    tall = HEIGHT - TOP - BOTTOM
    first, last = (bins.edges[0], bins.edges[-1]) if bins.edges else (0.0, 1.0)

    def x(value: float) -> float:
        return LEFT + (value - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    bars: list[Bar] = []
    for place, number in enumerate(bins.counts):
        high = tall * number / most if most else 0.0
        start = LEFT + place * step
        said = f"{name_of(bins, place, names)}: {number:,}"
        cut = start if threshold is None else min(max(x(threshold.at), start), start + step)
        for kind, begin, end in (("pale", start, cut), ("strong", cut, start + step)):
            if end - begin > 0.01 and number:
                box = (begin, TOP + tall - high, max(0.5, end - begin - 1), high)
                bars.append(Bar(*box, kind, said))
    if names:
        across = [Tick(LEFT + (p + 0.5) * step, name) for p, name in enumerate(names)]
    else:
        # A column of one whole number stands over it, not beside it.
        middle = step / 2 if bins.edges[1:] and bins.edges[1] - first == 1 else 0.0
        across = [Tick(x(tick) + middle, plain(tick)) for tick in nice(last - bool(middle), 5)]
    return Columns(
        title=title,
        text=" ".join(f"{name_of(bins, p, names)}: {n:,}." for p, n in enumerate(bins.counts)),
        bars=tuple(bars),
        across=tuple(across),
        up=tuple(
            Tick(TOP + tall * (1 - tick / max(1, most)), plain(tick))
            for tick in nice(most, 3)
            if tick == round(tick)
        ),
        line=None if threshold is None else Tick(x(threshold.at), threshold.text),
        unit=unit,
    )


def name_of(bins: Bins, place: int, names: Sequence[str]) -> str:
    """Return what a column stands for, as "5 to 9" for whole numbers or "0.25 to 0.3"."""
    if names:
        return names[place]
    low, high = bins.edges[place], bins.edges[place + 1]
    if bins.open and place == len(bins.counts) - 1:
        return f"{plain(low)} or more"
    if low == round(low) and high == round(high) and bins.edges[-1] > 1:
        return plain(low) if high - low == 1 else f"{plain(low)} to {plain(high - 1)}"
    return f"{plain(low)} to {plain(high)}"


def lines(
    title: str,
    rows: Sequence[tuple[str, int, int | None]],
    tail: Callable[[int], str],
) -> Lines:
    """Return a bar chart of (name, number, and the part of it that is strong; None for all)."""
    most = max((number for _, number, _ in rows), default=0)
    wide = WIDTH - NAME - TAIL
    made = []
    for place, (name, number, part) in enumerate(rows):
        y = place * ROW
        said = f"{name}: {number:,}" + ("" if part is None else f", {part:,} of them kept")
        full = max(1.0, wide * number / most) if number else 0.0
        bars = [Bar(NAME, y + 4, full, ROW - 8, "pale", said)]
        strong = number if part is None else part
        if strong:
            bars.append(Bar(NAME, y + 4, max(1.0, wide * strong / most), ROW - 8, "strong", said))
        short = name if len(name) <= 16 else name[:15] + "…"
        made.append(Line(y + ROW / 2, short, tuple(bars), tail(number)))
    return Lines(
        title=title,
        text=" ".join(f"{line.bars[0].text}." for line in made),
        lines=tuple(made),
        height=max(1, len(rows)) * ROW,
    )


def heat(title: str, counts: Sequence[Sequence[int]], regions: int) -> Heat:
    """Return a map of how many regions cover each place of an image."""
    most = max((number for row in counts for number in row), default=0)
    paths: dict[int, list[str]] = {shade: [] for shade in range(1, SHADES + 1)}
    for y, row in enumerate(counts):
        for x, number in enumerate(row):
            shade = math.ceil(SHADES * number / most) if most else 0
            if shade:
                paths[shade].append(f"M{x} {y}h1v1h-1z")
    return Heat(
        title=title,
        text=middle_text(counts, regions),
        shades=tuple(
            Shade(round(shade / SHADES, 2), "".join(path)) for shade, path in paths.items() if path
        ),
        columns=len(counts[0]) if counts else 1,
        rows=max(1, len(counts)),
        most=most,
    )


def middle_text(counts: Sequence[Sequence[int]], regions: int) -> str:
    """Return the map in words: how much each ninth of the image is covered on average."""
    sentences = []
    high, wide = len(counts), len(counts[0]) if counts else 0
    for down, place in enumerate(("top", "middle", "bottom")):
        for across, side in enumerate(("left", "centre", "right")):
            ninth = [
                number
                for row in counts[down * high // 3 : (down + 1) * high // 3]
                for number in row[across * wide // 3 : (across + 1) * wide // 3]
            ]
            if ninth and regions:
                covered = sum(ninth) / len(ninth) / regions
                sentences.append(f"{place} {side}: {covered:.0%} of regions on average.")
    return " ".join(sentences)
