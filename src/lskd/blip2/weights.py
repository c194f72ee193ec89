"""Checkpoints are read into a model and written from it: LAVIS `.pth` files, Hugging Face folders.

A LAVIS file holds only what was trained: the frozen vision tower then comes from a second file,
`eva_vit_g.pth` or `clip_vit_L.pth`, or any file or folder that has it.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lskd.blip2 import files, names
from lskd.blip2.names import Link
from lskd.blip2.size import Size
from lskd.blip2.stage1 import Critic, Stage1
from lskd.blip2.vision import interpolate
from lskd.errors import UserError

Model = Stage1 | Critic

SHOWN = 4  # names in an error, of each sort of fault


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was no plain copy.

    `fresh` weights of ours kept their values, `unused` tensors of the file belong to a part that
    this model lacks, `resized` position embeddings were made for another image size.
    """

    fresh: tuple[str, ...]
    unused: tuple[str, ...]
    resized: tuple[str, ...]


def load(
    model: Model, path: Path, frozen: Path | None = None, fresh: Collection[str] = ()
) -> Loaded:
    """Copy the weights of a LAVIS file or a Hugging Face folder into a model, in its own dtype.

    What the file lacks is taken from `frozen`. Parts or weights named in `fresh` ("language", "qa",
    "contrast.temperature") may be absent as a whole; they keep their values. Position embeddings
    are resized to the model's image size. Raises UserError, before anything is copied, if other
    tensors are missing, if some are unexpected, or if one has another size.
    """
    tensors, links = files.read(path), _links(model, path)
    found = _under_our_names(tensors, links)
    if frozen is not None:
        second = _under_our_names(_whole_names(files.read(frozen)), _links(model, frozen))
        found = {**second, **found}
    resized = _resize(model, found, links)
    weights = dict(model.named_parameters())
    kept = _absent(weights, found, fresh)
    unused, unexpected = _left_over(tensors, links)
    missing = weights.keys() - found.keys() - set(kept)
    other_size = [
        f"{name} is {_shape(found[name])} and not {_shape(weight)}"
        for name, weight in weights.items()
        if name in found and found[name].shape != weight.shape
    ]
    if missing or unexpected or other_size:
        stored = [name for link in links if missing & set(link.ours) for name in link.stored]
        faults = {"missing": stored, "unexpected": unexpected, "of another size": other_size}
        raise UserError(_refusal(path, faults, frozen))
    with torch.no_grad():
        for name, tensor in found.items():
            weights[name].copy_(tensor)
    return Loaded(tuple(kept), tuple(unused), tuple(resized))


def save(model: Model, path: Path) -> None:
    """Write a model as a LAVIS file if the path ends in .pth or .pt, else as a Hugging Face folder.

    A LAVIS file has no room for the bias of EVA's keys, on which no output depends. A file appears
    whole or not at all; raises UserError if it cannot be written.
    """
    lavis = path.suffix in files.LAVIS
    weights = dict(model.named_parameters())
    tensors: dict[str, Tensor] = {}
    for link in names.lavis(model) if lavis else names.hugging_face(model):
        joined = _join([weights[name].detach().cpu() for name in link.ours])
        for name, piece in zip(link.theirs, _split(joined, len(link.theirs)), strict=True):
            if name != names.ZERO:
                tensors[name] = piece.clone()
    if lavis:
        repeated = {b: tensors[a] for a, b in names.LAVIS_SAME.items() if a in tensors}
        files.write_lavis(path, tensors | repeated)
    else:
        files.write_folder(path, tensors, size_of(model), type(model).__name__)


def size_of(model: Model) -> Size:
    """Return the size of a model."""
    backbone = model.backbone
    embedding = model.contrast.text.out_features if isinstance(model, Stage1) else 0
    return Size(backbone.vision.size, backbone.qformer.size, embedding)


def _links(model: Model, path: Path) -> list[Link]:
    return names.hugging_face(model) if path.is_dir() else names.lavis(model)


def _under_our_names(tensors: Mapping[str, Tensor], links: Iterable[Link]) -> dict[str, Tensor]:
    """Return what a file holds of a model; a link that is there in part is left out."""
    found: dict[str, Tensor] = {}
    for link in links:
        stored = {}
        for name in link.stored:
            second = names.LAVIS_SAME.get(name, name)
            if (tensor := tensors.get(name, tensors.get(second))) is not None:
                stored[name] = tensor
        if len(stored) == len(link.stored):
            zero = torch.zeros_like(stored[link.stored[0]])
            joined = _join([stored.get(name, zero) for name in link.theirs])
            found.update(zip(link.ours, _split(joined, len(link.ours)), strict=True))
    return found


def _join(pieces: list[Tensor]) -> Tensor:
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces)


def _split(joined: Tensor, count: int) -> tuple[Tensor, ...]:
    return (joined,) if count == 1 else joined.tensor_split(count)


def _whole_names(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors under the names of a whole LAVIS model, where they are a bare vision tower."""
    bare = "patch_embed.proj.weight" in tensors or "conv1.weight" in tensors
    return {f"visual_encoder.{n}": t for n, t in tensors.items()} if bare else tensors


def _resize(model: Model, found: dict[str, Tensor], links: Iterable[Link]) -> list[str]:
    """Fit position embeddings of the image into the model's; return the names of those changed."""
    vision = model.backbone.vision.size
    changed = []
    for name in (name for link in links if link.position for name in link.ours):
        position = found.get(name)
        if position is None or position.shape[-2] == vision.tokens:
            continue
        rows = position.reshape(1, *position.shape[-2:])
        fitted = interpolate(rows, vision.tokens, align_corners=vision.kind == "clip")
        found[name] = fitted if position.dim() == 3 else fitted[0]
        changed.append(name)
    return changed


def _absent(weights: Collection[str], found: Collection[str], fresh: Collection[str]) -> list[str]:
    """Return the weights of those `fresh` parts of which the file holds nothing."""
    kept: list[str] = []
    for part in fresh:
        members = [name for name in weights if f"{name}.".startswith(f"{part}.")]
        if not members:
            known = sorted({name.split(".")[0] for name in weights})
            raise UserError(f"no part {part!r} to leave fresh; parts: {', '.join(known)}")
        if not any(name in found for name in members):
            kept += members
    return kept


def _left_over(tensors: Iterable[str], links: Iterable[Link]) -> tuple[list[str], list[str]]:
    """Return what belongs to parts of another kind of model, and what to none that is known."""
    known = {name for link in links for name in link.stored}
    known |= {names.LAVIS_SAME[name] for name in known & names.LAVIS_SAME.keys()}
    left = [name for name in tensors if name not in known and name not in names.COUNTERS]
    unused = [name for name in left if f"{name}.".startswith(names.PARTS)]
    return unused, [name for name in left if name not in unused]


def _refusal(path: Path, faults: Mapping[str, list[str]], frozen: Path | None) -> str:
    told = []
    for fault, which in faults.items():
        more = f" and {len(which) - SHOWN} more" if len(which) > SHOWN else ""
        if which:
            told.append(f"{len(which)} {fault} ({', '.join(which[:SHOWN])}{more})")
    tower = [n for n in faults["missing"] if n.startswith(("visual_encoder.", "vision_model."))]
    advice = ""
    if tower and frozen is None:
        advice = "; the vision tower is not in this file: name the file that has it (`frozen`)"
    elif faults["of another size"]:
        advice = "; it was made for a model of another size"
    return f"{path} does not fit this model: tensors {'; '.join(told)}{advice}"


def _shape(tensor: Tensor) -> str:
    return " x ".join(str(extent) for extent in tensor.shape) or "one number"
