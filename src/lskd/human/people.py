"""Who takes part, and what they agreed to. People are known by a name, or by their id at Prolific.

Each function works on a connection in which a transaction has begun. Only hashes of the secrets
of people's links are kept.
"""

import hashlib
import secrets
from datetime import UTC, datetime

import sqlalchemy as sa

from lskd.errors import UserError
from lskd.human import lease
from lskd.human.schema import annotators, consents
from lskd.human.work import Annotator, Campaign, Study

SECRET = 24  # random bytes


def secret() -> str:
    """Return a new secret for a link."""
    return secrets.token_urlsafe(SECRET)


def enrol(connection: sa.Connection, name: str, study: Study | None, token: str) -> Annotator:
    """Return a person, new or known, with a new secret; an older one is void from now on.

    Raises UserError if the name is another person's.
    """
    same_name = annotators.c.name == name
    person = same_name if study is None else annotators.c.participant == study.participant
    changed = {
        "token_hash": hashed(token),
        "participant": study and study.participant,
        "study": study and study.study,
        "session": study and study.session,
    }
    # In one statement: who enrols at the same moment is there in both ways, or in neither.
    found = sa.select(annotators, person.label("is_theirs")).where(sa.or_(person, same_name))
    rows = connection.execute(found).all()
    row = next((row for row in rows if row.is_theirs), None)
    if row is None and study is not None and name == study.known_as:
        # Judgments that were brought in from another database tell the name alone.
        row = next((row for row in rows if row.participant is None), None)
    if row is not None:
        if study is None and row.participant is not None:
            raise UserError(f"{name!r} is the name of a participant of Prolific: take another")
        theirs = annotators.c.id == row.id
        connection.execute(annotators.update().where(theirs).values(changed))
        return Annotator(row.id, row.name, token)
    if rows:
        raise UserError(f"{name!r} is the name of somebody else: take another")
    new = annotators.insert().values(name=name, **changed)
    number = connection.scalar(new.returning(annotators.c.id))
    assert number is not None
    return Annotator(number, name, token)


_BY_TOKEN = sa.select(annotators).where(annotators.c.token_hash == sa.bindparam("of_token"))


def by_token(connection: sa.Connection, token: str) -> Annotator | None:
    """Return the person whose link holds a secret, or None."""
    row = connection.execute(_BY_TOKEN, {"of_token": hashed(token)}).first()
    return None if row is None else Annotator(row.id, row.name, token)


def agree(connection: sa.Connection, campaign: Campaign, annotator: Annotator, text: str) -> None:
    """Keep that a person agrees to a text, word for word; agreeing again changes nothing."""
    lease.hold(connection, annotator)
    if agreed(connection, campaign, annotator, text):
        return
    connection.execute(
        consents.insert().values(
            campaign=campaign.id,
            annotator=annotator.id,
            digest=hashed(text),
            text=text,
            at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        )
    )


def agreed(connection: sa.Connection, campaign: Campaign, annotator: Annotator, text: str) -> bool:
    """Return whether a person agreed to a text in a campaign."""
    theirs = sa.select(consents.c.at).where(
        consents.c.campaign == campaign.id,
        consents.c.annotator == annotator.id,
        consents.c.digest == hashed(text),
    )
    return connection.execute(theirs).first() is not None


def hashed(token: str) -> str:
    """Return what is kept of a secret; it is random enough to need no salt."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
