"""How a model is trained: numbers only, so that settings can be checked without torch."""

import math
from dataclasses import dataclass
from typing import Literal

from lskd.errors import UserError

Precision = Literal["float32", "bf16", "auto"]
TRACKERS = ("tensorboard", "trackio", "wandb")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a model is trained.

    A step takes `batch` rows, all processes together, in `accumulate` micro-batches; a batch's
    losses that compare rows (ITC, ITM) compare those of a micro-batch. The rate climbs from 0 over
    `warmup` steps and falls to 0 as half a cosine. `weight_decay` spares biases, norms and scalars.
    `clip` bounds the norm of the gradient, `average` is the decay of a moving average of the
    weights, in which training then ends; None for neither. `precision` "auto" is bf16 where the
    device has it, else float32 (`lskd.training.precision`). A checkpoint is written every
    `save_every` steps; every `log_every` a line is told and `track` (of `TRACKERS`) are told too,
    by default every fiftieth step, and in a short training as often as ten times in all.
    Raises UserError for a number that makes no sense.
    """

    steps: int
    batch: int
    warmup: int = 0
    accumulate: int = 1
    learning_rate: float = 1e-5  # section 3
    weight_decay: float = 0.05  # LAVIS, as the two below
    betas: tuple[float, float] = (0.9, 0.999)
    clip: float | None = None
    precision: Precision = "float32"
    average: float | None = None
    seed: int = 0
    save_every: int = 500
    log_every: int | None = None
    track: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "accumulate", "save_every", "log_every"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise UserError(f"{name} = {getattr(self, name)}: 1 is the least")
        if not 0 <= self.warmup <= self.steps:
            raise UserError(f"warmup = {self.warmup}: expected 0 to {self.steps}, all steps")
        if self.batch < self.accumulate:
            raise UserError(
                f"a batch of {self.batch} rows cannot be done in accumulate = {self.accumulate} "
                "parts: lower accumulate"
            )
        if not self.learning_rate > 0 or self.weight_decay < 0:
            raise UserError(
                f"learning_rate = {self.learning_rate}, weight_decay = {self.weight_decay}: "
                "expected more than 0, and at least 0"
            )
        if not all(0 <= beta < 1 for beta in (*self.betas, self.average or 0)):
            raise UserError(
                f"betas = {list(self.betas)}, average = {self.average}: each is below 1"
            )
        if self.clip is not None and not self.clip > 0:
            raise UserError(f"clip = {self.clip}: expected more than 0, or none")
        unknown = sorted(set(self.track) - set(TRACKERS))
        if unknown:
            raise UserError(f"track = {unknown}: known are {', '.join(TRACKERS)}")

    @property
    def told_every(self) -> int:
        """Return after how many steps a line is told."""
        return self.log_every or min(50, max(1, self.steps // 10))

    def rate(self, step: int) -> float:
        """Return the learning rate of a step; steps count from 1."""
        if step <= self.warmup:
            return self.learning_rate * step / self.warmup
        done = (step - 1 - self.warmup) / (self.steps - self.warmup)
        return self.learning_rate * (1 + math.cos(math.pi * done)) / 2
