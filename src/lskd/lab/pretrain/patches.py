"""The first step of pre-training: the vision tower learns to label its patches.

Which thing, which paint, how it is used, and which drawn frames surround the patch. The heads that
say so are thrown away.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lskd.blip2.pixels import MEAN, SPREAD
from lskd.blip2.vision import VisionTower
from lskd.lab.pretrain.frames import TINTS, Framed
from lskd.lab.pretrain.gallery import PAINTS, THINGS, USES, Still
from lskd.training.order import seed_of
from lskd.training.task import StepLosses


def normal(pixels: Tensor) -> Tensor:
    """Return uint8 pictures, (pictures, 3, side, side), normalised as for CLIP."""
    mean, spread = (torch.tensor(v, device=pixels.device)[:, None, None] for v in (MEAN, SPREAD))
    return (pixels.float() / 255 - mean) / spread


def framed_by(seed: int, stills: Sequence[Still], rows: Sequence[int]) -> list[Framed]:
    """Return some of the stills, each with frames that the seed chooses of its own."""
    some = ((stills[row], row) for row in rows)
    return [still.frames[seed_of(seed, row) % len(still.frames)] for still, row in some]


def pixels_of(frames: Sequence[Framed]) -> Tensor:
    """Return pictures as (pictures, 3, side, side), uint8."""
    return torch.from_numpy(np.stack([one.pixels for one in frames])).permute(0, 3, 1, 2)


class Labeller(nn.Module):
    """A vision tower with a linear head for each question about a patch."""

    def __init__(self, tower: VisionTower) -> None:
        super().__init__()
        self.tower = tower
        self.norm = nn.LayerNorm(tower.size.width)
        self.sizes = [len(THINGS), len(PAINTS), len(USES), len(TINTS)]
        self.heads = nn.Linear(tower.size.width, sum(self.sizes))

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Return logits of each question, (pictures, patches, answers), of uint8 pictures.

        `pixels` is (pictures, 3, side, side).
        """
        states = self.tower(normal(pixels))[:, 1:]  # without the class token
        told: Tensor = self.heads(self.norm(states))
        return torch.split(told, self.sizes, dim=-1)


class PatchTask:
    """Stills by number, each time with other frames."""

    def __init__(self, model: Labeller, stills: Sequence[Still]) -> None:
        self.model = model
        self.stills = stills

    def losses(
        self, model: nn.Module, rows: Sequence[int], generator: torch.Generator
    ) -> StepLosses:
        """Return the mean loss of the four questions, and each."""
        some = [self.stills[row] for row in rows]
        frames = framed_by(generator.initial_seed(), self.stills, rows)
        device = self.model.heads.weight.device
        things, paints, uses, tints = model(pixels_of(frames).to(device))
        parts = []
        for name, logits, wanted in (
            ("things", things, [still.things for still in some]),
            ("paints", paints, [still.paints for still in some]),
            ("uses", uses, [still.uses for still in some]),
        ):
            target = torch.from_numpy(np.stack(wanted)).long().to(device)
            parts.append((name, functional.cross_entropy(logits.flatten(0, 1), target.flatten())))
        covered = torch.from_numpy(np.stack([one.tints for one in frames])).float().to(device)
        tint = functional.binary_cross_entropy_with_logits(tints, covered) * 10
        parts.append(("frames", tint))
        return StepLosses(torch.stack([loss for _, loss in parts]).sum(), tuple(parts))


@torch.no_grad()
def accuracy(model: Labeller, stills: Sequence[Still]) -> dict[str, float]:
    """Return the share of labels that are right: of patches of entities, and within frames."""
    frames = [still.frames[0] for still in stills]
    device = model.heads.weight.device
    right = {"things": 0.0, "paints": 0.0, "uses": 0.0, "frames": 0.0}
    for start in range(0, len(stills), 64):
        some, drawn = stills[start : start + 64], frames[start : start + 64]
        told = model(pixels_of(drawn).to(device))
        things, paints, uses, tints = (t.cpu().numpy() for t in told)
        truth = np.stack([one.paints for one in some])
        shown = truth > 0
        for name, logits, wanted in (
            ("things", things, np.stack([one.things for one in some])),
            ("paints", paints, truth),
            ("uses", uses, np.stack([one.uses for one in some])),
        ):
            right[name] += float((logits.argmax(-1) == wanted)[shown].mean()) * len(some)
        covered = np.stack([one.tints for one in drawn])
        whole = ((tints > 0) == covered).all(axis=-1)
        right["frames"] += float(whole[covered.any(axis=-1)].mean()) * len(some)
    return {name: total / len(stills) for name, total in right.items()}
