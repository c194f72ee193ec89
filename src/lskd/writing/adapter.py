"""Adapters (LoRA) on the language model of a model that reads pictures, on PEFT.

In: a loaded model, of which nothing is trained, and how large the adapters are; or the folder of
adapters that were trained. Out: the model with adapters in it, which alone are trained. Folders are
in PEFT's own format, for it and for all who read that.
"""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lskd.checkpoints.checkpoint import FAULTS
from lskd.checkpoints.written import folder_of, write_tensors
from lskd.errors import MissingExtra, UserError

try:
    import peft as typed_peft
except ImportError as error:
    raise MissingExtra("training an image-text-to-text model", "peft", "train") from error

peft: Any = typed_peft

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"


@dataclass(frozen=True, slots=True)
class Size:
    """How large adapters are.

    `rank` is that of the two matrices that are added, as their product times `alpha` / `rank`, to
    each linear layer; `dropout` is for what goes into them. Raises UserError for a number that
    makes no sense.
    """

    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.rank < 1 or not self.alpha > 0:
            raise UserError(
                f"rank = {self.rank}, alpha = {self.alpha}: expected 1 or more, and > 0"
            )
        if not 0 <= self.dropout < 1:
            raise UserError(f"dropout = {self.dropout}: expected 0 or more, below 1")


def adapted(model: Any, size: Size, seed: int) -> Any:
    """Put new adapters into the language model; return what PEFT makes of it.

    They change nothing before they are trained. The vision tower and what follows it have none, so
    that features can be kept.
    """
    config = peft.LoraConfig(
        r=size.rank,
        lora_alpha=size.alpha,
        lora_dropout=size.dropout,
        target_modules=targets(model),
        base_model_name_or_path=model.name_or_path,
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(), _quietly():
        torch.manual_seed(seed)
        return peft.get_peft_model(model, config)


def restored(model: Any, folder: Path) -> Any:
    """Put trained adapters into a model; return what PEFT makes of it.

    Raises UserError for a folder that has none, or has those of another model.
    """
    if not (folder / CONFIG).is_file():
        raise UserError(f"{folder} has no {CONFIG}: it holds no adapters that PEFT has saved")
    try:
        with _quietly():
            config = peft.PeftConfig.from_pretrained(folder)
            config.inference_mode = False
            tensors = peft.utils.load_peft_weights(folder, device="cpu")
            held = peft.get_peft_model(model, config)
            wanted = peft.get_peft_model_state_dict(held)
            _check(folder, model, tensors, wanted)
            peft.set_peft_model_state_dict(held, tensors)
    except FAULTS as error:
        line = " ".join(str(error).split())
        raise UserError(
            f"cannot put the adapters of {folder} into {model.name_or_path}: {line[:240]}"
        ) from error
    return held


def save(folder: Path, held: Any) -> None:
    """Write the adapters; raises UserError if they cannot be written.

    The configuration comes last, so that where it lies the rest is whole.
    """
    tensors = peft.get_peft_model_state_dict(held)
    config = held.peft_config["default"]
    config.inference_mode = True
    try:
        with folder_of(folder, CONFIG) as draft:
            write_tensors(folder / WEIGHTS, tensors)
            config.save_pretrained(draft)
    finally:
        config.inference_mode = False


def size_of(held: Any) -> Size:
    """Return how large the adapters are in what PEFT made of a model."""
    config = held.peft_config["default"]
    return Size(config.r, float(config.lora_alpha), float(config.lora_dropout))


def targets(model: Any) -> str:
    """Return what matches the names of all linear layers of the language model, for PEFT."""
    decoder = model.get_decoder()
    place = next(name for name, module in model.named_modules() if module is decoder)
    kinds = {
        name.rpartition(".")[2]
        for name, module in decoder.named_modules()
        if isinstance(module, nn.Linear)
    }
    return rf"{re.escape(place)}\.(.*\.)?({'|'.join(sorted(map(re.escape, kinds)))})"


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep PEFT from warning of its own use of transformers; what else it warns of is checked."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _check(folder: Path, model: Any, tensors: Any, wanted: Any) -> None:
    """Raise UserError if adapters are not those of a model."""
    shapes = [{name: tuple(one.shape) for name, one in some.items()} for some in (tensors, wanted)]
    if shapes[0] == shapes[1]:
        return
    names = sorted(n for n in shapes[0].keys() | shapes[1].keys() if _other(n, *shapes))
    raise UserError(
        f"{folder / WEIGHTS} is of another model than {model.name_or_path}: {len(names)} weights "
        f"differ, as {names[0]} ({shapes[0].get(names[0])} there, {shapes[1].get(names[0])} here)"
    )


def _other(name: str, one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.get(name) != other.get(name)
