"""Judgments that people made with other tools enter a campaign, as entries like any others.

Whoever has the same name here, or that id at Prolific, is the same person; others become new
people, whose link nobody has. What comes in does not ask whether an item has room: it was said.
Each function works on a connection in which a transaction has begun.
"""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from lskd.errors import UserError
from lskd.human import assignment, codec, lease, people
from lskd.human.assignment import Answer
from lskd.human.lease import WITHIN, Desk, Row
from lskd.human.schema import annotators, assignments, entries, items
from lskd.human.work import Annotator, Campaign, Rating
from lskd.table import plain
from lskd.types import Judgment, Reject


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of judgments: `new` entries, those that were `known`, and those of no use."""

    new: int
    known: int
    rejects: tuple[Reject, ...]


def person(connection: sa.Connection, name: str) -> Annotator:
    """Return who has a name here or an id at Prolific, else a new person of that name.

    The link of somebody who is known stays good; this gives none.
    """
    known = sa.or_(annotators.c.name == name, annotators.c.participant == name)
    # A name is nearer than an id that somebody else may have taken for a name.
    first = sa.case((annotators.c.name == name, 0), else_=1)
    row = connection.execute(sa.select(annotators).where(known).order_by(first)).first()
    if row is not None:
        return Annotator(row.id, row.name, "")
    return people.enrol(connection, name, None, people.secret())


def take(
    connection: sa.Connection, campaign: Campaign, name: str, judgments: Sequence[Judgment]
) -> Taken:
    """Add what one person said of items, one judgment of each; the same again adds nothing."""
    desk = Desk(campaign, person(connection, name), 0.0)
    lease.hold(connection, desk.annotator)
    became = [_taken(connection, desk, one) for one in judgments]
    rejects = tuple(one for one in became if isinstance(one, Reject))
    return Taken(became.count(True), became.count(False), rejects)


_ITEM = sa.bindparam("of_item", type_=sa.Text)
_HAD = lease.locking(lease.MINE.add_columns(assignments.c.entry).where(items.c.id == _ITEM))
_OTHER = (
    sa.select(items, sa.null().label("state"), sa.null().label("right"))
    .where(items.c.campaign == WITHIN, items.c.id == _ITEM)
    .with_for_update(of=items, key_share=True)
)
_VERDICT = sa.select(entries.c.verdict).where(entries.c.number == sa.bindparam("of_entry"))


def _taken(connection: sa.Connection, desk: Desk, one: Judgment) -> bool | Reject:
    """Return whether a judgment is new, or why it is of no use."""
    try:
        codec.checked("id of a triple", one.triple_id)
    except UserError as error:
        return reject(one, str(error))
    named = desk.named(of_item=one.triple_id)
    row = connection.execute(_HAD, named).first() or connection.execute(_OTHER, named).first()
    if row is None:
        return reject(one, f"the campaign {desk.campaign.name!r} has no such item")
    if one.image_id not in ("", row.image_id):
        return reject(one, f"it names the image {one.image_id!r}, and the item has another")
    said, key = Rating(one.qa, one.rationale), _key(desk.campaign, one)
    # One that was undone in the studio is known too, and does not come back.
    if assignment.entry(connection, desk, key) is not None:
        return False
    if row.state == "label":
        if codec.verdict("judge", connection.scalar(_VERDICT, {"of_entry": row.entry})) == said:
            return False
        return reject(one, f"{desk.annotator.name} has said otherwise in the studio")
    _add(connection, desk, row, Answer(row.id, key, said, one.seconds))
    return True


def _add(connection: sa.Connection, desk: Desk, row: Row, answer: Answer) -> None:
    added = assignment.added(connection, desk, row.number, answer)
    right = assignment.is_right(desk, row, added.verdict)
    now: dict[str, Any] = {"state": "label", "entry": added.number, "right": right}
    now["seconds"] = answer.seconds
    if row.state is None:
        whose = {"annotator": desk.annotator.id, "item": row.number, "campaign": desk.campaign.id}
        connection.execute(assignments.insert(), {**whose, **now, "since": time.time()})
    else:
        lease.assign(connection, row.number, desk.annotator.id, **now)
    lease.count(connection, row.number, labels=1, taken=int(row.state != "open"))


def _key(campaign: Campaign, one: Judgment) -> str:
    """Return the key of a judgment: the same each time, and none that a browser makes."""
    what = json.dumps([campaign.name, one.triple_id, one.qa, one.rationale])
    return f"{assignment.ELSEWHERE}{hashlib.blake2b(what.encode(), digest_size=16).hexdigest()}"


def reject(one: Judgment, reason: str) -> Reject:
    """Return a judgment as a reject."""
    return Reject(one.triple_id, reason, json.dumps(plain(one), ensure_ascii=False))
