"""The layers of a language model of transformers, and how they make their states again.

In: any model of transformers. Out: its layers, as it marks them itself for gradient checkpointing.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer


def layers_of(language: nn.Module) -> list[nn.Module]:
    """Return the layers of a language model, in the order of its modules."""
    return [part for part in language.modules() if isinstance(part, GradientCheckpointingLayer)]


def recompute(language: Any) -> None:
    """Let the layers of a language model make their states again for the gradient."""
    for part in layers_of(language):
        layer: Any = part
        layer.gradient_checkpointing = True
        layer._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)
        if isinstance(getattr(layer, "dropout", None), float):
            layer.dropout = 0.0  # OPT's: it would drop out where the layer is in training


def recomputed(language: Any) -> Iterator[nn.Module]:
    """Yield the parts of a language model that make their states again."""
    return (part for part in language.modules() if getattr(part, "gradient_checkpointing", False))
