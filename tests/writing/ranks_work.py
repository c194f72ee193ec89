"""What one of several processes does in the tests of FSDP: a script that accelerate launches."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.distributed as dist
from accelerate import Accelerator
from torch import nn

from lskd.blip2 import ranks
from lskd.training import sharding
from lskd.writing.blip2 import Blip2Writer
from lskd.writing.writer import Decoding, Line, Sight
from tiny_writers import blocks

STEPS = 3
DOING = "question: what is [0] doing? answer:"
LINES = (
    Line(0, DOING, "riding the red bicycle."),
    Line(1, "Where is [2]?", "it is left of the green cup"),
    Line(0, DOING, "yes"),
    Line(1, DOING, "yes or no, people who ride wear one"),
)
ASKED = (Line(0, DOING), Line(1, "Where is [2]?"))


def learn(module: nn.Module, sights: Sequence[Sight], lines: Sequence[Line]) -> list[float]:
    """Take a few steps on these lines, the share of this process; return the losses of all."""
    trained = [weight for weight in module.parameters() if weight.requires_grad]
    # Its eps is above what rounding leaves of gradients that are nothing, as a key's bias has.
    optimiser = torch.optim.AdamW(trained, lr=1e-3, eps=1e-5)
    losses = []
    module.train()
    for _ in range(STEPS):
        optimiser.zero_grad()
        told, count = module(sights, lines)
        everyone = ranks.total(count)
        (told * ranks.count() / everyone).backward()
        optimiser.step()
        losses.append(float(ranks.total(told) / everyone))
    module.eval()
    return losses


def shares(module: nn.Module) -> dict[str, list[int]]:
    """Return how many numbers of each weight this process keeps, and how many there are."""
    found = {}
    for name, weight in module.named_parameters():
        own = weight.to_local() if hasattr(weight, "to_local") else weight
        found[name] = [own.numel(), weight.numel()]
    return found


def learn_a_share(folder: Path, recompute: bool) -> None:
    """Learn on every second line, then save and ask the writer of a folder on the first process."""
    writer = Blip2Writer(str(folder), recompute=recompute)
    accelerator = Accelerator(cpu=True)
    model = sharding.spread(accelerator, writer.module)
    sights = writer.look([blocks(0), blocks(1)])
    kept = shares(model)
    losses = learn(model, sights, LINES[ranks.own() :: ranks.count()])
    sharding.gather(model, writer.module)
    if accelerator.is_main_process:
        writer.save(folder / "student")
        told = {
            "kept": kept,
            "losses": losses,
            "likelihoods": writer.likelihoods(sights, LINES),
            "written": [one.text for one in writer.write(sights, ASKED, Decoding(tokens=6))],
        }
        (folder / "told.json").write_text(json.dumps(told), encoding="utf-8")
    accelerator.wait_for_everyone()


def main(*folders: str) -> None:
    """Do this for writers in folders; the first one makes its states again for the gradient."""
    torch.set_num_threads(1)
    for number, folder in enumerate(folders):
        learn_a_share(Path(folder), recompute=not number)
    dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
