"""Which item a person has, and which they could be given: the statements behind `assignment`.

All are about one person at one campaign, in a transaction that holds the campaign.
"""

import hashlib
import time
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from lskd.human.schema import assignments, campaigns, items
from lskd.human.work import Annotator, Campaign

GOLD_EVERY = 10  # of so many items in a row one is gold

Row = sa.Row[Any]


@dataclass(frozen=True, slots=True)
class Desk:
    """A person at a campaign; `lease` is how many seconds an item stays theirs alone."""

    campaign: Campaign
    annotator: Annotator
    lease: float


def hold(connection: sa.Connection, campaign: Campaign) -> None:
    """Wait until nobody else changes a campaign; SQLite has seen to that by its BEGIN."""
    if connection.dialect.name != "sqlite":
        row = sa.select(campaigns.c.id).where(campaigns.c.id == campaign.id)
        connection.execute(row.with_for_update())


def mine(desk: Desk) -> sa.Select[Any]:
    """Return the query for all that a person was given: the item and what became of it."""
    return (
        sa.select(items, assignments.c.state, assignments.c.since)
        .join(assignments, assignments.c.item == items.c.number)
        .where(
            assignments.c.campaign == desk.campaign.id,
            assignments.c.annotator == desk.annotator.id,
        )
    )


def with_room(desk: Desk) -> sa.ColumnElement[bool]:
    """Return the condition that one more person may have an item; gold items are for all."""
    return sa.or_(items.c.is_gold == sa.true(), items.c.taken < desk.campaign.overlap)


def has_room(desk: Desk, row: Row) -> bool:
    """Return whether one more person may have the item of a row."""
    return bool(row.is_gold or row.taken < desk.campaign.overlap)


def resumed(connection: sa.Connection, desk: Desk, beside: str | None = None) -> Row | None:
    """Return the first item that a person has open, else the last that lapsed and is free.

    It is another one than that of the id `beside`.
    """
    is_open = assignments.c.state == "open"
    since = assignments.c.since
    found = (
        mine(desk)
        .where(assignments.c.entry.is_(None), sa.or_(is_open, with_room(desk)))
        .order_by(sa.case((is_open, 0), else_=1), sa.case((is_open, since), else_=-since))
    )
    if beside is not None:
        found = found.where(items.c.id != beside)
    return connection.execute(found.limit(1)).first()


def renew(connection: sa.Connection, desk: Desk, seconds: float) -> None:
    """Let all that a person has open last so much longer; its order stays."""
    connection.execute(
        assignments.update()
        .where(
            assignments.c.campaign == desk.campaign.id,
            assignments.c.annotator == desk.annotator.id,
            assignments.c.state == "open",
        )
        .values(since=assignments.c.since + seconds)
    )


def let_go(connection: sa.Connection, desk: Desk) -> None:
    """Let all lapse that a person has open."""
    opened = connection.execute(mine(desk).where(assignments.c.state == "open"))
    for row in opened.all():
        lapse(connection, row.number, desk.annotator.id)


def fresh(connection: sa.Connection, desk: Desk) -> Row | None:
    """Return an item that a person never had: the fullest that has room, or in its turn a gold one.

    Gold items come as long as there are others beside them.
    """
    had = sa.exists().where(
        assignments.c.annotator == desk.annotator.id, assignments.c.item == items.c.number
    )
    unseen = sa.select(items).where(items.c.campaign == desk.campaign.id, ~had)
    row = connection.execute(
        unseen.where(items.c.is_gold == sa.false(), items.c.taken < desk.campaign.overlap)
        .order_by(items.c.taken.desc(), items.c.place.desc(), items.c.number.desc())
        .limit(1)
    ).first()
    if row is None or not _gold_is_due(connection, desk):
        return row
    gold = unseen.where(items.c.is_gold == sa.true()).order_by(items.c.place).limit(1)
    return connection.execute(gold).first() or row


def _gold_is_due(connection: sa.Connection, desk: Desk) -> bool:
    """Return whether the next item is the gold one of its ten, at a place that none foresees."""
    had = connection.scalar(
        sa.select(sa.func.count())
        .select_from(assignments)
        .where(
            assignments.c.campaign == desk.campaign.id,
            assignments.c.annotator == desk.annotator.id,
        )
    )
    ten, place = divmod(had or 0, GOLD_EVERY)
    return place == drawn(desk.campaign.seed, f"gold {desk.annotator.id} {ten}") % GOLD_EVERY


def drawn(seed: int, name: str) -> int:
    """Return a number from 0 to 2^63 - 1 that is always the same for a seed and a name."""
    digest = hashlib.blake2b(f"{seed} {name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 1


def lapse_old(connection: sa.Connection, desk: Desk) -> None:
    """Let the leases of others lapse that are too old."""
    old = sa.select(assignments.c.item, assignments.c.annotator).where(
        assignments.c.campaign == desk.campaign.id,
        assignments.c.state == "open",
        assignments.c.since < time.time() - desk.lease,
        assignments.c.annotator != desk.annotator.id,
    )
    for item, annotator in connection.execute(old).all():
        lapse(connection, item, annotator)


def lapse(connection: sa.Connection, item: int, annotator: int) -> None:
    """Let go of an item that a person has open."""
    assign(connection, item, annotator, state="lapsed")
    count(connection, item, taken=-1)


def assign(connection: sa.Connection, item: int, annotator: int, **changed: Any) -> None:
    """Change what an annotator has to do with an item."""
    connection.execute(
        assignments.update()
        .where(assignments.c.annotator == annotator, assignments.c.item == item)
        .values(**changed)
    )


def count(connection: sa.Connection, item: int, labels: int = 0, taken: int = 0) -> None:
    """Add to the counters of an item."""
    if labels or taken:
        connection.execute(
            items.update()
            .where(items.c.number == item)
            .values(labels=items.c.labels + labels, taken=items.c.taken + taken)
        )
