"""The tables of human work, and the same tables made in a new database.

`entries` is the journal: it only grows, and the database itself refuses to change or remove a row
of it. `assignments` and the counters of `items` say what follows from it, so that the next item is
found without reading it; they change in the transaction that adds the entry.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from lskd.errors import UserError

VERSION = 1
# Any number will do: processes that meet at an empty database wait for the one that holds it.
LOCK = 5_312_010_401

metadata = sa.MetaData()
# SQLite counts rows by the primary key only where that is INTEGER.
Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

about = sa.Table("about", metadata, sa.Column("version", sa.Integer, primary_key=True))

campaigns = sa.Table(
    "campaigns",
    metadata,
    sa.Column("id", Number, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("overlap", sa.Integer, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
)

# `subject` is the triple's id or the question's, `place` a random order, `labels` the people who
# labelled it, `taken` those and the people who have it open.
items = sa.Table(
    "items",
    metadata,
    sa.Column("number", Number, primary_key=True),
    sa.Column("campaign", Number, sa.ForeignKey("campaigns.id"), nullable=False),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("image_id", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("first", sa.Text),
    sa.Column("second", sa.Text),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("gold", sa.Text),
    sa.Column("is_gold", sa.Boolean, nullable=False),
    sa.Column("place", sa.BigInteger, nullable=False),
    sa.Column("labels", sa.Integer, nullable=False, default=0),
    sa.Column("taken", sa.Integer, nullable=False, default=0),
    sa.UniqueConstraint("campaign", "id"),
    sa.Index("items_to_give", "campaign", "is_gold", "taken", "place", "number"),
)

annotators = sa.Table(
    "annotators",
    metadata,
    sa.Column("id", Number, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("token_hash", sa.Text, nullable=False, unique=True),
    sa.Column("participant", sa.Text, unique=True),
    sa.Column("study", sa.Text),
    sa.Column("session", sa.Text),
)

# What people agreed to before they worked, word for word: kept with the research.
consents = sa.Table(
    "consents",
    metadata,
    sa.Column("campaign", Number, sa.ForeignKey("campaigns.id"), primary_key=True),
    sa.Column("annotator", Number, sa.ForeignKey("annotators.id"), primary_key=True),
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
)

entries = sa.Table(
    "entries",
    metadata,
    sa.Column("number", Number, primary_key=True),
    sa.Column("item", Number, sa.ForeignKey("items.number"), nullable=False),
    sa.Column("annotator", Number, sa.ForeignKey("annotators.id"), nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("verdict", sa.Text),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("seconds", sa.Double),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.UniqueConstraint("annotator", "key"),
    sqlite_autoincrement=True,
)

# What an annotator has to do with an item now. `state` is "open", "lapsed" (was open, and may go to
# others), or the kind of the entry that counts, whose number is `entry`, else None. `since` is when
# it was given, in seconds since 1970. `right` tells of a gold item whether the first label agrees.
assignments = sa.Table(
    "assignments",
    metadata,
    sa.Column("annotator", Number, sa.ForeignKey("annotators.id"), primary_key=True),
    sa.Column("item", Number, sa.ForeignKey("items.number"), primary_key=True),
    sa.Column("campaign", Number, sa.ForeignKey("campaigns.id"), nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("since", sa.Double, nullable=False),
    sa.Column("entry", Number, sa.ForeignKey("entries.number")),
    sa.Column("seconds", sa.Double),
    sa.Column("right", sa.Boolean),
    sa.Index("assignments_by_entry", "campaign", "annotator", "entry"),
    sa.Index("assignments_by_age", "campaign", "state", "since"),
    sqlite_with_rowid=False,
)

APPEND_ONLY = {
    "sqlite": (
        "CREATE TRIGGER entries_stay_{verb} BEFORE {verb} ON entries "
        "BEGIN SELECT RAISE(ABORT, 'entries are never changed or removed'); END",
    ),
    "postgresql": (
        "CREATE OR REPLACE FUNCTION entries_stay() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'entries are never changed or removed'; END $$",
        "CREATE TRIGGER entries_stay_{verb} BEFORE {verb} ON entries "
        "FOR EACH ROW EXECUTE FUNCTION entries_stay()",
    ),
}


def make(connection: sa.Connection) -> None:
    """Make the tables where there are none, in the transaction of the connection.

    Raises UserError for a database of another version of these tables.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
    if not sa.inspect(connection).has_table("about"):
        metadata.create_all(connection)
        connection.execute(about.insert().values(version=VERSION))
        for statement in _append_only(APPEND_ONLY[connection.dialect.name]):
            connection.exec_driver_sql(statement)
    found = connection.scalar(sa.select(sa.func.max(about.c.version)))
    if found != VERSION:
        raise UserError(
            f"the database holds human work of version {found}, and this lskd knows version "
            f"{VERSION}: use the lskd that made it, or another database"
        )


def _append_only(templates: Sequence[str]) -> list[str]:
    verbs = ("UPDATE", "DELETE")
    return list(dict.fromkeys(t.format(verb=verb) for t in templates for verb in verbs))
