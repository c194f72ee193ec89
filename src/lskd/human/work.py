"""The records of human work: what is put to a person, what they say, and who they are.

A campaign poses items of one kind: claims to be judged (section 2.3) or duels to be compared
(section 3.4). Nothing here touches a database or the web.
"""

import hashlib
from dataclasses import dataclass
from typing import Literal

from lskd.errors import UserError
from lskd.types import Preference, Region, Triple

CampaignKind = Literal["judge", "compare"]
EntryKind = Literal["label", "skip", "flag", "undo"]
Side = Literal["first", "second"]

JUDGE = "judge"  # the campaign in which a run's triples are judged, unless another is named
PREFIX = "prolific "  # of the names of participants of Prolific
TIE = "."  # in the secret of a link, before what ties it to a campaign
LOWEST, HIGHEST = 1, 3  # section 2.3: reject, maybe, accept
PREFERENCES: tuple[Preference, ...] = ("first", "second", "tie")


@dataclass(frozen=True, slots=True)
class Campaign:
    """What people are asked to do, and how many of them do it with each item.

    `overlap` people label an item; `seed` decides the order of items, the places of gold items and
    the sides of duels.
    """

    id: int
    name: str
    kind: CampaignKind
    overlap: int
    seed: int


@dataclass(frozen=True, slots=True)
class Claim:
    """A triple that is to be judged, with its image; sizes and boxes are of the upright image."""

    triple: Triple
    path: str
    width: int
    height: int
    regions: tuple[Region, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """What a system answers to a question, and why; `rationale` may be ""."""

    system: str
    answer: str
    rationale: str


@dataclass(frozen=True, slots=True)
class Duel:
    """Two systems' answers to one question about an image, in one order of systems for all items.

    `left` draws which of them a person sees on the left.
    """

    question: str
    path: str
    width: int
    height: int
    regions: tuple[Region, ...]
    first: Said
    second: Said


@dataclass(frozen=True, slots=True)
class Rating:
    """What a person thinks of a triple: 1 reject, 2 maybe, 3 accept.

    `rationale` is None where `qa` is 1, which rejects both, and only there. Raises UserError for
    anything else.
    """

    qa: int
    rationale: int | None

    def __post_init__(self) -> None:
        for name, value in (("qa", self.qa), ("rationale", self.rationale)):
            if value is not None and not LOWEST <= value <= HIGHEST:
                raise UserError(f"{name} = {value}: ratings are 1 reject, 2 maybe, 3 accept")
        if self.qa == LOWEST and self.rationale is not None:
            raise UserError("a rejected qa (1) takes no rating of the rationale: leave it out")
        if self.qa != LOWEST and self.rationale is None:
            raise UserError(f"qa = {self.qa} wants a rating of the rationale too: 1, 2 or 3")


@dataclass(frozen=True, slots=True)
class Choice:
    """Which system a person prefers, by aspect (section 3.4); raises UserError for other words."""

    correctness: Preference
    informativeness: Preference
    plausibility: Preference
    overall: Preference

    def __post_init__(self) -> None:
        for name in ("correctness", "informativeness", "plausibility", "overall"):
            if (value := getattr(self, name)) not in PREFERENCES:
                raise UserError(f"{name} = {value!r}: preferences are {', '.join(PREFERENCES)}")


@dataclass(frozen=True, slots=True)
class Skip:
    """A person passes an item on to others; `reason` may be ""."""

    reason: str


@dataclass(frozen=True, slots=True)
class Flag:
    """A person reports that something is wrong with an item, and passes it on."""

    reason: str


Verdict = Rating | Choice
Remark = Verdict | Skip | Flag


@dataclass(frozen=True, slots=True)
class Posed:
    """An item of a campaign; `gold` is its known answer, or None for one that is to be found out.

    `id` is unique in the campaign: the id of the triple, or of the question.
    """

    id: str
    image_id: str
    what: Claim | Duel
    gold: Verdict | None


@dataclass(frozen=True, slots=True)
class Study:
    """Where a participant of Prolific comes from: the ids in the link that brought them.

    `campaign` is the one that the link names: theirs, and no other. "" ties them to none.
    """

    participant: str
    study: str
    session: str
    campaign: str = ""

    @property
    def known_as(self) -> str:
        """Return the name under which the participant works."""
        return f"{PREFIX}{self.participant}"


@dataclass(frozen=True, slots=True)
class Annotator:
    """A person who works; `token` is the secret of their link, and may be tied to a campaign."""

    id: int
    name: str
    token: str

    def works_in(self, campaign: str) -> bool:
        """Return whether the link by which a person came is for a campaign, or for any."""
        tied = self.token.partition(TIE)[2]
        return not tied or tied == tie(campaign)


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the journal of a campaign, which only grows.

    `annotator` is a name, `at` the time in UTC as ISO text, `seconds` what it took or None, and
    `key` what the browser made up so that no row is written twice. `verdict` is that of a label,
    else None; `reason` that of a skip or flag, else "". An "undo" takes back the annotator's last
    entry for the item.
    """

    number: int
    campaign: str
    item_id: str
    annotator: str
    kind: EntryKind
    verdict: Verdict | None
    reason: str
    seconds: float | None
    at: str
    key: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a person is: what they did, what is undone not counted.

    `left` are the items that they could still be given now, the open one included and gold items
    not. Of `gold_seen` gold items, `gold_right` had a first label that agrees with the known
    answer, whatever was said later. `mean_seconds` is over labels whose time is known, None where
    there is none.
    """

    labelled: int
    skipped: int
    flagged: int
    left: int
    gold_right: int
    gold_seen: int
    mean_seconds: float | None


@dataclass(frozen=True, slots=True)
class Member:
    """A person of a campaign and how far they are."""

    annotator: str
    standing: Standing


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a campaign is; gold items are not counted, but for the members' own standings.

    `complete` of `items` have as many labels as the campaign's overlap; `labels` are all of them.
    `members` are those who were given an item, by name.
    """

    items: int
    complete: int
    labels: int
    gold: int
    members: tuple[Member, ...]


def tie(campaign: str) -> str:
    """Return what the secret of a link ends with that is for one campaign alone."""
    return hashlib.blake2b(campaign.encode(), digest_size=8).hexdigest()


def left(seed: int, item_id: str, annotator: Annotator) -> Side:
    """Return which system of a duel a person sees on the left: always the same, as if by a coin."""
    drawn = hashlib.blake2b(f"{seed} {annotator.id} {item_id}".encode(), digest_size=8).digest()
    return "first" if drawn[0] & 1 else "second"


def agrees(given: Verdict, known: Verdict) -> bool:
    """Return whether a verdict is that of a gold item; of a choice only `overall` is compared."""
    if isinstance(given, Choice) and isinstance(known, Choice):
        return given.overall == known.overall
    return given == known
