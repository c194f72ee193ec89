"""How far people are, and what they have said: all that is read from the tables of human work."""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from lskd.human import assignment, codec
from lskd.human.database import Database
from lskd.human.schema import annotators, assignments, entries, items
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


def members(
    connection: sa.Connection, campaign: Campaign, annotator: int | None = None
) -> tuple[Member, ...]:
    """Return how far everybody is who was given an item, by name; or one annotator alone."""
    mine = assignments.c
    done = mine.entry.is_not(None)
    normal = items.c.is_gold == sa.false()
    room = items.c.taken < campaign.overlap
    # Of the items with room those are not left which they had; the open one is, without room too.
    beside = sa.case(
        (sa.and_(normal, room, done), -1),
        (sa.and_(normal, ~room, mine.state == "open"), 1),
        else_=0,
    )
    labelled = mine.state == "label"
    query = (
        sa.select(
            annotators.c.name,
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
        .where(mine.campaign == campaign.id)
        .group_by(annotators.c.name)
        .order_by(annotators.c.name)
    )
    if annotator is not None:
        query = query.where(mine.annotator == annotator)
    free = with_room(connection, campaign)
    return tuple(Member(name, _standing(free, row)) for name, *row in connection.execute(query))


def of(connection: sa.Connection, campaign: Campaign, annotator: Annotator) -> Standing:
    """Return how far one person is, who may not have begun."""
    for member in members(connection, campaign, annotator.id):
        return member.standing
    return Standing(0, 0, 0, with_room(connection, campaign), 0, 0, None)


def _number(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.sum(sa.case((condition, 1), else_=0))


def _standing(free: int, row: list[Any]) -> Standing:
    *counts, seconds = row
    labelled, skipped, flagged, beside, right, seen = (int(count) for count in counts)
    mean = None if seconds is None else float(seconds)
    return Standing(labelled, skipped, flagged, free + beside, right, seen, mean)


def with_room(connection: sa.Connection, campaign: Campaign) -> int:
    """Return the number of items that fewer people have than should, gold items not counted."""
    found = connection.scalar(
        sa.select(sa.func.count())
        .select_from(items)
        .where(
            items.c.campaign == campaign.id,
            items.c.is_gold == sa.false(),
            items.c.taken < campaign.overlap,
        )
    )
    return found or 0


def progress(connection: sa.Connection, campaign: Campaign) -> Progress:
    """Return how far a campaign is."""
    normal = items.c.is_gold == sa.false()
    complete = sa.and_(normal, items.c.labels >= campaign.overlap)
    query = sa.select(
        _number(normal),
        _number(complete),
        sa.func.sum(sa.case((normal, items.c.labels), else_=0)),
        _number(~normal),
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


def _said(campaign: Campaign, gold: bool) -> sa.Select[Any]:
    """Return the query for the labels that count, with what they are about."""
    query = (
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
        .where(assignments.c.campaign == campaign.id, assignments.c.state == "label")
        .order_by(entries.c.number)
    )
    return query if gold else query.where(items.c.is_gold == sa.false())


def judgments(database: Database, campaign: Campaign, gold: bool) -> Iterator[Judgment]:
    """Yield the labels that count of a campaign of kind "judge"."""
    with database.stream(_said(campaign, gold)) as rows:
        for row in rows:
            said = codec.verdict(campaign.kind, row.verdict)
            assert isinstance(said, Rating)
            about = row.subject, row.image_id, row.name
            yield Judgment(*about, said.qa, said.rationale, row.seconds)


def comparisons(database: Database, campaign: Campaign, gold: bool) -> Iterator[Comparison]:
    """Yield the labels that count of a campaign of kind "compare"."""
    with database.stream(_said(campaign, gold)) as rows:
        for row in rows:
            said = codec.verdict(campaign.kind, row.verdict)
            assert isinstance(said, Choice)
            about = row.subject, row.image_id, row.name, row.first, row.second
            aspects = said.correctness, said.informativeness, said.plausibility, said.overall
            yield Comparison(*about, *aspects, row.seconds)
