"""The last part of pre-training: the Q-Former learns to hold statements against a scene.

ITM alone, with several false statements about each scene: of something that stands elsewhere in it,
with one word changed, or of another scene. So the model has to look at what stands where.
"""

import random
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from lskd.blip2.stage1 import Stage1
from lskd.blip2.text import Texts, Tokenizer, collate
from lskd.lab.pretrain.captions import LIMIT, framing_of
from lskd.lab.pretrain.gallery import Still
from lskd.lab.pretrain.statements import (
    WRONG,
    Drawn,
    beside,
    of_rectangles,
    rectangles,
    statements,
)
from lskd.lab.scene import Scene
from lskd.training.order import seed_of
from lskd.training.task import StepLosses

# Shares of the statements about a picture that has rectangles: of these, and of what is beside one.
RECTANGLES, BESIDE = 0.3, 0.3


class Matcher(nn.Module):
    """A student that is asked whether statements fit views; as many for each view."""

    def __init__(self, student: Stage1) -> None:
        super().__init__()
        self.student = student

    def forward(self, features: Tensor, texts: Texts) -> Tensor:
        """Return logits, (texts, 2), of texts in the order of the views."""
        memory = self.student.backbone.remember(features)
        return self.student.judge(memory, texts).match


class MatchTask:
    """Stills by number, each time with another statement and other false ones."""

    def __init__(
        self, model: Matcher, stills: Sequence[Still], seen: Tensor, tokenizer: Tokenizer
    ) -> None:
        self.model = model
        self.stills = stills
        self.seen = seen
        self.tokenizer = tokenizer

    def losses(
        self, model: nn.Module, rows: Sequence[int], generator: torch.Generator
    ) -> StepLosses:
        """Return ITM, true and false statements weighing as much."""
        seed = generator.initial_seed()
        said: list[str] = []
        for row in rows:
            rng = random.Random(seed_of(seed, row))
            said += self._said(row, self.stills[rng.choice(rows)].scene, rng)
        device = self.model.student.backbone.ln_vision.weight.device
        texts = collate(self.tokenizer.encode(said, LIMIT)).to(device)
        features = self.seen[torch.tensor(rows)].to(device).float()
        logits = model(features, texts)
        wanted = torch.zeros(len(said), dtype=torch.int64, device=device)
        wanted[:: WRONG + 1] = 1
        balance = torch.tensor([1.0, float(WRONG)], device=device)
        loss = functional.cross_entropy(logits, wanted, weight=balance)
        return StepLosses(loss, (("itm", loss),))

    def _said(self, row: int, other: Scene, rng: random.Random) -> list[str]:
        """Return a true statement about a still, and false ones."""
        still = self.stills[row]
        drawn, about = drawn_on(still, row), rng.random()
        if drawn and about < RECTANGLES:
            return of_rectangles(drawn, rng)
        if drawn and about < RECTANGLES + BESIDE:
            found = beside(still.scene, drawn, rng)
            if found is not None:
                return found
        return statements(still.scene, other, rng)


def drawn_on(still: Still, row: int) -> list[Drawn]:
    """Return the rectangles that are drawn where still `row` is seen."""
    framing = framing_of(row)
    return [] if framing is None else rectangles(still.frames[framing].tints)
