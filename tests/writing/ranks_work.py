"""What one of several processes does in the tests of FSDP: a script that accelerate launches."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.distributed as dist
from accelerate import Accelerator
from torch import Tensor, nn

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
    optimiser = torch.optim.AdamW(trained, lr=1e-2)
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


def weights(module: nn.Module) -> dict[str, Tensor]:
    """Return copies of the weights that are trained."""
    named = module.named_parameters()
    return {name: weight.detach().clone() for name, weight in named if weight.requires_grad}


def shares(module: nn.Module) -> dict[str, list[int]]:
    """Return how many numbers of each weight this process keeps, and how many there are."""
    found = {}
    for name, weight in module.named_parameters():
        own = weight.to_local() if hasattr(weight, "to_local") else weight
        found[name] = [own.numel(), weight.numel()]
    return found


def main(base: str, folder: str, recompute: str) -> None:
    """Learn on every second line, then save and ask the writer on the first process."""
    torch.set_num_threads(1)
    writer = Blip2Writer(base, recompute=recompute == "true")
    accelerator = Accelerator(cpu=True)
    model = sharding.spread(accelerator, writer.module)
    sights = writer.look([blocks(0), blocks(1)])
    kept = shares(model)
    losses = learn(model, sights, LINES[ranks.own() :: ranks.count()])
    sharding.gather(model)
    place = Path(folder)
    if accelerator.is_main_process:
        writer.save(place / "student")
        asked = {
            "kept": kept,
            "losses": losses,
            "likelihoods": writer.likelihoods(sights, LINES),
            "written": [one.text for one in writer.write(sights, ASKED, Decoding(tokens=6))],
        }
        (place / "told.json").write_text(json.dumps(asked), encoding="utf-8")
    accelerator.wait_for_everyone()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
