"""How many requests and tokens a minute: each is let go at a time at which they stay within that.

In: calls that want to be sent, with the tokens that each can take. Out: the seconds that each has
to wait. Times are those of a clock that no change of the date moves.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

MINUTE: Final = 60.0
# Of a minute's requests, those that may go at once: servers count by the second, too.
BURST: Final = 1 / 30


@dataclass(slots=True)
class Sent:
    """A call that was let go at a time, and the tokens that it takes, as far as is known."""

    at: float
    tokens: int


class Minutes:
    """The calls of the last minute to one endpoint; safe to use from several threads.

    In no minute, wherever it begins, are there more requests or tokens than the limits say; and
    requests are spread over it, but for a burst of a thirtieth. `minute` is in seconds of `clock`.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, minute: float = MINUTE) -> None:
        self._clock = clock
        self._minute = minute
        self._guard = threading.Lock()
        self._sent: deque[Sent] = deque()
        self._tokens = 0
        self._due = -math.inf

    def let_go(
        self, tokens: int, most_requests: int | None, most_tokens: int | None
    ) -> Sent | float:
        """Count a call that may be sent now, or return the seconds until it is worth asking again.

        `tokens` are the most that it can take. One of more than `most_tokens` may never go.
        """
        with self._guard:
            now = self._clock()
            self._forget(now)
            wait = max(0.0, self._until(tokens, most_requests, most_tokens) - now)
            if wait > 0:
                return wait
            sent = Sent(now, tokens)
            self._sent.append(sent)
            self._tokens += tokens
            if most_requests is not None:
                self._due = max(self._due, now) + self._minute / most_requests
            return sent

    def took(self, sent: Sent, tokens: int) -> None:
        """Note how many tokens a call really took; 0 if the server made nothing of it."""
        with self._guard:
            if self._sent and sent.at >= self._sent[0].at:
                self._tokens += tokens - sent.tokens
            sent.tokens = tokens

    def take_back(self, sent: Sent) -> None:
        """Forget a call that was let go and will not be sent."""
        self.took(sent, 0)
        with self._guard:
            self._sent = deque(one for one in self._sent if one is not sent)

    def _until(self, tokens: int, most_requests: int | None, most_tokens: int | None) -> float:
        """Return the time from which on a call may go."""
        until = -math.inf
        if most_requests is not None:
            until = self._due - BURST * self._minute
            if len(self._sent) >= most_requests:
                leaves = self._sent[len(self._sent) - most_requests]
                until = max(until, leaves.at + self._minute)
        over = 0 if most_tokens is None else self._tokens + tokens - most_tokens
        if over > 0:
            until = max(until, self._until_room(over))
        return until

    def _until_room(self, over: int) -> float:
        """Return the time at which there is room for so many tokens more; never, it may be."""
        for sent in self._sent:
            over -= sent.tokens
            if over <= 0:
                return sent.at + self._minute
        return math.inf

    def _forget(self, now: float) -> None:
        # Nothing is forgotten early: what was sent at the very beginning of a minute is in it.
        while self._sent and self._sent[0].at + self._minute <= now:
            self._tokens -= self._sent.popleft().tokens
