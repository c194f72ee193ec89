"""Records of human work become the text that a database keeps, and come back."""

import hashlib
import json
from dataclasses import replace
from typing import Any

from lskd import table
from lskd.errors import UserError
from lskd.human.work import CampaignKind, Choice, Claim, Duel, Posed, Rating, Verdict

WHATS: dict[CampaignKind, type[Claim] | type[Duel]] = {"judge": Claim, "compare": Duel}
VERDICTS: dict[CampaignKind, type[Rating] | type[Choice]] = {"judge": Rating, "compare": Choice}

LONGEST = 200  # characters of a name or a key


def text(record: Claim | Duel | Verdict) -> str:
    """Return a record as JSON text, in ASCII, so that any database keeps any of its characters."""
    return json.dumps(table.plain(record), separators=(",", ":"))


def what(kind: CampaignKind, stored: str) -> Claim | Duel:
    """Return what a campaign of a kind poses, from its text."""
    record: Claim | Duel = _back(WHATS[kind])(json.loads(stored))
    return record


def verdict(kind: CampaignKind, stored: str | None) -> Verdict | None:
    """Return a verdict of a campaign of a kind, from its text."""
    if stored is None:
        return None
    record: Verdict = _back(VERDICTS[kind])(json.loads(stored))
    return record


def _back(record: Any) -> table.Convert:
    return table.converter(record)


def digest(posed: Posed) -> str:
    """Return a hash of what is asked and of its known answer, wherever the image's file lies."""
    asked = text(replace(posed.what, path=""))
    known = "" if posed.gold is None else text(posed.gold)
    whole = json.dumps([posed.image_id, asked, known]).encode()
    return hashlib.blake2b(whole, digest_size=16).hexdigest()


def name(meaning: str, value: str) -> str:
    """Return a text that names something in a database, else raise UserError."""
    if not 0 < len(value) <= LONGEST:
        raise UserError(
            f"the {meaning} has {len(value)} characters: from 1 to {LONGEST} would be right"
        )
    return checked(meaning, value)


def checked(meaning: str, value: str) -> str:
    """Return a text that any database can keep, else raise UserError."""
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise UserError(f"the {meaning} holds what is no character: {value[:40]!a}")
    return value
