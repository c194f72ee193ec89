"""A checkpoint, in a folder or on the model hub, becomes a model that is ready to run.

In: the four settings that every model of a run file has (name, revision, device, dtype).
Out: the model in evaluation mode on its device, its processors, and what identifies its weights.
Only code of the installed transformers runs; code that a checkpoint brings along never does.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import torch
import transformers
import transformers.utils.hub
import transformers.utils.logging
from safetensors import SafetensorError

from lskd.checkpoints.device import place
from lskd.errors import UserError

# The loaders and the log of transformers have no types.
library: Any = transformers
log: Any = transformers.utils.logging

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}

# Whatever a file that is absent, cut off or of another kind makes the libraries raise.
FAULTS = (OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError, SafetensorError)

# The ways in which transformers says that a library is not installed.
MISSING = (
    re.compile(r"requires the (\w+) library"),
    re.compile(r"requires `(\w+)` to be installed"),
    re.compile(r"Missing optional dependencies: (\w+)"),
    re.compile(r"`pip install (\w+)`"),
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Which weights, and how they run.

    `name` is a folder or a name on the hub, `revision` a branch, tag or commit of the latter.
    `device` "auto" is the first accelerator, else the processor; `dtype` "auto" is the
    checkpoint's own on an accelerator, float32 on the processor.
    """

    name: str
    revision: str | None = None
    device: str = "auto"
    dtype: str = "auto"

    def __post_init__(self) -> None:
        if self.dtype != "auto" and self.dtype not in DTYPES:
            raise UserError(f"dtype = {self.dtype!r}: known are auto, {', '.join(DTYPES)}")
        if not Path(self.name).is_dir() and (self.name.count("/") > 1 or self.name[:1] in "./~"):
            raise UserError(f"checkpoint = {self.name!r}: there is no such folder")

    @property
    def place(self) -> torch.device:
        """Return the device to run on; raise UserError if this machine has none like it."""
        return place(self.device)

    @property
    def precision(self) -> torch.dtype | str:
        """Return what `dtype` asks for, as `from_pretrained` takes it."""
        if self.dtype != "auto":
            return DTYPES[self.dtype]
        return torch.float32 if self.place.type == "cpu" else "auto"


def config_of(checkpoint: Checkpoint) -> Any:
    """Return the model's configuration; raise UserError if there is none."""
    with _plainly(checkpoint, "the configuration"):
        return library.AutoConfig.from_pretrained(checkpoint.name, **_source(checkpoint))


def model_of(
    checkpoint: Checkpoint, kinds: Mapping[type, Any], wanted: str, quantisation: Any = None
) -> Any:
    """Return the model, in evaluation mode, on its device.

    `kinds` says which class each configuration needs, as the mappings of transformers do; `wanted`
    names that sort of model in an error. `quantisation` is how transformers shall shorten weights,
    if it shall. Raises UserError if the checkpoint is missing, broken, of another sort, or lacks
    some of the weights (which would be random numbers otherwise).
    """
    config = config_of(checkpoint)
    if type(config) not in kinds:
        raise UserError(f"{checkpoint.name} is a {config.model_type} model; needed is {wanted}")
    found = kinds[type(config)]
    kind = found[0] if isinstance(found, tuple | list) else found
    shortened = {"quantization_config": quantisation, "device_map": {"": checkpoint.place}}
    with _plainly(checkpoint, "the weights"):
        model, info = kind.from_pretrained(
            checkpoint.name,
            config=config,
            dtype=checkpoint.precision,
            output_loading_info=True,
            **({} if quantisation is None else shortened),
            **_source(checkpoint),
        )
    if absent := sorted(map(str, [*info["missing_keys"], *info["mismatched_keys"]])):
        raise UserError(
            f"{checkpoint.name} lacks {len(absent)} weights of a {kind.__name__}, such as "
            f"{absent[0]}; needed is {wanted}"
        )
    placed = model if quantisation is not None else model.to(checkpoint.place)
    return placed.eval().requires_grad_(False)


def image_processor_of(checkpoint: Checkpoint) -> Any:
    """Return what turns pictures into tensors, on Pillow wherever the model has that.

    Pillow's resizing is what most checkpoints were trained with, and the numbers then do not
    depend on whether torchvision is installed.
    """
    with _plainly(checkpoint, "the image processor"):
        return library.AutoImageProcessor.from_pretrained(
            checkpoint.name, backend="pil", **_source(checkpoint)
        )


def tokenizer_of(checkpoint: Checkpoint) -> Any:
    """Return what turns texts into numbers."""
    with _plainly(checkpoint, "the tokenizer"):
        tokenizer = library.AutoTokenizer.from_pretrained(checkpoint.name, **_source(checkpoint))
    return _with_words(tokenizer, checkpoint)


def processor_of(checkpoint: Checkpoint) -> Any:
    """Return what turns pictures and texts together into tensors, padded on the left."""
    with _plainly(checkpoint, "the processor"):
        processor = library.AutoProcessor.from_pretrained(checkpoint.name, **_source(checkpoint))
    if not hasattr(processor, "tokenizer") or not hasattr(processor, "image_processor"):
        raise UserError(
            f"{checkpoint.name} has no processor for pictures with text, only a "
            f"{type(processor).__name__}; needed is the folder of the whole model"
        )
    processor.image_processor = image_processor_of(checkpoint)
    _with_words(processor.tokenizer, checkpoint).padding_side = "left"
    return processor


def digest(name: str, revision: str | None = None) -> str:
    """Return what identifies a checkpoint's weights: a hash of its files, or the hub's commit.

    Reads every byte of a folder (about a second per gigabyte). A name on the hub is resolved as
    `from_pretrained` does it: over the network, or from the cache when offline.
    """
    folder = Path(name)
    if not folder.is_dir():
        checkpoint = Checkpoint(name, revision)
        with _plainly(checkpoint, "the configuration"):
            found = transformers.utils.hub.cached_file(name, "config.json", revision=revision)
        return Path(str(found)).parent.name  # .../snapshots/<commit>/config.json
    digested = hashlib.blake2b(digest_size=16)
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in inside.parts):
            with path.open("rb") as stream:
                content = hashlib.file_digest(stream, "blake2b").hexdigest()
            digested.update(f"{inside.as_posix()}\0{content}\n".encode())
    return digested.hexdigest()


def _with_words(tokenizer: Any, checkpoint: Checkpoint) -> Any:
    """Return the tokenizer; raise UserError if it is empty, as it is made when its file is gone."""
    if len(tokenizer.get_vocab()) <= len(tokenizer.all_special_tokens):
        raise UserError(
            f"cannot load the tokenizer of {checkpoint.name}: it has no words; is tokenizer.json "
            "(or vocab.json and merges.txt) missing?"
        )
    return tokenizer


def _source(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the keywords that say where files come from; a folder never asks the network."""
    return {
        "revision": checkpoint.revision,
        "local_files_only": Path(checkpoint.name).is_dir(),
        "trust_remote_code": False,
    }


@contextmanager
def _plainly(checkpoint: Checkpoint, what: str) -> Iterator[None]:
    """Say in one line what is wrong with a checkpoint; keep the library from talking meanwhile."""
    level, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    except (ImportError, *FAULTS) as error:
        offline = huggingface_hub.constants.HF_HUB_OFFLINE and not Path(checkpoint.name).is_dir()
        where = " (HF_HUB_OFFLINE is set: only the cache was searched)" if offline else ""
        raise UserError(
            f"cannot load {what} of {checkpoint.name}{where}: {_advice(error)}"
        ) from error
    finally:
        log.set_verbosity(level)
        if bars:
            log.enable_progress_bar()


def _advice(error: BaseException) -> str:
    """Return what to install, where that is what is wrong, else the error as it is."""
    for pattern in MISSING:
        if found := pattern.search(str(error)):
            return f"it needs a library that is not installed: pip install {found[1].lower()}"
    return _line(error)


def _line(error: BaseException) -> str:
    """Return an error's message as one short line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 240 else f"{text[:240]}..."
