"""The files of checkpoints: tensors by name, and the `config.json` of a Hugging Face folder."""

import json
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from transformers import Blip2QFormerConfig, Blip2VisionConfig, CLIPVisionConfig

from lskd import table
from lskd.blip2.size import QFormerSize, Size, VisionSize
from lskd.checkpoints.written import write_pickle, write_tensors
from lskd.errors import UserError

LAVIS = (".pth", ".pt")
CONFIG, WEIGHTS = "config.json", "model.safetensors"
INDEX = f"{WEIGHTS}.index.json"
VISION_TYPES = {"eva": "blip_2_vision_model", "clip": "clip_vision_model"}


def read(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a `.pth` or `.safetensors` file or of a Hugging Face folder, by name.

    Of a `.pth` nothing but tensors and plain values is read, so that it can run no code. Raises
    UserError if the path is missing, cut off, or holds something else.
    """
    if not path.exists():
        raise UserError(f"no checkpoint at {path}")
    with _plainly(path):
        if path.is_dir():
            return _folder(path)
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    tensors = content.get("model", content) if isinstance(content, dict) else content
    if not isinstance(tensors, dict) or not any(isinstance(t, Tensor) for t in tensors.values()):
        raise UserError(f'{path} holds no tensors by name, neither itself nor under "model"')
    return {str(name): tensor for name, tensor in tensors.items() if isinstance(tensor, Tensor)}


def weight_map(index: Path) -> dict[str, str]:
    """Return the name of the file that each weight is in, as an index of safetensors tells.

    Raises UserError if it cannot be read.
    """
    with _plainly(index):
        return dict(json.loads(index.read_text(encoding="utf-8"))["weight_map"])


def write_lavis(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write tensors as LAVIS does, under "model"."""
    write_pickle(path, {"model": tensors})


def write_folder(folder: Path, tensors: dict[str, Tensor], size: Size, kind: str) -> None:
    """Write a Hugging Face folder. `kind`, the class of the model, is noted in its configuration.

    transformers' Blip2ForImageTextRetrieval reads it, where the tower is EVA's and the model a
    student; it ignores the heads that it lacks.
    """
    write_tensors(folder / WEIGHTS, tensors)
    with table.draft(folder / CONFIG) as unfinished:
        unfinished.write_text(json.dumps(_config(size, kind), indent=2) + "\n", encoding="utf-8")


def read_size(folder: Path) -> Size:
    """Return the size of the model in a Hugging Face folder; what its file leaves out is default.

    Raises UserError if there is no configuration or not one of BLIP-2.
    """
    path = folder / CONFIG
    with _plainly(path):
        config = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(config, dict) or config.get("model_type") != "blip-2":
            raise UserError(f"{path} does not describe a BLIP-2 (model_type is not blip-2)")
        return _size(path, config)


def _size(path: Path, config: Mapping[str, Any]) -> Size:
    given = dict(config.get("vision_config") or {})
    clip = given.get("model_type") == VISION_TYPES["clip"]
    vision = CLIPVisionConfig(**given) if clip else Blip2VisionConfig(**given)
    qformer = Blip2QFormerConfig(**(config.get("qformer_config") or {}))
    return Size(
        VisionSize(
            kind="clip" if clip else "eva",
            image=_side(path, vision.image_size),
            patch=_side(path, vision.patch_size),
            width=vision.hidden_size,
            depth=vision.num_hidden_layers,
            heads=vision.num_attention_heads,
            mlp=vision.intermediate_size,
        ),
        QFormerSize(
            width=qformer.hidden_size,
            depth=qformer.num_hidden_layers,
            heads=qformer.num_attention_heads,
            mlp=qformer.intermediate_size,
            queries=config.get("num_query_tokens", 32),
            vocabulary=qformer.vocab_size,
            positions=qformer.max_position_embeddings,
            cross_every=qformer.cross_attention_frequency,
        ),
        # A critic's folder says 0: it compares nothing.
        config.get("image_text_hidden_size") or 256,
    )


def _side(path: Path, given: Any) -> int:
    """Return the side of a square, which a configuration gives once or twice."""
    sides = {given} if isinstance(given, int) else set(given or ())
    if len(sides) != 1:
        raise UserError(f"{path}: images and patches are square here; {given} was given")
    return int(sides.pop())


def _config(size: Size, kind: str) -> dict[str, Any]:
    vision, qformer = size.vision, size.qformer
    return {
        "model_type": "blip-2",
        "architectures": ["Blip2ForImageTextRetrieval"],
        "lskd_model": kind,
        "num_query_tokens": qformer.queries,
        "image_text_hidden_size": size.embedding,
        "vision_config": {
            "model_type": VISION_TYPES[vision.kind],
            "image_size": vision.image,
            "patch_size": vision.patch,
            "hidden_size": vision.width,
            "num_hidden_layers": vision.depth,
            "num_attention_heads": vision.heads,
            "intermediate_size": vision.mlp,
        },
        "qformer_config": {
            "model_type": "blip_2_qformer",
            "vocab_size": qformer.vocabulary,
            "hidden_size": qformer.width,
            "num_hidden_layers": qformer.depth,
            "num_attention_heads": qformer.heads,
            "intermediate_size": qformer.mlp,
            "max_position_embeddings": qformer.positions,
            "cross_attention_frequency": qformer.cross_every,
            "encoder_hidden_size": vision.width,
            "use_qformer_text_input": True,
        },
    }


def _folder(folder: Path) -> dict[str, Tensor]:
    shards = [folder / WEIGHTS]
    if not shards[0].is_file() and (folder / INDEX).is_file():
        shards = [folder / name for name in sorted(set(weight_map(folder / INDEX).values()))]
    tensors: dict[str, Tensor] = {}
    for shard in shards:
        tensors.update(load_file(shard))
    return tensors


@contextmanager
def _plainly(path: Path) -> Iterator[None]:
    """Turn whatever a missing, broken or foreign file raises into a UserError."""
    try:
        yield
    except pickle.UnpicklingError as error:
        raise UserError(f"{path} is not a file of tensors alone, so it is not read") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except StrictDataclassError as error:  # how transformers refuses a value of another type
        raise UserError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    except (RuntimeError, ValueError, TypeError, KeyError, EOFError, SafetensorError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"cannot read {path}: {reason}") from error
