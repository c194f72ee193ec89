"""A teacher that is asked through the hosted batch interface: cheaper, within a day a turn.

All first turns of the conversations go out together, then all second ones, and so on. Requests and
journal are those of `ChatTeacher`: what one has bought, the other need not buy. A batch is noted in
the journal before it is made, so that a run that is killed while it waits submits nothing twice.
"""

import asyncio
import contextlib
import hashlib
import time
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import ClassVar

from lskd.chat import batch_files
from lskd.chat.batch_files import Gone, Line, State
from lskd.chat.budget import Budget
from lskd.chat.client import Client
from lskd.chat.conversation import (
    answered,
    continued,
    given_up,
    no_more,
    received,
    request,
    still_in,
)
from lskd.chat.endpoint import WITHOUT_EFFECT, read_endpoint, with_endpoint_keys
from lskd.chat.faults import Fault
from lskd.chat.journal import Journal
from lskd.chat.ledger import Leased, Ledger, Refused, Wait, ledger_of
from lskd.chat.paid import InBatch, Paid, SentBatch
from lskd.chat.wire import Dialect, Request, body
from lskd.errors import BudgetReached, EndpointError, UserError
from lskd.protocols import Conversation
from lskd.types import Reply

UNNAMED = "(not named yet)"


@with_endpoint_keys
class BatchTeacher:
    """A model that is asked in batches.

    Its settings are those of `lskd.chat.endpoint.Endpoint` and these: `poll`: seconds between two
    looks at a batch. `discount`: what a batch costs, as a share of `input_price` and
    `output_price`. `batch_requests`, `batch_bytes`: the most that one file may hold.
    """

    without_effect: ClassVar = WITHOUT_EFFECT | {
        "poll",
        "discount",
        "batch_requests",
        "batch_bytes",
    }

    # Each shard of a run is a batch of its own for each turn; they wait side by side.
    shards_at_once = 256

    def __init__(
        self,
        journal: Journal | Ledger,
        *,
        poll: float = 30.0,
        discount: float = 0.5,
        batch_requests: int = 50_000,
        batch_bytes: int = 200_000_000,
        **settings: object,
    ) -> None:
        for name, value in (("poll", poll), ("discount", discount)):
            if not 0 < value < float("inf"):
                raise UserError(f"{type(self).__name__}: {name} must be above 0, not {value}")
        if min(batch_requests, batch_bytes) < 1:
            raise UserError(f"{type(self).__name__}: batch_requests and batch_bytes are at least 1")
        self.endpoint = read_endpoint(settings, type(self).__name__)
        self._ledger = ledger_of(journal)
        self._poll = poll
        self._most_requests = batch_requests
        self._most_bytes = batch_bytes
        self._client = Client(self.endpoint)
        self._budget = Budget(self.endpoint, discount, batch=True)
        self._dialect = Dialect(structured=self.endpoint.structured != "never")
        self._submitting = asyncio.Lock()

    def close(self) -> None:
        """Close the connections; also done when the teacher is no longer used."""
        self._client.close()

    def converse(self, conversations: Sequence[Conversation]) -> list[tuple[Reply, ...]]:
        """Return the replies of each conversation, in turn; a failed one ends it, with `error`.

        Raises BudgetReached before the budget could be overspent, EndpointError if nothing can be
        asked any more; batches that were made by then are taken up by the next run.
        """
        return self._client.run(self._hold_all(conversations))

    async def _hold_all(self, conversations: Sequence[Conversation]) -> list[tuple[Reply, ...]]:
        held: list[list[Reply]] = [[] for _ in conversations]
        while True:
            turns: list[tuple[int, Request]] = []
            for k, (conversation, replies) in enumerate(zip(conversations, held, strict=True)):
                messages = continued(conversation, replies)
                if messages is not None:
                    asked = request(conversation, messages, len(replies), self.endpoint)
                    turns.append((k, asked))
            if not turns:
                return [tuple(replies) for replies in held]
            try:
                outcomes = await self._outcomes({asked.key: asked for _, asked in turns})
            except Fault as fault:  # of the file or the batch as a whole
                raise self._refused(f"batches: {fault}") from fault
            except UserError as error:
                raise self._client.limiter.halt(error) from error
            for k, asked in turns:
                held[k].append(answered(conversations[k], asked, outcomes[asked.key]))

    async def _outcomes(self, wanted: Mapping[bytes, Request]) -> dict[bytes, Paid | Fault]:
        """Return the reply to each request, or why there is none, in as many rounds as needed."""
        outcomes: dict[bytes, Paid | Fault] = {}
        tries: Counter[bytes] = Counter()  # rounds that wait for the budget are none
        has_waited = False
        while True:
            for key in wanted.keys() - outcomes.keys():
                found = await self._ledger.find(key)
                if found is not None:
                    outcomes[key] = found
            missing = {key: asked for key, asked in wanted.items() if key not in outcomes}
            if not missing:
                return outcomes
            dialect = self._dialect
            try:
                faults = await self._round(missing)
            except BudgetReached:
                if has_waited or not any(one.calls for one in await self._ledger.batches()):
                    raise
                # After a restart those who wait for the batches may not have said so yet.
                has_waited = True
                await self._client.limiter.rest(self._poll)
                continue
            tries.update(faults.keys())
            for key, fault in faults.items():
                if self._is_final(fault, tries[key], dialect):
                    outcomes[key] = fault

    def _is_final(self, fault: Fault, tries: int, dialect: Dialect) -> bool:
        """Return whether a request that was sent in a dialect is not to be sent again."""
        if fault.kind != "request":
            return tries > self.endpoint.retries
        drop = self.endpoint.structured == "auto"
        better = dialect.taught(fault.body, may_drop_schema=drop)
        self._dialect = better or self._dialect
        return better is None

    async def _round(self, missing: Mapping[bytes, Request]) -> dict[bytes, Fault]:
        """Submit what no batch holds yet, wait for all batches, and return what went wrong."""
        async with self._submitting:  # or two threads might submit the same request
            held = await self._ledger.batches()
            batches = [batch for batch in held if batch.calls.keys() & missing.keys()]
            for batch in batches:
                asked_here = batch.calls.keys() & missing.keys()
                await self._ledger.expect([batch.calls[key] for key in asked_here])
            sent = {key for batch in batches for key in batch.calls}
            rest = [asked for key, asked in missing.items() if key not in sent]
            blocked: Wait | Refused | InBatch | None = None
            while rest and blocked is None:
                portion, looked_at, blocked = await self._portion(rest)
                rest = rest[looked_at:]
                if portion:
                    batches.append(await self._submitted(portion))
        if isinstance(blocked, InBatch) and blocked.journal:  # where this run cannot settle it
            raise still_in(blocked)
        if isinstance(blocked, Refused) and not batches:
            raise self._budget.refusal(blocked.totals, self._budget.most(rest[0]))
        if isinstance(blocked, Wait | InBatch) and not batches:
            # Others ask the same, or have just sent it, or may give money back.
            await self._client.limiter.rest(self._poll)
        watched = (self._received(batch, missing) for batch in batches)
        ended = await asyncio.gather(*watched, return_exceptions=True)
        faults: dict[bytes, Fault] = {}
        for one in ended:
            if isinstance(one, BaseException):
                raise one
            faults |= one
        return faults

    async def _portion(
        self, rest: Sequence[Request]
    ) -> tuple[list[tuple[int, Line]], int, Wait | Refused | InBatch | None]:
        """Claim the calls of as many requests as fit a file and the budget.

        Return their lines, how many requests were looked at, and what stands against the next.
        """
        portion: list[tuple[int, Line]] = []
        size = 0
        for looked_at, asked in enumerate(rest[: self._most_requests]):
            line = Line(asked.key.hex(), body(asked, self._dialect))
            size += len(line.text())
            if size > self._most_bytes and portion:
                return portion, looked_at, None
            most = self._budget.most(asked)
            answer = await self._ledger.claim(asked.key, most, self._budget.limits)
            if isinstance(answer, Refused | Wait | InBatch):
                return portion, looked_at, answer
            if isinstance(answer, Leased):
                portion.append((answer.call, line))
        return portion, min(len(rest), self._most_requests), None

    async def _submitted(self, portion: Sequence[tuple[int, Line]]) -> SentBatch:
        """Upload calls as a file and make a batch of it."""
        token = f"{uuid.uuid4().hex}-{server(self.endpoint.base_url)}"
        number = await self._ledger.begin_batch([call for call, _ in portion], token)
        lines = b"".join(line.text() for _, line in portion)
        file = await batch_files.upload(self._client, lines)
        await self._ledger.name_batch(number, await batch_files.submit(self._client, file, token))
        return next(b for b in await self._ledger.batches() if b.number == number)

    async def _received(
        self, batch: SentBatch, wanted: Mapping[bytes, Request]
    ) -> dict[bytes, Fault]:
        """Wait for a batch, keep the wanted replies, and return what went wrong with others.

        Replies that nobody wants now stay on the server until somebody does.
        """
        name = batch.name or await batch_files.search(self._client, batch.token)
        if name is None:
            # The process that noted it ended before it was made, or before it heard its name.
            _, _, sent_to = batch.token.partition("-")
            if sent_to in ("", server(self.endpoint.base_url)):
                await self._forget(batch)
            else:
                await self._write_off(batch, UNNAMED, Gone("it was sent to another base_url"))
            return {}
        try:
            answers = await self._answers(batch, name, wanted)
        except Gone as gone:
            await self._write_off(batch, name, gone)
            return {}
        # Read again: another thread may have settled some of them since.
        calls = await self._ledger.calls_of(batch.number)
        faults: dict[bytes, Fault] = {}
        for key in calls.keys() & wanted.keys():
            answer = answers.get(key.hex(), Fault("passing", "not in the batch's answers"))
            # The date may have been set back since.
            seconds = max(0.0, time.time() - batch.made)
            fault = await self._settled(calls[key], wanted[key], answer, seconds)
            if fault is not None:
                faults[key] = fault
        if not calls.keys() - wanted.keys():
            await self._ledger.end_batch(batch.number)
        for fault in faults.values():
            if fault.kind == "endpoint":
                raise self._refused(f"to serve: {fault}")
        return faults

    async def _answers(
        self, batch: SentBatch, name: str, wanted: Mapping[bytes, Request]
    ) -> dict[str, str | Fault]:
        """Wait until a batch is over, and return its answers. Raises Gone."""
        state = await self._ended(
            name, [batch.calls[k] for k in batch.calls.keys() & wanted.keys()]
        )
        if not state.is_done:
            await self._forget(batch)
            raise self._refused(f"batch {name}: {state.message or state.status}")
        answers: dict[str, str | Fault] = {}
        for file in state.files:
            answers |= await batch_files.answers(self._client, file)
        return answers

    async def _ended(self, name: str, calls: Sequence[int]) -> State:
        """Wait until a batch is over, and return its state; `calls` are those that are wanted."""
        while True:
            # At each look: a driver that was started anew does not know of it. One that is away
            # just now ends nothing, as long as its answer is not needed.
            with contextlib.suppress(EndpointError):
                await self._ledger.expect(calls)
            state = await batch_files.state(self._client, name)
            if state.is_done or state.status == "failed":
                return state
            await self._client.limiter.rest(self._poll)

    async def _settled(
        self, call: int, asked: Request, answer: str | Fault, seconds: float
    ) -> Fault | None:
        """Keep the reply to a call, or note and return what went wrong."""
        try:
            if isinstance(answer, Fault):
                raise answer
            paid = received(asked, answer, self._budget, seconds)
            await self._ledger.keep(call, asked.key, paid, self._budget.most(asked))
        except Fault as fault:
            await given_up(self._ledger, call, fault)
            # Its traceback leads back here, and would hold the journal open.
            return fault.with_traceback(None)
        return None

    async def _write_off(self, batch: SentBatch, name: str, gone: Gone) -> None:
        """Give up the calls of a batch whose answers are gone, if they may be bought again.

        Raises UserError if they may not: with another key they might yet be fetched.
        """
        calls = await self._ledger.calls_of(batch.number)
        if not self.endpoint.buy_again:
            raise no_more(InBatch("", name, len(calls)), self.endpoint, gone)
        for call in calls.values():
            await self._ledger.lose(call, f"batch {name}: {gone}", "")
        await self._ledger.end_batch(batch.number)

    async def _forget(self, batch: SentBatch) -> None:
        for call in batch.calls.values():
            await self._ledger.withdraw(call)
        await self._ledger.end_batch(batch.number)

    def _refused(self, what: str) -> UserError:
        return self._client.limiter.halt(EndpointError(f"{self.endpoint} refuses {what}"))


def server(base_url: str) -> str:
    """Return what tells the server of an address apart from others."""
    return hashlib.blake2b(base_url.encode(), digest_size=4).hexdigest()
