"""The vision towers and their position embeddings."""

import pytest
import torch
from tiny_blip2 import tiny_size
from torch import Tensor, nn

from lskd.blip2 import names
from lskd.blip2.stage1 import new_student
from lskd.blip2.vision import VisionTower, interpolate
from lskd.errors import UserError


class PlainClip(nn.Module):
    """CLIP's ViT as its paper describes it, written with torch's own attention."""

    def __init__(self, tensors: dict[str, Tensor], heads: int) -> None:
        super().__init__()
        self.w = tensors
        self.heads = heads

    def norm(self, x: Tensor, name: str) -> Tensor:
        weight, bias = self.w[f"{name}.weight"], self.w[f"{name}.bias"]
        return nn.functional.layer_norm(x, weight.shape, weight, bias, 1e-5)

    def forward(self, pixels: Tensor) -> Tensor:
        w = self.w
        patches = nn.functional.conv2d(pixels, w["conv1.weight"], stride=14).flatten(2)
        first = w["class_embedding"].expand(len(pixels), 1, -1)
        x = torch.cat([first, patches.transpose(1, 2)], dim=1) + w["positional_embedding"]
        x = self.norm(x, "ln_pre")
        block = 0
        while f"transformer.resblocks.{block}.ln_1.weight" in w:
            at = f"transformer.resblocks.{block}."
            attention = nn.MultiheadAttention(x.shape[2], self.heads, batch_first=True)
            attention.load_state_dict(
                {
                    name: w[f"{at}attn.{name}"]
                    for name in ("in_proj_weight", "in_proj_bias", "out_proj.weight")
                }
                | {"out_proj.bias": w[f"{at}attn.out_proj.bias"]}
            )
            normed = self.norm(x, f"{at}ln_1")
            x = x + attention(normed, normed, normed, need_weights=False)[0]
            inner = nn.functional.linear(
                self.norm(x, f"{at}ln_2"), w[f"{at}mlp.c_fc.weight"], w[f"{at}mlp.c_fc.bias"]
            )
            inner = inner * torch.sigmoid(1.702 * inner)
            x = x + nn.functional.linear(
                inner, w[f"{at}mlp.c_proj.weight"], w[f"{at}mlp.c_proj.bias"]
            )
            block += 1
        return x


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_the_clip_tower_computes_what_clip_describes(attention: str) -> None:
    student = new_student(tiny_size("clip"), attention).eval()  # type: ignore[arg-type]  # parametrised
    weights = dict(student.named_parameters())
    for weight in weights.values():
        nn.init.normal_(weight, std=0.3)
    tensors = {}
    for link in names.lavis(student):
        joined = [weights[name].detach() for name in link.ours]
        tensors[link.theirs[0].removeprefix("visual_encoder.")] = (
            torch.cat(joined) if len(joined) > 1 else joined[0]
        )
    pixels = torch.randn(2, 3, 28, 28)
    with torch.no_grad():
        expected = PlainClip(tensors, heads=2)(pixels)
        torch.testing.assert_close(
            student.backbone.features(pixels), expected, atol=1e-5, rtol=1e-5
        )


def test_pixels_that_fill_no_patch_are_not_seen() -> None:
    tower = VisionTower(tiny_size(image=34).vision).eval()
    pixels = torch.randn(1, 3, 34, 34)
    changed = pixels.clone()
    changed[:, :, 28:] += 1
    changed[:, :, :, 28:] += 1
    with torch.no_grad():
        torch.testing.assert_close(tower(pixels), tower(changed), atol=0, rtol=0)
        assert tower(pixels).shape == (1, 5, 24)


def test_pixels_of_another_size_are_refused_with_both_sizes() -> None:
    tower = VisionTower(tiny_size().vision)
    with pytest.raises(UserError, match="3 x 42 x 42 given; this model takes 3 x 28 x 28"):
        tower(torch.zeros(1, 3, 42, 42))


def test_position_embeddings_of_the_same_size_are_left_alone() -> None:
    position = torch.randn(1, 17, 8)
    assert interpolate(position, 17) is position


@pytest.mark.parametrize("align_corners", [True, False])
def test_resized_position_embeddings_keep_the_class_token(align_corners: bool) -> None:
    position = torch.randn(1, 17, 8)
    resized = interpolate(position, 50, align_corners)
    assert resized.shape == (1, 50, 8)
    assert torch.equal(resized[:, 0], position[:, 0])
    corners_kept = torch.allclose(resized[0, 1], position[0, 1], atol=1e-5)
    assert corners_kept == align_corners


@pytest.mark.parametrize("tokens", [1157 + 1, 0])
def test_patches_that_form_no_square_are_refused(tokens: int) -> None:
    with pytest.raises(UserError, match=f"{tokens} position embeddings"):
        interpolate(torch.zeros(1, 5, 4), tokens)
