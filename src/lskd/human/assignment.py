"""Who gets which item, and what they say of it: the transactions of human work.

Each function works on a connection in which a transaction has begun, and holds the person until
that ends; of an item, `lease` says what keeps people apart. A person has one item open, or two
where the browser fetches one ahead. Each is a lease: when it is old it lapses, and the item may be
given to others; as long as it was not, the person may still answer it.
"""

import math
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from lskd.errors import UserError
from lskd.human import codec, lease
from lskd.human.lease import Desk, Row
from lskd.human.schema import annotators, assignments, campaigns, entries, items
from lskd.human.work import (
    CampaignKind,
    Choice,
    Entry,
    EntryKind,
    Flag,
    Posed,
    Rating,
    Remark,
    Skip,
    Verdict,
    agrees,
)

ELSEWHERE = "elsewhere "  # begins the keys of what was brought in; none that a browser makes does

# The columns of an `Entry`, in its order.
ENTRY: sa.Select[Any] = (
    sa.select(
        entries.c.number,
        campaigns.c.name.label("campaign"),
        items.c.id.label("item_id"),
        annotators.c.name.label("annotator"),
        entries.c.kind,
        entries.c.verdict,
        entries.c.reason,
        entries.c.seconds,
        entries.c.at,
        entries.c.key,
        campaigns.c.kind.label("campaign_kind"),
    )
    .select_from(entries)
    .join(items, items.c.number == entries.c.item)
    .join(campaigns, campaigns.c.id == items.c.campaign)
    .join(annotators, annotators.c.id == entries.c.annotator)
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person sends of an item; `key` is the same each time that it is sent.

    A `remark` of None takes back the last one.
    """

    item_id: str
    key: str
    remark: Remark | None
    seconds: float | None


def hand(connection: sa.Connection, desk: Desk, most: int) -> list[Posed]:
    """Return the items that a person has open, at most 2, and give them what they lack of that.

    Items that most people have already, but fewer than the campaign's overlap, come first. There
    are fewer where there are no more for this person.
    """
    lease.hold(connection, desk.annotator)
    held = lease.resumed(connection, desk, most)
    if held.late and len(held.rows) < most:
        lease.lapse_old(connection, desk)
        held = lease.resumed(connection, desk, most)
    oldest = next((row.since for row in held.rows if row.state == "open"), math.inf)
    now = time.time()
    if oldest < now - desk.lease / 2:
        lease.renew(connection, desk, now - oldest)
    rows = [row for row in held.rows if row.state == "open" or lease.reopen(connection, desk, row)]
    given = held.given
    while len(rows) < most:
        found = lease.fresh(connection, desk, given)
        if found is None:
            break
        rows.append(found)
        given += 1
    return [posed(desk.campaign.kind, row) for row in rows]


def record(connection: sa.Connection, desk: Desk, answer: Answer) -> Entry:
    """Add what a person says of an item that they have, and return it; a known key adds nothing.

    Raises UserError for an item that is not theirs, or no longer, and for a verdict of another
    kind than the campaign's.
    """
    verdict = _verdict(desk.campaign.kind, answer.remark)
    row = _asked(connection, desk, answer)
    if row is None or row.is_known or row.state not in ("open", "lapsed"):
        # Sent twice at once, the key may have come in since that statement began.
        known = _by_key(connection, desk, answer)
        if known is not None:
            return known
    row = _theirs(desk, answer.item_id, row)
    made = added(connection, desk, row.number, answer)
    lease.assign(
        connection,
        row.number,
        desk.annotator.id,
        state=made.kind,
        entry=made.number,
        seconds=answer.seconds,
        right=is_right(desk, row, verdict),
    )
    had, has = int(row.state == "open"), int(verdict is not None)
    lease.count(connection, row.number, labels=has, taken=has - had)
    return made


def is_right(desk: Desk, row: Row, verdict: Verdict | None) -> bool | None:
    """Return whether the first label of a gold item agrees; None before it, and of other items."""
    gold = codec.verdict(desk.campaign.kind, row.gold)
    # The page tells a person whether they were right, and they may undo: their first word counts.
    if row.right is not None or verdict is None or gold is None:
        right: bool | None = row.right
        return right
    return agrees(verdict, gold)


# What was said elsewhere comes after all that was said here, whenever it was brought in.
_LAST = lease.locking(
    lease.MINE.join(entries, entries.c.number == assignments.c.entry)
    .order_by(entries.c.key.startswith(ELSEWHERE), entries.c.number.desc())
    .limit(1)
)


def undo(connection: sa.Connection, desk: Desk, key: str) -> Posed | None:
    """Open again what a person labelled, skipped or flagged last; None if there is nothing.

    What they had open lapses. Raises UserError where others have taken a skipped item since.
    """
    lease.hold(connection, desk.annotator)
    if entry(connection, desk, key) is not None:
        opened = lease.resumed(connection, desk, 1).rows
        return posed(desk.campaign.kind, opened[0]) if opened else None
    row = connection.execute(_LAST, desk.named()).first()
    if row is None:
        return None
    if row.state != "label" and not lease.has_room(desk, row):
        raise UserError(
            f"the item {row.id!r} cannot be opened again: others have taken it since it was passed "
            "on; go on with the next"
        )
    lease.let_go(connection, desk)
    added(connection, desk, row.number, Answer(row.id, key, None, None))
    lease.assign(
        connection,
        row.number,
        desk.annotator.id,
        state="open",
        since=time.time(),
        entry=None,
        seconds=None,
    )
    labels = int(row.state == "label")
    lease.count(connection, row.number, labels=-labels, taken=1 - labels)
    return posed(desk.campaign.kind, row)


def posed(kind: CampaignKind, row: Row) -> Posed:
    """Return the item of a row."""
    what, gold = codec.what(kind, row.what), codec.verdict(kind, row.gold)
    return Posed(row.id, row.image_id, what, gold)


def entry_of(row: Row) -> Entry:
    """Return the entry of a row of the query `ENTRY`."""
    columns: list[Any]
    *columns, campaign_kind = row
    found = Entry(*columns)
    return replace(found, verdict=codec.verdict(campaign_kind, row.verdict))


_IS_KEY = entries.c.annotator == lease.PERSON, entries.c.key == sa.bindparam("of_key")
_ASKED = lease.locking(
    lease.MINE.join(annotators, annotators.c.id == assignments.c.annotator)
    .where(items.c.id == sa.bindparam("of_item"))
    .add_columns(sa.exists().where(*_IS_KEY).label("is_known")),
    annotators,
)


def _asked(connection: sa.Connection, desk: Desk, answer: Answer) -> Row | None:
    """Return the item of an answer, locked with the person, and whether the key is known."""
    named = desk.named(of_item=answer.item_id, of_key=answer.key)
    return connection.execute(_ASKED, named).first()


_BY_KEY = ENTRY.where(*_IS_KEY)


def entry(connection: sa.Connection, desk: Desk, key: str) -> Entry | None:
    """Return the entry that a person made under a key."""
    row = connection.execute(_BY_KEY, desk.named(of_key=key)).first()
    return None if row is None else entry_of(row)


def _by_key(connection: sa.Connection, desk: Desk, answer: Answer) -> Entry | None:
    """Return the entry that an answer made when it was sent before."""
    known = entry(connection, desk, answer.key)
    if known is None or (known.item_id, known.campaign) == (answer.item_id, desk.campaign.name):
        return known
    raise UserError(f"the key {answer.key!a} was used for the item {known.item_id!r}")


def _theirs(desk: Desk, item_id: str, row: Row | None) -> Row:
    """Return the item that a person has open, or that lapsed and was not given away."""
    if row is None:
        raise UserError(f"the item {item_id!a} was not given to {desk.annotator.name!r}")
    if row.state not in ("open", "lapsed"):
        raise UserError(f"the item {item_id!r} is done: undo it first to say something else")
    if row.state == "lapsed" and not lease.has_room(desk, row):
        raise UserError(f"the item {item_id!r} was given to others meanwhile: go on with the next")
    return row


def _verdict(kind: CampaignKind, remark: Remark | None) -> Verdict | None:
    """Return the verdict of a remark that is one."""
    if not isinstance(remark, Rating | Choice):
        return None
    if not isinstance(remark, codec.VERDICTS[kind]):
        raise UserError(
            f"{type(remark).__name__} says nothing in a campaign of kind {kind!r}, which wants a "
            f"{codec.VERDICTS[kind].__name__}"
        )
    return remark


_ADD = entries.insert().returning(entries.c.number)


def added(connection: sa.Connection, desk: Desk, item: int, answer: Answer) -> Entry:
    """Add an entry to the journal and return it."""
    remark = answer.remark
    verdict = _verdict(desk.campaign.kind, remark)
    kind: EntryKind = "undo" if remark is None else "label"
    if isinstance(remark, Skip | Flag):
        kind = "skip" if isinstance(remark, Skip) else "flag"
    reason = remark.reason if isinstance(remark, Skip | Flag) else ""
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    new = {"item": item, "annotator": desk.annotator.id, "kind": kind, "reason": reason, "at": at}
    said = {"verdict": None if verdict is None else codec.text(verdict), "seconds": answer.seconds}
    number = connection.scalar(_ADD, {**new, **said, "key": answer.key})
    assert number is not None
    names = desk.campaign.name, answer.item_id, desk.annotator.name
    return Entry(number, *names, kind, verdict, reason, answer.seconds, at, answer.key)
