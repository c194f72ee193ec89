"""An evaluation becomes one HTML file that asks nothing of any server."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lskd.evaluate import gallery, summary
from lskd.evaluate.gallery import Exhibit
from lskd.evaluate.work import Evaluation
from lskd.templates import environment
from lskd.types import Outcome

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Parts:
    """A figure parted in one way: a line for each part, with its items and each model's outcome."""

    figure: str
    slicing: str
    lines: tuple[tuple[str, int, tuple[Outcome | None, ...]], ...]


def render(found: Evaluation, count: int, seed: int) -> str:
    """Return the page; `count` questions of each benchmark are shown, drawn by `seed`."""
    pages = environment(HERE)
    pages.filters |= {
        "percent": summary.percent,
        "share": summary.share,
        "probability": summary.probability,
    }
    audited = any(one.audited for one in found.outcomes)
    rooms: list[tuple[str, tuple[Exhibit, ...]]] = []
    for number, trial in enumerate(found.trials):
        answers = {model: said[number] for model, said in found.answers.items()}
        rooms.append((trial.benchmark.title, gallery.draw(trial, answers, count, seed)))
    return pages.get_template("page.html").render(
        found=found,
        titles={model.name: model.title for model in found.models},
        columns=summary.columns(found),
        tables=[summary.results(found), *([summary.results(found, True)] if audited else [])],
        details=summary.details(found),
        name_of=summary.name_of,
        parts=parted(found),
        rooms=[(title, exhibits) for title, exhibits in rooms if exhibits],
        verdicts={"differ": "models differ", "wrong": "wrong", "right": "right"},
        style=(HERE / "page.css").read_text(encoding="utf-8"),
    )


def parted(found: Evaluation) -> tuple[Parts, ...]:
    """Return the outcomes of parts, models side by side."""
    groups: dict[tuple[str, str], dict[str, dict[str, Outcome]]] = {}
    for one in found.outcomes:
        if one.slicing:
            lines = groups.setdefault((summary.name_of(one), one.slicing), {})
            lines.setdefault(one.part, {})[one.model] = one
    names = [model.name for model in found.models]
    return tuple(
        Parts(figure, slicing, tuple(_line(part, by, names) for part, by in lines.items()))
        for (figure, slicing), lines in groups.items()
    )


def _line(
    part: str, by_model: dict[str, Outcome], names: Sequence[str]
) -> tuple[str, int, tuple[Outcome | None, ...]]:
    items = next(iter(by_model.values())).items
    return part, items, tuple(by_model.get(name) for name in names)
