"""Which process is at work in a run's folder, as its lock tells.

In: the lock file of a folder (`lskd.hold`). Out: who holds it, or None. The kernel lets
go of a lock when its process ends, however it ends: so a run that no process holds is dead or done.
"""

import contextlib
import fcntl
import json
import os
import socket
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

LOCK = ".lock"
# Process numbers come again, in containers at once; this does not.
SESSION = uuid.uuid4().hex[:8]


@dataclass(frozen=True, slots=True)
class Holder:
    """A process at work: its session, number, host, and when it took the folder (epoch seconds).

    What is not known, as of a lock that an older lskd holds, is None.
    """

    session: str | None
    process: int | None
    host: str | None
    since: float | None


def own() -> Holder:
    """Return who this process is, at work from now on."""
    return Holder(SESSION, os.getpid(), socket.gethostname(), round(time.time(), 3))


def sign(held: TextIO) -> None:
    """Write into a lock that this process holds, opened to append, who it is."""
    # Past Python's buffer: what a full disk refuses must not come up again when the file is closed.
    os.ftruncate(held.fileno(), 0)
    os.write(held.fileno(), json.dumps(asdict(own())).encode())


def holder(folder: Path) -> Holder | None:
    """Return which process holds a folder alone now, or None if none does; readers do not count."""
    try:
        opened = (folder / LOCK).open(encoding="utf-8")
    except OSError:
        return None
    with opened:
        try:
            # Held for microseconds; who wants to work here tries again.
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            with contextlib.suppress(ValueError, TypeError):
                return Holder(**json.load(opened))
            return Holder(None, None, None, None)
    return None
