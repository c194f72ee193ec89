"""Who may ask what, now: each paid call is claimed before it is sent and settled when it is back.

A `Ledger` keeps what all who ask together must share: the journal of replies, so that none is
bought twice; the claims, so that no two buy the same at once; and the limits of calls, tokens and
money. `LocalLedger` does so in this process. On a cluster it does so on the driver, and the workers
reach it through `lskd.journal`.
"""

import math
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from lskd.chat.budget import Limits
from lskd.chat.journal import Journal
from lskd.chat.minutes import MINUTE, Minutes, Sent
from lskd.chat.paid import Charge, InBatch, Paid, SentBatch, Totals

SETTLING_SECONDS: Final = 0.02  # until a place, or money that others may give back, is looked for
HERE: Final = ""  # the holder of what this process claims itself

# Minutes are those of all ledgers of this process: a stage and the next ask the same endpoint. A
# ledger lives as long as somebody asks through it, and keeps its journal open; not this table.
_shared_guard = threading.Lock()
_minutes: dict[str, Minutes] = {}
_ledgers: "weakref.WeakKeyDictionary[Journal, weakref.ref[LocalLedger]]"
_ledgers = weakref.WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Leased:
    """The call may be sent now; it is settled under this number."""

    call: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Not yet: claim again after so many seconds. `elsewhere`: another asks the same just now."""

    seconds: float
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """Never: with this call the budget could be overspent; what is spent so far."""

    totals: Totals


Answer = Paid | Leased | Wait | Refused | InBatch


class Ledger(Protocol):
    """What a teacher asks before it pays, and tells after; from any event loop."""

    @property
    def totals(self) -> Totals:
        """Return what this process can tell of the sums that the budget counts."""

    async def find(self, key: bytes) -> Paid | None:
        """Return the reply to a request, or None if it was not bought yet."""

    async def claim(self, key: bytes, most: Charge, limits: Limits) -> Answer:
        """Return the reply if it is there, leave to buy it for `most`, or what is against it."""

    async def keep(self, call: int, key: bytes, paid: Paid, most: Charge) -> Paid:
        """Write the reply to a call; on return it is safe. Return the reply that now stands."""

    async def withdraw(self, call: int) -> None:
        """Forget a call that was refused or never reached the server: it cost nothing."""

    async def lose(self, call: int, fault: str, response: str) -> None:
        """Note why no usable reply to a call arrived, and what came instead; it may cost."""

    async def begin_batch(self, calls: Sequence[int], token: str) -> int:
        """Note that calls are about to be sent together, under a token; return its number."""

    async def name_batch(self, number: int, name: str) -> None:
        """Note the server's name of a batch: from now on it exists."""

    async def end_batch(self, number: int) -> None:
        """Forget a batch, all of whose calls were kept, withdrawn or lost."""

    async def batches(self) -> list[SentBatch]:
        """Return the batches that have not ended, those of earlier processes included."""

    async def calls_of(self, batch: int) -> Mapping[bytes, int]:
        """Return the calls of a batch that are neither kept, withdrawn nor lost yet."""

    async def expect(self, calls: Sequence[int]) -> None:
        """Note that somebody waits for calls of a batch: they may yet give money back."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A claim that was granted: who holds it, and by which `ticket` it was asked for."""

    key: bytes
    endpoint: str
    holder: str
    ticket: int
    sent: Sent | None


class LocalLedger:
    """The ledger of a journal in this process; safe to use from several threads.

    `holder` is who asks: this process, or a worker that asks through it. What this process holds
    never expires; `let_go_of` gives up what others held. Times are in seconds of `clock`, which no
    change of the date may move; a rate is by the `minute`, counted in `minutes` for each endpoint.
    """

    def __init__(
        self,
        journal: Journal,
        clock: Callable[[], float] = time.monotonic,
        minute: float = MINUTE,
        minutes: dict[str, Minutes] | None = None,
    ) -> None:
        self.journal = journal
        self._clock = clock
        self._minute = minute
        self._guard = threading.RLock()
        self._leases: dict[int, Lease] = {}
        self._held: dict[bytes, int] = {}
        self._busy: Counter[str] = Counter()
        self._minutes = {} if minutes is None else minutes

    @property
    def totals(self) -> Totals:
        """Return what the budget counts: replies, and the most that all other calls can cost."""
        return self.journal.totals

    async def find(self, key: bytes) -> Paid | None:
        """Return the reply to a request, or None if it was not bought yet."""
        return self.journal.find(key)

    async def claim(self, key: bytes, most: Charge, limits: Limits) -> Answer:
        """Return the reply if it is there, leave to buy it for `most`, or what stands against it.

        Does not wait: who must claims again.
        """
        return self.claim_for(HERE, 0, key, most, limits)

    def claim_for(
        self, holder: str, ticket: int, key: bytes, most: Charge, limits: Limits
    ) -> Answer:
        """Claim for a holder; asked twice by the same ticket, the same call is granted."""
        with self._guard:
            if (call := self._held.get(key)) is not None:
                lease = self._leases[call]
                if (lease.holder, lease.ticket) == (holder, ticket) and holder != HERE:
                    return Leased(call)
                return Wait(SETTLING_SECONDS, elsewhere=True)
            if (found := self.journal.find(key)) is not None:
                return found
            if not limits.buy_again and (batch := self.journal.open_batch(key)) is not None:
                return batch
            if not limits.ever_fits(most):
                return Refused(self.journal.totals)
            places = math.inf if limits.concurrency is None else limits.concurrency
            if self._busy[limits.endpoint] >= places:
                return Wait(SETTLING_SECONDS)
            sent = self._let_go(most, limits)
            if isinstance(sent, float):
                return Wait(sent)
            granted = self.journal.ask(key, most, limits.fits)
            if granted is None:
                if sent is not None:
                    self._minutes_of(limits.endpoint).take_back(sent)
                # Calls in flight may yet cost less than they could.
                in_flight = self.journal.in_flight
                return Wait(SETTLING_SECONDS) if in_flight else Refused(self.journal.totals)
            self._grant(granted, Lease(key, limits.endpoint, holder, ticket, sent))
            return Leased(granted)

    async def keep(self, call: int, key: bytes, paid: Paid, most: Charge) -> Paid:
        """Write the reply to a call; on return it is safe. Return the reply that now stands."""
        return self.kept(call, key, paid, most)

    def kept(self, call: int, key: bytes, paid: Paid, most: Charge) -> Paid:
        """Do what `keep` does, at once."""
        with self._guard:
            stands = self.journal.keep(call, key, paid, most)
            took = None
            if paid.input_tokens is not None and paid.output_tokens is not None:
                took = paid.input_tokens + paid.output_tokens
            self._release(call, took)
            return stands

    async def withdraw(self, call: int) -> None:
        """Forget a call that was refused or never reached the server: it cost nothing."""
        self.forget(call)

    async def lose(self, call: int, fault: str, response: str) -> None:
        """Note why no usable reply to a call arrived, and what came instead; it may cost."""
        with self._guard:
            self.journal.lose(call, fault, response)
            self._release(call, None)

    async def begin_batch(self, calls: Sequence[int], token: str) -> int:
        """Note that calls are about to be sent together; they are no longer anybody's."""
        with self._guard:
            number = self.journal.begin_batch(calls, token)
            for call in calls:
                self._release(call, None)
            return number

    async def name_batch(self, number: int, name: str) -> None:
        """Note the server's name of a batch: from now on it exists."""
        self.journal.name_batch(number, name)

    async def end_batch(self, number: int) -> None:
        """Forget a batch, all of whose calls were kept, withdrawn or lost."""
        self.journal.end_batch(number)

    async def batches(self) -> list[SentBatch]:
        """Return the batches that have not ended, those of earlier processes included."""
        return self.journal.batches()

    async def calls_of(self, batch: int) -> Mapping[bytes, int]:
        """Return the calls of a batch that are neither kept, withdrawn nor lost yet."""
        return self.journal.calls_of(batch)

    async def expect(self, calls: Sequence[int]) -> None:
        """Note that somebody waits for calls of a batch: they may yet give money back."""
        self.journal.resume(calls)

    def held_by(self, holder: str) -> dict[int, int]:
        """Return the calls that somebody holds, with the tickets that they were asked for by."""
        with self._guard:
            return {c: one.ticket for c, one in self._leases.items() if one.holder == holder}

    def take_up(self, holder: str, call: int, key: bytes, endpoint: str) -> None:
        """Let somebody hold a call that was sent before this process began, if nobody does."""
        with self._guard:
            lease = self._leases.get(call)
            if lease is not None and lease.holder == holder:
                return
            if lease is None and self._held.get(key, call) != call:
                return
            if lease is None and self.journal.open_calls().get(call) != key:
                return
            self._release(call, None)
            self.journal.resume([call])
            self._grant(call, Lease(key, endpoint, holder, 0, None))

    def let_go_of(self, holder: str) -> int:
        """Give up what somebody held; return how many calls that were.

        Who is gone may have sent them: they count as if they cost the most.
        """
        with self._guard:
            gone = [call for call, one in self._leases.items() if one.holder == holder]
            for call in gone:
                self.journal.lose(call, "who asked is gone", "")
                self._release(call, None)
            return len(gone)

    def let_go_of_all(self) -> int:
        """Give up what all others held; return how many calls that were."""
        with self._guard:
            others = {lease.holder for lease in self._leases.values()} - {HERE}
            return sum(self.let_go_of(holder) for holder in others)

    def forget(self, call: int) -> None:
        """End a lease that was never used: it cost nothing."""
        with self._guard:
            self.journal.withdraw(call)
            self._release(call, 0)

    @property
    def in_flight_elsewhere(self) -> int:
        """Return how many calls others hold."""
        with self._guard:
            return sum(lease.holder != HERE for lease in self._leases.values())

    def _let_go(self, most: Charge, limits: Limits) -> Sent | float | None:
        """Count a call by the minute; return the seconds to wait, or None if none are counted."""
        if limits.requests_per_minute is None and limits.tokens_per_minute is None:
            return None
        tokens = most.input_tokens + most.output_tokens
        minutes = self._minutes_of(limits.endpoint)
        return minutes.let_go(tokens, limits.requests_per_minute, limits.tokens_per_minute)

    def _minutes_of(self, endpoint: str) -> Minutes:
        with _shared_guard:
            if endpoint not in self._minutes:
                self._minutes[endpoint] = Minutes(self._clock, self._minute)
            return self._minutes[endpoint]

    def _grant(self, call: int, lease: Lease) -> None:
        self._leases[call] = lease
        self._held[lease.key] = call
        self._busy[lease.endpoint] += 1

    def _release(self, call: int, tokens: int | None) -> None:
        """End a lease, if there is one, by a call that took so many tokens, if that is known."""
        lease = self._leases.pop(call, None)
        if lease is None:
            return
        del self._held[lease.key]
        self._busy[lease.endpoint] -= 1
        if lease.sent is not None and tokens is not None:
            self._minutes_of(lease.endpoint).took(lease.sent, tokens)


def ledger_of(journal: "Journal | Ledger") -> "Ledger":
    """Return the one ledger of a journal in this process; what is a ledger already stays itself."""
    return local_ledger(journal) if isinstance(journal, Journal) else journal


def local_ledger(journal: Journal) -> LocalLedger:
    """Return the one ledger of a journal in this process."""
    with _shared_guard:
        known = _ledgers.get(journal)
        found = known() if known else None
        if found is None:
            found = LocalLedger(journal, minutes=_minutes)
            _ledgers[journal] = weakref.ref(found)
        return found
