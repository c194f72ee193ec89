"""CLIP from a file of tensors that have OpenAI's names, such as the weights of CLIP-Event.

In: the file, and a checkpoint of transformers of the same size, which gives the configuration, the
tokenizer and the image processor. Out: a Scorer as `dual_encoder` has it.
"""

import pickle
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor

from lskd.checkpoints.checkpoint import Checkpoint, config_of, image_processor_of, tokenizer_of
from lskd.errors import UserError
from lskd.evaluate.scorers.dual_encoder import Encoders
from lskd.evaluate.scorers.views import Fit, sight_of, style_of
from lskd.protocols import Fits, Panel

# Numbers that OpenAI's files hold beside the weights.
COUNTERS = ("input_resolution", "context_length", "vocab_size")
HOLDERS = ("state_dict", "model", "model_state_dict")  # where trainers put the tensors of a model
TRANSPOSED = ("text_projection", "visual.proj")
SHOWN = 4  # names in an error

_RULES = (
    (r"^visual\.class_embedding$", "vision_model.embeddings.class_embedding"),
    (r"^visual\.positional_embedding$", "vision_model.embeddings.position_embedding.weight"),
    (r"^visual\.conv1\.", "vision_model.embeddings.patch_embedding."),
    (r"^visual\.ln_pre\.", "vision_model.pre_layrnorm."),  # so spelt in transformers
    (r"^visual\.ln_post\.", "vision_model.post_layernorm."),
    (r"^visual\.proj$", "visual_projection.weight"),
    (r"^visual\.transformer\.resblocks\.", "vision_model.encoder.layers."),
    (r"^transformer\.resblocks\.", "text_model.encoder.layers."),
    (r"^token_embedding\.", "text_model.embeddings.token_embedding."),
    (r"^positional_embedding$", "text_model.embeddings.position_embedding.weight"),
    (r"^ln_final\.", "text_model.final_layer_norm."),
    (r"^text_projection$", "text_projection.weight"),
    (r"\.attn\.out_proj\.", ".self_attn.out_proj."),
    (r"\.ln_([12])\.", r".layer_norm\1."),
    (r"\.mlp\.c_fc\.", ".mlp.fc1."),
    (r"\.mlp\.c_proj\.", ".mlp.fc2."),
)
_JOINED = re.compile(r"(.+\.)attn\.in_proj_(weight|bias)")


class OpenAiClipScorer:
    """A Scorer by a CLIP whose weights are a file of OpenAI's form."""

    without_effect = frozenset({"batch_views", "batch_texts", "device", "workers"})

    def __init__(  # noqa: PLR0913 - one parameter for each key of a run file
        self,
        weights: str,
        checkpoint: str = "openai/clip-vit-base-patch32",
        revision: str | None = None,
        device: str = "auto",
        dtype: str = "auto",
        marking: str = "clear",
        fit: Fit = "squash",
        batch_views: int = 64,
        batch_texts: int = 256,
        workers: int = 8,
    ) -> None:
        """Load the file `weights`; `checkpoint` is a CLIP of the same size (CLIP-Event: ViT-B/32).

        The other keys are those of `DualEncoderScorer`. Raises UserError for a file, a checkpoint
        or a setting that cannot be used.
        """
        source = Checkpoint(checkpoint, revision, device, dtype)
        style = style_of(marking)
        tensors = read(Path(weights))
        image_processor = image_processor_of(source)
        self.encoders = Encoders(
            _model(source, Path(weights), tensors),
            tokenizer_of(source),
            image_processor,
            sight_of(image_processor, style, fit, workers),
            batch_views,
            batch_texts,
        )

    def fits(self, panels: Sequence[Panel]) -> list[Fits]:
        """Return how well the texts of each panel fit; each distinct view is encoded once."""
        return self.encoders.fits(panels)

    def shortened(self, panels: Sequence[Panel]) -> int:
        """Return how many texts are longer than the model reads, and lose their end."""
        return self.encoders.shortened(panels)


def read(path: Path) -> dict[str, Tensor]:
    """Return a file's tensors by OpenAI's names.

    They may lie under "state_dict" and have names that begin "module.", as training on several
    devices leaves them. Nothing but tensors and plain values is read, so that a file can run no
    code. Raises UserError if the file is missing, broken or of another kind.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except (pickle.UnpicklingError, RuntimeError, ValueError, KeyError, EOFError) as error:
        raise UserError(
            f"{path} is no file of tensors alone (a TorchScript archive is none either): save the "
            "model's state_dict() with torch.save"
        ) from error
    for holder in HOLDERS:
        if isinstance(content, Mapping) and isinstance(content.get(holder), Mapping):
            content = content[holder]
    if not isinstance(content, Mapping):
        raise UserError(f"{path} holds no tensors by name, neither itself nor under {HOLDERS[0]}")
    named = {str(name).removeprefix("module."): tensor for name, tensor in content.items()}
    kept = {n: t for n, t in named.items() if isinstance(t, Tensor) and n not in COUNTERS}
    if "visual.conv1.weight" not in kept or "token_embedding.weight" not in kept:
        shown = ", ".join(list(kept)[:SHOWN]) or "none"
        raise UserError(
            f"{path} has no CLIP of a ViT by OpenAI's names; its tensors are: {shown}, ..."
        )
    return kept


def renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors of OpenAI's names by the names of transformers' CLIPModel, shaped alike."""
    ours: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        value = tensor.T if name in TRANSPOSED else tensor
        if joined := _JOINED.fullmatch(name):
            start = _translated(joined[1])
            for part, piece in zip("qkv", value.chunk(3), strict=True):
                ours[f"{start}self_attn.{part}_proj.{joined[2]}"] = piece
        else:
            ours[_translated(name)] = value
    return ours


def _translated(name: str) -> str:
    for pattern, replacement in _RULES:
        name = re.sub(pattern, replacement, name)
    return name


def _model(source: Checkpoint, path: Path, tensors: Mapping[str, Tensor]) -> Any:
    """Return a CLIPModel with a file's weights, in evaluation mode on its device."""
    config = config_of(source)
    if config.model_type != "clip":
        raise UserError(f"{source.name} is a {config.model_type} model; needed is a CLIP")
    kind: Any = transformers.CLIPModel
    with torch.random.fork_rng():
        model = kind(config)
    wanted = model.state_dict()
    given = renamed(tensors)
    absent = sorted(wanted.keys() - given.keys())
    strange = sorted(given.keys() - wanted.keys())
    other = [n for n in given if n in wanted and given[n].shape != wanted[n].shape]
    faults = {"missing": absent, "unexpected": strange, "of another size": other}
    if any(faults.values()):
        told = "; ".join(
            f"{len(names)} {fault} ({', '.join(names[:SHOWN])})"
            for fault, names in faults.items()
            if names
        )
        raise UserError(f"{path} does not fit {source.name}: tensors {told}")
    model.load_state_dict(given)
    precision = source.precision if isinstance(source.precision, torch.dtype) else torch.float32
    return model.to(source.place, precision).eval().requires_grad_(False)
