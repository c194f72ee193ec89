"""What goes between the studio and the browser of a person who judges: items out, answers in.

Nothing that a browser gets tells whether an item's answer is known, or what a detector calls a
region: people are to judge by what they see.
"""

from typing import Annotated

from fastapi import HTTPException
from pydantic import BaseModel, ConfigDict, Field

from lskd.errors import UserError
from lskd.human.work import Annotator, Claim, Flag, Posed, Standing
from lskd.studio import prolific
from lskd.studio.desk import Desk
from lskd.types import Region, Triple

AHEAD = 2  # items that a browser has at hand: the one in view, and the next

Key = Annotated[str, Field(pattern="^[A-Za-z0-9-]{8,64}$")]
ItemId = Annotated[str, Field(min_length=1, max_length=500)]
Stars = Annotated[int, Field(ge=1, le=3)]
Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]


class Body(BaseModel):
    """What all requests have in common: nothing unknown is taken."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Label(Body):
    """What a person thinks of an item; `seconds` are those in which the page was in view."""

    item: ItemId
    key: Key
    qa: Stars
    rationale: Stars | None
    seconds: Seconds | None = None


class Passed(Body):
    """An item that a person passes on to others."""

    item: ItemId
    key: Key
    reason: Annotated[str, Field(max_length=1000)] = ""
    seconds: Seconds | None = None


class Undo(Body):
    """The wish to take back what was said last; sent again with its key, it takes back no more."""

    key: Key


class Agreed(Body):
    """The digest of the text that a person has read and agrees to."""

    digest: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]


class Corners(BaseModel):
    """A box in pixels of the upright original."""

    x0: float
    y0: float
    x1: float
    y1: float


class Place(BaseModel):
    """A region by its number."""

    id: int
    box: Corners
    polygons: list[list[float]]


class Meaning(BaseModel):
    """A phrase of the texts that stands for a region."""

    phrase: str
    region_id: int


class Card(BaseModel):
    """An item; `named` are the regions that its texts are about."""

    id: str
    image: str
    width: int
    height: int
    regions: list[Place]
    named: list[int]
    question: str
    answer: str
    rationale: str
    mentions: list[Meaning]


class Progress(BaseModel):
    """How far a person is; `wanted` is how many items they are to label, or None for all."""

    labelled: int
    skipped: int
    flagged: int
    left: int
    wanted: int | None
    gold_right: int
    gold_seen: int
    mean_seconds: float | None


class Hand(BaseModel):
    """The items that a person has at hand, the one to be judged now first, and how far they are.

    None are at hand when there is nothing more for them. `finished` is where a participant of
    Prolific then goes, with their `code`.
    """

    items: list[Card]
    progress: Progress
    code: str | None
    finished: str | None


class Kept(BaseModel):
    """The number under which an answer is kept."""

    number: int


class Opened(BaseModel):
    """The item that is open again, or None if there was nothing to take back."""

    item: Card | None


def card(posed: Posed) -> Card:
    """Return an item as a browser gets it; raises UserError for one that is not to be judged."""
    if not isinstance(posed.what, Claim):
        raise UserError("this campaign compares systems: its page is Compare")
    claim, triple = posed.what, posed.what.triple
    return Card(
        id=posed.id,
        image=posed.image_id,
        width=claim.width,
        height=claim.height,
        regions=[place(one) for one in claim.regions],
        named=named(triple),
        question=triple.question,
        answer=triple.answer,
        rationale=triple.rationale,
        mentions=[Meaning(phrase=m.phrase, region_id=m.region_id) for m in triple.mentions],
    )


def place(region: Region) -> Place:
    """Return a region as a browser gets it."""
    polygons = [list(polygon) for polygon in region.polygons]
    return Place(id=region.id, box=Corners(**region.box._asdict()), polygons=polygons)


def flagged(body: Passed) -> Flag:
    """Return the flag of an item; refuse one that says nothing."""
    if not body.reason.strip():
        raise HTTPException(422, "reason: say what is wrong with the item")
    return Flag(body.reason.strip())


def named(triple: Triple) -> list[int]:
    """Return the regions that a triple is about, in rising order."""
    return sorted({*triple.region_ids, *(mention.region_id for mention in triple.mentions)})


def hand(desk: Desk, campaign: str, person: Annotator) -> Hand:
    """Return what a person has at hand; items are given to them as far as they lack some."""
    standing = desk.store.standing(campaign, person)
    wanted = prolific.wanted(desk.terms, person)
    room = AHEAD if wanted is None else min(AHEAD, wanted - standing.labelled)
    held = desk.store.hand(campaign, person, room) if room > 0 else []
    finished = wanted is not None and not held and prolific.is_done(standing, wanted)
    return Hand(
        items=[card(one) for one in held],
        progress=progress(standing, wanted),
        code=desk.terms.prolific.code if finished and desk.terms.prolific else None,
        finished=prolific.way_out(campaign) if finished else None,
    )


def progress(standing: Standing, wanted: int | None) -> Progress:
    """Return how far a person is, as a browser gets it."""
    return Progress(
        labelled=standing.labelled,
        skipped=standing.skipped,
        flagged=standing.flagged,
        left=standing.left,
        wanted=wanted,
        gold_right=standing.gold_right,
        gold_seen=standing.gold_seen,
        mean_seconds=standing.mean_seconds,
    )
