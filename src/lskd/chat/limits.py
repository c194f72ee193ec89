"""How much may be asked of one endpoint at a time, and for how long it is tried.

All of this lives on the event loop of a client: no locks.
"""

import asyncio
import time
from collections import deque
from typing import Final

from lskd.errors import UserError

FIRST_CONTACT_SECONDS: Final = 2.0  # an endpoint that was never reached is given up after this
FAILURES_IN_A_ROW: Final = 10  # requests that failed for good, with no reply between them


class Limiter:
    """Admits so many calls at a time as the endpoint bears: `most`, or fewer after it complained.

    Additive increase, multiplicative decrease: a complaint halves what is admitted, once for all
    calls that were under way when it came; each success adds 1 / admitted. Once halted, it admits
    nothing and wakes everyone who waits.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.admitted = float(most)
        self._busy = 0
        self._round = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._quiet_until = 0.0
        self._error: UserError | None = None
        self._halted = asyncio.Event()

    @property
    def busy(self) -> int:
        """Return how many calls are under way."""
        return self._busy

    async def enter(self) -> int:
        """Wait for a place; return the round, to be told with a complaint.

        Raises what the limiter was halted with.
        """
        if self._error is not None:
            raise self._error
        if self._waiting or not self._has_room():
            place = asyncio.get_running_loop().create_future()
            self._waiting.append(place)
            await place  # whoever wakes this has taken the place for it
        else:
            self._busy += 1
        return self._round

    def leave(self) -> None:
        """Give the place back."""
        self._busy -= 1
        self._admit()

    def succeeded(self) -> None:
        """Admit a little more, up to `most`."""
        if self.admitted < self.most:
            self.admitted = min(float(self.most), self.admitted + 1 / self.admitted)

    def complained(self, since: int, pause: float | None) -> None:
        """Admit half as much, and nothing for `pause` seconds if the server asked for that."""
        if since == self._round:
            self._round += 1
            self.admitted = max(1.0, self.admitted / 2)
        if pause:
            self._quiet_until = max(self._quiet_until, time.monotonic() + pause)
            asyncio.get_running_loop().call_later(pause + 0.001, self._admit)

    async def rest(self, seconds: float) -> None:
        """Sleep. Raises what the limiter was halted with as soon as it is."""
        if self._error is None and seconds > 0:
            try:
                await asyncio.wait_for(self._halted.wait(), seconds)
            except TimeoutError:
                return
        if self._error is not None:
            raise self._error

    def halt(self, error: UserError) -> UserError:
        """Admit nothing more; return the first error that it was halted with."""
        if self._error is None:
            self._error = error
        self._halted.set()
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_exception(self._error)
        return self._error

    def reopen(self) -> None:
        """Admit again, after a halt."""
        self._error = None
        self._halted.clear()

    def _has_room(self) -> bool:
        return self._busy < int(self.admitted) and time.monotonic() >= self._quiet_until

    def _admit(self) -> None:
        while self._waiting and self._has_room():
            place = self._waiting.popleft()
            if not place.done():
                self._busy += 1
                place.set_result(None)


class Patience:
    """Tells when an endpoint that does not answer is to be given up; times in seconds.

    `proven`: some request, now or in an earlier run, was answered; `replies`: how many were now.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = min(seconds, FIRST_CONTACT_SECONDS)
        self._once_reached = seconds
        self.was_reached = False
        self._silent_since: float | None = None
        self._failures = 0
        self.proven = False
        self.replies = 0

    def answered(self) -> None:
        """Note that the endpoint gave a reply."""
        self.proven = True
        self.replies += 1
        self._silent_since = None
        self._failures = 0

    def reached(self) -> None:
        """Note that a server is there, whatever it said."""
        self._seconds = self._once_reached
        self.was_reached = True

    def is_out(self, pause: float = 0.0) -> bool:
        """Note a call that found the endpoint away or overloaded; return whether that is enough.

        The first `pause` that the server asks for is not counted.
        """
        now = time.monotonic()
        if self._silent_since is None:
            self._silent_since = now + pause
        return now - self._silent_since > self._seconds

    def failed(self, refused: bool) -> bool:
        """Note a request that failed for good; return whether that is enough.

        Requests that the server refuses as wrong tell against it, or against the settings, only as
        long as none was ever answered: many pictures in a row may well be refused one by one.
        """
        if refused and self.proven:
            return False
        self._failures += 1
        return self._failures >= FAILURES_IN_A_ROW
