"""Which rows are seen at which step, and all seeds: functions of (seed, step), of nothing before.

The rows of all epochs stand in one line, each epoch shuffled anew, and every step takes the next
`batch` of it, whatever the number of processes. So each row is seen once an epoch, no batch is
short, and a step near an epoch's end may take rows of two.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import torch

from lskd.errors import UserError


@dataclass(frozen=True, slots=True)
class Part:
    """A micro-batch of one process: its rows, and the share of the step's rows that it holds."""

    rows: tuple[int, ...]
    share: float


def seed_of(*of: object) -> int:
    """Return a seed for the named thing, below 2**63: `seed_of(seed, "dropout", step, rank)`."""
    digest = hashlib.sha256("/".join(map(str, of)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def rows_of(step: int, count: int, batch: int, seed: int) -> list[int]:
    """Return the rows of a step, of all processes; steps count from 1."""
    start = (step - 1) * batch
    places = range(start, start + batch)
    return [_shuffled(place // count, count, seed)[place % count] for place in places]


def parts_of(
    rows: Sequence[int], accumulate: int, process: int = 0, processes: int = 1
) -> list[Part]:
    """Return the micro-batches of one process: its shares, all as large, of those of one alone.

    Raises UserError if the rows cannot be shared so.
    """
    whole = processes * accumulate
    # One process may have micro-batches that differ by a row. Several could not share them evenly.
    if len(rows) < whole or (processes > 1 and len(rows) % whole):
        raise UserError(
            f"batch = {len(rows)} cannot be shared by {processes} processes in {accumulate} "
            f"micro-batches each: expected a multiple of {whole}"
        )
    ends = [len(rows) * part // accumulate for part in range(accumulate + 1)]
    parts = []
    for first, last in pairwise(ends):
        each = (last - first) // processes
        start = first + process * each
        share = each * processes / len(rows)
        parts.append(Part(tuple(rows[start : start + each]), share))
    return parts


@lru_cache(maxsize=2)  # a step has rows of two epochs at most, if it is no longer than one
def _shuffled(epoch: int, count: int, seed: int) -> list[int]:
    generator = torch.Generator().manual_seed(seed_of(seed, "epoch", epoch))
    order: list[int] = torch.randperm(count, generator=generator).tolist()
    return order
