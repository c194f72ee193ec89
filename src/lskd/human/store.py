"""The one door to human work: campaigns and people go in, items and labels come out.

Labels are kept by SQLite or PostgreSQL. What a method has returned is on the disk; what it adds is
never changed. Threads may share a store, and processes a database.
"""

import math
import secrets
from collections.abc import Iterable, Iterator, Sequence

from lskd.errors import MissingExtra, UserError
from lskd.human import codec
from lskd.human.once import once
from lskd.human.work import (
    TIE,
    Annotator,
    Campaign,
    CampaignKind,
    Entry,
    Flag,
    Posed,
    Progress,
    Remark,
    Skip,
    Standing,
    Study,
    tie,
)
from lskd.types import Comparison, Judgment

try:
    from lskd.human import assignment, campaign, intake, people, standing
    from lskd.human.assignment import Answer
    from lskd.human.database import Database
    from lskd.human.intake import Taken
    from lskd.human.lease import Desk
except ModuleNotFoundError as error:
    if error.name != "sqlalchemy":
        raise
    raise MissingExtra("the database of human work", "SQLAlchemy", "ui") from error

LEASE = 30 * 60.0  # seconds that an item waits for the person who has it open
AT_ONCE = 200  # judgments in a transaction, so that people who work meanwhile need not wait long


class Store:
    """Human work in a database, `sqlite:///people.sqlite` or `postgresql+psycopg://host/name`.

    Raises UserError for a URL that is wrong, MissingExtra for a driver that is not installed, and
    EndpointError for a database that is down, as every method does. No message shows a password.
    `lease` is in seconds.
    """

    def __init__(self, url: str, lease: float = LEASE) -> None:
        self._database = Database(url)
        self._lease = lease
        self._known: dict[str, Campaign] = {}  # campaigns never change

    @property
    def shown(self) -> str:
        """Return the URL without its password."""
        return self._database.shown

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    def campaign(self, name: str, kind: CampaignKind, overlap: int, seed: int) -> None:
        """Begin a campaign in which `overlap` people label each item, if it is not there.

        Raises UserError if it is there with other settings, or for a name that none can have.
        """
        campaign.named(name)
        campaign.checked(kind, overlap, seed)
        wanted = Campaign(0, name, kind, overlap, seed)
        self._database.write(lambda connection: campaign.begin(connection, wanted))

    def found(self, name: str) -> Campaign:
        """Return the settings of a campaign; raises UserError if there is none of that name."""
        if name not in self._known:
            codec.name("name of a campaign", name)
            known = self._database.read(lambda connection: campaign.by_name(connection, name))
            if known is None:
                names = ", ".join(one.name for one in self.campaigns()) or "none yet"
                raise UserError(f"no campaign {name!a}; campaigns: {names}")
            self._known[name] = known
        return self._known[name]

    def campaigns(self) -> list[Campaign]:
        """Return all campaigns, oldest first."""
        return self._database.read(campaign.every)

    def put(self, name: str, posed: Sequence[Posed]) -> int:
        """Add the items that a campaign lacks, and return their number.

        Raises UserError if an item is of another kind than the campaign, or is there under its id
        with other content; where the image's file lies does not count as such, and is told anew.
        """
        within = self.found(name)
        return self._database.write(lambda connection: campaign.put(connection, within, posed))

    def posed(self, name: str) -> list[Posed]:
        """Return all items of a campaign, in the order in which they were added."""
        within = self.found(name)
        return self._database.read(lambda connection: campaign.posed(connection, within))

    def enrol(self, name: str, study: Study | None = None) -> Annotator:
        """Return a person with a new secret for their link; an older one is void from now on.

        A participant of Prolific is the same person under any name; others are known by theirs, as
        is a participant whose judgments alone were there.
        Raises UserError if the name is another person's.
        """
        codec.name("name of an annotator", name)
        for value in () if study is None else (study.participant, study.study, study.session):
            codec.name("id of a participant, study or session", value)
        token = people.secret()
        if study is not None and study.campaign:
            token += f"{TIE}{tie(study.campaign)}"
        return self._database.write(lambda c: people.enrol(c, name, study, token))

    def annotator(self, token: str) -> Annotator | None:
        """Return the person whose link holds a secret, or None."""
        return self._database.read(lambda connection: people.by_token(connection, token))

    def next(self, name: str, annotator: Annotator) -> Posed | None:
        """Return the item of a campaign that a person has open, else give them a new one.

        Never one that they had. Those nearest to their overlap come first, and about one of ten is
        a gold item as long as there are any. None if there is nothing for them now.
        """
        return next(iter(self.hand(name, annotator, 1)), None)

    def hand(self, name: str, annotator: Annotator, most: int) -> list[Posed]:
        """Return at most so many items, 1 or 2, that a person has at hand: as `next`, and another.

        Asked again it returns the same ones, in the same order.
        """
        desk = self._desk(name, annotator)
        return self._database.write(lambda connection: assignment.hand(connection, desk, most))

    def record(
        self,
        name: str,
        annotator: Annotator,
        item_id: str,
        key: str,
        remark: Remark,
        seconds: float | None,
    ) -> Entry:
        """Keep what a person says of the item that they have open, and return the entry.

        `key` is made for this answer by who sends it: sent again, it returns the first entry and
        adds nothing. An item that is skipped or flagged is given to others. Raises UserError for an
        item that is not this person's, and for what is no answer.
        """
        codec.name("key", key)
        if isinstance(remark, Skip | Flag):
            codec.checked("reason", remark.reason)
        if seconds is not None and not 0 <= seconds < math.inf:
            raise UserError(f"seconds = {seconds}: a time is 0 or more, or is not known")
        answer = Answer(codec.checked("id of an item", item_id), key, remark, seconds)
        desk = self._desk(name, annotator)
        return self._database.write(lambda connection: assignment.record(connection, desk, answer))

    def undo(self, name: str, annotator: Annotator, key: str | None = None) -> Posed | None:
        """Open the item again that a person labelled, skipped or flagged last, and return it.

        None if there is none. The item that they had open comes back to them later. A `key` that
        is sent again takes back nothing more. Raises UserError for an item that others have by now.
        """
        made = secrets.token_hex(16) if key is None else codec.name("key", key)
        desk = self._desk(name, annotator)
        return self._database.write(lambda connection: assignment.undo(connection, desk, made))

    def take(self, name: str, judgments: Iterable[Judgment]) -> Taken:
        """Add what people said elsewhere to a campaign of judging, and return what became of it.

        Each judgment becomes a label of the person of that name, whether or not its item has room;
        taken again, it adds nothing. Where a person contradicts themselves, here or within what is
        given, the judgments given are rejects, as are those of no item of the campaign. Raises
        UserError for a campaign in which nothing is judged.
        """
        within = self._of_kind(name, "judge")
        given = list(judgments)
        kept, rejects = once(given, lambda one: one.triple_id, lambda one: (one.qa, one.rationale))
        new, known = 0, len(given) - len(kept) - len(rejects)
        for who, said in _by_person(kept):
            for start in range(0, len(said), AT_ONCE):
                part = said[start : start + AT_ONCE]
                took = self._took(within, who, part)
                new, known = new + took.new, known + took.known
                rejects += took.rejects
        return Taken(new, known, tuple(rejects))

    def _took(self, within: Campaign, who: str, said: Sequence[Judgment]) -> Taken:
        try:
            codec.name("name of an annotator", who)
        except UserError as error:
            return Taken(0, 0, tuple(intake.reject(one, str(error)) for one in said))
        return self._database.write(lambda c: intake.take(c, within, who, said))

    def agree(self, name: str, annotator: Annotator, text: str) -> None:
        """Keep that a person agrees to a text before they work in a campaign; once is enough."""
        within = self.found(name)
        self._database.write(lambda c: people.agree(c, within, annotator, text))

    def agreed(self, name: str, annotator: Annotator, text: str) -> bool:
        """Return whether a person agreed to a text, word for word, in a campaign."""
        within = self.found(name)
        return self._database.read(lambda c: people.agreed(c, within, annotator, text))

    def standing(self, name: str, annotator: Annotator) -> Standing:
        """Return how far a person is in a campaign."""
        within = self.found(name)
        return self._database.read(lambda c: standing.of(c, within, annotator))

    def progress(self, name: str) -> Progress:
        """Return how far a campaign is, and each person in it."""
        within = self.found(name)
        return self._database.read(lambda connection: standing.progress(connection, within))

    def entries(self, name: str) -> Iterator[Entry]:
        """Yield all that was ever said in a campaign, in order."""
        return standing.journal(self._database, self.found(name))

    def valid(self, name: str) -> Iterator[Entry]:
        """Yield the labels that count: the last of each person and item, if it was not undone."""
        return standing.valid(self._database, self.found(name))

    def judgments(self, name: str, gold: bool = False) -> Iterator[Judgment]:
        """Yield the labels that count as records that a critic learns from; gold only if wanted.

        Raises UserError for a campaign in which nothing is judged.
        """
        return standing.judgments(self._database, self._of_kind(name, "judge"), gold)

    def about(self, triples: Sequence[str]) -> list[Judgment]:
        """Return the labels that count of some triples, in all campaigns of judging; no gold."""
        return self._database.read(lambda connection: standing.about(connection, triples))

    def comparisons(self, name: str, gold: bool = False) -> Iterator[Comparison]:
        """Yield the labels that count of a campaign that compares; gold items only if wanted.

        Raises UserError for a campaign in which nothing is compared.
        """
        return standing.comparisons(self._database, self._of_kind(name, "compare"), gold)

    def _desk(self, name: str, annotator: Annotator) -> Desk:
        return Desk(self.found(name), annotator, self._lease)

    def _of_kind(self, name: str, kind: CampaignKind) -> Campaign:
        found = self.found(name)
        if found.kind != kind:
            raise UserError(f"the campaign {name!r} is of kind {found.kind!r}, not {kind!r}")
        return found


def _by_person(judgments: Sequence[Judgment]) -> list[tuple[str, list[Judgment]]]:
    """Return the judgments of each person, in order."""
    groups: dict[str, list[Judgment]] = {}
    for one in judgments:
        groups.setdefault(one.annotator, []).append(one)
    return list(groups.items())
