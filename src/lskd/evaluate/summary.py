"""An evaluation becomes a table for people and files for programs.

In: an `Evaluation`. Out: the texts of `summary.md`, `summary.csv` (a row for each outcome) and
`summary.json` (all of it), and the cells that the console and the page show too.
"""

import csv
import dataclasses
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass

from lskd import table
from lskd.evaluate.figures import COLUMNS, Column
from lskd.evaluate.work import Evaluation
from lskd.markdown import grid
from lskd.types import Outcome

NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the table of results: a model, or what a paper reports of it (`paper`)."""

    title: str
    paper: bool
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Detail:
    """A figure of one model, by its authors' rule for ties and by the fair one."""

    official: Outcome
    fair: Outcome


def columns(found: Evaluation) -> tuple[Column, ...]:
    """Return the columns that these benchmarks have figures for."""
    places = {(one.benchmark, one.task, one.metric) for one in found.outcomes}
    return tuple(column for column in COLUMNS if column.place in places)


def results(found: Evaluation, audited: bool = False) -> tuple[Line, ...]:
    """Return the table of official figures, in percent with their intervals; papers' beside them.

    With `audited` it is that without the items that a training corpus touches.
    """
    shown = columns(found)
    whole = {
        (one.model, one.benchmark, one.task, one.metric): one
        for one in main(found.outcomes)
        if one.official and one.audited == audited
    }
    lines = []
    for model in found.models:
        cells = [percent(whole.get((model.name, *column.place))) for column in shown]
        lines.append(Line(model.title, False, tuple(cells)))
        paper = [getattr(model.paper, column.key) for column in shown]
        if not audited and any(figure is not None for figure in paper):
            said = tuple(NOTHING if figure is None else f"{figure:.1f}" for figure in paper)
            lines.append(Line(f"{model.title}, the paper", True, said))
    return tuple(lines)


def main(outcomes: Sequence[Outcome]) -> tuple[Outcome, ...]:
    """Return the outcomes that are of all items, not of a part."""
    return tuple(one for one in outcomes if not one.slicing)


def details(found: Evaluation) -> tuple[Detail, ...]:
    """Return every figure that is of no part, models below each other."""
    groups: dict[str, list[Outcome]] = {}
    for one in main(found.outcomes):
        groups.setdefault(name_of(one), []).append(one)
    pairs: list[Detail] = []
    for group in groups.values():
        fair = {one.model: one for one in group if not one.official}
        pairs += [Detail(one, fair[one.model]) for one in group if one.official]
    return tuple(pairs)


def percent(one: Outcome | None) -> str:
    """Return a figure with its interval: "59.0 [57.1, 60.8]"."""
    if one is None or one.value is None:
        return NOTHING
    if one.low is None or one.high is None:
        return f"{100 * one.value:.1f}"
    return f"{100 * one.value:.1f} [{100 * one.low:.1f}, {100 * one.high:.1f}]"


def share(value: float | None, signed: bool = False) -> str:
    """Return a number in percent, or a dash."""
    if value is None:
        return NOTHING
    return f"{100 * value:+.1f}" if signed else f"{100 * value:.1f}"


def probability(p: float | None) -> str:
    """Return a p value, or a dash."""
    return NOTHING if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def name_of(one: Outcome) -> str:
    """Return what a figure is called: "vcr answer: accuracy, without leaks"."""
    task = f" {one.task}" if one.task else ""
    return f"{one.benchmark}{task}: {one.metric}{', without leaks' if one.audited else ''}"


def texts(found: Evaluation) -> dict[str, str]:
    """Return the texts of the summary by the ending of their file."""
    return {"md": markdown(found), "csv": as_csv(found), "json": as_json(found)}


def markdown(found: Evaluation) -> str:
    """Return the summary as Markdown: results, details, parts, notes."""
    head = ["model", *(column.title for column in columns(found))]
    parts = ["# Evaluation", "In percent (Sherlock: -100 to 100), with 95 % intervals by image."]
    parts.append(grid(head, [[line.title, *line.cells] for line in results(found)]))
    if any(one.audited for one in found.outcomes):
        parts.append("## Without what a training corpus touches")
        clean = results(found, audited=True)
        parts.append(grid(head, [[line.title, *line.cells] for line in clean]))
    parts.append("## Every figure")
    first = found.models[0].title
    detail = ["figure", "model", "official", "ties fair", "chance", "items", "images"]
    rows = [[name_of(one.official), one.official.model, *_detail(one)] for one in details(found)]
    parts.append(grid([*detail, f"less {first}", "p"], rows))
    sliced = [one for one in found.outcomes if one.slicing]
    if sliced:
        parts.append("## Parts")
        rows = [
            [name_of(one), one.slicing, one.part, one.model, percent(one), f"{one.items}"]
            for one in sliced
        ]
        parts.append(grid(["figure", "parted by", "part", "model", "value", "items"], rows))
    if found.calibrations:
        parts.append("## Calibration")
        rows = [
            [f"{one.benchmark} {one.task}".strip(), one.model]
            + [share(x) for x in (one.found.error, one.found.confidence, one.found.accuracy)]
            for one in found.calibrations
        ]
        parts.append(grid(["figure", "model", "error", "confidence", "accuracy"], rows))
    parts.append("## How it was asked")
    parts.append("\n".join(f"- {one.title} (`{one.name}`): {one.asked}" for one in found.models))
    if found.notes:
        parts += ["## Notes", "\n".join(f"- {note}" for note in found.notes)]
    return "\n\n".join(parts) + "\n"


def as_csv(found: Evaluation) -> str:
    """Return one row for each outcome; missing values are empty."""
    names = [field.name for field in dataclasses.fields(Outcome)]
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(table.plain(one) for one in found.outcomes)
    return text.getvalue()


def as_json(found: Evaluation) -> str:
    """Return all that was found, answers apart, which lie in `predictions`."""
    told = {
        "models": [
            {
                "name": one.name,
                "title": one.title,
                "asked": one.asked,
                "paper": one.paper.model_dump(exclude_none=True),
            }
            for one in found.models
        ],
        "benchmarks": [
            {
                "name": one.name,
                "split": one.split,
                "items": len(one.items),
                "images": len({item.image_id for item in one.items}),
                "digest": one.digest,
                "left_out": len(one.faults),
            }
            for one in found.trials
        ],
        "outcomes": [table.plain(one) for one in found.outcomes],
        "calibrations": [table.plain(one) for one in found.calibrations],
        "notes": list(found.notes),
    }
    return json.dumps(told, indent=1, ensure_ascii=False) + "\n"


def _detail(one: Detail) -> list[str]:
    official = one.official
    return [
        percent(official),
        share(one.fair.value),
        share(official.chance),
        f"{official.items}",
        f"{official.images}",
        share(official.difference, signed=True),
        probability(official.p),
    ]
