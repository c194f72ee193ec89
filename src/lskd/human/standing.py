"""How far people are, and what they have said: all that is read from the tables of human work."""

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from lskd.human import assignment, codec
from lskd.human.database import Database
from lskd.human.lease import PERSON, PLACES, WITHIN
from lskd.human.schema import annotators, assignments, campaigns, entries, items
from lskd.human.work import (
    Annotator,
    Campaign,
    Choice,
    Entry,
    Member,
    Progress,
    Rating,
    Standing,
)
from lskd.types import Comparison, Judgment

_NORMAL = items.c.is_gold == sa.false()
_ROOM = items.c.taken < PLACES
_FREE = (
    sa.select(sa.func.count())
    .select_from(items)
    .where(items.c.campaign == WITHIN, _NORMAL, _ROOM)
    .correlate(None)
)


def _number(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.sum(sa.case((condition, 1), else_=0))


def _members() -> sa.Select[Any]:
    mine = assignments.c
    # Of the items with room those are not left which they had; the open one is, without room too.
    beside = sa.case(
        (sa.and_(_NORMAL, _ROOM, mine.entry.is_not(None)), -1),
        (sa.and_(_NORMAL, ~_ROOM, mine.state == "open"), 1),
        else_=0,
    )
    labelled = mine.state == "label"
    return (
        sa.select(
            annotators.c.name,
            _FREE.scalar_subquery(),
            _number(labelled),
            _number(mine.state == "skip"),
            _number(mine.state == "flag"),
            sa.func.sum(beside),
            _number(mine.right == sa.true()),
            _number(mine.right.is_not(None)),
            sa.func.avg(sa.case((labelled, mine.seconds))),
        )
        .select_from(assignments)
        .join(items, items.c.number == mine.item)
        .join(annotators, annotators.c.id == mine.annotator)
        .where(mine.campaign == WITHIN)
        .group_by(annotators.c.name)
        .order_by(annotators.c.name)
    )


_MEMBERS = _members()
_MEMBER = _MEMBERS.where(assignments.c.annotator == PERSON)


def members(connection: sa.Connection, campaign: Campaign) -> tuple[Member, ...]:
    """Return how far everybody is who was given an item, by name."""
    rows = connection.execute(_MEMBERS, {"within": campaign.id, "places": campaign.overlap})
    return tuple(Member(name, _standing(rest)) for name, *rest in rows)


def of(connection: sa.Connection, campaign: Campaign, annotator: Annotator) -> Standing:
    """Return how far one person is, who may not have begun."""
    named = {"within": campaign.id, "places": campaign.overlap, "person": annotator.id}
    for _, *rest in connection.execute(_MEMBER, named):
        return _standing(rest)
    return Standing(0, 0, 0, connection.scalar(_FREE, named) or 0, 0, 0, None)


def _standing(row: list[Any]) -> Standing:
    *counts, seconds = row
    free, labelled, skipped, flagged, beside, right, seen = (int(count) for count in counts)
    mean = None if seconds is None else float(seconds)
    return Standing(labelled, skipped, flagged, free + beside, right, seen, mean)


def progress(connection: sa.Connection, campaign: Campaign) -> Progress:
    """Return how far a campaign is."""
    complete = sa.and_(_NORMAL, items.c.labels >= campaign.overlap)
    query = sa.select(
        _number(_NORMAL),
        _number(complete),
        sa.func.sum(sa.case((_NORMAL, items.c.labels), else_=0)),
        _number(~_NORMAL),
    ).where(items.c.campaign == campaign.id)
    found, done, labels, gold = (int(count or 0) for count in connection.execute(query).one())
    return Progress(found, done, labels, gold, members(connection, campaign))


def journal(database: Database, campaign: Campaign) -> Iterator[Entry]:
    """Yield all entries of a campaign, in the order in which they were made."""
    query = assignment.ENTRY.where(items.c.campaign == campaign.id)
    with database.stream(query.order_by(entries.c.number)) as rows:
        for row in rows:
            yield assignment.entry_of(row)


def valid(database: Database, campaign: Campaign) -> Iterator[Entry]:
    """Yield the labels that count: the last of each person and item, if it was not undone."""
    counts = sa.and_(assignments.c.entry == entries.c.number, assignments.c.state == "label")
    query = assignment.ENTRY.join(assignments, counts).where(items.c.campaign == campaign.id)
    with database.stream(query.order_by(entries.c.number)) as rows:
        for row in rows:
            yield assignment.entry_of(row)


# The labels that count, with what they are about.
_SAID = (
    sa.select(
        items.c.subject,
        items.c.image_id,
        annotators.c.name,
        items.c.first,
        items.c.second,
        entries.c.verdict,
        entries.c.seconds,
    )
    .select_from(assignments)
    .join(items, items.c.number == assignments.c.item)
    .join(entries, entries.c.number == assignments.c.entry)
    .join(annotators, annotators.c.id == assignments.c.annotator)
    .where(assignments.c.state == "label")
    .order_by(entries.c.number)
)


def _said(campaign: Campaign, gold: bool) -> sa.Select[Any]:
    query = _SAID.where(assignments.c.campaign == campaign.id)
    return query if gold else query.where(items.c.is_gold == sa.false())


def judgments(database: Database, campaign: Campaign, gold: bool) -> Iterator[Judgment]:
    """Yield the labels that count of a campaign of kind "judge"."""
    with database.stream(_said(campaign, gold)) as rows:
        for row in rows:
            yield _judgment(row)


def about(connection: sa.Connection, triples: Sequence[str]) -> list[Judgment]:
    """Return the labels that count of some triples, in all campaigns that judge; no gold items."""
    judging = sa.select(campaigns.c.id).where(campaigns.c.kind == "judge")
    theirs = items.c.campaign.in_(judging), items.c.id.in_(triples)
    query = _SAID.where(*theirs, items.c.is_gold == sa.false())
    return [_judgment(row) for row in connection.execute(query)]


def _judgment(row: Any) -> Judgment:
    said = codec.verdict("judge", row.verdict)
    assert isinstance(said, Rating)
    return Judgment(row.subject, row.image_id, row.name, said.qa, said.rationale, row.seconds)


def comparisons(database: Database, campaign: Campaign, gold: bool) -> Iterator[Comparison]:
    """Yield the labels that count of a campaign of kind "compare"."""
    with database.stream(_said(campaign, gold)) as rows:
        for row in rows:
            said = codec.verdict(campaign.kind, row.verdict)
            assert isinstance(said, Choice)
            about = row.subject, row.image_id, row.name, row.first, row.second
            aspects = said.correctness, said.informativeness, said.plausibility, said.overall
            yield Comparison(*about, *aspects, row.seconds)
