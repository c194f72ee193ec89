"""Participants of Prolific come by a link with their ids, and go back with a completion code.

The researcher gives Prolific this address for an external study (participants are told apart by
URL parameters, and done by redirect):

```
https://host/study/judge?PROLIFIC_PID={{%PROLIFIC_PID%}}&STUDY_ID={{%STUDY_ID%}}&SESSION_ID={{%SESSION_ID%}}
```

Who comes again with the same PROLIFIC_PID is the same annotator and goes on where they stopped.
"""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from starlette.responses import RedirectResponse

from lskd.human.work import PREFIX, Annotator, Standing, Study
from lskd.studio.desk import Desk
from lskd.studio.pages import page
from lskd.studio.security import ANNOTATOR, annotator, cookie
from lskd.studio.terms import Prolific, Terms

PAGES = {"judge": "annotate", "compare": "compare"}

# Prolific's ids have 24 hexadecimal digits today; nothing here rests on that.
Id = Annotated[str, Query(pattern="^[A-Za-z0-9_-]{6,64}$")]


def is_participant(person: Annotator) -> bool:
    """Return whether a person came from Prolific."""
    return person.name.startswith(PREFIX)


def wanted(terms: Terms, person: Annotator) -> int | None:
    """Return how many items a person is to label, or None for as many as there are."""
    if terms.prolific is None or not is_participant(person):
        return None
    return terms.prolific.wished


def is_done(standing: Standing, wanted: int) -> bool:
    """Return whether a participant for whom there is nothing more has done their part.

    Who passed nothing on has, too, when the items ran out before.
    """
    passed = standing.skipped + standing.flagged
    return standing.labelled >= wanted or (standing.labelled > 0 and passed == 0)


def let_in(campaign: str, person: Annotator) -> None:
    """Refuse a participant who came for another campaign."""
    if not person.works_in(campaign):
        raise HTTPException(403, "you came for another campaign: open its link again")


def way_out(campaign: str) -> str:
    """Return the address by which a participant of a campaign goes back to Prolific."""
    return f"/study/{quote(campaign, safe='')}/complete"


def configured(desk: Desk) -> Prolific:
    """Return how participants come and go; refuse where nobody does."""
    if desk.terms.prolific is None:
        raise HTTPException(404, "this studio takes part in no study of Prolific")
    return desk.terms.prolific


def router(desk: Desk) -> APIRouter:
    """Return the way in and the way out of a study."""
    ways = APIRouter()

    @ways.get("/study/{campaign}", include_in_schema=False)
    def come(
        request: Request,
        campaign: str,
        participant: Annotated[Id, Query(alias="PROLIFIC_PID")],
        study: Annotated[Id, Query(alias="STUDY_ID")],
        session: Annotated[Id, Query(alias="SESSION_ID")],
    ) -> Response:
        right = configured(desk)
        if right.study is not None and study != right.study:
            raise HTTPException(403, "this link belongs to another study")
        found = desk.store.found(campaign)
        who = Study(participant, study, session, found.name)
        person = desk.store.enrol(who.known_as, who)
        to = f"/{PAGES[found.kind]}?campaign={quote(found.name, safe='')}"
        answer = page(request, "enter.html", to=to)
        cookie(request, answer, ANNOTATOR, person.token)
        return answer

    @ways.get("/study/{campaign}/complete", include_in_schema=False)
    def go(campaign: str, person: Annotated[Annotator, Depends(annotator)]) -> Response:
        right = configured(desk)
        if not is_participant(person):
            raise HTTPException(403, "this is for participants of Prolific")
        let_in(campaign, person)
        standing = desk.store.standing(campaign, person)
        missing = right.wished - standing.labelled
        if missing > 0 and (standing.left > 0 or standing.labelled == 0):
            raise HTTPException(409, f"{missing} items are still to be judged: go back to them")
        if not is_done(standing, right.wished):
            passed = standing.skipped + standing.flagged
            raise HTTPException(
                409,
                f"{missing} items are still to be judged, and {passed} were passed on: go back "
                "and undo that",
            )
        return RedirectResponse(right.completed, 303)

    return ways
