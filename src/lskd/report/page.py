"""A run's statistics and gallery become one HTML file that asks nothing of any server."""

import base64
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lskd.facts import RunFacts
from lskd.report import charts
from lskd.report.amounts import duration, moment, money, number, percent, shares, tokens
from lskd.report.census import measure
from lskd.report.gallery import Exhibit, Hall, Size, draw
from lskd.report.sketch import Bins, Spread
from lskd.report.statistics import Statistics
from lskd.report.wording import Chip, Piece, chip, clip, marked, parts
from lskd.table import Tables
from lskd.templates import environment
from lskd.thumbnail import Thumbnail, thumbnail
from lskd.types import Reject

HERE = Path(__file__).parent
SIZE = Size()
EVALUATION = "evaluation.html"
AREA_NAMES = ("<0.5", "<1", "<2", "<5", "<10", "<20", "<50", "≥50")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the way from images to kept triples; `count` is None before it is made."""

    noun: str
    count: int | None
    note: str


@dataclass(frozen=True, slots=True)
class Card:
    """An exhibit as it hangs: with its picture, the legend of its marks, and its text in pieces."""

    exhibit: Exhibit
    picture: Thumbnail
    alt: str
    legend: tuple[Chip, ...]
    parts: tuple[tuple[str, tuple[Piece, ...]], ...]

    @property
    def style(self) -> str:
        """Return how the texts name regions, or "" where that is not known."""
        row, reply = self.exhibit.row, self.exhibit.reply
        if isinstance(row, Reject):
            return reply.style if reply else ""
        return row.style

    @property
    def name(self) -> str:
        """Return the id of the triple, or of what was rejected."""
        row = self.exhibit.row
        return row.source if isinstance(row, Reject) else row.id


@dataclass(frozen=True, slots=True)
class Graphs:
    """All charts of the page."""

    per_image: charts.Columns
    heat: charts.Heat
    labels: charts.Lines
    areas: charts.Columns
    asked: charts.Lines
    lengths: tuple[charts.Columns, charts.Columns, charts.Columns]
    scores: charts.Columns
    keeping: charts.Lines


def plural(count: int, noun: str) -> str:
    """Return "1 image" or "2 images"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def steps(statistics: Statistics) -> tuple[Step, ...]:
    """Return the way of the run in numbers."""
    rows, places = statistics.rows, statistics.places
    left_out = {rejected.stage: rejected.count for rejected in statistics.rejects}
    regions = None if rows.described is None else places.regions
    mean = places.per_image.mean
    failed = sum(u.failed for u in statistics.models if u.stage == "generate")

    def loss(stage: str) -> str:
        return f"{left_out[stage]:,} left out" if left_out.get(stage) else ""

    return (
        Step("images", rows.images, loss("images")),
        Step("regions", regions, f"{mean:.1f} an image" if mean is not None else ""),
        Step("replies", rows.replies, f"{failed:,} failed" if failed else ""),
        Step("triples", rows.triples, loss("parse")),
        Step("scored", rows.scores, ""),
        Step(
            "kept",
            rows.examples,
            f"{percent(statistics.scores.kept)} of triples"
            if statistics.scores.kept is not None and rows.triples
            else "",
        ),
    )


def summary(statistics: Statistics) -> str:
    """Return the way of the run as a line: "38 images → 212 regions → 540 triples → 301 kept"."""
    shown = [s for s in steps(statistics) if s.noun not in ("replies", "scored")]
    return " → ".join(f"{s.count:,} {s.noun}" for s in shown if s.count is not None)


def cut(run: RunFacts, statistics: Statistics) -> charts.Tick | None:
    """Return the score that parts what is kept from what is not, if there is one."""
    if run.threshold is not None:
        return charts.Tick(run.threshold, f"threshold {run.threshold:g}")
    lowest = statistics.scores.lowest_kept
    return None if lowest is None else charts.Tick(lowest, f"lowest kept {lowest:.3g}")


def graphs(run: RunFacts, statistics: Statistics) -> Graphs:
    """Return all charts of the page."""
    places, every = statistics.places, statistics.writing[0]
    asked = sum(one.count for one in statistics.asked)

    def length(name: str, spread: Spread) -> charts.Columns:
        return charts.columns(f"Words of a {name}", spread.bins, "words")

    return Graphs(
        per_image=charts.columns("Regions of an image", places.per_image.bins, "regions"),
        heat=charts.heat("Where regions lie", places.heat, places.regions - places.unplaced),
        labels=charts.lines(
            "Most frequent labels of regions",
            [(one.name, one.count, None) for one in places.labels],
            lambda count: f"{count:,}",
        ),
        areas=charts.columns("Area of a region", places.areas, "% of the image", names=AREA_NAMES),
        asked=charts.lines(
            "What triples ask",
            [(one.kind, one.count, one.kept) for one in statistics.asked],
            lambda count: charts.share(count, asked),
        ),
        lengths=(
            length("question", every.question),
            length("answer", every.answer),
            length("rationale", every.rationale),
        ),
        scores=charts.columns(
            "Scores of triples", statistics.scores.bins, "score", cut(run, statistics)
        ),
        keeping=keeping(statistics.scores.bins),
    )


def keeping(bins: Bins) -> charts.Lines:
    """Return how many scores each tenth would keep as a threshold."""
    rows = [
        (f"from {edge:g}", sum(bins.counts[place:]), None)
        for place, edge in enumerate(bins.edges)
        if place % 2 == 0 and 0.1 <= edge <= 0.9
    ]
    total = sum(bins.counts)
    return charts.lines(
        "Share that another threshold would keep", rows, lambda count: charts.share(count, total)
    )


def card(exhibit: Exhibit) -> Card:
    """Return an exhibit with its picture."""
    shown = marked(exhibit)
    legend = tuple(chip(region.id, exhibit.regions) for region in shown)
    names = "; ".join(f"[{region.id}] {region.description or region.label}" for region in shown)
    return Card(
        exhibit=exhibit,
        picture=thumbnail(exhibit.image, shown),
        alt=f"Image with marked regions: {names}" if names else "Image without marked regions",
        legend=legend,
        parts=parts(exhibit),
    )


def inline(script: str) -> str:
    """Return the source by which a content security policy admits one inline script alone."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def render(run: RunFacts, tables: Tables, size: Size = SIZE) -> str:
    """Return the report of a run as the text of one HTML file that loads nothing from elsewhere.

    `size` says how many triples are shown, and which; the file then has at most about 100 KB for
    each. Raises UserError if a table cannot be read; images that cannot be are said to be missing.
    """
    stages = [stage.name for stage in run.stages]
    statistics = measure(stages, tables, size.seed)
    hall = draw(stages, tables, size)
    cards = [card(exhibit) for exhibit in hall.gallery]
    return written(run, statistics, hall, cards, evaluation(tables))


def evaluation(tables: Tables) -> str:
    """Return the address of the page of the stage evaluate from beside this one, or ""."""
    page = tables.folders.get("evaluate", Path()) / EVALUATION
    home = tables.folders.get("report")
    if home is None or not page.is_file():
        return ""
    return Path(os.path.relpath(page, home)).as_posix()


def written(
    run: RunFacts,
    statistics: Statistics,
    hall: Hall,
    cards: Sequence[Card],
    evaluation: str = "",
) -> str:
    """Return the page of what was measured and drawn; `evaluation` is where that of models is."""
    pages = environment(HERE)
    pages.filters |= {
        "number": number,
        "percent": percent,
        "duration": duration,
        "shares": shares,
        "moment": moment,
        "clip": clip,
    }
    script = (HERE / "page.js").read_text(encoding="utf-8")
    return pages.get_template("page.html").render(
        run=run,
        made={stage.name: stage for stage in run.stages},
        statistics=statistics,
        steps=steps(statistics),
        summary=summary(statistics),
        graphs=graphs(run, statistics),
        cut=cut(run, statistics),
        hall=hall,
        left_out=dict(hall.left_out),
        cards=cards,
        evaluation=evaluation,
        parts=parts,
        tokens=tokens,
        money=money,
        plural=plural,
        style=(HERE / "page.css").read_text(encoding="utf-8"),
        script=script,
        admitted=inline(script),
    )
