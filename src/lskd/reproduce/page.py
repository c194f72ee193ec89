"""Findings become the report: an HTML file that asks no server, and the same in Markdown.

Every table stands with the paper's numbers below the lab's, then a plain sentence for each claim.
"""

import importlib.resources
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from lskd import table
from lskd.markdown import grid
from lskd.reproduce.experiment import Finding, Line
from lskd.reproduce.experiments import ELSEWHERE
from lskd.reproduce.paper import reported
from lskd.reproduce.verdict import Verdict, plain, sentence, verdict
from lskd.templates import environment

HERE = Path(__file__).parent
NAME = "report"
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the report tells of where it comes from; `notices` are what no reader may miss."""

    where: str
    notices: tuple[str, ...]


def write(folder: Path, findings: Sequence[Finding], facts: Facts, name: str = NAME) -> Path:
    """Write a page and the same in Markdown, each whole or not at all, and return the first."""
    made = {".html": render(findings, facts), ".md": markdown(findings, facts)}
    for ending, text in made.items():
        with table.draft(folder / f"{name}{ending}") as unfinished:
            unfinished.write_text(text, encoding="utf-8")
    return folder / f"{name}.html"


def render(findings: Sequence[Finding], facts: Facts) -> str:
    """Return the page."""
    house = importlib.resources.files("lskd.evaluate").joinpath("page.css").read_text("utf-8")
    return (
        environment(HERE)
        .get_template("page.html")
        .render(
            findings=findings,
            facts=facts,
            elsewhere=ELSEWHERE,
            verdicts=VERDICTS,
            counted=counted,
            columns=columns,
            lines=lines,
            kind=kind,
            section=section,
            sentences=lambda finding: list(sentences(finding)),
            plain=plain,
            told=told,
            style=f"{house}\n{(HERE / 'page.css').read_text(encoding='utf-8')}",
        )
    )


def markdown(findings: Sequence[Finding], facts: Facts) -> str:
    """Return the report as Markdown."""
    parts = ["# The paper, table by table", facts.where]
    parts += [f"> {notice}" for notice in facts.notices]
    head = ["what", "the lab's answer is", *VERDICTS]
    rows = [
        [one.experiment.title, kind(one), *(f"{counted(one, name) or ''}" for name in VERDICTS)]
        for one in findings
    ]
    parts.append(grid(head, rows))
    for one in findings:
        parts += list(_part(one))
    parts += ["## Not in the lab", "\n".join(f"- {text}" for text in ELSEWHERE)]
    return "\n\n".join(parts) + "\n"


def kind(finding: Finding) -> str:
    """Return whether an answer was learned, by construction, or not had at all."""
    if finding.measured is None:
        return "not run"
    return "learned" if finding.experiment.learned else "by construction"


def section(finding: Finding) -> str:
    """Return the section of the paper, or "" for what is beyond it."""
    name = finding.experiment.paper
    return reported()[name].section if name else ""


def counted(finding: Finding, name: Verdict) -> int:
    """Return how many claims of a finding have a verdict."""
    if finding.measured is None:
        return 0
    return sum(verdict(claim) == name for claim in finding.measured.claims)


def sentences(finding: Finding) -> Iterator[tuple[str, str]]:
    """Yield what is to be made of a finding, each sentence with its verdict; reasons come last."""
    if finding.measured is None:
        return
    reasons: dict[str, None] = {}
    for claim in finding.measured.claims:
        yield sentence(claim), verdict(claim)
        if not claim.learned and claim.why:
            reasons[claim.why] = None
    if not finding.measured.claims and not finding.experiment.learned:
        reasons[finding.experiment.why] = None
    for why in reasons:
        yield f"By construction, since {why}.", "by construction"


def columns(finding: Finding) -> tuple[str, ...]:
    """Return the columns of a finding's table; those of the paper where nothing was measured."""
    if finding.measured is not None:
        return finding.measured.columns
    name = finding.experiment.paper
    return reported()[name].columns if name else ()


def lines(finding: Finding) -> tuple[Line, ...]:
    """Return the rows of a finding's table; the paper's alone where nothing was measured."""
    if finding.measured is not None:
        return finding.measured.lines
    name = finding.experiment.paper
    if not name:
        return ()
    nothing = (None,) * len(reported()[name].columns)
    return tuple(Line(row, told, nothing) for row, told in reported()[name].rows.items())


def told(value: float | None) -> str:
    """Return a number of the paper, or a dash."""
    return NOTHING if value is None else f"{value:.1f}"


def _part(finding: Finding) -> Iterator[str]:
    """Yield the blocks of one finding."""
    yield f"## {finding.experiment.title}"
    where = section(finding)
    yield f"{f'Section {where}' if where else 'Beyond the paper'}; {kind(finding)}."
    if finding.measured is None:
        yield f"Not run: {finding.missing}"
    rows: list[list[str]] = []
    for line in lines(finding):
        own = any(one is not None for one in line.found)
        if own:
            rows.append([line.title, *(plain(one) for one in line.found)])
        if any(one is not None for one in line.paper):
            title = "*the paper*" if own else f"*{line.title}, the paper*"
            rows.append([title, *(told(one) for one in line.paper)])
    if rows:
        yield grid(["", *columns(finding)], rows)
    if said := [f"- {text}" for text, _ in sentences(finding)]:
        yield "\n".join(said)
    if finding.measured is not None:
        yield from (note for note in finding.measured.notes if note)
