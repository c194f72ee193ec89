"""The exponential moving average of the weights that are trained."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class Average:
    """Keeps the average beside the model.

    It forgets faster while it is young (at step n by at most 9 / (10 + n)), so that a short
    training does not end near the weights that it began with.
    """

    def __init__(self, weights: Mapping[str, nn.Parameter], decay: float) -> None:
        self.decay = decay
        self.weights = {name: weight.detach().clone() for name, weight in weights.items()}

    @torch.no_grad()
    def take(self, weights: Mapping[str, nn.Parameter], step: int) -> None:
        """Take in the weights after a step; steps count from 1."""
        forget = 1 - min(self.decay, (1 + step) / (10 + step))
        for name, kept in self.weights.items():
            kept.lerp_(weights[name].detach(), forget)

    @torch.no_grad()
    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Go on from an average that was saved."""
        for name, kept in self.weights.items():
            kept.copy_(weights[name])

    @torch.no_grad()
    def give(self, weights: Mapping[str, nn.Parameter]) -> None:
        """Put the average in the place of the weights."""
        for name, kept in self.weights.items():
            weights[name].copy_(kept)
