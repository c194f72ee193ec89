"""Campaigns and the items that they pose: made once, added to, never changed.

Only where the file of an item's image lies may change, as where a folder was moved.
Each function works on a connection in which a transaction has begun.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from lskd.errors import UserError
from lskd.human import codec, lease
from lskd.human.schema import campaigns, items
from lskd.human.work import Campaign, CampaignKind, Claim, Posed

ID = 64  # bits of the numbers that databases keep


def checked(kind: CampaignKind, overlap: int, seed: int) -> None:
    """Raise UserError for settings that no campaign can have."""
    if kind not in codec.WHATS or overlap < 1 or abs(seed) >= 2 ** (ID - 1):
        raise UserError(
            f"no campaign has kind {kind!r}, overlap {overlap} and seed {seed}: kinds are "
            f"{', '.join(codec.WHATS)}, an overlap is 1 or more, a seed has less than {ID} bits"
        )


def named(name: str) -> str:
    """Return the name of a new campaign; raises UserError for one that no address can hold."""
    # Browsers and servers take these for a step between folders, however they are quoted.
    if "/" in name or name in (".", ".."):
        raise UserError(
            f"no campaign can be called {name!r}: its name is a part of addresses, so it has no "
            "'/' and is not '.' or '..'"
        )
    return codec.name("name of a campaign", name)


def begin(connection: sa.Connection, wanted: Campaign) -> None:
    """Add a campaign, whose id is not looked at; raises UserError if its name has others."""
    there = by_name(connection, wanted.name)
    if there is None:
        values = {n: getattr(wanted, n) for n in ("name", "kind", "overlap", "seed")}
        connection.execute(campaigns.insert().values(values))
    elif _settings(there) != _settings(wanted):
        raise UserError(
            f"the campaign {wanted.name!r} is of {_settings(there)}, not of {_settings(wanted)}: "
            "give the new one another name"
        )


def _settings(campaign: Campaign) -> str:
    return f"kind {campaign.kind!r}, overlap {campaign.overlap} and seed {campaign.seed}"


def by_name(connection: sa.Connection, name: str) -> Campaign | None:
    """Return a campaign, or None."""
    row = connection.execute(sa.select(campaigns).where(campaigns.c.name == name)).first()
    return None if row is None else Campaign(*row)


def every(connection: sa.Connection) -> list[Campaign]:
    """Return all campaigns, oldest first."""
    rows = connection.execute(sa.select(campaigns).order_by(campaigns.c.id))
    return [Campaign(*row) for row in rows]


def posed(connection: sa.Connection, campaign: Campaign) -> list[Posed]:
    """Return the items of a campaign, in the order in which they were added."""
    rows = connection.execute(
        sa.select(items.c.id, items.c.image_id, items.c.what, items.c.gold)
        .where(items.c.campaign == campaign.id)
        .order_by(items.c.number)
    )
    kind = campaign.kind
    return [
        Posed(name, image_id, codec.what(kind, what), codec.verdict(kind, gold))
        for name, image_id, what, gold in rows
    ]


_MOVE = (
    items.update()
    .where(items.c.campaign == lease.WITHIN, items.c.id == sa.bindparam("of_item"))
    .values(what=sa.bindparam("what_now"))
)


def put(connection: sa.Connection, campaign: Campaign, posed: Sequence[Posed]) -> int:
    """Add the items that a campaign lacks, and return their number.

    Where the file of an item's image lies elsewhere by now, the item tells the new place.
    Raises UserError for an item of another kind, or that is there with other content.
    """
    # Whoever else adds to the campaign waits; SQLite has seen to that by its BEGIN.
    alone = sa.select(campaigns.c.id).where(campaigns.c.id == campaign.id)
    connection.execute(alone.with_for_update(key_share=True))
    known = sa.select(items.c.id, items.c.digest, items.c.what)
    rows = connection.execute(known.where(items.c.campaign == campaign.id))
    there: dict[str, tuple[str, str]] = {item: (digest, what) for item, digest, what in rows}
    new: dict[str, Mapping[str, Any]] = {}
    moved: dict[str, Mapping[str, Any]] = {}
    changed: list[str] = []
    for one in posed:
        asked = codec.digest(one), codec.text(one.what)
        if one.id not in there:
            new[one.id] = _row(campaign, one, asked[0])
        elif there[one.id][0] != asked[0]:
            changed.append(one.id)
        elif there[one.id] != asked:
            moved[one.id] = {"within": campaign.id, "of_item": one.id, "what_now": asked[1]}
        there.setdefault(one.id, asked)
    if changed:
        raise UserError(
            f"{len(changed)} items of the campaign {campaign.name!r} are there with other content, "
            f"such as {changed[0]!r}: give a campaign of the new ones another name"
        )
    if new:
        connection.execute(items.insert(), list(new.values()))
    if moved:
        connection.execute(_MOVE, list(moved.values()))
    return len(new)


def _row(campaign: Campaign, posed: Posed, digest: str) -> Mapping[str, Any]:
    what, gold = posed.what, posed.gold
    fits = isinstance(what, codec.WHATS[campaign.kind])
    if not fits or not (gold is None or isinstance(gold, codec.VERDICTS[campaign.kind])):
        raise UserError(
            f"the item {posed.id!r} is not for a campaign of kind {campaign.kind!r}: such take "
            f"{codec.WHATS[campaign.kind].__name__} with {codec.VERDICTS[campaign.kind].__name__}"
        )
    duel = None if isinstance(what, Claim) else what
    return {
        "campaign": campaign.id,
        "id": codec.checked("id of an item", posed.id),
        "image_id": codec.checked("id of an image", posed.image_id),
        "subject": what.triple.id if isinstance(what, Claim) else posed.id,
        "first": duel and codec.checked("name of a system", duel.first.system),
        "second": duel and codec.checked("name of a system", duel.second.system),
        "what": codec.text(what),
        "digest": digest,
        "gold": None if gold is None else codec.text(gold),
        "is_gold": gold is not None,
        # The order is random, and the same in every database.
        "place": lease.drawn(campaign.seed, posed.id),
        "labels": 0,
        "taken": 0,
    }
