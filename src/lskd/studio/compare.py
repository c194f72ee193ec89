"""The page Compare: a judge sees two answers side by side and says which is better (section 3.4).

Which system stands on the left is drawn for each item and judge, and a browser never learns the
names of the systems: answers come in as left, right or tie, and are turned here. Four aspects are
asked of every item; ties are allowed.

The owner of the studio sees the campaigns and their tables here (see `lskd.studio.comparisons`).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Literal, NamedTuple
from urllib.parse import quote

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from pydantic import BaseModel

from lskd.errors import UserError
from lskd.human.work import Annotator, Choice, Duel, Posed, Remark, Said, Skip, left
from lskd.studio import comparisons, prolific
from lskd.studio.annotate import Consenting, consent
from lskd.studio.desk import Desk
from lskd.studio.hand import (
    Body,
    ItemId,
    Key,
    Passed,
    Place,
    Progress,
    Seconds,
    Undo,
    flagged,
    place,
    progress,
)
from lskd.studio.oversight import Name
from lskd.studio.pages import page
from lskd.studio.security import visitor
from lskd.studio.serving import as_response
from lskd.studio.terms import OWN_TEXT, Consent, Terms, read_consent
from lskd.types import Image, Preference

CONSENT = OWN_TEXT.with_name("consent_compare.txt")
SIDE = 1600  # pixels of a picture's longer side
Seen = Literal["left", "right", "tie"]


class Aspect(NamedTuple):
    """A question that a judge is asked of each pair of answers (section 3.4)."""

    name: str
    asked: str


ASPECTS = (
    Aspect("correctness", "Which has more visually correct details?"),
    Aspect("informativeness", "Which is more informative and interesting?"),
    Aspect("plausibility", "Which sounds more plausible?"),
    Aspect("overall", "Which do you prefer, all in all?"),
)


class Chosen(Body):
    """What a judge prefers, as seen; `seconds` are those in which the page was in view."""

    item: ItemId
    key: Key
    correctness: Seen
    informativeness: Seen
    plausibility: Seen
    overall: Seen
    seconds: Seconds | None = None


class Words(BaseModel):
    """One of two answers; whose it is is not told."""

    answer: str
    rationale: str


class Sight(BaseModel):
    """An item as a judge's browser gets it; `image` is the address of the picture."""

    id: str
    image: str
    width: int
    height: int
    regions: list[Place]
    question: str
    left: Words
    right: Words


class Hand(BaseModel):
    """The item that a judge has at hand, None where there is nothing more, and how far they are.

    `finished` is where a participant of Prolific then goes, with their `code`.
    """

    item: Sight | None
    progress: Progress
    code: str | None = None
    finished: str | None = None


def turned(seen: Seen, on_the_left: Literal["first", "second"]) -> Preference:
    """Return which system a side stood for."""
    if seen == "tie":
        return "tie"
    other: Preference = "second" if on_the_left == "first" else "first"
    return on_the_left if seen == "left" else other


def sight(desk: Desk, campaign: str, person: Annotator, posed: Posed) -> Sight:
    """Return an item as its judge sees it; raises UserError for one that is not to be compared."""
    duel = _duel(posed)
    on_the_left = left(desk.store.found(campaign).seed, posed.id, person)
    sides = (duel.first, duel.second)
    here, there = sides if on_the_left == "first" else sides[::-1]
    path = f"/images/{posed.image_id}?side={SIDE}"
    if desk.photographs.find(posed.image_id) is None:
        path = f"/api/compare/{quote(campaign, safe='')}/picture?item={quote(posed.id, safe='')}"
    return Sight(
        id=posed.id,
        image=path,
        width=duel.width,
        height=duel.height,
        regions=[place(region) for region in duel.regions],
        question=duel.question,
        left=_words(here),
        right=_words(there),
    )


def hand(desk: Desk, campaign: str, person: Annotator) -> Hand:
    """Return what a judge has at hand; asked again, the same item."""
    standing = desk.store.standing(campaign, person)
    wanted = prolific.wanted(desk.terms, person)
    enough = wanted is not None and standing.labelled >= wanted
    found = None if enough else desk.store.next(campaign, person)
    done = wanted is not None and found is None and prolific.is_done(standing, wanted)
    return Hand(
        item=None if found is None else sight(desk, campaign, person, found),
        progress=progress(standing, wanted),
        code=desk.terms.prolific.code if done and desk.terms.prolific else None,
        finished=prolific.way_out(campaign) if done else None,
    )


def router(desk: Desk) -> APIRouter:
    """Return the page, and the API by which a judge gets items and says what they prefer."""
    pages = APIRouter()
    desk = replace(desk, terms=replace(desk.terms, consent=_consent(desk.terms)))
    consenting = Consenting(desk)

    @pages.get("/compare", include_in_schema=False)
    def shown(
        request: Request, campaign: Annotated[str | None, Query(max_length=200)] = None
    ) -> Response:
        found = visitor(request)
        person = found.annotator
        if found.owner and (person is None or campaign is None):
            return comparisons.shown(request, desk)
        if person is None:
            raise HTTPException(401, "this is for annotators: open the link that you were sent")
        name = _campaign(desk, campaign)
        prolific.let_in(name, person)
        template = "compare.html" if consenting.has(name, person) else "consent.html"
        shared = {"campaign": name, "person": person, "consent": desk.terms.consent}
        return page(request, template, aspects=ASPECTS, **shared)

    pages.include_router(comparisons.router(desk))
    pages.include_router(answers(desk, consenting.required))
    pages.include_router(pictures(desk, consenting.required))
    pages.include_router(consent("/api/compare", consenting))
    return pages


def answers(desk: Desk, consented: Callable[..., Annotator]) -> APIRouter:
    """Return the API of those who agreed: items out, preferences in."""
    api = APIRouter(prefix="/api/compare/{campaign}")
    Willing = Annotated[Annotator, Depends(consented)]

    def keep(campaign: str, person: Annotator, body: Chosen | Passed, remark: Remark) -> Hand:
        desk.store.record(campaign, person, body.item, body.key, remark, body.seconds)
        return hand(desk, campaign, person)

    @api.get("/queue")
    def queue(campaign: Name, person: Willing) -> Hand:
        """Return the item that a judge has at hand; asked again, the same one."""
        return hand(desk, campaign, person)

    @api.post("/choices")
    def choose(campaign: Name, body: Chosen, person: Willing) -> Hand:
        """Keep what a judge prefers; it is on the disk when this returns the next item."""
        there = left(desk.store.found(campaign).seed, body.item, person)
        seen = (body.correctness, body.informativeness, body.plausibility, body.overall)
        return keep(campaign, person, body, Choice(*(turned(one, there) for one in seen)))

    @api.post("/skips")
    def skip(campaign: Name, body: Passed, person: Willing) -> Hand:
        """Pass an item on to others."""
        return keep(campaign, person, body, Skip(body.reason.strip()))

    @api.post("/flags")
    def flag(campaign: Name, body: Passed, person: Willing) -> Hand:
        """Pass an item on, and tell the researcher what is wrong with it."""
        return keep(campaign, person, body, flagged(body))

    @api.post("/undo")
    def undo(campaign: Name, body: Undo, person: Willing) -> Hand:
        """Take back what a judge said last, so that they have that item at hand again."""
        if desk.store.undo(campaign, person, body.key) is None:
            raise HTTPException(409, "there is nothing to take back")
        return hand(desk, campaign, person)

    return api


def pictures(desk: Desk, consented: Callable[..., Annotator]) -> APIRouter:
    """Return the address of the pictures of items whose image the run has not."""
    api = APIRouter(prefix="/api/compare/{campaign}")
    Willing = Annotated[Annotator, Depends(consented)]

    @api.get("/picture", response_class=Response)
    def picture(
        campaign: Name, item: Annotated[str, Query(max_length=500)], person: Willing
    ) -> Response:
        """Return the picture of the item that a judge has at hand."""
        held = desk.store.next(campaign, person)
        if held is None or held.id != item:
            raise HTTPException(404, "this item is not at hand (any more)")
        duel = _duel(held)
        image = Image(held.image_id, duel.path, duel.width, duel.height)
        return as_response(desk.photographs.jpeg_of(image, SIDE))

    return api


def _consent(terms: Terms) -> Consent:
    """Return the owner's text if they gave one, else ours for those who compare."""
    given = terms.consent != read_consent(OWN_TEXT)
    return terms.consent if given else read_consent(CONSENT)


def _campaign(desk: Desk, wanted: str | None) -> str:
    """Return the name of a campaign to compare in: the one wanted, else the newest."""
    names = [one.name for one in desk.store.campaigns() if one.kind == "compare"]
    if wanted is None and not names:
        raise HTTPException(404, "there is nothing to compare yet")
    if wanted is not None and wanted not in names:
        raise HTTPException(404, "no such comparison: open the link that you were sent")
    return names[-1] if wanted is None else wanted


def _duel(posed: Posed) -> Duel:
    if not isinstance(posed.what, Duel):
        raise UserError("in this campaign triples are judged: its page is Annotate")
    return posed.what


def _words(said: Said) -> Words:
    return Words(answer=said.answer, rationale=said.rationale)
