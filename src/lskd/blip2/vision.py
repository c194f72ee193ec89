"""Pixels become features: the two vision towers, each without a norm behind its last block."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Blip2VisionConfig, Blip2VisionModel, CLIPVisionConfig, CLIPVisionModel

from lskd.blip2.size import Attention, VisionSize
from lskd.errors import UserError


class VisionTower(nn.Module):
    """EVA's or CLIP's ViT, up to its last block.

    `ln_vision` is left to the model around it: features may then be kept on disk while that norm
    is trained.
    """

    def __init__(self, size: VisionSize, attention: Attention = "sdpa") -> None:
        super().__init__()
        if size.width % size.heads:
            raise UserError(f"a width of {size.width} cannot be shared by {size.heads} heads")
        self.size = size
        # Any: what transformers declares of its models is looser than what is used here.
        self.model: Any = _eva(size, attention) if size.kind == "eva" else _clip(size, attention)
        self.model.post_layernorm = nn.Identity()

    def forward(self, pixels: Tensor) -> Tensor:
        """Return features, (views, tokens, width), of normalised pixels, (views, 3, side, side).

        Right and bottom pixels that fill no whole patch are not seen. Raises UserError for pixels
        of another size.
        """
        side = self.size.image
        if pixels.shape[1:] != (3, side, side):
            given = " x ".join(str(extent) for extent in pixels.shape[1:])
            raise UserError(f"pixels of {given} given; this model takes 3 x {side} x {side}")
        features: Tensor = self.model(pixel_values=pixels).last_hidden_state
        return features


def interpolate(position: Tensor, tokens: int, align_corners: bool = False) -> Tensor:
    """Return position embeddings for another image size, (1, tokens, width).

    `position` is (1, old tokens, width) with the class token first, which is kept; the square of
    the others is resized bicubically, without antialiasing. LAVIS aligns the corners for CLIP and
    not for EVA. Raises UserError if either number of patches is not square.
    """
    old, new = _side(position.shape[1]), _side(tokens)
    if old == new:
        return position
    width = position.shape[2]
    grid = position[:, 1:].float().reshape(1, old, old, width).permute(0, 3, 1, 2)
    resized = functional.interpolate(  # (1, width, old, old) -> (1, width, new, new)
        grid, size=(new, new), mode="bicubic", align_corners=align_corners
    )
    patches = resized.permute(0, 2, 3, 1).reshape(1, new * new, width).to(position.dtype)
    return torch.cat([position[:, :1], patches], dim=1)


def _side(tokens: int) -> int:
    side = math.isqrt(max(tokens - 1, 0))
    if side * side + 1 != tokens:
        raise UserError(f"{tokens} position embeddings: expected a square of patches and one more")
    return side


def _eva(size: VisionSize, attention: Attention) -> Any:
    config = Blip2VisionConfig(
        hidden_size=size.width,
        intermediate_size=size.mlp,
        num_hidden_layers=size.depth,
        num_attention_heads=size.heads,
        image_size=size.image,
        patch_size=size.patch,
        initializer_range=0.02,  # the library's 1e-10 is only good for loading weights over it
    )
    tower: Any = Blip2VisionModel
    return tower._from_config(config, attn_implementation=attention)


def _clip(size: VisionSize, attention: Attention) -> Any:
    config = CLIPVisionConfig(
        hidden_size=size.width,
        intermediate_size=size.mlp,
        num_hidden_layers=size.depth,
        num_attention_heads=size.heads,
        image_size=size.image,
        patch_size=size.patch,
    )
    tower: Any = CLIPVisionModel
    return tower._from_config(config, attn_implementation=attention)
