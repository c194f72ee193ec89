"""Being told to stop: the calls in flight are waited for, and nothing further is asked.

In: a signal, as SIGTERM from a scheduler or Ctrl-C. Out: every client of this process is halted,
and the main thread is interrupted; a second Ctrl-C does not wait.
"""

import asyncio
import contextlib
import logging
import signal
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from lskd.chat.limits import Limiter
from lskd.errors import UserError

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

log = logging.getLogger("lskd")
_limiters: weakref.WeakKeyDictionary[Limiter, asyncio.AbstractEventLoop]
_limiters = weakref.WeakKeyDictionary()
_told: list[str] = []


class Stopped(KeyboardInterrupt):
    """The process was asked to end, by SIGTERM."""


def watch(limiter: Limiter, loop: asyncio.AbstractEventLoop) -> None:
    """Let a limiter, which lives on a loop, be halted when this process is told to stop."""
    _limiters[limiter] = loop


def told() -> UserError | None:
    """Return the error for whoever asks something after the process was told to stop, or None."""
    return UserError(_told[0]) if _told else None


def stop(why: str) -> None:
    """Halt all clients of this process; calls in flight come to their own end."""
    _told.append(why)
    for limiter, loop in list(_limiters.items()):
        with contextlib.suppress(RuntimeError):  # its client is closed
            loop.call_soon_threadsafe(_halt, limiter, UserError(why))


def _halt(limiter: Limiter, error: UserError) -> None:
    if limiter.busy:
        log.warning("waiting for the replies in flight; interrupt again to leave them")
    limiter.halt(error)


@contextmanager
def stops_gracefully() -> Iterator[None]:
    """Within the block, Ctrl-C and SIGTERM let paid calls in flight finish before all ends.

    They raise KeyboardInterrupt and Stopped in the main thread. A signal that this process was
    started to ignore stays ignored; off the main thread nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        first = not _told
        if number == signal.SIGTERM:
            if first:
                stop("stopped by SIGTERM")
                raise Stopped
            return  # it is ending
        stop("interrupted")
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in SIGNALS}
    taken = [number for number in SIGNALS if before[number] is not signal.SIG_IGN]
    for number in taken:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, before[number])
        _told.clear()
