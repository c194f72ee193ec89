"""The student's side of the training loop: rows in, losses out."""

import random
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from lskd.blip2.objectives import Batch, Losses, StudentObjective
from lskd.blip2.text import Tokenizer
from lskd.distil.batches import Sheet, sheet
from lskd.distil.lessons import Lessons
from lskd.training.order import seed_of
from lskd.training.task import StepLosses
from lskd.types import View


class Pupil(nn.Module):
    """A student with its objective; views come as pixels, or as features where those are cached."""

    def __init__(self, objective: StudentObjective, cached: bool) -> None:
        super().__init__()
        self.objective = objective
        self.cached = cached

    def forward(self, given: Sheet, generator: torch.Generator) -> Losses:
        """Return the losses of some rows, which may lie on the processor."""
        backbone = self.objective.student.backbone
        device, kind = backbone.ln_vision.weight.device, backbone.ln_vision.weight.dtype
        sights = given.sights.to(device).to(kind)  # features are kept in fewer bits
        batch = Batch(
            features=sights if self.cached else backbone.features(sights),
            texts=given.texts.to(device),
            images=given.images.to(device),
            wordings=given.wordings.to(device),
            view=_to(given.view, device),
            swapped=None if given.swapped is None else given.swapped.to(device),
            swapped_rows=_to(given.swapped_rows, device),
        )
        losses: Losses = self.objective(batch, generator)
        return losses


class StudentTask:
    """ITC, ITM and ITG of rows (section 2.4). `sights` gives a view's pixels or cached features.

    `weights` are those of the three losses in their sum; the paper has each at 1.
    """

    def __init__(
        self,
        pupil: Pupil,
        lessons: Lessons,
        sights: Callable[[Sequence[View]], Tensor],
        tokenizer: Tokenizer,
        limit: int,
        weights: tuple[float, float, float] = (1.0, 1.0, 1.0),
    ) -> None:
        self.model = pupil
        self.lessons = lessons
        self.sights = sights
        self.tokenizer = tokenizer
        self.limit = limit
        self.weights = weights

    def losses(
        self, model: nn.Module, rows: Sequence[int], generator: torch.Generator
    ) -> StepLosses:
        """Return the three losses of rows, varied as this generator's seed says."""
        seed = generator.initial_seed()
        # All rows of a micro-batch have their rationale, or none has: texts are then of about one
        # length, so that little is padded, and none is told from another by its form.
        share = self.lessons.variety.rationales
        rationale = random.Random(seed_of(seed, "rationale")).random() < share
        lessons = [self.lessons.take(row, seed_of(seed, row), rationale) for row in rows]
        given = sheet(lessons, self.sights, self.tokenizer, self.limit)
        losses: Losses = model(given, generator)
        parts = (("itc", losses.itc), ("itm", losses.itm), ("itg", losses.itg))
        weighed = zip(self.weights, parts, strict=True)
        total = torch.stack([weight * loss for weight, (_, loss) in weighed]).sum()
        return StepLosses(total, parts)


def _to(tensor: Tensor | None, device: torch.device) -> Tensor | None:
    return None if tensor is None else tensor.to(device)
