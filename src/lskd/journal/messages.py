"""What travels between workers and the journal service: records to JSON and back."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from lskd.chat.budget import Limits
from lskd.chat.ledger import Answer, Leased, Refused, Wait
from lskd.chat.paid import Charge, InBatch, Paid, SentBatch, Totals

KINDS: Final[Mapping[str, type[Paid] | type[Leased] | type[Wait] | type[InBatch]]] = {
    "paid": Paid,
    "leased": Leased,
    "wait": Wait,
    "in_batch": InBatch,
}


def told_answer(answer: Answer) -> dict[str, Any]:
    """Return the answer to a claim as JSON."""
    if isinstance(answer, Refused):
        return {"refused": asdict(answer.totals)}
    return {next(name for name, kind in KINDS.items() if kind is type(answer)): asdict(answer)}


def read_answer(told: Mapping[str, Any]) -> Answer:
    """Return the answer to a claim.

    Raises KeyError or TypeError if it is none.
    """
    ((name, fields),) = told.items()
    if name == "refused":
        return Refused(Totals(**fields))
    return KINDS[name](**fields)


def told_paid(paid: Paid | None) -> dict[str, Any] | None:
    """Return a reply as JSON."""
    return None if paid is None else asdict(paid)


def read_paid(told: Mapping[str, Any] | None) -> Paid | None:
    """Return a reply, or None where there is none."""
    return None if told is None else Paid(**told)


def told_claim(ticket: int, key: bytes, most: Charge, limits: Limits) -> dict[str, Any]:
    """Return a claim as JSON."""
    return {
        "ticket": ticket,
        "key": key.hex(),
        "most": asdict(most),
        "limits": asdict(limits),
    }


def read_claim(told: Mapping[str, Any]) -> tuple[int, bytes, Charge, Limits]:
    """Return the ticket of a claim, the request's key, what it costs at most, and the limits."""
    most, limits = Charge(**told["most"]), Limits(**told["limits"])
    return int(told["ticket"]), bytes.fromhex(told["key"]), most, limits


def told_reply(call: int, key: bytes, paid: Paid, most: Charge) -> dict[str, Any]:
    """Return a call that was answered as JSON."""
    return {"call": call, "key": key.hex(), "paid": asdict(paid), "most": asdict(most)}


def read_reply(told: Mapping[str, Any]) -> tuple[int, bytes, Paid, Charge]:
    """Return the number of a call, its request's key, its reply, and what it could cost."""
    key = bytes.fromhex(told["key"])
    return int(told["call"]), key, Paid(**told["paid"]), Charge(**told["most"])


def told_batch(batch: SentBatch) -> dict[str, Any]:
    """Return a batch as JSON."""
    calls = {key.hex(): call for key, call in batch.calls.items()}
    return {
        "number": batch.number,
        "token": batch.token,
        "name": batch.name,
        "made": batch.made,
        "calls": calls,
    }


def read_batch(told: Mapping[str, Any]) -> SentBatch:
    """Return a batch."""
    return SentBatch(**{**told, "calls": read_calls(told["calls"])})


def read_calls(told: Mapping[str, int]) -> dict[bytes, int]:
    """Return the calls of a batch by the keys of their requests."""
    return {bytes.fromhex(key): call for key, call in told.items()}
