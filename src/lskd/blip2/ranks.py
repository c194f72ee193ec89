"""Rows are shared between the processes of a training run; one process alone is a run of one."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional


def count() -> int:
    """Return the number of processes."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def own() -> int:
    """Return the rank of this process, from 0."""
    return dist.get_rank() if count() > 1 else 0


def counts(rows: int, device: torch.device) -> list[int]:
    """Return how many rows each process has."""
    if count() == 1:
        return [rows]
    given = [torch.zeros(1, dtype=torch.int64, device=device) for _ in range(count())]
    dist.all_gather(given, torch.tensor([rows], device=device))
    return [int(number) for number in given]


def gather(rows: Tensor, numbers: list[int]) -> Tensor:
    """Return the rows of all processes, in the order of their ranks: (sum(numbers), ...).

    `numbers` is what `counts` returned. Where the rows have a gradient, each process receives the
    sum of what all of them send back; every process must then run its backward pass.
    """
    if count() == 1:
        return rows
    gathered: Tensor = _Gather.apply(rows, numbers)  # type: ignore[no-untyped-call]  # torch's own
    return gathered


def total(number: Tensor) -> Tensor:
    """Return the sum of a number over all processes, without a gradient."""
    number = number.detach().clone()
    if count() > 1:
        dist.all_reduce(number)
    return number


def largest(number: int, device: torch.device) -> int:
    """Return the largest of the numbers of all processes."""
    return max(counts(number, device))


class _Gather(torch.autograd.Function):
    """Gathers rows, of which processes may have different numbers."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, numbers: list[int]) -> Tensor:
        ctx.numbers = numbers
        padding = [0, 0] * (rows.dim() - 1) + [0, max(numbers) - rows.shape[0]]
        padded = functional.pad(rows, padding).contiguous()
        received = [torch.empty_like(padded) for _ in numbers]
        dist.all_gather(received, padded)
        return torch.cat([r[:n] for r, n in zip(received, numbers, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        gradient = gradients[0].contiguous().clone()
        dist.all_reduce(gradient)
        start = sum(ctx.numbers[: own()])
        return gradient[start : start + ctx.numbers[own()]], None
