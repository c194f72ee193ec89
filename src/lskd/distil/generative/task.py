"""The side of the training loop of a student that writes: rows in, one loss out.

The loss is the negative log-likelihood of a target's token, the mean over all targets of a
micro-batch, on all processes together.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import nn

from lskd.distil.generative.rows import Row
from lskd.distil.generative.units import Units
from lskd.training.ahead import Ahead
from lskd.training.order import seed_of
from lskd.training.task import StepLosses, mean_of_tokens
from lskd.types import View
from lskd.writing.writer import Line, Sight, Writer

Ready = TypeVar("Ready")


@dataclass(frozen=True, slots=True)
class Sheet(Generic[Ready]):
    """A micro-batch: lines about views, each distinct one once, made `ready` to be looked at."""

    ready: Ready
    lines: tuple[Line, ...]


class WriterTask(Generic[Ready]):
    """What is learnt from units, which the loop knows as rows.

    `ready` does with views what can be done while the step before is learnt (it draws pictures, or
    reads what was seen of them); `look` makes sights of that.
    """

    def __init__(
        self,
        writer: Writer,
        units: Units,
        ready: Callable[[Sequence[View]], Ready],
        look: Callable[[Ready], Sequence[Sight]],
    ) -> None:
        self.model = writer.module
        self.units = units
        self.ready = ready
        self.look = look
        self._ahead = Ahead(self._sheet)

    def prepare(self, rows: Sequence[int], generator: torch.Generator) -> None:
        """Begin to make what the next micro-batch needs."""
        self._ahead.start(rows, generator.initial_seed())

    def losses(
        self, model: nn.Module, rows: Sequence[int], generator: torch.Generator
    ) -> StepLosses:
        """Return the loss of rows, varied as this generator's seed says."""
        sheet = self._ahead.take(rows, generator.initial_seed())
        likelihood, tokens = model(self.look(sheet.ready), sheet.lines)
        return mean_of_tokens(likelihood, tokens)

    def _sheet(self, rows: Sequence[int], seed: int) -> Sheet[Ready]:
        taken = [one for row in rows for one in self.units.take(row, seed_of(seed, row))]
        views = list(dict.fromkeys(row.view for row in taken))
        return Sheet(self.ready(views), tuple(lines(taken, views)))


def lines(rows: Sequence[Row], views: Sequence[View]) -> list[Line]:
    """Return what is said of rows as lines about `views`."""
    place = {view: number for number, view in enumerate(views)}
    return [Line(place[row.view], said.prompt, said.target) for row in rows for said in row.said]
