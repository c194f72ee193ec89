"""The owner's view of comparisons: what can be compared, the campaigns, their judges, files.

Files of answers come in as text and are not kept: what becomes of them are items in the store. Only
the owner of the studio gets anything here, since all of it names systems. The tables that come of
it are made in `lskd.studio.results`.
"""

import tempfile
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from lskd.errors import UserError
from lskd.human import answers, export
from lskd.human.duels import tells
from lskd.human.work import Campaign, CampaignKind
from lskd.studio import answering, duels, results
from lskd.studio.desk import Desk
from lskd.studio.duels import File, Pair, System
from lskd.studio.hand import Body, Progress, progress
from lskd.studio.oversight import Invited, Link, Name, link
from lskd.studio.pages import page, saved
from lskd.studio.results import Fault, faults, of_kind
from lskd.studio.security import owner

JUDGES = 3  # section 3.4: the majority of three
MOST_FILES = 10
MEDIA = {
    "parquet": "application/vnd.apache.parquet",
    "jsonl": "application/x-ndjson; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
}
Form = Literal["parquet", "jsonl", "csv"]
SystemName = Annotated[str, Field(min_length=1, max_length=answers.LONGEST_NAME)]


class Sheet(Body):
    """A file of answers: its name, and all of its text."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    text: Annotated[str, Field(max_length=25_000_000)]


class Wanted(Body):
    """A campaign to begin, or to add to: whom to compare, and how many judges an item gets."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    first: SystemName
    second: SystemName
    judges: Annotated[int, Field(ge=1, le=50)] = JUDGES
    seed: Annotated[int, Field(ge=0, le=2**31)] = 0
    files: Annotated[tuple[Sheet, ...], Field(max_length=MOST_FILES)] = ()


class Read(BaseModel):
    """What a file of answers holds: how many of each system, and its faulty rows."""

    systems: dict[str, int]
    faults: list[Fault]


class Begun(BaseModel):
    """What was put to judges: `new` of the items were not there before."""

    name: str
    items: int
    new: int
    faults: list[Fault]


class Judge(BaseModel):
    """A person of a campaign and how far they are."""

    name: str
    progress: Progress


class Overview(BaseModel):
    """How far a campaign is; `complete` of its items have as many judges as they should."""

    name: str
    judges: int
    items: int
    complete: int
    labels: int
    people: list[Judge]
    study: str | None


class Home(BaseModel):
    """All that the page begins with: systems, and the names of the campaigns, newest first."""

    systems: list[System]
    compare: list[str]
    judge: list[str]


def shown(request: Request, desk: Desk) -> Response:
    """Return the owner's page."""
    run = None if desk.run is None else desk.run.name
    numbers = {"judges": JUDGES, "questions": answering.QUESTIONS, "most": answering.MOST}
    return page(request, "comparisons.html", run=run, **numbers)


def router(desk: Desk) -> APIRouter:
    """Return the API of the owner's page."""
    api = APIRouter(prefix="/api/compare", dependencies=[Depends(owner)])

    @api.get("/systems")
    def home() -> Home:
        """Return what can be compared, and the campaigns there are."""
        found = reversed(desk.store.campaigns())
        names: dict[CampaignKind, list[str]] = {"compare": [], "judge": []}
        for one in found:
            names[one.kind].append(one.name)
        return Home(systems=list(duels.systems(desk.run, desk.students)), **names)

    @api.get("/teacher.jsonl", response_class=Response)
    def teacher() -> Response:
        """Return the teacher's answers: a file of answers, and a form for those of others."""
        if desk.run is None:
            raise HTTPException(404, "no run is open, so there is no teacher")
        lines = answers.written(duels.taught(desk.run))
        return StreamingResponse(lines, media_type=MEDIA["jsonl"], headers=saved("teacher.jsonl"))

    @api.post("/answers/upload")
    def read(sheet: Sheet) -> Read:
        """Return what a file of answers holds; nothing is kept."""
        given = answers.parse(sheet.text, sheet.name)
        counts: dict[str, int] = {}
        for answer in given.answers:
            counts[answer.system] = counts.get(answer.system, 0) + 1
        return Read(systems=counts, faults=faults(given.rejects))

    @api.post("/campaigns/upload", status_code=201)
    def begin(wanted: Wanted) -> Begun:
        """Put the duels of two systems to judges."""
        return _begun(desk, wanted)

    api.include_router(answering.router(desk))
    api.include_router(campaigns(desk))
    api.include_router(results.router(desk))
    return api


def campaigns(desk: Desk) -> APIRouter:
    """Return the API of one campaign: how far it is, its judges, and files of what they said."""
    api = APIRouter()

    @api.get("/{campaign}/overview")
    def overview(campaign: Name) -> Overview:
        """Return how far a campaign is."""
        return _overview(desk, of_kind(desk, campaign, "compare"))

    @api.post("/{campaign}/links", status_code=201)
    def invite(campaign: Name, body: Invited) -> Link:
        """Make a link for a judge; one that they had before is void from now on."""
        return link(desk, of_kind(desk, campaign, "compare"), body, "compare")

    @api.get("/{campaign}/export/{form}", response_class=Response)
    def exported(campaign: Name, form: Form) -> Response:
        """Return what judges said: the labels that count, or (JSON lines) everything."""
        within = of_kind(desk, campaign, "compare")
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"comparisons.{form}"
            export.write(desk.store, within.name, file)
            data = file.read_bytes()
        return Response(data, media_type=MEDIA[form], headers=saved(f"comparisons.{form}"))

    return api


def _begun(desk: Desk, wanted: Wanted) -> Begun:
    name = " ".join(wanted.name.split())
    for system in (wanted.first, wanted.second):
        if tells(name, system):
            raise UserError(
                f"the campaign's name holds {system!r}, and judges see it: say 'comparison'"
            )
    files = [File(sheet.name, sheet.text) for sheet in wanted.files]
    joined = duels.joined(desk.run, files, Pair(wanted.first, wanted.second))
    desk.store.campaign(name, "compare", wanted.judges, wanted.seed)
    new = desk.store.put(name, joined.posed)
    return Begun(name=name, items=len(joined.posed), new=new, faults=faults(joined.rejects))


def _overview(desk: Desk, campaign: Campaign) -> Overview:
    found = desk.store.progress(campaign.name)
    return Overview(
        name=campaign.name,
        judges=campaign.overlap,
        items=found.items,
        complete=found.complete,
        labels=found.labels,
        people=[
            Judge(name=one.annotator, progress=progress(one.standing, None))
            for one in found.members
        ],
        study=f"/study/{quote(campaign.name, safe='')}" if desk.terms.prolific else None,
    )
