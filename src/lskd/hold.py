"""Holds the folders of a run: alone where it writes, together with others where it only reads.

In: a run and the stages that are wanted of it. Out: for as long as the block lasts, no other
process writes in their folders, and none reads in one that this process writes in. The folder of a
parent in which nothing is to be made is only read: children of a finished run work side by side.

A lock is the kernel's (`flock`), on a hidden file of the folder; it ends with its process, however
that ends, and on NFS it holds between hosts. A folder at a place (`lskd.storage.lock`) knows no
readers, and is always held alone.
"""

import contextlib
import dataclasses
import errno
import fcntl
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TextIO

from lskd.errors import UserError, cannot_write
from lskd.holder import LOCK, holder, sign
from lskd.run import INPUTS, Run, read_note
from lskd.stage import Stage
from lskd.storage import lock
from lskd.storage.address import url_of

TRIES, PAUSE = 5, 0.05  # `lskd status` looks at a lock by taking it for a moment


@contextlib.contextmanager
def held(
    run: Run, stages: Sequence[Stage[Any]], limit: int | None, alone: bool
) -> Iterator[frozenset[str]]:
    """Hold the folders of some stages; give the names of those that are complete and only read.

    Whether a parent's folder is written in is looked at while it is held: none of its stages can
    become incomplete afterwards. With `alone` nothing is shared. Raises UserError if another
    process holds a folder.
    """
    folders = {run.folders[stage.name].parent for stage in stages}
    written = {run.own, *(folder for folder in folders if alone or url_of(folder) is not None)}
    while True:
        with locked(written, folders - written):
            more = to_write(run, stages, limit) if folders - written else set()
            if more <= written:
                yield frozenset(
                    stage.name for stage in stages if run.folders[stage.name].parent not in written
                )
                return
        # Not turned from shared to alone, for which two that read would wait for each other. What
        # happens in between does not matter: it is looked at again.
        written |= more


def to_write(run: Run, stages: Sequence[Stage[Any]], limit: int | None) -> set[Path]:
    """Return the parents' folders in which something of these stages is to be made.

    What is made changes what all later stages read: from the first incomplete one on, all count.
    """
    inherited = [stage for stage in stages if run.inherits(stage.name)]
    for place, stage in enumerate(inherited):
        if not is_complete(run, stage, limit):
            return {run.folders[later.name].parent for later in inherited[place:]}
    return set()


def is_complete(run: Run, stage: Stage[Any], limit: int | None = None) -> bool:
    """Return whether nothing is to be made of a stage, nor to be written beside its tables.

    What cannot be told counts as incomplete: making it then says why.
    """
    settings = run.settings[stage.name]
    try:
        if not run.check(stage):
            return False
        if stage.grows:
            context = dataclasses.replace(run.context(stage), limit=limit)
            return not stage.grows(settings, context, run.tables)
        if stage.is_whole(settings):
            return is_current(run, stage)
        return is_renewed(run, stage) and not run.missing(stage) and not run.stale(stage)
    except UserError:
        return False


def is_current(run: Run, stage: Stage[Any]) -> bool:
    """Return whether a whole-table stage was made from the tables as they are now."""
    return is_made_from(run, stage, stage.reads)


def is_renewed(run: Run, stage: Stage[Any]) -> bool:
    """Return whether the whole tables on which each shard depends are what they were."""
    inputs = run.whole_inputs(stage)
    return not inputs or is_made_from(run, stage, inputs)


def is_made_from(run: Run, stage: Stage[Any], records: Sequence[type]) -> bool:
    """Return whether the note beside a stage's tables says that they were made from these."""
    noted = noted_digest(run, stage)
    return noted is not None and noted == run.tables.digest(records)


def noted_digest(run: Run, stage: Stage[Any]) -> str | None:
    """Return the digest of what a stage's tables were made from, None where no note tells it."""
    note = run.folders[stage.name] / INPUTS
    return read_note(note).get("digest") if note.exists() else None


@contextlib.contextmanager
def locked(written: Collection[Path], read: Collection[Path] = ()) -> Iterator[None]:
    """Hold folders for this process alone, and others together with those who read them too.

    Raises UserError if another process holds one.
    """
    with contextlib.ExitStack() as stack:
        for folder in sorted({*written, *read}):
            stack.enter_context(alone(folder) if folder in written else shared(folder))
        yield


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a folder for this process alone, and sign its lock."""
    with opened(folder, "a") as own:
        if not taken(own, fcntl.LOCK_EX):
            # Readers do not sign, and have left the name of who was last at work.
            where = f"a run that reads {folder}" if holder(folder) is None else str(folder)
            raise UserError(f"another lskd is at work in {where}: wait for it")
        try:
            sign(own)
        except OSError as error:
            raise cannot_write(folder / LOCK, error) from error
        with lock.held(folder):
            yield


@contextlib.contextmanager
def shared(folder: Path) -> Iterator[None]:
    """Hold a folder together with others who read it; nobody writes in it meanwhile."""
    # A run can be read where it may not be written; NFS wants a lock that is shared to be readable.
    with opened(folder, "r" if (folder / LOCK).exists() else "a+") as own:
        if not taken(own, fcntl.LOCK_SH):
            raise UserError(f"another lskd is at work in {folder}: wait for it")
        yield


def opened(folder: Path, mode: Literal["r", "a", "a+"]) -> TextIO:
    """Open the lock of a folder; both are made unless it is only to be read.

    Raises UserError if that cannot be done.
    """
    try:
        if mode != "r":
            folder.mkdir(parents=True, exist_ok=True)
        return (folder / LOCK).open(mode, encoding="utf-8")
    except OSError as error:
        access = "read" if mode == "r" else "write to"
        raise UserError(f"cannot {access} {folder}: {error.strerror or error}") from error


def taken(own: TextIO, how: int) -> bool:
    """Take an opened lock, shared or alone; return whether no other process stands against it."""
    for attempt in range(TRIES):
        time.sleep(PAUSE if attempt else 0)
        try:
            fcntl.flock(own, how | fcntl.LOCK_NB)
            return True
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.EINTR):
                raise UserError(
                    f"{own.name} cannot be locked: {error.strerror or error}; take another "
                    "disk, or mount this one with locks"
                ) from error
    return False
