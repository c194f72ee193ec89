"""A language model behind the OpenAI protocol, hosted or local, becomes a teacher (section 2.2)."""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import ClassVar

from lskd.chat.budget import Budget
from lskd.chat.client import Client
from lskd.chat.conversation import answered, continued, given_up, received, request, still_in
from lskd.chat.endpoint import WITHOUT_EFFECT, read_endpoint, with_endpoint_keys
from lskd.chat.faults import Fault
from lskd.chat.journal import Journal
from lskd.chat.ledger import Leased, Ledger, Refused, Wait, ledger_of
from lskd.chat.paid import Charge, InBatch, Paid
from lskd.chat.wire import Dialect, Request, body
from lskd.errors import UserError
from lskd.protocols import Conversation
from lskd.types import Reply

log = logging.getLogger("lskd")


@with_endpoint_keys
class ChatTeacher:
    """A model that is asked call by call; its settings are those of `lskd.chat.endpoint.Endpoint`.

    Raises UserError if a setting is wrong or the key's environment variable is missing.
    """

    without_effect: ClassVar = WITHOUT_EFFECT

    def __init__(self, journal: Journal | Ledger, **settings: object) -> None:
        self.endpoint = read_endpoint(settings, type(self).__name__)
        self._ledger = ledger_of(journal)
        self._client = Client(self.endpoint)
        self._budget = Budget(self.endpoint)
        self._dialect = Dialect(structured=self.endpoint.structured != "never")
        self._under_way: dict[bytes, asyncio.Event] = {}

    def close(self) -> None:
        """Close the connections; also done when the teacher is no longer used."""
        self._client.close()

    def converse(self, conversations: Sequence[Conversation]) -> list[tuple[Reply, ...]]:
        """Return the replies of each conversation, in turn; a failed one ends it, with `error`.

        Conversations run side by side, several threads may call this. Raises BudgetReached before
        the budget could be overspent, EndpointError if nothing can be asked any more; calls in
        flight are waited for, and what arrived is in the journal.
        """
        return self._client.run(self._hold_all(conversations))

    async def _hold_all(self, conversations: Sequence[Conversation]) -> list[tuple[Reply, ...]]:
        tasks = [asyncio.ensure_future(self._hold(conversation)) for conversation in conversations]
        held = await asyncio.gather(*tasks, return_exceptions=True)
        found: list[tuple[Reply, ...]] = []
        for one in held:
            if isinstance(one, BaseException):
                raise one
            found.append(one)
        return found

    async def _hold(self, conversation: Conversation) -> tuple[Reply, ...]:
        replies: list[Reply] = []
        while (messages := continued(conversation, replies)) is not None:
            asked = request(conversation, messages, len(replies), self.endpoint)
            outcome: Paid | Fault
            try:
                outcome = await self._paid(asked)
            except Fault as fault:
                # Its traceback leads back here, and would hold the journal open.
                outcome = fault.with_traceback(None)
            except UserError as error:
                raise self._client.limiter.halt(error) from error
            replies.append(answered(conversation, asked, outcome))
        return tuple(replies)

    async def _paid(self, asked: Request) -> Paid:
        """Return the reply to a call: from the journal, or bought now."""
        while (found := await self._ledger.find(asked.key)) is None:
            other = self._under_way.get(asked.key)
            if other is None:
                return await self._bought(asked)
            await other.wait()
        self._client.patience.proven = True
        return found

    async def _bought(self, asked: Request) -> Paid:
        self._under_way[asked.key] = done = asyncio.Event()
        began: float | None = None

        async def attempt() -> Paid:
            nonlocal began
            began = began or time.monotonic()
            return await self._attempt(asked, began)

        try:
            return await self._client.persist(attempt)
        finally:
            del self._under_way[asked.key]
            done.set()

    async def _attempt(self, asked: Request, began: float) -> Paid:
        """Send a call once: it is noted before it leaves, its reply kept before we go on.

        If others have bought it meanwhile, it is theirs that counts.
        """
        most = self._budget.most(asked)
        claimed = await self._claimed(asked, most)
        if isinstance(claimed, Paid):
            return claimed
        call = claimed.call
        try:
            response = await self._sent(asked)
            paid = received(asked, response, self._budget, time.monotonic() - began)
        except Fault as fault:
            await given_up(self._ledger, call, fault)
            raise
        return await self._ledger.keep(call, asked.key, paid, most)

    async def _claimed(self, asked: Request, most: Charge) -> Paid | Leased:
        """Return leave to send a call, once it fits the limits, or the reply that others bought."""
        while True:
            answer = await self._ledger.claim(asked.key, most, self._budget.limits)
            if isinstance(answer, Refused):
                raise self._budget.refusal(answer.totals, most)
            if isinstance(answer, InBatch):
                raise still_in(answer)
            if isinstance(answer, Paid):
                return answer
            try:
                # Raises if others have met meanwhile what ends all asking.
                await self._client.limiter.rest(answer.seconds if isinstance(answer, Wait) else 0)
            except UserError:
                if isinstance(answer, Leased):
                    await self._ledger.withdraw(answer.call)
                raise
            if isinstance(answer, Leased):
                return answer

    async def _sent(self, asked: Request) -> str:
        """Return the response to a call, asked again in another way if the server wants that."""
        while True:
            dialect = self._dialect
            try:
                return await self._client.send(
                    "POST", "/chat/completions", body(asked, dialect), "application/json"
                )
            except Fault as fault:
                if fault.kind != "request" or not self._learnt(dialect, fault.body):
                    raise

    def _learnt(self, dialect: Dialect, refusal: str) -> bool:
        """Return whether it makes sense to ask again because of what a refusal taught."""
        if dialect != self._dialect:  # another call has learnt it meanwhile
            return True
        better = dialect.taught(refusal, may_drop_schema=self.endpoint.structured == "auto")
        if better is None:
            return False
        self._dialect = better
        if dialect.structured and not better.structured:
            log.warning("%s takes no JSON schema: asking for plain text", self.endpoint)
        return True
