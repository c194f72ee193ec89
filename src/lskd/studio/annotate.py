"""The page Annotate: a person is shown claims one by one, and says what they think of them.

Whoever comes by a link (see `lskd.studio.security`) agrees to the consent text once, then judges by
the paper's protocol (section 2.3): question and answer from 1 to 3 and, unless they are rejected,
the rationale from 1 to 3. The browser keeps each answer until the store has it, under a key of its
own making, so that an answer that is sent twice is one answer.

The owner of the studio sees the campaigns here instead (see `lskd.studio.oversight`).
"""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response

from lskd.human.work import Annotator, Rating, Remark, Skip
from lskd.studio import oversight, prolific
from lskd.studio.desk import Desk
from lskd.studio.hand import Agreed, Hand, Kept, Label, Opened, Passed, Undo, card, flagged, hand
from lskd.studio.oversight import Name
from lskd.studio.pages import page
from lskd.studio.security import annotator, visitor
from lskd.studio.terms import Consent

Person = Annotated[Annotator, Depends(annotator)]


def router(desk: Desk) -> APIRouter:
    """Return the page, and the API by which a person gets items and says what they think."""
    pages = APIRouter()
    consenting = Consenting(desk)

    @pages.get("/annotate", include_in_schema=False)
    def shown(
        request: Request, campaign: Annotated[str | None, Query(max_length=200)] = None
    ) -> Response:
        found = visitor(request)
        person = found.annotator
        if found.owner and (person is None or campaign is None):
            return oversight.shown(request, desk)
        if person is None:
            raise HTTPException(401, "this is for annotators: open the link that you were sent")
        names = [one.name for one in desk.store.campaigns() if one.kind == "judge"]
        if campaign is None and len(names) != 1:
            return page(request, "choose.html", names=names)
        name = oversight.judging(desk, campaign or names[0]).name
        prolific.let_in(name, person)
        template = "annotate.html" if consenting.has(name, person) else "consent.html"
        consent = desk.terms.consent
        return page(request, template, campaign=name, person=person, consent=consent)

    pages.include_router(answers(desk, consenting.required))
    pages.include_router(oversight.router(desk))
    pages.include_router(consent("/api/annotate", consenting))
    return pages


def answers(desk: Desk, consented: Callable[..., Annotator]) -> APIRouter:
    """Return the API of those who agreed: items out, answers in."""
    api = APIRouter(prefix="/api/annotate/{campaign}")
    Willing = Annotated[Annotator, Depends(consented)]

    def keep(campaign: str, person: Annotator, body: Label | Passed, remark: Remark) -> Kept:
        entry = desk.store.record(campaign, person, body.item, body.key, remark, body.seconds)
        return Kept(number=entry.number)

    @api.get("/queue")
    def queue(campaign: Name, person: Willing) -> Hand:
        """Return the items that a person has at hand; asked again, the same ones."""
        return hand(desk, campaign, person)

    @api.post("/labels")
    def label(campaign: Name, body: Label, person: Willing) -> Kept:
        """Keep what a person thinks of an item; it is on the disk when this returns."""
        return keep(campaign, person, body, Rating(body.qa, body.rationale))

    @api.post("/skips")
    def skip(campaign: Name, body: Passed, person: Willing) -> Kept:
        """Pass an item on to others."""
        return keep(campaign, person, body, Skip(body.reason.strip()))

    @api.post("/flags")
    def flag(campaign: Name, body: Passed, person: Willing) -> Kept:
        """Pass an item on, and tell the researcher what is wrong with it."""
        return keep(campaign, person, body, flagged(body))

    @api.post("/undo")
    def undo(campaign: Name, body: Undo, person: Willing) -> Opened:
        """Take back what a person said last, and return that item."""
        found = desk.store.undo(campaign, person, body.key)
        return Opened(item=None if found is None else card(found))

    return api


class Consenting:
    """Knows who agreed to the text; what the store said once is not asked again."""

    def __init__(self, desk: Desk) -> None:
        self.store = desk.store
        self.consent: Consent = desk.terms.consent
        self.known: set[tuple[str, int]] = set()

    def has(self, campaign: str, person: Annotator) -> bool:
        """Return whether a person agreed to the present text in a campaign."""
        pair = (campaign, person.id)
        if pair not in self.known and self.store.agreed(campaign, person, self.consent.text):
            self.known.add(pair)
        return pair in self.known

    def required(self, campaign: Name, person: Person) -> Annotator:
        """Return a person who agreed, or refuse; for `Depends`."""
        prolific.let_in(campaign, person)
        if not self.has(campaign, person):
            # Not a conflict: a browser keeps its answers over a 403, and sends them again after.
            raise HTTPException(403, "first agree to the consent text: reload the page")
        return person

    def keep(self, campaign: str, person: Annotator, digest: str) -> None:
        """Keep that a person agrees; refuse where they read another text than the present one."""
        prolific.let_in(campaign, person)
        if digest != self.consent.digest:
            raise HTTPException(409, "the consent text was changed: reload the page and read it")
        self.store.agree(campaign, person, self.consent.text)


def consent(prefix: str, consenting: Consenting) -> APIRouter:
    """Return the API by which a person agrees to the text of a page, under the page's prefix."""
    api = APIRouter(prefix=prefix)

    @api.post("/{campaign}/consent", status_code=204)
    def agree(campaign: Name, body: Agreed, person: Person) -> None:
        """Keep that a person agrees to the text that is shown now."""
        consenting.keep(campaign, person, body.digest)

    return api
