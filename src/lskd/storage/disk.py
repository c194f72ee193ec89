"""Files that grow: written at a place, safe on the disk before anything says so, by one at a time.

What was seen before a kill, or before the disk was full, is kept.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from lskd.errors import cannot_write


def write_at(path: Path, place: int, data: bytes) -> None:
    """Write at a place of a file and wait until it is on the disk.

    Raises UserError if the disk is full or the file cannot be written.
    """
    with plainly(path):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT, 0o666)
        try:
            rest = memoryview(data)
            while rest:
                written = os.pwrite(opened, rest, place)
                rest, place = rest[written:], place + written
            os.fdatasync(opened)
        finally:
            os.close(opened)


@contextlib.contextmanager
def held(folder: Path, tell: Callable[[str], None]) -> Iterator[None]:
    """Fill a folder alone; where another process does, say so and wait until it has finished."""
    with plainly(folder), (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell(f"waiting: another lskd fills {folder}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def plainly(path: Path) -> Iterator[None]:
    """Tell what the system says of a path in one line."""
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error) from error
