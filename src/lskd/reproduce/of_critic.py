"""Table 1 and Figure 2: which losses a critic is trained by, and what it is worth as a filter."""

import math
from collections.abc import Sequence

import numpy as np

from lskd.critique import metrics
from lskd.errors import UserError
from lskd.evaluate.metrics import Values
from lskd.reproduce import evidence
from lskd.reproduce.bench import Bench
from lskd.reproduce.chart import Curve, Point, svg
from lskd.reproduce.drawing import PERCENT, difference, figure, mean, summed, tallied
from lskd.reproduce.evidence import HeldOut
from lskd.reproduce.experiment import Cell, Claim, Experiment, Figure, Line, Measured, Tally
from lskd.reproduce.paper import reported
from lskd.reproduce.verdict import SEEDS, enough

BOTH, NEITHER = "both", "neither"
KEPT = 0.2  # section 2.3
RULES = (("precision", evidence.precision), ("recall", evidence.recall), ("F1", evidence.f1))
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
WISHED = (0.6, 0.7, 0.8)


def losses(bench: Bench, experiment: Experiment) -> Measured:
    """Return Table 1: precision, recall and F1 of critics that differ in their losses."""
    paper = reported()[experiment.paper]
    tallies = {BOTH: [evidence.confusion(run) for run in bench.runs.values()]}
    for arm in experiment.arms:
        tallies[arm.row] = [evidence.confusion(run) for run in bench.children(arm)]
    lines = [
        Line(
            row,
            paper.rows[row],
            tuple(figure(Cell(rule, tuple(tallies[row]))) for _, rule in RULES),
        )
        for row in paper.rows
    ]
    cells = {row: Cell(evidence.f1, tuple(found)) for row, found in tallies.items()}
    base = paper.rows[NEITHER][2] or 0.0
    claims = tuple(
        Claim(
            f"F1 is higher with {told} than with neither regression",
            difference(cells[row], cells[NEITHER]),
            (paper.rows[row][2] or 0.0) - base,
            learned=True,
        )
        for row, told in (
            ("QA", "the regression on QA"),
            ("rationale", "the regression on the rationale"),
            (BOTH, "both regressions"),
        )
    )
    return Measured(
        paper.columns,
        tuple(lines),
        claims,
        (
            "On triples whose images the critic did not learn from, at a score of 0.5; each number "
            "is the mean over accepts and rejects, as the paper's must be by its numbers.",
        ),
    )


def filtering(bench: Bench, experiment: Experiment) -> Measured:
    """Return Figure 2: how much of what is kept people accept, by the share that is kept."""
    paper = reported()[experiment.paper]
    every = [evidence.held_out(run) for run in bench.runs.values()]
    cells = {share: Cell(mean, tuple(_best(rows, share) for rows in every)) for share in SHARES}
    whole = "all triples"
    best = "the critic's best 20 %"
    found = {share: figure(one) for share, one in cells.items()}
    claim = Claim(
        "of the 20 % that the critic likes best, people accept more than of all",
        difference(cells[KEPT], cells[1.0]),
        (paper.rows[best][0] or 0.0) - (paper.rows[whole][0] or 0.0),
        learned=True,
    )
    points = tuple(Point(100 * s, one.value, one.low, one.high) for s, one in found.items())
    told = (
        Point(100.0, paper.rows[whole][0] or math.nan),
        Point(100 * KEPT, paper.rows[best][0] or math.nan),
    )
    return Measured(
        paper.columns,
        (
            Line(whole, paper.rows[whole], (found[1.0],)),
            Line(best, paper.rows[best], (found[KEPT],)),
        ),
        (claim,),
        (
            "The share of all triples that is acceptable was put into the lab: about 45 % of them "
            "are true, as many as people accepted in the paper. The lab's people, who err now and "
            "then and judge answer and rationale, accept fewer.",
        ),
        svg(
            paper.title,
            "share that is kept, %",
            "accepted, %",
            [Curve("the lab", points), Curve("the paper", told, dashed=True)],
        ),
    )


def calibrated(bench: Bench, experiment: Experiment) -> Measured:
    """Return what a threshold gives that was chosen, on other images, for a wished precision.

    The threshold is chosen on one half of the held-out images and measured on the other, both
    ways.
    """
    every = [evidence.held_out(run) for run in bench.runs.values()]
    lines, notes = [], []
    for wished in WISHED:
        found = [_reached(rows, wished) for rows in every]
        known = tuple(one for one in found if one is not None)
        if not known:
            notes.append(f"no threshold reaches {wished:.0%} on either half of the images")
            continue
        accepted = tuple(Tally(one.images, one.sums[:, :2]) for one in known)
        two = figure(Cell(mean, accepted)), figure(Cell(_kept, known))
        lines.append(Line(f"{100 * wished:.0f} % wished", (None, None), two))
        notes.append(f"{wished:.0%} wished {_met(PERCENT * wished, two[0])}")
        if len(known) < len(every):
            notes.append(f"{wished:.0%} is reached in {len(known)} of {len(every)} seeds alone")
    return Measured(("accepted, %", "kept, %"), tuple(lines), (), tuple(notes))


def _met(wished: float, reached: Figure) -> str:
    """Return in words whether what a threshold gave is what it was chosen for."""
    if not enough(reached) or len(reached.seeds) < SEEDS or not math.isfinite(reached.low):
        few = "" if reached.images is None else f", of {reached.images} images that had any kept"
        return f"cannot be told: {len(reached.seeds)} seeds{few}"
    if reached.low <= wished <= reached.high:
        # How much that says is how narrow it is.
        wide = reached.high - reached.low
        return f"is within the interval of what was reached, which is {wide:.0f} points wide"
    if reached.high < wished:
        return "was missed: the whole interval of what was reached is below it"
    return "was more than met: the whole interval of what was reached is above it"


def _best(rows: Sequence[HeldOut], share: float) -> Tally:
    """Return what people accept of the best share; its lowest score stays as it is in drawings."""
    ranked = sorted(rows, key=lambda row: -row.accept)[: max(1, round(share * len(rows)))]
    return tallied([row.image_id for row in ranked], [float(row.accepted) for row in ranked])


def _reached(rows: Sequence[HeldOut], wished: float) -> Tally | None:
    """Return accepted, kept and all triples by image, each half under the other's threshold.

    None if neither half has a threshold that reaches the wished precision, or none keeps any.
    """
    images = sorted({row.image_id for row in rows})
    first = set(images[::2])
    halves = (
        [row for row in rows if row.image_id in first],
        [row for row in rows if row.image_id not in first],
    )
    names: list[str] = []
    parts: list[tuple[float, float, float]] = []
    for own, other in (halves, halves[::-1]):
        try:
            threshold = metrics.threshold_for(
                wished, [row.accept for row in other], [row.accepted for row in other]
            ).value
        except UserError:
            continue
        for row in own:
            kept = row.accept >= threshold
            names.append(row.image_id)
            parts.append((float(kept and row.accepted), float(kept), 1.0))
    every = np.array(parts).reshape(-1, 3)
    return summed(names, every) if every[:, 1].any() else None


def _kept(totals: Values) -> Values:
    found: Values = PERCENT * totals[..., 1] / totals[..., 2]
    return found
