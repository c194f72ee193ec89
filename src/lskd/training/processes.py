"""Processes that were launched together make one run: the first makes it, and all of them train.

In: what `accelerate launch` or torchrun tells each process by its environment (RANK, WORLD_SIZE).
Out: which process leads, and what the others wait for. They wait as long as it takes, since a
teacher may be asked for hours before anything is trained. All of them see the same files, or the
same place (`lskd.training.published`).
"""

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from lskd.errors import MissingExtra, UserError
from lskd.storage.address import url_of
from lskd.training import published

PATIENCE = timedelta(days=30)


class Left(UserError):
    """Another process of the training is gone."""


def count() -> int:
    """Return how many processes were launched together; 1 for one alone."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def number() -> int:
    """Return the number of this process among them, from 0."""
    return int(os.environ.get("RANK", "0")) if count() > 1 else 0


def leads() -> bool:
    """Return whether this is the first process: it alone writes tables and folders, and speaks."""
    return number() == 0


def meet() -> None:
    """Wait for the other processes; all must call it before they do anything together.

    Raises MissingExtra without accelerate, UserError if they do not come.
    """
    if count() > 1:
        _group()


def tell(wanted: bool) -> None:
    """Tell the others, as the first process, whether what comes next is to be done."""
    if count() > 1:
        _passed_on(wanted)


def told() -> bool:
    """Return what the first process tells, as one of the others; wait until it does."""
    return _passed_on(False)


def decided(wanted: bool) -> bool:
    """Return what the first process wants, whatever the others make of what they see."""
    return _passed_on(wanted) if count() > 1 else wanted


@contextmanager
def first(folder: Path) -> Iterator[None]:
    """Let the first process do what stands in the block, then the others, which find it done.

    What it leaves in `folder` they find there, also where they are on other machines and it stands
    for a place. Raises UserError if that cannot be reached.
    """
    if not leads():
        told()
    published.receive(folder)  # for the first too: another machine may have led
    yield
    if leads():
        published.share(folder)
        tell(True)


@contextmanager
def first_of_machine(folder: Path) -> Iterator[None]:
    """Do as `first` with what is too large to be brought: each machine makes it for itself.

    At a place, that is; what stands in the block must itself let one of a machine's processes make
    it, and the others find it done.
    """
    if url_of(folder) is not None:
        yield
        together()  # as long as the slowest machine takes: collectives of a training are impatient
        return
    with first(folder):
        yield


def together() -> None:
    """Wait until all processes have come to this place, however long that takes."""
    if count() == 1:
        return
    import torch.distributed as dist

    try:
        dist.barrier(group=_group())
    except RuntimeError as error:
        raise _left() from error


def _passed_on(wanted: bool) -> bool:
    """Return what the first process gives."""
    import torch
    import torch.distributed as dist

    said = torch.tensor([wanted], dtype=torch.uint8)
    try:
        dist.broadcast(said, src=0, group=_group())
    except RuntimeError as error:
        raise _left() from error
    return bool(said.item())


def _left() -> Left:
    return Left("another process of this training has ended: what it said tells why")


@cache
def _group() -> Any:
    """Return the group in which the processes wait for each other, however long that takes."""
    try:
        import torch
        import torch.distributed as dist
        from accelerate import PartialState
    except ImportError as error:
        raise MissingExtra("training on several processes", "accelerate", "train") from error
    try:
        # accelerate's own later call finds what is begun here.
        PartialState(cpu=not torch.accelerator.is_available())
        atexit.register(dist.destroy_process_group)
        # Not that of the accelerators, which would keep them busy, and not for so long.
        return dist.new_group(backend="gloo", timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        line = " ".join(str(error).split())
        raise UserError(
            f"this is process {number() + 1} of {count()}, and the others do not come: {line[:200]}"
        ) from error
