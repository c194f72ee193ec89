"""Images at places, read once and kept on this disk up to a size.

In: an image's id and its bytes. Out: its bytes, if they are still here. The id is a hash of the
bytes, so an image that has changed at its place is never taken for what it was. The images not used
for longest make room. `$LSKD_CACHE_GB` is the size, 10 if it is not given.
"""

import contextlib
import functools
import os
import threading
from pathlib import Path
from typing import Final

from lskd.errors import UserError

CACHE_GB: Final = "LSKD_CACHE_GB"  # the variable that tells the size
GIGABYTES: Final = 10.0
SPARE: Final = 0.9  # of the size is left when room was made


class Cache:
    """A folder of images that is kept below `limit` bytes; several threads and processes may."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit
        self._guard = threading.Lock()
        self._added = limit + 1  # what was there before is counted with the first image

    def get(self, name: str) -> bytes | None:
        """Return the bytes of the image whose id is `name`, or None if they are not here."""
        file = self._file(name)
        # Another process may just make room.
        with contextlib.suppress(FileNotFoundError):
            data = file.read_bytes()
            os.utime(file)
            return data
        return None

    def put(self, name: str, data: bytes) -> None:
        """Keep the bytes of an image; what does not fit the disk is simply not kept."""
        file = self._file(name)
        unfinished = file.with_name(f".{file.name}.{os.getpid()}.{threading.get_ident()}")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            unfinished.write_bytes(data)
            unfinished.replace(file)
        except OSError:
            with contextlib.suppress(OSError):
                unfinished.unlink()
            return
        with self._guard:
            self._added += len(data)
            if self._added > self._limit * (1 - SPARE):
                self._added = 0
                self._make_room()

    def _file(self, name: str) -> Path:
        return self._folder / name[:2] / name

    def _make_room(self) -> None:
        """Remove the images not used for longest, until there is room for some more."""
        found = []
        for file in self._folder.glob("*/*"):
            with contextlib.suppress(FileNotFoundError):
                told = file.stat()
                found.append((told.st_mtime_ns, told.st_size, file))
        total = sum(size for _, size, _ in found)
        for _, size, file in sorted(found):
            if total <= self._limit * SPARE:
                break
            file.unlink(missing_ok=True)
            total -= size


def cache() -> Cache:
    """Return the cache of this user: `$XDG_CACHE_HOME/lskd/images` or `~/.cache/lskd/images`.

    Raises UserError if its size is no number.
    """
    told = os.environ.get(CACHE_GB, str(GIGABYTES))
    try:
        limit = int(float(told) * 1e9)
    except (ValueError, OverflowError) as error:  # as "inf"
        raise UserError(f"{CACHE_GB}={told!r}: a number of gigabytes, as 10") from error
    home = os.environ.get("XDG_CACHE_HOME")
    folder = (Path(home) if home else Path.home() / ".cache") / "lskd" / "images"
    return kept_in(folder, limit)


kept_in = functools.cache(Cache)  # one for all threads, as each counts what it adds
