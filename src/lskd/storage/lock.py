"""A run at a place is held by one process at a time, wherever it works, and kept up to date there.

In: a working folder whose local lock this process holds. Out: a lock object at the place, with the
owner's name, that is written again every 20 seconds while the block lasts. A lock without a sign of
life for two minutes is stale, and taken over; so is at once that of a process which worked in this
very folder of this host, since the local lock tells that it is dead. Ages are told by the clock of
the place alone. Two that find the same stale lock ask for the same next number, and one gets it.

While it is held, logs and paid replies are published at the same pace.
"""

import _thread
import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from lskd.chat.journal import Journal
from lskd.errors import UserError
from lskd.holder import SESSION, Holder, own
from lskd.journal.segments import NOTE, Segments
from lskd.storage import mirror
from lskd.storage.address import on, shown, told, url_of, written

BEAT_SECONDS: Final = 20.0
STALE_SECONDS: Final = 120.0
BUCKETS: Final = "hf://buckets/"  # of the hub, where a write is no commit
NAME: Final = ".lock-"
JOURNAL, SEGMENTS, LOGS = "journal.sqlite", "journal", ("trace.jsonl", "shards.jsonl")


class Lock:
    """The lock object of one place; `lost` says that another process has taken it over, or may.

    `fault` says why no sign of life could be given, if another may. `clock` tells seconds.
    """

    def __init__(self, folder: Path, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder = folder
        self.url = url
        self.lost = False
        self.fault = ""
        self._clock = clock
        self._last = clock()
        self._system, self._root = on(url)
        self._number = 0
        self._signed = json.dumps({**asdict(own()), "folder": str(folder)}).encode()

    def take(self) -> None:
        """Take the lock.

        Raises UserError if another process holds it.
        """
        numbers = self.numbers()
        if numbers and not self._is_free(numbers[-1]):
            who = self.holder(numbers[-1])
            where = f" on {who.host}, process {who.process}" if who and who.host else ""
            raise UserError(
                f"another lskd is at work in {self.url}{where}: wait for it; if it is dead, its "
                f"lock can be taken over {STALE_SECONDS:.0f} s after its last sign of life"
            )
        number = numbers[-1] + 1 if numbers else 1
        self._last = self._clock()
        try:
            with written(self.url):
                self._system.pipe_file(self._file(number), self._signed, mode="create")
        except FileExistsError as error:
            raise UserError(f"another lskd has just begun to work in {self.url}") from error
        self._number = number
        for older in numbers:
            self._remove(self._file(older))

    def beat(self) -> None:
        """Give a sign of life, or find that the lock is lost.

        Where none can be given the lock is lost once another may take it over.
        """
        now = self._clock()
        try:
            if self.numbers()[-1:] != [self._number]:
                self.lost = True
                return
            with told(self.url):
                self._system.pipe_file(self._file(self._number), self._signed)
        except (UserError, OSError) as error:
            if self._clock() - self._last > STALE_SECONDS:
                self.lost, self.fault = True, str(error) or type(error).__name__
            raise
        self._last = now

    def release(self) -> None:
        """Let go of the lock."""
        if not self.lost:
            self._remove(self._file(self._number))

    def numbers(self) -> list[int]:
        """Return the numbers of the locks that are there, in order; the last one counts."""
        try:
            with told(self.url):
                found = self._system.ls(self._root, False)
        except FileNotFoundError:
            return []
        names = [str(name).rpartition("/")[2] for name in found]
        ends = [name.removeprefix(NAME) for name in names if name.startswith(NAME)]
        return sorted(int(end) for end in ends if end.isdigit())

    def holder(self, number: int) -> Holder | None:
        """Return who has signed a lock, or None if that cannot be told."""
        told_here = self._read(number)
        told_here.pop("folder", None)
        with contextlib.suppress(TypeError):
            return Holder(**told_here)
        return None

    def is_stale(self, number: int) -> bool:
        """Return whether a lock has been without a sign of life for too long."""
        probe = f"{self._root}/.clock-{SESSION}"
        try:
            with told(self.url):
                self._system.pipe_file(probe, b"")
                now = self._system.modified(probe)
                then = self._system.modified(self._file(number))
        except FileNotFoundError:
            return True
        finally:
            self._remove(probe)
        return bool((now - then).total_seconds() > STALE_SECONDS)

    def _is_free(self, number: int) -> bool:
        signed = self._read(number)
        here = (socket.gethostname(), str(self.folder))
        return (signed.get("host"), signed.get("folder")) == here or self.is_stale(number)

    def _read(self, number: int) -> dict[str, Any]:
        with contextlib.suppress(FileNotFoundError, ValueError), told(self.url):
            return dict(json.loads(self._system.cat_file(self._file(number))))
        return {}

    def _file(self, number: int) -> str:
        return f"{self._root}/{NAME}{number:06d}"

    def _remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError), told(self.url):
            self._system.rm_file(name)


@contextlib.contextmanager
def held(folder: Path, every: float = BEAT_SECONDS) -> Iterator[None]:
    """Hold the place that a working folder stands for; nothing if it stands for none.

    A sign of life is given `every` so many seconds. Raises UserError if another process holds the
    place, or has taken it over meanwhile, and for a place that cannot be held.
    """
    url = url_of(folder)
    if url is None:
        yield
        return
    if is_repository(url):
        raise UserError(
            f"no run works in {url}: each write to a repository of the hub is a commit, and so "
            "would be its lock's sign of life every 20 seconds; work on a disk or in a bucket, and "
            "export to the repository"
        )
    lock = Lock(folder, url)
    lock.take()
    paid = Paid(folder)
    try:
        # From the beginning: to bring here what is there can take longer than a lock lasts.
        with beating(lock, paid, every):
            mirror.pull(folder)
            paid.restore()
            if lock.lost:
                raise lost(lock)
            yield
        if lock.lost:
            raise lost(lock)
        publish(folder, paid)
    except BaseException as error:
        if lock.lost:
            raise lost(lock) from error
        # The first error is the one that the user must see.
        with contextlib.suppress(UserError, OSError):
            publish(folder, paid)
        raise
    finally:
        paid.close()
        with contextlib.suppress(UserError):
            lock.release()


def is_repository(url: str) -> bool:
    """Return whether a place is a repository of the hub, where each write is a commit."""
    return url.startswith("hf://") and not url.startswith(BUCKETS)


def lost(lock: Lock) -> UserError:
    """Return what to tell whose lock was taken over, or may have been."""
    where = shown(lock.folder)
    if lock.fault:
        return UserError(
            f"{where} may have been taken over by another lskd, since this one could give no sign "
            f"of life for {STALE_SECONDS:.0f} s ({lock.fault}): mend that, then give the same "
            "command again"
        )
    return UserError(
        f"{where} was taken over by another lskd, since this one gave no sign of life for "
        f"{STALE_SECONDS:.0f} s: wait for it, then give the same command again"
    )


@contextlib.contextmanager
def beating(lock: Lock, paid: "Paid", every: float) -> Iterator[None]:
    """Give signs of life while the block lasts, and publish once all is here that was published."""
    stop = threading.Event()
    beats = threading.Thread(target=keep, args=(lock, paid, stop, every), daemon=True)
    beats.start()
    try:
        yield
    finally:
        stop.set()
        beats.join()


def keep(lock: Lock, paid: "Paid", stop: threading.Event, every: float) -> None:
    """Give signs of life and publish logs until told to stop; interrupt the work if it is lost."""
    while not stop.wait(every):
        # Where the place is out of reach or the disk full for a while, the work itself will tell,
        # and both are tried again. What cannot be published ends no sign of life.
        with contextlib.suppress(UserError, OSError):
            lock.beat()
        if lock.lost:
            _thread.interrupt_main()
            return
        if paid.is_restored:
            with contextlib.suppress(UserError, OSError):
                publish(lock.folder, paid)


def publish(folder: Path, paid: "Paid") -> None:
    """Publish what grows: the logs of all stages, and the replies that were paid for."""
    for name in LOGS:
        for log in folder.glob(f"*/{name}"):
            mirror.push(log)
    paid.publish()


class Paid:
    """The journal of a working folder, published piece by piece."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / JOURNAL
        self._folder = folder / SEGMENTS
        self._journal: Journal | None = None
        self._published: Segments | None = None
        self.is_restored = False

    def restore(self) -> None:
        """Take in what another machine has paid for."""
        if (self._folder / NOTE).exists():
            self._segments().restore()
        self.is_restored = True

    def publish(self) -> None:
        """Publish what was paid since the last time, if there is a journal."""
        # What others have published of open calls and batches would else be written over.
        if self.is_restored and self._file.exists():
            self._segments().publish()

    def close(self) -> None:
        """Close the journal."""
        if self._journal is not None:
            self._journal.close()

    def _segments(self) -> Segments:
        self._journal = self._journal or Journal(self._file)
        self._published = self._published or Segments(self._journal, self._folder)
        return self._published


def holder(folder: Path) -> Holder | None:
    """Return which process holds the place of a folder, or None: it is local, free or stale."""
    url = url_of(folder)
    if url is None:
        return None
    lock = Lock(folder, url)
    numbers = lock.numbers()
    if not numbers or lock.is_stale(numbers[-1]):
        return None
    return lock.holder(numbers[-1])
