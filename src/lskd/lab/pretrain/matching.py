"""The Q-Former learns to hold statements against a scene: names alone, and at the end all kinds.

ITM alone, with several false statements about each scene: of something that stands elsewhere in it,
with one word changed, or of another scene. So the model has to look at what stands where.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from lskd.blip2.stage1 import Stage1
from lskd.blip2.text import Texts, collate
from lskd.lab.pretrain.speech import Ids, Says, all_kinds
from lskd.lab.pretrain.statements import WRONG
from lskd.training.ahead import Ahead
from lskd.training.task import StepLosses


class Saying(Protocol):
    """Says true and false things of stills."""

    def said(self, rows: Sequence[int], seed: int, says: Says = all_kinds) -> list[Ids]:
        """Return a true statement about each still and `WRONG` false ones, as token ids."""
        ...


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
    """Stills by number, each time with another statement and other false ones, of what `says` says.

    `seen` holds what the tower saw of each still, on any device.
    """

    def __init__(
        self, model: Matcher, saying: Saying, seen: Tensor, says: Says = all_kinds
    ) -> None:
        self.model = model
        self.seen = seen
        self._ahead = Ahead(lambda rows, seed: collate(saying.said(rows, seed, says)))

    def prepare(self, rows: Sequence[int], generator: torch.Generator) -> None:
        """Begin to say what the next step is about."""
        self._ahead.start(rows, generator.initial_seed())

    def losses(
        self, model: nn.Module, rows: Sequence[int], generator: torch.Generator
    ) -> StepLosses:
        """Return ITM, true and false statements weighing as much."""
        device = self.model.student.backbone.ln_vision.weight.device
        texts = self._ahead.take(rows, generator.initial_seed()).to(device)
        some = torch.tensor(rows, device=self.seen.device)
        loss = matching_loss(model(self.seen[some].to(device).float(), texts))
        return StepLosses(loss, (("itm", loss),))


@torch.no_grad()
def judged(model: Matcher, saying: Saying, seen: Tensor) -> dict[str, float]:
    """Return how well statements of all kinds are told apart, of each of the stills.

    "first" is how often the true one of a still comes before all of its false ones, in one of
    WRONG + 1 by chance and never where all are alike; "itm" is the loss.
    """
    device = model.student.backbone.ln_vision.weight.device
    losses, first = [], 0.0
    for rows in torch.split(torch.arange(len(seen)), 64):
        texts = collate(saying.said(rows.tolist(), 0)).to(device)
        logits = model(seen[rows.to(seen.device)].to(device).float(), texts).float()
        losses.append(matching_loss(logits) * len(rows))
        sure = (logits[:, 1] - logits[:, 0]).reshape(-1, WRONG + 1)
        first += float((sure[:, 0] > sure[:, 1:].amax(dim=1)).sum())
    itm = float(torch.stack(losses).sum())
    return {"first": first / len(seen), "itm": itm / len(seen)}


def matching_loss(logits: Tensor) -> Tensor:
    """Return ITM of logits, (stills * (WRONG + 1), 2); true and false ones weigh as much."""
    wanted = torch.zeros(len(logits), dtype=torch.int64, device=logits.device)
    wanted[:: WRONG + 1] = 1
    balance = torch.tensor([1.0, float(WRONG)], device=logits.device)
    return functional.cross_entropy(logits, wanted, weight=balance)
