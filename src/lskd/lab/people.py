"""Simulated people work at the studio: links go in, labels come to be there, through HTTP alone.

The owner makes a link for each. Each opens it, agrees to the text that is shown, takes items as
they come and says what they think (`lskd.lab.opinions`). Now and then one skips an item, flags it,
or takes back what they said and says it again.
"""

import asyncio
import random
import re
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from urllib.parse import quote

from lskd.errors import UserError
from lskd.human.work import CampaignKind
from lskd.lab.annotators import Annotators
from lskd.lab.opinions import preferred, rated
from lskd.lab.visitor import Visitor
from lskd.lab.wire import (
    Agreed,
    Card,
    Cards,
    Chosen,
    Label,
    Link,
    Name,
    Passed,
    Sight,
    Sights,
    Undo,
)
from lskd.lab.world import World

DIGEST = re.compile(r'data-digest="([0-9a-f]{16})"')
UNCLEAR = "simulated: I cannot tell which region is meant"
ROLES: dict[CampaignKind, str] = {"judge": "annotator", "compare": "judge"}


@dataclass(frozen=True, slots=True)
class Habits:
    """How people work: the shares of items that one skips, flags, or takes back, in [0, 1].

    `each` is how many items one labels at most, None for all there are; `pause` is about how many
    seconds an item takes.
    """

    skips: float = 0.02
    flags: float = 0.01
    undone: float = 0.03
    each: int | None = None
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign as its visitors know it: its name, and whether they judge or compare."""

    name: str
    kind: CampaignKind

    @property
    def page(self) -> str:
        """Return the path of its page, with no campaign named."""
        return "/annotate" if self.kind == "judge" else "/compare"

    @property
    def root(self) -> str:
        """Return the path of its API."""
        return f"/api{self.page}/{quote(self.name, safe='')}"


@dataclass(frozen=True, slots=True)
class Crew:
    """Who works in a campaign: how many and how they err, in what world, by what habits."""

    people: Annotators
    habits: Habits
    world: World


@dataclass(frozen=True, slots=True)
class Done:
    """What all people of a campaign did; what was taken back is among the labels too."""

    labelled: int
    skipped: int
    flagged: int
    undone: int


class Person:
    """A person with a browser, who remembers what they did."""

    def __init__(self, number: int, browser: Visitor, campaign: Campaign, crew: Crew) -> None:
        self.number = number
        self.browser = browser
        self.campaign = campaign
        self.crew = crew
        self.did: Counter[str] = Counter()
        self.met: set[str] = set()

    async def agree(self) -> None:
        """Read the consent text, if it is shown, and agree to it."""
        path = f"{self.campaign.page}?campaign={quote(self.campaign.name, safe='')}"
        shown = DIGEST.search((await self.browser.data(path)).decode())
        if shown is not None:
            await self.browser.send(f"{self.campaign.root}/consent", Agreed(shown[1]))

    async def work(self) -> None:
        """Say something of all items that come, or of as many as a person does."""
        each = self.crew.habits.each
        while each is None or self.did["labels"] - self.did["undo"] < each:
            item = await self.at_hand()
            if item is None:
                return
            await self.answer(item)

    async def at_hand(self) -> Card | Sight | None:
        """Return the item that the studio shows now."""
        path = f"{self.campaign.root}/queue"
        if self.campaign.kind == "compare":
            return (await self.browser.get(path, Sights)).item
        return next(iter((await self.browser.get(path, Cards)).items), None)

    async def answer(self, item: Card | Sight) -> None:
        """Say what one thinks of an item, or pass it on; an item that comes back is not passed."""
        habits, seen = self.crew.habits, time.monotonic()
        rng = random.Random(f"{self.crew.people.seed}/{self.number}/{item.id}/ways")
        if habits.pause:
            await asyncio.sleep(habits.pause * rng.uniform(0.5, 1.5))
        key, drawn, again = str(uuid.uuid4()), rng.random(), item.id in self.met
        self.met.add(item.id)
        seconds = time.monotonic() - seen
        if not again and drawn < habits.skips:
            await self.say("skips", Passed(item.id, key, "", seconds))
        elif not again and drawn < habits.skips + habits.flags:
            await self.say("flags", Passed(item.id, key, UNCLEAR, seconds))
        elif isinstance(item, Card):
            await self.say("labels", self.label(item, key, seconds))
        else:
            await self.say("labels", self.chosen(item, key, seconds))
        if not again and drawn > 1 - habits.undone:
            await self.say("undo", Undo(str(uuid.uuid4())))

    async def say(self, what: str, body: Label | Chosen | Passed | Undo) -> None:
        """Send something that one says; it is counted once the studio has it."""
        path = "choices" if isinstance(body, Chosen) else what
        await self.browser.send(f"{self.campaign.root}/{path}", body)
        self.did[what] += 1

    def label(self, card: Card, key: str, seconds: float) -> Label:
        """Return what this person thinks of a triple."""
        found = rated(card, self.crew.world, self.crew.people, self.number)
        return Label(card.id, key, found.qa, found.rationale, seconds)

    def chosen(self, sight: Sight, key: str, seconds: float) -> Chosen:
        """Return what this person prefers of two answers."""
        found = preferred(sight, self.crew.world, self.crew.people, self.number)
        return Chosen(sight.id, key, **asdict(found), seconds=seconds)


async def employ(owner: Visitor, campaign: Campaign, crew: Crew) -> Done:
    """Make links for all of a crew, and let them work at once until nothing is left for them.

    Raises UserError where the studio refuses something that one of them does.
    """
    async with AsyncExitStack() as browsers:
        people: list[Person] = []
        for number in range(crew.people.count):
            name = f"simulated {ROLES[campaign.kind]} {number + 1}"
            link = await owner.post(f"{campaign.root}/links", Name(name), Link)
            browser = Visitor(owner.address, owner.patience)
            person = Person(number, await browsers.enter_async_context(browser), campaign, crew)
            await browser.data(link.path)
            await person.agree()
            people.append(person)
        done = -1
        # Who found nothing to do may have something now, since others have passed it on.
        while (now := sum(person.did.total() for person in people)) > done:
            done = now
            await together(people)
        did = sum((person.did for person in people), Counter[str]())
    return Done(did["labels"], did["skips"], did["flags"], did["undo"])


async def together(people: Sequence[Person]) -> None:
    """Let people work at once; the first mistake of one ends the work of all."""
    try:
        async with asyncio.TaskGroup() as group:
            for person in people:
                group.create_task(person.work())
    except* UserError as several:
        first = next(iter(leaves(several)))
        raise first from first.__cause__


def leaves(group: BaseExceptionGroup[UserError]) -> list[UserError]:
    """Return the errors of a group, however deep they lie in it."""
    found: list[UserError] = []
    for one in group.exceptions:
        found += leaves(one) if isinstance(one, BaseExceptionGroup) else [one]
    return found
