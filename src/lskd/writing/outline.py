"""A writer without its weights: its module on torch's meta device, from config.json alone.

In: the class and the keywords of a writer, as in a run file. Out: the module with what is trained
and what is frozen as in the real one, each weight with its shape and type but no numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from torch import nn

from lskd.blip2 import files
from lskd.checkpoints.checkpoint import DTYPES, Checkpoint, config_of
from lskd.errors import UserError
from lskd.stage import named
from lskd.writing import blip2, fourbit, minigpt4
from lskd.writing.blip2 import Blip2Writer
from lskd.writing.blip2_module import Blip2Module
from lskd.writing.layers import layers_of
from lskd.writing.minigpt4 import MiniGPT4Writer

library: Any = transformers

Family = Literal["blip2", "chat"]
CHAT = "lskd.writing.chat:ChatWriter"


@dataclass(frozen=True, slots=True)
class Outline:
    """A writer's module on the meta device.

    `layers` are those of the language model, `model` is transformers' own. `shortened` names the
    weights that will have 4 bits.
    """

    family: Family
    module: nn.Module
    model: Any
    layers: tuple[nn.Module, ...]
    shortened: frozenset[str]


def outlined(use: str, keys: Mapping[str, Any]) -> Outline:
    """Return the outline of a writer.

    A dtype of "auto" is the checkpoint's own, as on an accelerator. Raises UserError for a class
    that is none of `lskd.writing`, and for a checkpoint of another sort.
    """
    kind = named(use)
    if "checkpoint" not in keys:
        raise UserError(f"{use}: no checkpoint is given")
    checkpoint = Checkpoint(
        keys["checkpoint"], keys.get("revision"), "cpu", keys.get("dtype", "auto")
    )
    short = fourbit.checked(keys.get("bits"))
    if issubclass(kind, Blip2Writer):
        return _blip2(checkpoint, _blip2_config(checkpoint, keys), keys, short)
    if issubclass(kind, MiniGPT4Writer):
        return _blip2(checkpoint, _minigpt4_config(checkpoint, keys), keys, short)
    if use == CHAT:
        return _chat(checkpoint, keys, short)
    raise UserError(
        f"use = {use!r}: the memory of {blip2.USE}, {minigpt4.USE} and {CHAT} can be told"
    )


def use_of(checkpoint: str) -> str:
    """Return the class of a writer that a checkpoint is for."""
    config = config_of(Checkpoint(checkpoint, device="cpu"))
    return blip2.USE if type(config) in blip2.KINDS else CHAT


def _blip2_config(checkpoint: Checkpoint, keys: Mapping[str, Any]) -> Any:
    config = config_of(checkpoint)
    if type(config) not in blip2.KINDS:
        raise UserError(
            f"{checkpoint.name} is a {config.model_type} model; needed is {blip2.WANTED}"
        )
    if keys.get("image") is not None:
        config.vision_config.image_size = keys["image"]
    return config


def _minigpt4_config(checkpoint: Checkpoint, keys: Mapping[str, Any]) -> Any:
    """Return Vicuna's configuration behind that of a BLIP-2, or of LAVIS' ViT-g for a `.pth`."""
    text = config_of(checkpoint)
    if text.model_type != "llama":
        raise UserError(
            f"{checkpoint.name} is a {text.model_type} model; needed is {minigpt4.WANTED}"
        )
    config = library.Blip2Config()  # its tower and Q-Former are those of LAVIS
    if "blip2" in keys and Path(keys["blip2"]).suffix not in files.LAVIS:
        config = config_of(Checkpoint(keys["blip2"], device="cpu"))
    if keys.get("image") is not None:
        config.vision_config.image_size = keys["image"]
    told = library.Blip2Config(
        vision_config=config.vision_config.to_dict(),
        qformer_config=config.qformer_config.to_dict(),
        text_config=text.to_dict(),
        num_query_tokens=config.num_query_tokens,
    )
    told.dtype = text.dtype
    return told


def _blip2(checkpoint: Checkpoint, config: Any, keys: Mapping[str, Any], short: bool) -> Outline:
    model = _empty(library.Blip2ForConditionalGeneration, config, checkpoint)
    # The module asks its speller for texts only, of which there are none here.
    speller: Any = None
    module = Blip2Module(model, speller, bool(keys.get("ln_vision", False)))
    names = _linear(model.language_model, "model.language_model.") if short else frozenset()
    return Outline("blip2", module, model, tuple(module.layers()), names)


def _chat(checkpoint: Checkpoint, keys: Mapping[str, Any], short: bool) -> Outline:
    from lskd.writing import adapter, chat
    from lskd.writing.chat_model import check_decoder, learning
    from lskd.writing.pictures import features_of

    config = config_of(checkpoint)
    kinds: Any = transformers.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
    if type(config) not in kinds:
        raise UserError(
            f"{checkpoint.name} is a {config.model_type} model; needed is {chat.WANTED}"
        )
    # What no writer can be is told now, as when it is loaded.
    check_decoder(config, checkpoint.name, chat.WANTED)
    found = kinds[type(config)]
    model = _empty(found[0] if isinstance(found, tuple | list) else found, config, checkpoint)
    features_of(model, checkpoint.name)
    model.requires_grad_(False)
    decoder = model.get_decoder()
    layers = tuple(layers_of(decoder))
    names = _linear(decoder)
    linear = {id(weight) for name, weight in decoder.named_parameters() if name in names}
    if keys.get("trains") == "layers":
        return Outline("chat", learning(model), model, layers, frozenset())
    size = adapter.Size(keys.get("rank", 16), keys.get("alpha", 32.0), keys.get("dropout", 0.0))
    with torch.device("meta"):
        held = adapter.adapted(model, size, 0)
    shortened = (name for name, weight in held.named_parameters() if id(weight) in linear)
    return Outline("chat", held, model, layers, frozenset(shortened) if short else frozenset())


def _empty(kind: Any, config: Any, checkpoint: Checkpoint) -> Any:
    """Return a model of transformers in the precision in which its weights would be loaded."""
    own = config.dtype or config.get_text_config().dtype or torch.float32
    precision = DTYPES.get(checkpoint.dtype, own)
    with torch.device("meta"):
        model = kind._from_config(config, dtype=precision)
    if precision == torch.float16:
        kept = tuple(getattr(model, "_keep_in_fp32_modules", None) or ())
        for name, weight in model.named_parameters():
            if any(part in kept for part in name.split(".")):
                weight.data = weight.data.float()
    return model.eval()


def _linear(model: nn.Module, place: str = "") -> frozenset[str]:
    """Return the names of the weights of linear layers, but for the one that tells words."""
    return frozenset(
        f"{place}{name}.weight"
        for name, part in model.named_modules()
        if isinstance(part, nn.Linear) and name.rpartition(".")[2] != "lm_head"
    )
