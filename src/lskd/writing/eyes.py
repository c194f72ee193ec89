"""Vision tower and Q-Former of a BLIP-2 whose language model is not wanted.

In: a folder or a name on the hub in transformers' format, of which only the files are opened that
hold those parts; or a `.pth` of LAVIS, the tower in a second file if it is not in the first. Out:
their configurations, and their weights under transformers' names.
"""

import copy
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers.utils.hub
from safetensors import SafetensorError, safe_open
from torch import Tensor

from lskd.blip2 import files
from lskd.blip2.base import size_of
from lskd.blip2.stage1 import new_student
from lskd.checkpoints.checkpoint import Checkpoint, config_of
from lskd.errors import UserError

PARTS = ("vision_model.", "qformer.", "query_tokens")
POSITIONS = "vision_model.embeddings.position_embedding"
LAVIS_EPS = 1e-5  # of LAVIS' norm behind the tower; transformers has 1e-6

# LAVIS' names and what stands in their place, applied in turn.
RULES = (
    (r"^visual_encoder\.", "vision_model."),
    (r"^vision_model\.cls_token$", "vision_model.embeddings.class_embedding"),
    (r"^vision_model\.pos_embed$", POSITIONS),
    (r"^vision_model\.patch_embed\.proj", "vision_model.embeddings.patch_embedding"),
    (r"^vision_model\.blocks\.", "vision_model.encoder.layers."),
    (r"^(vision_model\..*)\.norm(\d)", r"\1.layer_norm\2"),
    (r"^(vision_model\..*)\.attn\.proj", r"\1.self_attn.projection"),
    (r"^(vision_model\..*)\.attn\.", r"\1.self_attn."),
    (r"^ln_vision", "vision_model.post_layernorm"),
    (r"^Qformer\.bert\.embeddings\.LayerNorm", "qformer.layernorm"),
    (r"^Qformer\.bert\.", "qformer."),
    (r"attention\.self\.", "attention.attention."),
    (r"^(llama|t5|opt)_proj", "language_projection"),
)


@dataclass(frozen=True, slots=True)
class Eyes:
    """Configurations of tower and Q-Former, and weights by name.

    `queries` are the tokens of a picture, `eps` is that of the norm behind the tower.
    """

    vision: Any
    qformer: Any
    queries: int
    eps: float
    weights: Mapping[str, Tensor]


def eyes_of(blip2: str, vision: str | None = None, size: str = "vit_g") -> Eyes:
    """Return tower and Q-Former of a BLIP-2.

    `vision`, the file that has the tower, and `size` ("vit_g", or a folder with a config.json) are
    for LAVIS' files. Raises UserError for what is missing or of another kind.
    """
    if Path(blip2).suffix in files.LAVIS:
        return _lavis(Path(blip2), vision, size)
    if vision is not None:
        raise UserError(f"vision = {vision!r} is for a .pth of LAVIS; {blip2} has its own tower")
    config = config_of(Checkpoint(blip2))
    if config.model_type != "blip-2":
        raise UserError(f"{blip2} is a {config.model_type} model; needed is a BLIP-2")
    own = config.vision_config
    return Eyes(
        own, config.qformer_config, config.num_query_tokens, own.layer_norm_eps, _stored(blip2)
    )


def by_our_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors of a LAVIS file under transformers' names; other names stay."""
    named: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        for theirs, ours in RULES:
            name = re.sub(theirs, ours, name)
        named[name] = tensor
    for name in [name for name in named if name.endswith(".self_attn.q_bias")]:
        place = name.removesuffix("q_bias")
        query, value = named.pop(name), named.pop(f"{place}v_bias")
        named[f"{place}qkv.bias"] = torch.cat([query, torch.zeros_like(query), value])
    return named


def _lavis(path: Path, vision: str | None, size: str) -> Eyes:
    tensors = by_our_names(files.read(path))
    if vision is not None:
        tensors = by_our_names(_tower(files.read(Path(vision)))) | tensors
    positions = tensors.get(POSITIONS)
    if positions is None:
        raise UserError(
            f"{path} does not have the vision tower: name the file that has it (vision), as "
            "eva_vit_g.pth"
        )
    with torch.device("meta"):  # for its configurations alone
        backbone = new_student(size_of(size, str(path), image=224)).backbone
    tower, qformer = (
        copy.deepcopy(part.model.config) for part in (backbone.vision, backbone.qformer)
    )
    tower.image_size = math.isqrt(positions.shape[1] - 1) * tower.patch_size
    qformer.use_qformer_text_input = False
    queries = tensors["query_tokens"].shape[1] if "query_tokens" in tensors else 32
    return Eyes(tower, qformer, queries, LAVIS_EPS, tensors)


def _tower(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors under the names of a whole LAVIS model, where they are a bare tower."""
    bare = "patch_embed.proj.weight" in tensors
    return {f"visual_encoder.{n}": t for n, t in tensors.items()} if bare else tensors


def _stored(name: str) -> dict[str, Tensor]:
    """Return the weights of tower and Q-Former of a model that transformers wrote."""
    index = _file(name, files.INDEX)
    shards = [files.WEIGHTS]
    if index is not None:
        places = files.weight_map(index)
        shards = sorted({shard for weight, shard in places.items() if weight.startswith(PARTS)})
    tensors: dict[str, Tensor] = {}
    for shard in shards:
        path = _file(name, shard)
        if path is None:
            raise UserError(f"{name} has no {shard}; needed are its weights as safetensors")
        try:
            with safe_open(path, "pt") as stored:
                wanted = [key for key in stored.keys() if key.startswith(PARTS)]  # noqa: SIM118
                tensors |= {key: stored.get_tensor(key) for key in wanted}
        except (OSError, SafetensorError) as error:
            raise UserError(f"cannot read {path}: {str(error).splitlines()[0]}") from error
    return tensors


def _file(name: str, file: str) -> Path | None:
    """Return a file of a folder, or of a name on the hub, None if there is none."""
    if Path(name).is_dir():
        path = Path(name) / file
        return path if path.is_file() else None
    try:
        found = transformers.utils.hub.cached_file(
            name, file, _raise_exceptions_for_missing_entries=False
        )
    except OSError as error:
        raise UserError(f"cannot load {file} of {name}: {str(error).splitlines()[0]}") from error
    return None if found is None else Path(str(found))
