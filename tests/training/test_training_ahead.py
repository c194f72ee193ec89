"""Reading ahead changes when things are made, and nothing else."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from toy_task import RECIPE, Toy, equal, train, weights

from lskd.training.ahead import Ahead
from lskd.training.order import seed_of
from lskd.training.task import Preparing, StepLosses


class Foresighted(Toy):
    """Makes its noisy inputs ahead."""

    def __init__(self, broken: int = -1) -> None:
        super().__init__()
        self.ahead = Ahead(self.noisy)
        self.broken = broken
        self.made: list[tuple[int, ...]] = []
        self.threads: list[str] = []

    def noisy(self, rows: Sequence[int], seed: int) -> Tensor:
        """Return what `Toy.losses` makes of the inputs."""
        self.made.append(tuple(rows))
        self.threads.append(threading.current_thread().name)
        if len(self.made) == self.broken:
            raise FileNotFoundError("photo.jpg")
        own = [torch.Generator().manual_seed(seed_of(seed, row)) for row in rows]
        return self.inputs[list(rows)] + self.noise * torch.stack(
            [torch.randn(4, generator=generator) for generator in own]
        )

    def prepare(self, rows: Sequence[int], generator: torch.Generator) -> None:
        """Begin with the next inputs."""
        self.ahead.start(rows, generator.initial_seed())

    def losses(
        self, model: nn.Module, rows: Sequence[int], generator: torch.Generator
    ) -> StepLosses:
        self.rows.append(tuple(rows))
        inputs = self.ahead.take(rows, generator.initial_seed())
        near, small = model(inputs, self.inputs[list(rows)].sum(dim=1))
        return StepLosses(near + 0.1 * small, (("near", near), ("small", small)))


@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_task_that_reads_ahead_learns_the_same(tmp_path: Path, accumulate: int) -> None:
    recipe = replace(RECIPE, accumulate=accumulate)
    plain, ahead = Toy(), Foresighted()
    assert isinstance(ahead, Preparing) and not isinstance(plain, Preparing)
    train(plain, recipe, tmp_path / "plain")
    train(ahead, recipe, tmp_path / "ahead")
    assert equal(weights(plain.model), weights(ahead.model))
    assert ahead.rows == plain.rows
    assert sorted(ahead.made) == sorted(ahead.rows)
    assert len([name for name in ahead.threads if not name.startswith("ahead")]) == 1  # the first


def test_what_goes_wrong_ahead_is_raised_where_it_is_needed(tmp_path: Path) -> None:
    task = Foresighted(broken=5)
    with pytest.raises(FileNotFoundError, match=r"photo\.jpg"):
        train(task, replace(RECIPE, accumulate=1), tmp_path)
    assert len(task.rows) == 5
