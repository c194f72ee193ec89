"""Hidden folders in which something is made until it is whole, each held by who makes it.

In: the folder in which it is to lie. Out: an empty one inside, from which each part can be moved in
one step. A lock of the kernel tells which are still at work, also those of other hosts.
"""

import contextlib
import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lskd.holder import LOCK, holder

UNFINISHED, BEGUN = ".unfinished-", ".begun-"
STALE_SECONDS: Final = 3600.0  # who has begun takes the lock at once


@contextlib.contextmanager
def drafted(out: Path) -> Iterator[Path]:
    """Give an empty hidden folder in `out`, and remove it at the end.

    Those that dead processes have left are removed first. Raises OSError if it cannot be made.
    """
    out.mkdir(parents=True, exist_ok=True)
    for left in out.glob(f"{UNFINISHED}*"):
        if holder(left) is None:
            shutil.rmtree(left, ignore_errors=True)
    # A name for each draft: process numbers come again, in containers at once, and an earlier draft
    # of this process may still lie there, where descriptors were too few to remove it.
    own_name = f"{uuid.uuid4().hex[:8]}-{os.getpid()}"
    path, begun = out / f"{UNFINISHED}{own_name}", out / f"{BEGUN}{own_name}"
    begun.mkdir()
    try:
        now = begun.stat().st_mtime  # by the clock of the disk, which may be another host's
        for left in out.glob(f"{BEGUN}*"):
            with contextlib.suppress(FileNotFoundError):
                if now - left.stat().st_mtime > STALE_SECONDS:
                    shutil.rmtree(left, ignore_errors=True)
        with (begun / LOCK).open("w") as own:
            # Where a disk knows no locks `holder` takes all for held, and removes none.
            with contextlib.suppress(OSError):
                fcntl.flock(own, fcntl.LOCK_EX)
            begun.rename(path)  # held before anybody can take it for left behind
            yield path
    finally:
        for mine in (begun, path):
            shutil.rmtree(mine, ignore_errors=True)
