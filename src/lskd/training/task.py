"""What is trained, and by which losses: the side of the loop that critic and student write."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from lskd.blip2 import ranks


@dataclass(frozen=True, slots=True)
class StepLosses:
    """The losses of a micro-batch, each a number: the one that is minimised, and its named parts.

    On several processes each gives a number whose mean over the processes is the loss of all their
    rows. They have equally many rows, so a mean over its own rows is such a number, and so are the
    losses of `lskd.blip2.objectives`.
    """

    total: Tensor
    parts: tuple[tuple[str, Tensor], ...] = ()


def mean_of_tokens(likelihood: Tensor, tokens: Tensor) -> StepLosses:
    """Return the loss of a token, of a sum over those of this process and their number.

    Processes have different numbers of tokens: the mean over processes of what is returned here is
    the mean over all tokens.
    """
    return StepLosses(likelihood * ranks.count() / ranks.total(tokens))


class Task(Protocol):
    """A model and its losses."""

    @property
    def model(self) -> nn.Module:
        """Return the model. Weights that take no gradient when `fit` begins are frozen."""
        ...

    def losses(
        self, model: nn.Module, rows: Sequence[int], generator: torch.Generator
    ) -> StepLosses:
        """Return the losses of a micro-batch: of these rows, which are numbers below `count`.

        `model` is `self.model`, wrapped for several processes: what has gradients must pass its
        forward, once. `generator` is of the processor and in the same state on every process;
        `order.seed_of(generator.initial_seed(), row)` is a seed of one row's own. Dropout draws
        from torch's global generators, which are seeded for each micro-batch. All this runs under
        the autocast that the recipe asks for.
        """
        ...


@runtime_checkable
class Preparing(Protocol):
    """A task that reads ahead; it has this method beside those of `Task`. See `ahead.Ahead`."""

    def prepare(self, rows: Sequence[int], generator: torch.Generator) -> None:
        """Begin to make what `losses` will need of the micro-batch that comes next, and return."""
        ...
