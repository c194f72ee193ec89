"""The folder of a trained writer: the trained weights alone, and the note that finds the rest.

```
trained.safetensors    weights by their names in the library's model
writer.toml            class, base and keys; written last, so that where it lies the rest is whole
```
"""

import hashlib
from pathlib import Path
from typing import Any

import torch
import transformers.utils.hub
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from lskd.checkpoints.written import folder_of, write_tensors
from lskd.errors import UserError
from lskd.writing import note
from lskd.writing.note import Note

WEIGHTS = "trained.safetensors"
CONFIG = "config.json"
SHOWN = 3  # names in an error
EDGE = 1 << 16  # bytes at each end of a file of weights that tell it from others


def write_trained(folder: Path, module: nn.Module, about: Note) -> None:
    """Write the weights of a module that take a gradient, and the note.

    Raises UserError if they cannot be written.
    """
    (folder / note.FILE).unlink(missing_ok=True)
    trained = {name: weight for name, weight in module.named_parameters() if weight.requires_grad}
    write_tensors(folder / WEIGHTS, trained)
    note.write(folder, about)


def read_trained(folder: Path, module: nn.Module, about: Note) -> None:
    """Copy the weights of a folder into the module that they belong to.

    `about` is the module's own note. Raises UserError if the folder was written by another class,
    on another base, or for a model of another size.
    """
    told = note.read(folder)
    if told.use != about.use:
        raise UserError(f"{folder} holds a {told.use}; here a {about.use} is loaded")
    note.check_base(folder, told, about)
    path = folder / WEIGHTS
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"cannot read {path}: {str(error).splitlines()[0]}") from error
    wanted = {name: weight for name, weight in module.named_parameters() if weight.requires_grad}
    _check(path, tensors, wanted)
    with torch.no_grad():
        for name, tensor in tensors.items():
            wanted[name].copy_(tensor)


def write_whole(folder: Path, model: Any, processor: Any) -> None:
    """Write a whole model and its processor in the format of transformers.

    The configuration comes last, so that where it lies the rest is whole. Raises UserError if they
    cannot be written.
    """
    with folder_of(folder, CONFIG) as draft:
        model.save_pretrained(draft)
        processor.save_pretrained(draft)


def base_of(name: str, revision: str | None = None) -> str:
    """Return what tells a base's weights from others: a hash of both ends of each of their files.

    It is the same for a folder and for a name on the hub whose files were loaded from the cache.
    Formats that are not safetensors count only where there is none.
    """
    folder = Path(name)
    if not folder.is_dir():
        found = transformers.utils.hub.cached_file(name, "config.json", revision=revision)
        folder = Path(str(found)).parent
    files = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))
    digested = hashlib.blake2b(digest_size=12)
    for path in files:
        size = path.stat().st_size
        with path.open("rb") as stream:
            digested.update(f"{path.name} {size}".encode() + stream.read(EDGE))
            stream.seek(max(0, size - EDGE))
            digested.update(stream.read())
    return digested.hexdigest() if files else ""


def commit_of(name: str, revision: str | None) -> str | None:
    """Return the commit of a name on the hub, so that it means the same later; None of a folder."""
    if Path(name).is_dir():
        return None
    found: Any = transformers.utils.hub.cached_file(name, "config.json", revision=revision)
    return Path(str(found)).parent.name  # .../snapshots/<commit>/config.json


def _check(path: Path, tensors: dict[str, Tensor], wanted: dict[str, nn.Parameter]) -> None:
    other = sorted(
        name
        for name in tensors.keys() | wanted.keys()
        if name not in tensors or name not in wanted or tensors[name].shape != wanted[name].shape
    )
    if other:
        more = " ..." if len(other) > SHOWN else ""
        raise UserError(
            f"{path} does not fit this model: {len(other)} weights are missing, unknown or of "
            f"another size ({', '.join(other[:SHOWN])}{more})"
        )
