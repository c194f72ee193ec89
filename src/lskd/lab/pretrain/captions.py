"""The second step of pre-training: the Q-Former learns captions of whole scenes.

The tower is frozen, and what it saw of each still is kept. Things are named by where they stand,
never by a region: what "[1]" means is left for distillation to teach.
"""

import random
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from lskd.blip2.negatives import keys
from lskd.blip2.objectives import Batch, Losses, StudentObjective
from lskd.blip2.stage1 import Stage1
from lskd.blip2.text import Tokenizer, collate
from lskd.lab import words
from lskd.lab.pretrain.gallery import Still
from lskd.lab.pretrain.patches import normal
from lskd.training.order import seed_of
from lskd.training.task import StepLosses

LIMIT = 40  # tokens


@torch.no_grad()
def features(student: Stage1, stills: Sequence[Still], precision: torch.dtype) -> Tensor:
    """Return what the tower sees of each still, (stills, tokens, width); half have frames."""
    device = student.backbone.ln_vision.weight.device
    kept = []
    for start in range(0, len(stills), 64):
        pictures = []
        for number, still in enumerate(stills[start : start + 64], start):
            framing = framing_of(number)
            pictures.append(still.pixels if framing is None else still.frames[framing].pixels)
        pixels = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).to(device)
        seen = student.backbone.features(normal(pixels))
        kept.append(seen.to(precision).cpu())
    return torch.cat(kept)


def framing_of(number: int) -> int | None:
    """Return with which frames a still is seen, or None if with none: every second one."""
    return None if number % 2 else 1


class Reader(nn.Module):
    """A student with its objective, on features.

    Negatives of ITM are drawn evenly. With hard ones, which ITC chooses, ITM stayed at chance for
    256,000 captions; with these it left chance within 13,000.
    """

    def __init__(self, student: Stage1, decode_id: int) -> None:
        super().__init__()
        self.objective = StudentObjective(student, decode_id, hard=False)

    def forward(self, batch: Batch, generator: torch.Generator) -> Losses:
        """Return the losses of a batch."""
        losses: Losses = self.objective(batch, generator)
        return losses


class CaptionTask:
    """Stills by number, each time with another caption."""

    def __init__(
        self, model: Reader, stills: Sequence[Still], seen: Tensor, tokenizer: Tokenizer
    ) -> None:
        self.model = model
        self.stills = stills
        self.seen = seen
        self.tokenizer = tokenizer

    def losses(
        self, model: nn.Module, rows: Sequence[int], generator: torch.Generator
    ) -> StepLosses:
        """Return ITC, ITM and ITG of captions; each has a nearly right one held against it."""
        seed = generator.initial_seed()
        said, wrong = [], []
        for row in rows:
            rng = random.Random(seed_of(seed, row))
            text = words.caption(self.stills[row].scene, rng)
            said.append(text)
            wrong.append(words.changed(text, rng))
        device = self.model.objective.student.backbone.ln_vision.weight.device
        encoded = self.tokenizer.encode(said, LIMIT)
        has = [n for n, text in enumerate(wrong) if text is not None]
        spoilt = self.tokenizer.encode([text for text in wrong if text is not None], LIMIT)
        batch = Batch(
            features=self.seen[torch.tensor(rows, device=self.seen.device)].to(device).float(),
            texts=collate(encoded).to(device),
            images=torch.tensor(rows, device=device),
            wordings=keys(said).to(device),
            swapped=collate(spoilt).to(device) if has else None,
            swapped_rows=torch.tensor(has, device=device) if has else None,
        )
        losses: Losses = model(batch, generator)
        parts = (("itc", losses.itc), ("itm", losses.itm), ("itg", losses.itg))
        return StepLosses(losses.total, parts)
