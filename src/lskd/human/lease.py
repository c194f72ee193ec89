"""Which item a person has, and which they could be given: the statements behind `assignment`.

All are about one person at one campaign, in a transaction that holds the person: nothing else that
they do in another window overlaps with it. Others work on at the same time. Between people it is
the row of an item that is locked, for as long as one of them takes it or lets go of it; who looks
for an item passes over those. SQLite needs none of that: there one transaction writes at a time.
"""

import hashlib
import time
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from lskd.human.schema import annotators, assignments, items
from lskd.human.work import Annotator, Campaign

GOLD_EVERY = 10  # of so many items in a row one is gold

Row = sa.Row[Any]

# Statements are made once: to put one together takes longer than a database takes to answer it.
# What they are about goes by these names, none of them a column's.
PERSON: sa.BindParameter[int] = sa.bindparam("person")
WITHIN: sa.BindParameter[int] = sa.bindparam("within")
PLACES: sa.BindParameter[int] = sa.bindparam("places")
_BEFORE: sa.BindParameter[float] = sa.bindparam("before")
_ITEM: sa.BindParameter[int] = sa.bindparam("of_item")


@dataclass(frozen=True, slots=True)
class Desk:
    """A person at a campaign; `lease` is how many seconds an item stays theirs alone."""

    campaign: Campaign
    annotator: Annotator
    lease: float

    def named(self, **more: Any) -> dict[str, Any]:
        """Return what the statements are about, by the names that they have for it."""
        about = {"person": self.annotator.id, "within": self.campaign.id}
        before = time.time() - self.lease
        return {**about, "places": self.campaign.overlap, "before": before, **more}


@dataclass(frozen=True, slots=True)
class Held:
    """What a person has at hand.

    `given` is how many items they ever were given, `late` whether others have had one open for too
    long.
    """

    given: int
    late: bool
    rows: list[Row]


# All that a person was given: the item and what became of it.
MINE = (
    sa.select(items, assignments.c.state, assignments.c.since, assignments.c.right)
    .join(assignments, assignments.c.item == items.c.number)
    .where(assignments.c.campaign == WITHIN, assignments.c.annotator == PERSON)
)
_THEIRS = assignments.c.annotator == PERSON, assignments.c.campaign == WITHIN
_IS_OPEN = assignments.c.state == "open"
# One more person may have such an item; gold items are for all.
_WITH_ROOM = sa.or_(items.c.is_gold == sa.true(), items.c.taken < PLACES)


def locking(query: sa.Select[Any], *others: sa.Table) -> sa.Select[Any]:
    """Return a query of `MINE` that locks the items it finds; what it returns is the latest."""
    return query.with_for_update(of=(*others, assignments, items), key_share=True)


def _taken(condition: sa.ColumnElement[bool]) -> sa.UpdateBase:
    """Return the statement by which one more person has the item of a condition, with its row."""
    return items.update().where(condition).values(taken=items.c.taken + 1).returning(*items.c)


_HOLD = sa.select(annotators.c.id).where(annotators.c.id == PERSON).with_for_update(key_share=True)


def hold(connection: sa.Connection, annotator: Annotator) -> None:
    """Wait until nothing else that a person does is under way; SQLite sees to that by its BEGIN."""
    if connection.dialect.name != "sqlite":
        connection.execute(_HOLD, {"person": annotator.id})


def has_room(desk: Desk, row: Row) -> bool:
    """Return whether one more person may have the item of a row."""
    return bool(row.is_gold or row.taken < desk.campaign.overlap)


_OLD = sa.select(assignments.c.item, assignments.c.annotator).where(
    assignments.c.campaign == WITHIN,
    _IS_OPEN,
    assignments.c.since < _BEFORE,
    assignments.c.annotator != PERSON,
)


def _resumed() -> sa.Select[Any]:
    since = assignments.c.since
    order = sa.case((_IS_OPEN, 0), else_=1), sa.case((_IS_OPEN, since), else_=-since)
    held = (
        MINE.add_columns(sa.func.row_number().over(order_by=order).label("turn"))
        .where(assignments.c.entry.is_(None), sa.or_(_IS_OPEN, _WITH_ROOM))
        .order_by(*order)
        .limit(sa.bindparam("most"))
        .subquery()
    )
    given = sa.select(sa.func.count().label("given")).select_from(assignments).where(*_THEIRS)
    facts = given.add_columns(sa.exists(_OLD.correlate(None)).label("late")).subquery()
    # One row at least, so that one statement tells both.
    return sa.select(facts, held).outerjoin_from(facts, held, sa.true()).order_by(held.c.turn)


_RESUMED = _resumed()


def resumed(connection: sa.Connection, desk: Desk, most: int) -> Held:
    """Return what a person has open, oldest first, then what lapsed and is free, newest first."""
    rows = connection.execute(_RESUMED, desk.named(most=most)).all()
    return Held(rows[0].given, rows[0].late, [row for row in rows if row.number is not None])


_RENEW = (
    assignments.update()
    .where(*_THEIRS, _IS_OPEN)
    .values(since=assignments.c.since + sa.bindparam("seconds_more"))
)


def renew(connection: sa.Connection, desk: Desk, seconds: float) -> None:
    """Let all that a person has open last so much longer; its order stays."""
    connection.execute(_RENEW, desk.named(seconds_more=seconds))


_OPENED = locking(MINE.where(_IS_OPEN))


def let_go(connection: sa.Connection, desk: Desk) -> None:
    """Let all lapse that a person has open."""
    for row in connection.execute(_OPENED, desk.named()).all():
        lapse(connection, row.number, desk.annotator.id)


_REOPEN = _taken(sa.and_(items.c.number == _ITEM, _WITH_ROOM))


def reopen(connection: sa.Connection, desk: Desk, row: Row) -> bool:
    """Open an item again that lapsed, and return whether it still had room for them."""
    if connection.execute(_REOPEN, desk.named(of_item=row.number)).first() is None:
        return False
    assign(connection, row.number, desk.annotator.id, state="open", since=time.time())
    return True


_UNSEEN = sa.select(items.c.number).where(
    items.c.campaign == WITHIN,
    ~sa.exists().where(assignments.c.annotator == PERSON, assignments.c.item == items.c.number),
)
_FULLEST = (
    _UNSEEN.where(items.c.is_gold == sa.false(), items.c.taken < PLACES)
    .order_by(items.c.taken.desc(), items.c.place.desc(), items.c.number.desc())
    .limit(1)
)
_GOLD = _UNSEEN.where(items.c.is_gold == sa.true()).order_by(items.c.place).limit(1)
_TAKE_GOLD = _taken(items.c.number == _GOLD.scalar_subquery())
# An item that is being given to somebody else at this moment is passed over, not waited for, unless
# there is no other.
_TAKE_FULLEST = [
    _taken(items.c.number == chosen.scalar_subquery())
    for chosen in (
        _FULLEST.with_for_update(of=items, key_share=True, skip_locked=True),
        _FULLEST.with_for_update(of=items, key_share=True),
    )
]
_OPEN = assignments.insert()


def fresh(connection: sa.Connection, desk: Desk, given: int) -> Row | None:
    """Give a person an item that they never had: the fullest that has room, or a gold one.

    Gold items come in their turn, as long as there are others beside them. `given` is how many
    items the person was given before.
    """
    named, row = desk.named(), None
    if _gold_is_due(desk, given) and connection.execute(_FULLEST, named).first() is not None:
        row = connection.execute(_TAKE_GOLD, named).first()
    for take in _TAKE_FULLEST:
        if row is None:
            row = connection.execute(take, named).first()
    if row is not None:
        person, campaign = desk.annotator.id, desk.campaign.id
        new = {"annotator": person, "item": row.number, "campaign": campaign, "state": "open"}
        connection.execute(_OPEN, {**new, "since": time.time()})
    return row


def _gold_is_due(desk: Desk, given: int) -> bool:
    """Return whether the next item is the gold one of its ten, at a place that none foresees."""
    ten, place = divmod(given, GOLD_EVERY)
    return place == drawn(desk.campaign.seed, f"gold {desk.annotator.id} {ten}") % GOLD_EVERY


def drawn(seed: int, name: str) -> int:
    """Return a number from 0 to 2^63 - 1 that is always the same for a seed and a name."""
    digest = hashlib.blake2b(f"{seed} {name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 1


_LATE = _OLD.with_for_update(of=assignments, key_share=True, skip_locked=True)


def lapse_old(connection: sa.Connection, desk: Desk) -> None:
    """Let the leases of others lapse that are too old; one that is just answered is left."""
    for item, annotator in connection.execute(_LATE, desk.named()).all():
        lapse(connection, item, annotator)


def lapse(connection: sa.Connection, item: int, annotator: int) -> None:
    """Let go of an item that a person has open."""
    assign(connection, item, annotator, state="lapsed")
    count(connection, item, taken=-1)


_ASSIGN = assignments.update().where(assignments.c.annotator == PERSON, assignments.c.item == _ITEM)


def assign(connection: sa.Connection, item: int, annotator: int, **changed: Any) -> None:
    """Change what an annotator has to do with an item."""
    connection.execute(_ASSIGN, {"person": annotator, "of_item": item, **changed})


_COUNT = (
    items.update()
    .where(items.c.number == _ITEM)
    .values(
        labels=items.c.labels + sa.bindparam("more_labels"),
        taken=items.c.taken + sa.bindparam("more_taken"),
    )
)


def count(connection: sa.Connection, item: int, labels: int = 0, taken: int = 0) -> None:
    """Add to the counters of an item."""
    if labels or taken:
        more = {"more_labels": labels, "more_taken": taken}
        connection.execute(_COUNT, {"of_item": item, **more})
