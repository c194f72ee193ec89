"""Processes that work for one command; when they are told to end, they do so without a word."""

import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor


def workers(
    count: int, begin: Callable[..., None] | None = None, given: tuple[object, ...] = ()
) -> ProcessPoolExecutor:
    """Return a pool of so many processes, each of which first calls `begin(*given)`."""
    return ProcessPoolExecutor(count, initializer=_begun, initargs=(begin, given))


def _begun(begin: Callable[..., None] | None, given: tuple[object, ...]) -> None:
    # When one of them is killed the pool ends the others by SIGTERM, and Ctrl-C reaches all. The
    # command's own handlers, which they were born with, would raise, and each print a traceback.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who began them ends them
    if begin is not None:
        begin(*given)
