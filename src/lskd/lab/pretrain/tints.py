"""The tower learns to say loudly which drawn frames surround a patch, and forgets nothing else.

Labelling patches leaves that in the features, but faintly: a head of its own finds it, and a
Q-Former that is to learn what "[1]" points at does not. Here each tint has a fixed direction, along
which the normed features of a covered patch must reach far; across all of these directions they
stay what they were.
"""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lskd.blip2.vision import VisionTower
from lskd.lab.pretrain.frames import TINTS
from lskd.lab.pretrain.gallery import Still
from lskd.lab.pretrain.patches import framed_by, normal, pixels_of
from lskd.training.task import StepLosses

# How far, where normed features are as long as the root of their width, 11: found by adding such a
# direction to the features by hand, with which "what is [0]?" was learnt from half of the texts.
REACH = 8.0


class Louder(nn.Module):
    """A tower with a direction for each tint, beside the tower that it was."""

    def __init__(self, tower: VisionTower, seed: int) -> None:
        super().__init__()
        self.tower = tower
        self.before = copy.deepcopy(tower).requires_grad_(False).eval()
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randn(tower.size.width, len(TINTS), generator=generator)
        self.directions: Tensor
        self.register_buffer("directions", torch.linalg.qr(drawn).Q.T)  # (tints, width)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits of each tint, (pictures, patches, tints), and how far the rest has moved.

        `pixels` is (pictures, 3, side, side), uint8. The second is a mean square.
        """
        shown = normal(pixels)
        states = self.tower(shown)
        with torch.no_grad():
            known = self.before(shown)
        moved = states - known
        along = moved @ self.directions.T @ self.directions
        normed = functional.layer_norm(states[:, 1:], states.shape[-1:])  # without the class token
        return normed @ self.directions.T - REACH / 2, (moved - along).square().mean()


class TintTask:
    """Stills by number, each time with other frames."""

    def __init__(self, model: Louder, stills: Sequence[Still]) -> None:
        self.model = model
        self.stills = stills

    def losses(
        self, model: nn.Module, rows: Sequence[int], generator: torch.Generator
    ) -> StepLosses:
        """Return the loss of the tints, and of what has moved beside them."""
        frames = framed_by(generator.initial_seed(), self.stills, rows)
        device = self.model.directions.device
        tints, moved = model(pixels_of(frames).to(device))
        covered = torch.from_numpy(np.stack([one.tints for one in frames])).float().to(device)
        loss = functional.binary_cross_entropy_with_logits(tints, covered) * 10
        return StepLosses(loss + moved, (("frames", loss), ("moved", moved)))


@torch.no_grad()
def heard(model: Louder, stills: Sequence[Still]) -> float:
    """Return of how many patches within frames all tints are told by the sign of the logits."""
    right = []
    for start in range(0, len(stills), 64):
        frames = [still.frames[0] for still in stills[start : start + 64]]
        logits, _ = model(pixels_of(frames).to(model.directions.device))
        covered = np.stack([one.tints for one in frames])
        whole = ((logits.cpu().numpy() > 0) == covered).all(axis=-1)
        right.append(whole[covered.any(axis=-1)])
    return float(np.concatenate(right).mean())
