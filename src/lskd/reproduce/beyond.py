"""What the paper did not ask, of students: one setting changed, and corpora of several sizes."""

import math
from collections.abc import Sequence

from lskd.reproduce import answers, evidence
from lskd.reproduce.answers import SHORT
from lskd.reproduce.bench import Bench
from lskd.reproduce.chart import Curve, Point, svg
from lskd.reproduce.drawing import contrast, difference, figure
from lskd.reproduce.experiment import Claim, Experiment, Line, Measured


def compared(bench: Bench, experiment: Experiment) -> Measured:
    """Return students of the lab's corpus that differ in one setting, beyond the paper."""
    columns = ("VCR Q→A", "VCR Q→AR", "Sherlock", "A-OKVQA", "Visual7W")
    arms = (SHORT, *experiment.arms)
    cells = {arm.row: answers.students(bench, bench.children(arm), columns) for arm in arms}
    nothing = (None,) * len(columns)
    lines = tuple(
        Line(row, nothing, answers.figures(found, columns)) for row, found in cells.items()
    )
    claims = tuple(
        Claim(
            f"on VCR Q→A the lab's student is above one {arm.row}",
            difference(cells[SHORT.row]["VCR Q→A"], cells[arm.row]["VCR Q→A"]),
            None,
            learned=True,
            beyond=True,
        )
        for arm in experiment.arms
    )
    return Measured(columns, lines, claims)


def scaling(bench: Bench, experiment: Experiment) -> Measured:
    """Return how a student grows with its corpus: a line through the logarithms of the sizes."""
    columns = ("VCR Q→A", "VCR Q→AR", "Sherlock")
    arms = (*experiment.arms, SHORT)
    runs = {arm.row: bench.children(arm) for arm in arms}
    sizes = {row: evidence.examples(some) for row, some in runs.items()}
    cells = {row: answers.students(bench, some, columns) for row, some in runs.items()}
    nothing = (None,) * len(columns)
    lines = [
        Line(f"{sizes[row]:,.0f} examples", nothing, answers.figures(found, columns))
        for row, found in cells.items()
    ]
    weights = dict(zip(sizes, slope([sizes[row] for row in sizes]), strict=True))
    claims, curves = [], []
    for column in columns:
        grown = contrast([(weights[row], cells[row][column]) for row in cells])
        claims.append(
            Claim(
                f"{column} grows with each doubling of the corpus",
                grown,
                None,
                learned=True,
                beyond=True,
            )
        )
        points = [(math.log2(sizes[row]), figure(cells[row][column])) for row in cells]
        shown = tuple(Point(x, one.value, one.low, one.high) for x, one in points)
        middle = sum(x for x, _ in points) / len(points)
        height = sum(one.value for _, one in points) / len(points)
        ends = (points[0][0], points[-1][0])
        fit = tuple(Point(x, height + grown.value * (x - middle)) for x in ends)
        curves += [Curve(column, shown), Curve(f"{column}, fit", fit, dashed=True)]
    chart = svg("Accuracy by size of the corpus", "examples, log2", "%", curves)
    return Measured(columns, tuple(lines), tuple(claims), ("All take as many steps.",), chart)


def slope(sizes: Sequence[float]) -> list[float]:
    """Return the weights whose sum of figures is the slope of a least-squares line, by doubling."""
    steps = [math.log2(size) for size in sizes]
    middle = sum(steps) / len(steps)
    spread = sum((step - middle) ** 2 for step in steps)
    return [(step - middle) / spread if spread else 0.0 for step in steps]
