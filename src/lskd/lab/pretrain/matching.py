"""The last part of pre-training: the Q-Former learns to hold short captions against a scene.

ITM alone, with several wrong captions of each scene: one word changed, or another scene's. They
name no place, which a glance would settle; so the model has to look at what stands where.
"""

import random
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from lskd.blip2.stage1 import Stage1
from lskd.blip2.text import Texts, Tokenizer, collate
from lskd.lab import words
from lskd.lab.pretrain.captions import LIMIT, changed
from lskd.lab.pretrain.gallery import Still
from lskd.lab.scene import Scene
from lskd.training.order import seed_of
from lskd.training.task import StepLosses

WRONG = 3  # captions of each scene


class Matcher(nn.Module):
    """A student that is asked whether captions match views; as many captions for each view."""

    def __init__(self, student: Stage1) -> None:
        super().__init__()
        self.student = student

    def forward(self, features: Tensor, texts: Texts) -> Tensor:
        """Return logits, (texts, 2), of texts in the order of the views."""
        memory = self.student.backbone.remember(features)
        return self.student.judge(memory, texts).match


class MatchTask:
    """Stills by number, each time with another caption and other wrong ones."""

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
        """Return ITM, right and wrong captions weighing as much."""
        seed = generator.initial_seed()
        said: list[str] = []
        for row in rows:
            rng = random.Random(seed_of(seed, row))
            other = self.stills[rng.choice(rows)].scene
            said += captions(self.stills[row].scene, other, rng)
        device = self.model.student.backbone.ln_vision.weight.device
        texts = collate(self.tokenizer.encode(said, LIMIT)).to(device)
        features = self.seen[torch.tensor(rows)].to(device).float()
        logits = model(features, texts)
        wanted = torch.zeros(len(said), dtype=torch.int64, device=device)
        wanted[:: WRONG + 1] = 1
        balance = torch.tensor([1.0, float(WRONG)], device=device)
        loss = functional.cross_entropy(logits, wanted, weight=balance)
        return StepLosses(loss, (("itm", loss),))


def captions(scene: Scene, other: Scene, rng: random.Random) -> list[str]:
    """Return a true caption of a scene, and `WRONG` that are almost surely not."""
    right = brief(scene, rng)
    wrong = [changed(right, rng) for _ in range(WRONG - 1)]
    return [right, *(one or brief(other, rng) for one in wrong), brief(other, rng)]


def brief(scene: Scene, rng: random.Random) -> str:
    """Return a short caption of one entity: what it is, where it stands, or what it does."""
    number = rng.randrange(len(scene.entities))
    match rng.randrange(3):
        case 0:
            return words.phrase(scene.entities[number])
        case 1:
            return words.standing(scene, number)
        case _:
            return words.description(scene, number)
