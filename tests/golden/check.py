"""Compare lskd.blip2 with values that the official code computed: `check.py FOLDER SIZE`.

FOLDER holds SIZE.json and, as safetensors, SIZE_weights, SIZE_io, SIZE_grads, SIZE_critic_heads and
perhaps pos_embed and layernorm_probe; its README describes them. Every tensor of SIZE_io but the
inputs and every gradient is compared, in eager and in SDPA attention. Prints the largest difference
of each group; exits 1 if one is beyond tolerance, if a tensor of these files is unknown, or if
nothing was recognised.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import ours
import torch
from ours import Golden
from torch import Tensor, nn

from lskd.blip2.negatives import Kin
from lskd.blip2.size import Attention
from lskd.blip2.stage1 import Stage1
from lskd.blip2.text import Tokenizer, collate
from lskd.blip2.vision import interpolate

FORWARD = 1e-5  # of the tensor's largest value
LOGITS = 1e-4  # lm_logits, absolute
GRADIENT = 5e-5  # of the tensor's largest value
# A gradient that is nearly zero has no scale of its own: no tensor counts as smaller than this
# share of the largest gradient of its group. The bias of keys moves all scores of a softmax alike,
# so its gradient is rounding alone, and is held to the largest itself.
FLOOR = 1e-3
ROUNDING = ".key.bias"

PARTS = ("weights", "io", "grads", "critic_heads")
ATTENTIONS: tuple[Attention, ...] = ("eager", "sdpa")


@dataclass(frozen=True, slots=True)
class Difference:
    """How far one tensor is off; `value` and `tolerance` in the same unit."""

    group: str
    name: str
    value: float
    tolerance: float

    @property
    def bad(self) -> bool:
        """Say whether it is beyond tolerance, as whatever is not a number is."""
        return not self.value <= self.tolerance


def forward_differences(golden: Golden, attention: Attention) -> Iterator[Difference]:
    """Yield how far each forward value is off, and each that is not known."""
    pairs: ours.Pairs = {}
    with torch.no_grad():
        student = golden.student(attention)
        pairs |= ours.student_states(golden, student)
        for prefix, with_ids in (("stage1", False), ("stage1_imageid", True)):
            losses = ours.named_losses(ours.student_losses(golden, student, with_ids))
            pairs |= ours.paired(golden, prefix, losses)
            kin: Kin = "shared" if with_ids else "release"
            pairs |= ours.student_similarities(golden, student, prefix, kin)
        matched = {"itm_logits": ours.shared_id_matching(golden, student)}
        pairs |= ours.paired(golden, "stage1_imageid", matched) | ours.scores(golden, student)
        if golden.heads:
            pairs |= ours.critic_states(golden, golden.critic(attention))
    for name, (mine, theirs) in pairs.items():
        group = f"{attention} {name.split('.')[0]}"
        if name == "stage1.lm_logits":
            yield Difference(f"{group}.lm_logits", name, _apart(mine, theirs), LOGITS)
        else:
            scale = float(theirs.abs().max())
            yield Difference(group, name, _relative(_apart(mine, theirs), scale), FORWARD)
    for name in golden.io:
        if name not in pairs and not name.startswith("in."):
            yield Difference(f"{attention} unknown", name, float("inf"), 0.0)


def gradient_differences(golden: Golden, attention: Attention) -> Iterator[Difference]:
    """Yield how far each gradient is off, and each that is not known."""
    for group in sorted({name.split("/")[0] for name in golden.gradients}):
        if group == "critic_fixed":
            mine = ours.critic_gradients(golden, attention)
        elif group.split("_")[0] in ("itc", "itm", "lm", "total"):
            mine = ours.student_gradients(golden, attention, group)
        else:
            mine = {}
        theirs = {
            name.partition("/")[2]: tensor
            for name, tensor in golden.gradients.items()
            if name.startswith(f"{group}/")
        }
        largest = max(float(tensor.abs().max()) for tensor in theirs.values())
        for name, tensor in theirs.items():
            if name not in mine:
                yield Difference(f"{attention} unknown", f"{group}/{name}", float("inf"), 0.0)
                continue
            floor = largest if name.endswith(ROUNDING) else FLOOR * largest
            scale = max(float(tensor.abs().max()), floor)
            value = _relative(_apart(mine[name], tensor), scale)
            yield Difference(f"{attention} gradients {group}", name, value, GRADIENT)


def other_differences(golden: Golden) -> Iterator[Difference]:
    """Yield how far position embeddings, norms and token ids are off."""
    resized = golden.tensors("pos_embed")
    for name, theirs in resized.items():
        if name.startswith("out_"):
            source = "src_16x16" if name == "out_34x34" else "src_4x4"
            mine = interpolate(resized[source], theirs.shape[1])
            value = _relative(_apart(mine, theirs), float(theirs.abs().max()))
            yield Difference("position embeddings", name, value, FORWARD)
    probe = golden.tensors("layernorm_probe")
    for name, norm in _norms(golden.student("sdpa")).items():
        probed, wanted = probe.get(f"{name}.in"), probe.get(f"{name}.out")
        if probed is None or wanted is None or probed.shape[1] != norm.normalized_shape[0]:
            continue  # the probe was made with the weights of another size
        value = _relative(_apart(norm(probed), wanted), float(wanted.abs().max()))
        yield Difference("norms", name, value, FORWARD)
    if (golden.folder / "vocab.txt").is_file():
        tokenizer = Tokenizer(golden.folder / "vocab.txt")
        limit = golden.texts.ids.shape[1]
        ids = collate(tokenizer.encode(golden.about["texts"], limit)).padded(limit).ids
        wrong = float((ids != golden.texts.ids).sum()) + abs(tokenizer.decode_id - golden.decode_id)
        yield Difference("token ids", "in.input_ids", wrong, 0.0)


def _norms(student: Stage1) -> dict[str, nn.LayerNorm]:
    backbone = student.backbone
    return {
        "ln_vision": backbone.ln_vision,
        "vit_norm1": backbone.vision.model.encoder.layers[0].layer_norm1,
        "qformer_embeddings_LayerNorm": backbone.qformer.model.layernorm,
    }


def _apart(mine: Tensor, theirs: Tensor) -> float:
    """Return the largest absolute difference; not a number where the sizes differ."""
    theirs = theirs.reshape(mine.shape) if mine.numel() == theirs.numel() == 1 else theirs
    if mine.shape != theirs.shape:
        return float("nan")
    return float((mine.detach().double() - theirs.double()).abs().max())


def _relative(apart: float, scale: float) -> float:
    return apart / scale if scale > 0 else apart


def compare(folder: Path, size: str) -> list[Difference]:
    """Return all differences between our values and a golden set's."""
    golden = Golden(folder, size)
    found = list(other_differences(golden))
    for attention in ATTENTIONS:
        found += forward_differences(golden, attention)
        found += gradient_differences(golden, attention)
    return found


def main() -> int:
    """Print the largest difference of each group; return 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("size", metavar="SIZE")
    given = parser.parse_args()
    for name in (f"{given.size}.json", *(f"{given.size}_{part}.safetensors" for part in PARTS)):
        if not (given.folder / name).is_file():
            print(f"nothing to compare: {given.folder} has no {name}")
            return 1
    found = compare(given.folder, given.size)
    groups: dict[str, list[Difference]] = {}
    for difference in found:
        groups.setdefault(difference.group, []).append(difference)
    for group, members in groups.items():
        worst = max(members, key=lambda d: (d.bad, d.value))
        print(
            f"{group:40} {len(members):4} tensors  largest {worst.value:.1e} ({worst.name})"
            f"  allowed {worst.tolerance:.0e}"
        )
    bad = [difference for difference in found if difference.bad]
    for difference in bad:
        print(f"BEYOND TOLERANCE: {difference.group}: {difference.name}: {difference.value:.3e}")
    print(f"{len(found)} tensors compared, {len(bad)} beyond tolerance")
    return 1 if bad or not found else 0


if __name__ == "__main__":
    sys.exit(main())
