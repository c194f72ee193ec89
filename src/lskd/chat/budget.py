"""What a journal's replies may cost altogether, and what one call can cost at most.

In: the settings of an endpoint. Out: `Limits`, which all who ask it keep together, in one process
or in many (`lskd.chat.ledger`).
"""

import math
from dataclasses import dataclass
from typing import Final

from lskd.chat.endpoint import Endpoint
from lskd.chat.paid import Charge, Totals
from lskd.chat.wire import Request
from lskd.errors import BudgetReached, UserError

ROUNDING: Final = 1e-9  # of sums of prices


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be asked of one endpoint by all who ask it together.

    Calls are counted apart for each `endpoint`, tokens and money over all of a journal. None is no
    limit. Prices are for a million tokens, at what is really paid. `buy_again`: even a call that
    stands in an open batch.
    """

    endpoint: str
    concurrency: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    max_price: float | None = None
    max_tokens: int | None = None
    input_price: float | None = None
    output_price: float | None = None
    buy_again: bool = False

    def price(self, input_tokens: int | None, output_tokens: int | None) -> float | None:
        """Return what so many tokens cost; None without prices, or where no tokens were counted."""
        if input_tokens is None or output_tokens is None:
            return None
        if self.input_price is None or self.output_price is None:
            return None
        return (input_tokens * self.input_price + output_tokens * self.output_price) / 1e6

    def sum(self, totals: Totals) -> float:
        """Return the price of charges; those that had none when they were paid have today's."""
        return totals.price + (self.price(totals.unpriced_input, totals.unpriced_output) or 0.0)

    def fits(self, totals: Totals) -> bool:
        """Return whether charges of that much stay within `max_tokens` and `max_price`."""
        tokens = totals.input_tokens + totals.output_tokens
        if self.max_tokens is not None and tokens > self.max_tokens:
            return False
        return self.max_price is None or self.sum(totals) <= self.max_price + ROUNDING

    def ever_fits(self, most: Charge) -> bool:
        """Return whether a call that takes so much can be asked within one minute."""
        tokens = most.input_tokens + most.output_tokens
        return self.tokens_per_minute is None or tokens <= self.tokens_per_minute


class Budget:
    """The limits of an endpoint, and what its calls can cost by what was learnt of them.

    Prices are those of the endpoint times `share` (hosted batches cost half). In a `batch` calls
    are not counted by the minute, nor by how many are under way.
    """

    def __init__(self, endpoint: Endpoint, share: float = 1.0, batch: bool = False) -> None:
        self._picture_tokens = endpoint.picture_tokens
        self._factor = 1.0
        self._model = endpoint.model
        prices = (endpoint.input_price, endpoint.output_price)
        priced = [None if price is None else price * share for price in prices]
        self.limits = Limits(
            endpoint=f"{endpoint.base_url} {endpoint.model}",
            concurrency=None if batch else endpoint.concurrency,
            requests_per_minute=None if batch else endpoint.requests_per_minute,
            tokens_per_minute=None if batch else endpoint.tokens_per_minute,
            max_price=endpoint.max_price,
            max_tokens=endpoint.max_tokens,
            input_price=priced[0],
            output_price=priced[1],
            buy_again=endpoint.buy_again,
        )

    def price(self, input_tokens: int | None, output_tokens: int | None) -> float | None:
        """Return what so many tokens cost; None without prices, or where no tokens were counted."""
        return self.limits.price(input_tokens, output_tokens)

    def most(self, request: Request) -> Charge:
        """Return what a call can cost at most."""
        tokens = math.ceil(request.most_tokens(self._picture_tokens) * self._factor)
        return Charge(tokens, request.reply_tokens, self.price(tokens, request.reply_tokens))

    def learn(self, request: Request, input_tokens: int | None) -> None:
        """Expect more from now on if a request took more than was thought: pictures may."""
        thought = request.most_tokens(self._picture_tokens)
        self._factor = max(self._factor, (input_tokens or 0) / thought)

    def refusal(self, totals: Totals, most: Charge) -> UserError:
        """Return the error for a call that does not fit any more, or never did."""
        limits, needed = self.limits, most.input_tokens + most.output_tokens
        if not limits.ever_fits(most):
            return UserError(
                f"tokens_per_minute = {limits.tokens_per_minute}: one call may take {needed}; "
                "raise it to what the server admits, or have shorter prompts and replies"
            )
        tokens = totals.input_tokens + totals.output_tokens
        if limits.max_tokens is not None and tokens + needed > limits.max_tokens:
            what, spent, next_one = f"max_tokens = {limits.max_tokens}", f"{tokens}", f"{needed}"
        else:
            what, spent = f"max_price = {limits.max_price:g}", f"{limits.sum(totals):.6g}"
            next_one = f"{most.price or 0.0:.3g}"
        what += f" of {self._model}: {spent} spent by all models of the run, the next call may take"
        what += f" {next_one}"
        return BudgetReached(
            f"the budget is reached ({what}); every reply is kept: raise it and give the same "
            "command again"
        )
