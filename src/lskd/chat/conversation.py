"""A conversation becomes requests, one for each turn; what comes back becomes replies."""

import math
from collections.abc import Sequence

from lskd.chat.budget import Budget
from lskd.chat.endpoint import Endpoint
from lskd.chat.faults import Fault
from lskd.chat.ledger import Ledger
from lskd.chat.paid import InBatch, Paid
from lskd.chat.wire import Request, read_completion
from lskd.errors import UserError
from lskd.protocols import Conversation
from lskd.types import Message, Reply


def opening(conversation: Conversation) -> tuple[Message, ...]:
    """Return the messages of the first turn."""
    system = (Message("system", conversation.system),) if conversation.system else ()
    return (*system, Message("user", conversation.turns[0]))


def continued(conversation: Conversation, replies: Sequence[Reply]) -> tuple[Message, ...] | None:
    """Return the messages of the next turn, or None after the last, or after one that failed."""
    if not replies:
        return opening(conversation) if conversation.turns else None
    if replies[-1].error is not None or len(replies) == len(conversation.turns):
        return None
    answer = Message("assistant", replies[-1].text)
    return (*replies[-1].messages, answer, Message("user", conversation.turns[len(replies)]))


def request(
    conversation: Conversation, messages: tuple[Message, ...], turn: int, endpoint: Endpoint
) -> Request:
    """Return the call for one turn of a conversation."""
    return Request(
        conversation=conversation.id,
        turn=turn,
        model=endpoint.model,
        messages=messages,
        temperature=conversation.temperature,
        reply_tokens=conversation.reply_tokens,
        top_p=endpoint.top_p,
        extra=endpoint.extra_body,
        schema=None if endpoint.structured == "never" else conversation.schema,
        picture=conversation.picture,
    )


def received(asked: Request, response: str, budget: Budget, seconds: float) -> Paid:
    """Return what the journal keeps of a response, which took `seconds`.

    Raises Fault if there is no reply in it.
    """
    completion = read_completion(response)
    budget.learn(asked, completion.input_tokens)
    return Paid(
        request=asked.text,
        response=response,
        finish=completion.finish,
        input_tokens=completion.input_tokens,
        output_tokens=completion.output_tokens,
        price=budget.price(completion.input_tokens, completion.output_tokens),
        seconds=seconds,
    )


async def given_up(ledger: Ledger, call: int, fault: Fault) -> None:
    """Tell a ledger that a call brought no reply, and what that may have cost."""
    if fault.may_cost:
        await ledger.lose(call, str(fault), fault.body)
    else:
        await ledger.withdraw(call)


def still_in(batch: InBatch) -> UserError:
    """Return the error for a call that an open batch holds: bought now, it would be paid twice."""
    name = f"batch {batch.name}" if batch.name else "a batch"
    where = f"{name} of {batch.journal}" if batch.journal else name
    whose = "the run that sent it" if batch.journal else "the run"
    return UserError(
        f"{where} holds {_calls(batch.calls)} that would be paid twice: let {whose} fetch the "
        "replies with lskd.chat.batch:BatchTeacher; if they never come, set buy_again = true"
    )


def no_more(batch: InBatch, endpoint: Endpoint, why: object) -> UserError:
    """Return the error for a batch that the server has forgotten: another key may yet fetch it."""
    return UserError(
        f"{endpoint} knows batch {batch.name}, which holds {_calls(batch.calls)}, no more ({why}): "
        "give the key and base_url that it was sent with; if its answers are gone, set "
        "buy_again = true to pay for them once more"
    )


def _calls(number: int) -> str:
    return "1 call" if number == 1 else f"{number} calls"


def answered(conversation: Conversation, asked: Request, outcome: Paid | Fault) -> Reply:
    """Return the row of one turn: the reply that was paid, or why there is none."""
    paid = None if isinstance(outcome, Fault) else outcome
    completion = read_completion(paid.response) if paid else None
    error = str(outcome) if isinstance(outcome, Fault) else None
    if completion and not completion.text:
        error = f"the reply is empty (finish {completion.finish!r})"
    return Reply(
        id=f"{conversation.id}-{asked.turn}",
        image_id=conversation.image_id,
        style=conversation.style,
        turn=asked.turn,
        messages=asked.messages,
        text=completion.text if completion else "",
        model=asked.model,
        finish=completion.finish if completion else "",
        input_tokens=paid.input_tokens if paid else None,
        output_tokens=paid.output_tokens if paid else None,
        price=paid.price if paid else None,
        seconds=paid.seconds if paid else math.nan,
        error=error,
    )
