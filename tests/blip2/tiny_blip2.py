"""Tiny models of both towers, with the real classes and random weights."""

from typing import Literal, TypeVar

import torch

from lskd.blip2.size import QFormerSize, Size, VisionSize
from lskd.blip2.stage1 import Critic, Stage1

torch.set_num_threads(1)  # more only wait for each other on tensors this small

Model = TypeVar("Model", Stage1, Critic)


def tiny_size(kind: Literal["eva", "clip"] = "eva", image: int = 28, queries: int = 3) -> Size:
    """Return a size of 2 x 2 patches, with cross-attention in the first and third layer."""
    return Size(
        VisionSize(kind, image, 14, width=24, depth=2, heads=2, mlp=40),
        QFormerSize(
            width=16,
            depth=3,
            heads=2,
            mlp=32,
            queries=queries,
            vocabulary=40,
            positions=24,
            cross_every=2,
        ),
        embedding=8,
    )


def shake(model: Model, seed: int = 7) -> Model:
    """Return a model with weights so large that mistakes show, ready to be asked."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator) * 0.4)
    return model.eval()
