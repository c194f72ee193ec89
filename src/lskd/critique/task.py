"""The critic's side of the training loop: judged triples in, the multi-task loss out (2.3)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from lskd.blip2.objectives import critic_loss
from lskd.blip2.stage1 import Critic
from lskd.blip2.text import Texts, Tokenizer, collate
from lskd.critique.note import Rating
from lskd.critique.rows import Row
from lskd.training.task import StepLosses
from lskd.types import View


@dataclass(frozen=True, slots=True)
class Sheet:
    """Rows of training on the processor.

    `sights` are pixels of each distinct view, or features of it, and row r is about `view[r]`.
    `accepted` is (rows,) int64, `qa` and `rationale` are (rows,) float32, in [0, 1].
    """

    sights: Tensor
    view: Tensor
    texts: Texts
    accepted: Tensor
    qa: Tensor
    rationale: Tensor


class CriticObjective(nn.Module):
    """The losses of a critic; a regression that is not among `ratings` is switched off (Table 1).

    Weights of such a regression are frozen, since nothing would train them. Views come as pixels,
    or as features where those are `cached`.
    """

    def __init__(self, critic: Critic, ratings: Sequence[Rating], cached: bool = False) -> None:
        super().__init__()
        self.critic = critic
        self.cached = cached
        self.ratings = tuple(ratings)
        critic.qa.requires_grad_("qa" in ratings)
        critic.rationale.requires_grad_("rationale" in ratings)

    def forward(self, sheet: Sheet) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the loss, and its parts: acceptance, then each of the ratings."""
        backbone = self.critic.backbone
        device, kind = backbone.ln_vision.weight.device, backbone.ln_vision.weight.dtype
        sights = sheet.sights.to(device).to(kind)  # features are kept in fewer bits
        memory = backbone.remember(sights if self.cached else backbone.features(sights))
        verdict = self.critic.judge(memory.seen_by(sheet.view.to(device)), sheet.texts.to(device))
        accepted = sheet.accepted.to(device)
        qa = sheet.qa.to(device) if "qa" in self.ratings else None
        rationale = sheet.rationale.to(device) if "rationale" in self.ratings else None
        parts = [functional.cross_entropy(verdict.match, accepted)]
        for said, wanted in ((verdict.qa, qa), (verdict.rationale, rationale)):
            if said is not None and wanted is not None:
                parts.append(functional.mse_loss(said, wanted))
        return critic_loss(verdict, accepted, qa, rationale), tuple(parts)


class CriticTask:
    """Judged triples by number. `sights` gives pixels or features of distinct views."""

    def __init__(
        self,
        objective: CriticObjective,
        rows: Sequence[Row],
        sights: Callable[[Sequence[View]], Tensor],
        tokenizer: Tokenizer,
        limit: int,
    ) -> None:
        self.model = objective
        self.rows = rows
        self.sights = sights
        # Few enough to be kept: the paper has 20,000.
        self.texts = tokenizer.encode([row.text for row in rows], limit)

    def losses(
        self, model: nn.Module, rows: Sequence[int], generator: torch.Generator
    ) -> StepLosses:
        """Return the losses of rows; nothing but dropout varies them."""
        total, parts = model(self.sheet(rows))
        names = ("accept", *self.model.ratings)
        return StepLosses(total, tuple(zip(names, parts, strict=True)))

    def sheet(self, numbers: Sequence[int]) -> Sheet:
        """Return rows as tensors."""
        rows = [self.rows[number] for number in numbers]
        views = list(dict.fromkeys(row.view for row in rows))
        place = {view: number for number, view in enumerate(views)}
        return Sheet(
            sights=self.sights(views),
            view=torch.tensor([place[row.view] for row in rows]),
            texts=collate([self.texts[number] for number in numbers]),
            accepted=torch.tensor([int(row.label.accepted) for row in rows]),
            qa=torch.tensor([row.label.qa for row in rows], dtype=torch.float32),
            rationale=torch.tensor([row.label.rationale for row in rows], dtype=torch.float32),
        )
