"""A student's weights between its base's and its own, so that it forgets less of what its base can.

On the line between weights that were fine-tuned and those that they began with, what was forgotten
comes back before what was learnt is lost (Wortsman et al., Robust fine-tuning of zero-shot models,
CVPR 2022).
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def copied(model: nn.Module) -> dict[str, Tensor]:
    """Return copies of the weights that are trained, by name."""
    trained = ((name, w) for name, w in model.named_parameters() if w.requires_grad)
    return {name: weight.detach().clone() for name, weight in trained}


@torch.no_grad()
def interpolate(model: nn.Module, before: Mapping[str, Tensor], share: float) -> None:
    """Move each weight of `before` that share of the way back to what it was, 0 to 1, in place."""
    for name, weight in model.named_parameters():
        if name in before:
            weight.lerp_(before[name].to(weight), share)
