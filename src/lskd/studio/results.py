"""What comes of judging and comparing: Table 5 and Figure 3, as they stand when they are asked for.

Comparisons and judgments are read from the store; which triples were kept, and which the critic
learnt from, from the run.
"""

import threading
from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Response
from pydantic import BaseModel

from lskd.bootstrap import Bootstrap
from lskd.human import likert, preference
from lskd.human.agreement import USUAL
from lskd.human.likert import Likert
from lskd.human.preference import Preferences, Rule
from lskd.human.work import Campaign, CampaignKind
from lskd.report.markdown import cell
from lskd.run import Run
from lskd.studio.desk import Desk
from lskd.studio.oversight import Figure, Name, figure
from lskd.studio.pages import saved
from lskd.types import Reject

LIVE = Bootstrap(resamples=200)  # enough for a page; files are made with the usual number
MARKDOWN = "text/markdown; charset=utf-8"


class Fault(BaseModel):
    """What was left out, and why."""

    source: str
    reason: str


class Line(BaseModel):
    """What judges prefer in one aspect; shares in [0, 1] are of the decided `items`.

    `unfinished` items have fewer than the `wanted` judges yet, and are left out.
    """

    first: str
    second: str
    aspect: str
    first_wins: Figure
    second_wins: Figure
    ties: Figure
    items: int
    undecided: int
    unfinished: int
    wanted: int
    votes: int
    judges: int
    p: float | None
    agreement: Figure


class Table5(BaseModel):
    """Table 5 of a campaign; with `rule` "tie" what has no majority counts as a tie."""

    rule: Rule
    lines: list[Line]
    faults: list[Fault]


class Criterion(BaseModel):
    """The mean ratings of triples by one criterion, all of them and those that were kept."""

    criterion: str
    without: Figure
    kept: Figure
    gain: Figure
    agreement: Figure


class Figure3(BaseModel):
    """Figure 3 of a campaign of judging, and what it rests on.

    `left_out` are judged triples of images that the critic learnt from.
    """

    criteria: list[Criterion]
    triples: int
    kept: int
    judgments: int
    left_out: int


def router(desk: Desk) -> APIRouter:
    """Return the API of both, for a router of the owner; one is worked out at a time."""
    api = APIRouter()
    turn = threading.Lock()

    def found(campaign: str, rule: Rule, how: Bootstrap) -> Preferences:
        within = of_kind(desk, campaign, "compare")
        with turn:
            given = desk.store.comparisons(within.name)
            return preference.preferences(given, rule, how, within.overlap)

    def rated(campaign: str, how: Bootstrap) -> Likert:
        within = of_kind(desk, campaign, "judge")
        if desk.run is None:
            raise HTTPException(404, "no run is open, so it is not known what was kept")
        with turn:
            return likert.of_run(desk.store.judgments(within.name), desk.run.tables, how)

    @api.get("/{campaign}/table")
    def table5(campaign: Name, rule: Annotated[Rule, Query()] = "leave out") -> Table5:
        """Return Table 5 as it stands now."""
        made = found(campaign, rule, LIVE)
        return Table5(rule=rule, lines=_lines(made), faults=faults(made.rejects))

    @api.get("/{campaign}/table.md", response_class=Response)
    def table5_file(campaign: Name, rule: Annotated[Rule, Query()] = "leave out") -> Response:
        """Return Table 5 as Markdown."""
        text = noticed(preference.markdown(found(campaign, rule, USUAL)), desk.run)
        return Response(text, media_type=MARKDOWN, headers=saved("table5.md"))

    @api.get("/{campaign}/figure")
    def figure3(campaign: Name) -> Figure3:
        """Return Figure 3 in numbers, as it stands now."""
        return _figure3(rated(campaign, LIVE))

    @api.get("/{campaign}/figure.svg", response_class=Response)
    def figure3_file(campaign: Name) -> Response:
        """Return Figure 3 as a picture."""
        return Response(likert.svg(rated(campaign, LIVE)), media_type="image/svg+xml")

    @api.get("/{campaign}/figure.md", response_class=Response)
    def figure3_table(campaign: Name) -> Response:
        """Return Figure 3 as a table in Markdown."""
        text = noticed(likert.markdown(rated(campaign, USUAL)), desk.run)
        return Response(text, media_type=MARKDOWN, headers=saved("figure3.md"))

    return api


def noticed(text: str, run: Run | None) -> str:
    """Return a table in Markdown with what no reader of its run may miss, a quoted line each."""
    told = () if run is None else run.facts().notices
    return "".join([text, *(f"\n> {cell(notice)}\n" for notice in told)])


def of_kind(desk: Desk, name: str, kind: CampaignKind) -> Campaign:
    """Return a campaign, or refuse one of the other kind."""
    found = desk.store.found(name)
    if found.kind != kind:
        raise HTTPException(404, f"the campaign {name!r} is of kind {found.kind!r}, not {kind!r}")
    return found


def faults(rejects: Iterable[Reject]) -> list[Fault]:
    """Return rejects as a browser gets them."""
    return [Fault(source=one.source, reason=one.reason) for one in rejects]


def _lines(found: Preferences) -> list[Line]:
    return [
        Line(
            first=row.first,
            second=row.second,
            aspect=row.aspect,
            first_wins=figure(row.first_wins),
            second_wins=figure(row.second_wins),
            ties=figure(row.ties),
            items=row.items,
            undecided=row.undecided,
            unfinished=row.unfinished,
            wanted=row.wanted,
            votes=row.votes,
            judges=row.judges,
            p=row.p,
            agreement=figure(row.agreement),
        )
        for row in found.rows
    ]


def _figure3(found: Likert) -> Figure3:
    return Figure3(
        criteria=[
            Criterion(
                criterion=one.criterion,
                without=figure(one.without),
                kept=figure(one.kept),
                gain=figure(one.gain),
                agreement=figure(one.agreement),
            )
            for one in found.questions
        ],
        triples=found.triples,
        kept=found.kept,
        judgments=found.judgments,
        left_out=found.left_out,
    )
