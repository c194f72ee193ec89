"""Hidden folders in which something is made until it is whole, each held by who makes it.

In: the folder in which it is to lie. Out: an empty one inside, from which each part can be moved in
one step. A lock of the kernel tells which are still at work, also those of other hosts.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from lskd.holder import LOCK, SESSION, holder

UNFINISHED, BEGUN = ".unfinished-", ".begun-"


@contextlib.contextmanager
def drafted(out: Path) -> Iterator[Path]:
    """Give an empty hidden folder in `out`, and remove it at the end.

    Those that dead processes have left are removed first. Raises OSError if it cannot be made.
    """
    out.mkdir(parents=True, exist_ok=True)
    for left in out.glob(f"{UNFINISHED}*"):
        if holder(left) is None:
            shutil.rmtree(left, ignore_errors=True)
    # Process numbers come again, in containers at once: a dead one may have had ours.
    path = out / f"{UNFINISHED}{SESSION}-{os.getpid()}"
    begun = out / f"{BEGUN}{SESSION}-{os.getpid()}"
    begun.mkdir()
    try:
        with (begun / LOCK).open("w") as own:
            # Where a disk knows no locks `holder` takes all for held, and removes none.
            with contextlib.suppress(OSError):
                fcntl.flock(own, fcntl.LOCK_EX)
            begun.rename(path)  # held before anybody can take it for left behind
            yield path
    finally:
        for mine in (begun, path):
            shutil.rmtree(mine, ignore_errors=True)
