"""A small task with all that training has to restore: dropout, draws, two losses, a buffer."""

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from lskd.training.loop import Fitted, fit
from lskd.training.order import seed_of
from lskd.training.recipe import Recipe
from lskd.training.task import StepLosses, Task

torch.set_num_threads(1)  # more only wait for each other on tensors this small
ROWS = 23


class Net(nn.Module):
    """Two layers with dropout between them; one that is frozen and one that is not used."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.frozen = nn.Linear(4, 6).requires_grad_(False)
        self.first = nn.Linear(6, 8)
        self.norm = nn.LayerNorm(8)
        self.drop = nn.Dropout(dropout)
        self.last = nn.Linear(8, 2)
        self.unused = nn.Linear(3, 3)
        self.register_buffer("seen", torch.zeros(1))
        self.seen: Tensor

    def forward(self, inputs: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        """Return two losses, means over rows."""
        self.seen += 1
        out = self.last(self.drop(self.norm(self.first(self.frozen(inputs)).tanh())))
        return nn.functional.mse_loss(out[:, 0], wanted), out[:, 1].square().mean()


class Toy:
    """Learns the sum of its inputs, with noise on them that belongs to row and step."""

    def __init__(self, dropout: float = 0.3, noise: float = 0.1) -> None:
        torch.manual_seed(1)
        self.model = Net(dropout)
        self.inputs = torch.randn(ROWS, 4)
        self.noise = noise
        self.rows: list[tuple[int, ...]] = []

    def losses(
        self, model: nn.Module, rows: Sequence[int], generator: torch.Generator
    ) -> StepLosses:
        """Return the losses of rows."""
        self.rows.append(tuple(rows))
        own = [seed_of(generator.initial_seed(), row) for row in rows]
        noise = [torch.randn(4, generator=torch.Generator().manual_seed(seed)) for seed in own]
        inputs = self.inputs[list(rows)]
        device = next(self.model.parameters()).device
        noisy = inputs + self.noise * torch.stack(noise)
        near, small = model(noisy.to(device), inputs.sum(dim=1).to(device))
        return StepLosses(near + 0.1 * small, (("near", near), ("small", small)))


RECIPE = Recipe(steps=12, batch=7, accumulate=3, warmup=3, learning_rate=0.01, save_every=5)


def train(task: Task, recipe: Recipe, folder: Path, count: int = ROWS) -> Fitted:
    """Train in silence."""
    return fit(task, count, recipe, folder, lambda _: None, lambda _: None)


def weights(model: nn.Module) -> dict[str, Tensor]:
    """Return a copy of all weights and buffers."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Return whether two models are equal, bit for bit."""
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


class Mortal(Toy):
    """Meets its end in the midst of a step, after `last` micro-batches."""

    def __init__(self, last: int, end: Callable[[], None]) -> None:
        super().__init__()
        self.last, self.end = last, end

    def losses(
        self, model: nn.Module, rows: Sequence[int], generator: torch.Generator
    ) -> StepLosses:
        if len(self.rows) == self.last:
            self.end()
        return super().losses(model, rows, generator)


def die() -> None:
    """End this process as kill -9 does."""
    os.kill(os.getpid(), signal.SIGKILL)


def work(folder: Path, recipe: Recipe, last: int) -> None:
    """Train, in a process of its own, and leave the weights beside the folder."""
    task = Mortal(last, die)
    train(task, recipe, folder)
    torch.save(weights(task.model), f"{folder}.pt")
