"""How fast a stage has worked, and what of: the sums of its trace.

In: the events of a stage (`lskd.events`). Out: images a second, where the time went, and what an
image takes of disk and money. Each shard counts once, as it was made last.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lskd.chat.paid import Charge
from lskd.events import Event
from lskd.trace import Kind, Spans


@dataclass(frozen=True, slots=True)
class Pace:
    """What some finished shards took.

    `seconds` is the time in which at least one of them was at work; `spans` are summed over shards,
    of which several may have been in flight. `apart` is the time of the stage as a whole, before
    its first shard and after its last. `cpu` is in seconds of one core, `memory` the most bytes
    that the process held, stages before this one included. `bytes` lie on disk. `paid` is None if
    nothing was bought; its price is None if that is not known. `gpu`: torch had an accelerator.
    """

    shards: int
    images: int
    seconds: float
    spans: Spans
    apart: float
    cpu: float
    memory: int | None
    bytes: int
    paid: Charge | None
    gpu: bool

    @property
    def rate(self) -> float | None:
        """Return images a second, or None if no image was worked on."""
        return self.images / self.seconds if self.images and self.seconds > 0 else None

    def share(self, kind: Kind) -> float:
        """Return the share of the shards' time that was of one kind, in [0, 1]."""
        return self.spans.of(kind) / self.spans.total if self.spans.total else 0.0


def pace(events: Iterable[Event], latest: int | None = None) -> Pace | None:
    """Return what the shards of a stage took, or the `latest` ended of them; None if none ended."""
    told = list(events)
    last = {event.shard: event for event in told if event.what == "ended"}
    ended = sorted(last.values(), key=lambda event: event.time)
    whole = [event for event in ended if not event.shard]
    named = [event for event in ended if event.shard]
    if latest is not None:
        named = named[-latest:]
    counted = named or whole
    if not counted:
        return None
    apart = sum(event.spans.total for event in whole if event.spans) if named else 0.0
    return Pace(
        shards=len(counted),
        images=sum(event.images for event in counted),
        seconds=covered(counted),
        spans=summed(counted),
        apart=apart,
        cpu=sum(event.cpu for event in counted),
        memory=max((event.memory for event in counted if event.memory is not None), default=None),
        bytes=sum(size for event in counted for size in event.bytes.values()),
        paid=paid(told),
        gpu=any(event.gpu for event in counted),
    )


def summed(events: Iterable[Event]) -> Spans:
    """Return the seconds of all events by kind."""
    total = Spans()
    for event in events:
        total = total + event.spans if event.spans else total
    return total


def covered(events: Sequence[Event]) -> float:
    """Return the seconds in which at least one of some events, in order of their end, went on."""
    total, reached = 0.0, 0.0
    intervals = [(one.time - one.spans.total, one.time) for one in events if one.spans]
    for begin, end in sorted(intervals):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total


def paid(events: Iterable[Event]) -> Charge | None:
    """Return what was paid in all events, those of failed shards included."""
    charges = [event.paid for event in events if event.paid is not None]
    bought = [one for one in charges if one.input_tokens or one.output_tokens]
    if not bought:
        return None
    prices = [one.price for one in bought if one.price is not None]
    return Charge(
        sum(one.input_tokens for one in bought),
        sum(one.output_tokens for one in bought),
        sum(prices) if len(prices) == len(bought) else None,
    )
