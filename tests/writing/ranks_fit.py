"""What one of two processes does in the test of a whole training with FSDP."""

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from ranks_work import LINES
from torch import nn

from lskd.blip2 import ranks
from lskd.training.loop import fit
from lskd.training.recipe import Recipe
from lskd.training.task import StepLosses
from lskd.writing.blip2 import Blip2Writer
from tiny_writers import blocks

RECIPE = Recipe(
    steps=6, batch=4, accumulate=2, learning_rate=1e-5, clip=1.0, average=0.5, save_every=2
)


class WriterTask:
    """A writer learns lines."""

    def __init__(self, writer: Blip2Writer) -> None:
        self.model = writer.module
        self.sights = writer.look([blocks(0), blocks(1)])

    def losses(
        self, model: nn.Module, rows: Sequence[int], generator: torch.Generator
    ) -> StepLosses:
        told, tokens = model(self.sights, [LINES[row] for row in rows])
        return StepLosses(told * ranks.count() / ranks.total(tokens))


def train(folder: Path, place: Path) -> Blip2Writer:
    """Train a writer to its end."""
    writer = Blip2Writer(str(folder))
    fit(WriterTask(writer), len(LINES), RECIPE, place, lambda _: None, lambda _: None)
    return writer


def main(folder: str) -> None:
    """Train at once, and again from the checkpoint of step 4."""
    torch.set_num_threads(1)
    place = Path(folder)
    whole = train(place, place / "whole")
    if not ranks.own():
        whole.save(place / "student")
        (place / "whole/checkpoints/00000006.pt").unlink()
    torch.distributed.barrier()
    again = train(place, place / "whole")
    if not ranks.own():
        again.save(place / "again")
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1])
