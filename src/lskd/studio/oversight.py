"""The researcher's view of campaigns of judging: people, links, progress, agreement and files.

Agreement is Krippendorff's alpha (ordinal) of the ratings of question and answer, and of the
rationale where people rated it, with an interval from items drawn again. It is worked out at most
every few seconds, whoever asks.
"""

import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, HTTPException, Path, Request, Response
from pydantic import BaseModel, Field

from lskd.bootstrap import Bootstrap
from lskd.human.agreement import Interval, alpha_with_interval
from lskd.human.store import Store
from lskd.human.work import PREFIX, Campaign
from lskd.studio import exports
from lskd.studio.campaigns import has_sample
from lskd.studio.desk import Desk
from lskd.studio.hand import Body
from lskd.studio.pages import page
from lskd.studio.security import owner
from lskd.types import Judgment

RESAMPLES = 200  # enough for a live interval; the lab draws more
EVERY = 5.0  # seconds between two workings out of agreement
SHARE = 10  # and at least so many times as long as the last one took
FLAGS = 20  # the last ones, which are shown

# The name of a campaign, as a part of an address.
Name = Annotated[str, Path(min_length=1, max_length=200)]


class Invited(Body):
    """The name of a person who is to get a link."""

    name: Annotated[str, Field(min_length=1, max_length=100)]


class Link(BaseModel):
    """A person's own link, as a path; it is shown once, since only a hash of it is kept."""

    name: str
    path: str


class Figure(BaseModel):
    """A coefficient with its interval, over `units` items with two ratings or more."""

    value: float | None
    low: float | None
    high: float | None
    units: int


class Flagged(BaseModel):
    """What a person found wrong with an item."""

    item: str
    annotator: str
    reason: str
    at: str


class Worker(BaseModel):
    """A person of a campaign and how far they are."""

    name: str
    labelled: int
    skipped: int
    flagged: int
    left: int
    gold_right: int
    gold_seen: int
    mean_seconds: float | None


class Overview(BaseModel):
    """How far a campaign is, who works in it, and how well they agree."""

    name: str
    overlap: int
    items: int
    complete: int
    labels: int
    gold: int
    people: list[Worker]
    qa: Figure
    rationale: Figure
    flags: list[Flagged]
    study: str | None


@dataclass(frozen=True, slots=True)
class Known:
    """What was worked out of a campaign, from so many entries, when, and how long that took."""

    qa: Interval
    rationale: Interval
    flags: tuple[Flagged, ...]
    at: float
    took: float


class Live:
    """Keeps what was last worked out of each campaign, and works it out anew when that is old."""

    def __init__(self, store: Store, every: float = EVERY, share: float = SHARE) -> None:
        self.store = store
        self.every = every
        self.share = share
        self.known: dict[str, Known] = {}
        self.lock = threading.Lock()

    def of(self, campaign: str) -> Known:
        """Return what is known of a campaign; several who ask at once wait for one answer."""
        with self.lock:
            found = self.known.get(campaign)
            now = time.monotonic()
            if found is None or now - found.at > max(self.every, self.share * found.took):
                found = self.known[campaign] = worked_out(self.store, campaign)
            return found


def worked_out(store: Store, campaign: str) -> Known:
    """Return the agreement of the judgments that count, and the last flags."""
    begun = time.monotonic()
    given = list(store.judgments(campaign))
    flags: deque[Flagged] = deque(maxlen=FLAGS)
    for one in store.entries(campaign):
        if one.kind == "flag":
            flags.appendleft(
                Flagged(item=one.item_id, annotator=one.annotator, reason=one.reason, at=one.at)
            )
    qa, rationale = agreement(given)
    ended = time.monotonic()
    return Known(qa, rationale, tuple(flags), ended, ended - begun)


def agreement(given: Iterable[Judgment]) -> tuple[Interval, Interval]:
    """Return the alpha of ratings of question and answer, and that of ratings of the rationale."""
    qa: dict[str, list[float]] = {}
    rationale: dict[str, list[float]] = {}
    for one in given:
        qa.setdefault(one.triple_id, []).append(one.qa)
        if one.rationale is not None:
            rationale.setdefault(one.triple_id, []).append(one.rationale)
    return _alpha(qa.values()), _alpha(rationale.values())


def _alpha(ratings: Iterable[Sequence[float]]) -> Interval:
    # Who gave which rating is nothing to alpha, and an item with one rating tells it nothing.
    pairs = [row for row in ratings if len(row) > 1]
    return alpha_with_interval(pairs, "ordinal", Bootstrap(RESAMPLES))


def shown(request: Request, desk: Desk) -> Response:
    """Return the page of campaigns."""
    judged = [one.name for one in desk.store.campaigns() if one.kind == "judge"]
    sampled = desk.run is not None and has_sample(desk.run)
    return page(
        request,
        "campaigns.html",
        names=judged,
        run=None if desk.run is None else desk.run.name,
        sampled=sampled,
        forms=exports.FORMS,
    )


def router(desk: Desk) -> APIRouter:
    """Return the API of the researcher: overview, links and files."""
    api = APIRouter(prefix="/api/annotate", dependencies=[Depends(owner)])
    live = Live(desk.store)

    @api.get("/{campaign}/overview")
    def overview(campaign: Name) -> Overview:
        """Return how far a campaign is."""
        return overview_of(desk, judging(desk, campaign), live.of(campaign))

    @api.post("/{campaign}/links", status_code=201)
    def invite(campaign: Name, body: Invited) -> Link:
        """Make a link for a person; one that they had before is void from now on."""
        return link(desk, judging(desk, campaign), body, "annotate")

    @api.get("/{campaign}/export/{form}", response_class=Response)
    def export(campaign: Name, form: exports.Form) -> Response:
        """Return what people said, or what they are asked, as a file."""
        return exports.made(desk, judging(desk, campaign).name, form)

    return api


def link(desk: Desk, campaign: Campaign, body: Invited, kind: str) -> Link:
    """Make the link by which a person comes to a page, "annotate" or "compare", of a campaign."""
    name = " ".join(body.name.split())
    if not name or name.startswith(PREFIX):
        raise HTTPException(422, f"name: give one that does not begin with {PREFIX!r}")
    person = desk.store.enrol(name)
    path = f"/a/{person.token}/{kind}?campaign={quote(campaign.name, safe='')}"
    return Link(name=person.name, path=path)


def judging(desk: Desk, campaign: str) -> Campaign:
    """Return a campaign of judging, or refuse."""
    found = desk.store.found(campaign)
    if found.kind != "judge":
        raise HTTPException(404, "this campaign compares systems: its page is Compare")
    return found


def overview_of(desk: Desk, campaign: Campaign, known: Known) -> Overview:
    """Return how far a campaign is, as a browser gets it."""
    progress = desk.store.progress(campaign.name)
    people = [
        Worker(
            name=member.annotator,
            labelled=member.standing.labelled,
            skipped=member.standing.skipped,
            flagged=member.standing.flagged,
            left=member.standing.left,
            gold_right=member.standing.gold_right,
            gold_seen=member.standing.gold_seen,
            mean_seconds=member.standing.mean_seconds,
        )
        for member in progress.members
    ]
    return Overview(
        name=campaign.name,
        overlap=campaign.overlap,
        items=progress.items,
        complete=progress.complete,
        labels=progress.labels,
        gold=progress.gold,
        people=people,
        qa=figure(known.qa),
        rationale=figure(known.rationale),
        flags=list(known.flags),
        study=f"/study/{quote(campaign.name, safe='')}" if desk.terms.prolific else None,
    )


def figure(interval: Interval) -> Figure:
    """Return a figure as a browser gets it."""
    return Figure(value=interval.value, low=interval.low, high=interval.high, units=interval.units)
