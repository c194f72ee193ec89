"""A pre-trained folder tells how it was made: what was seen and learnt, on what, by what."""

import hashlib
import json
from pathlib import Path

import torch

from lskd import __version__, table
from lskd.errors import UserError

NOTE = "pretrain.json"


def write(folder: Path, **told: object) -> None:
    """Write the note of a folder, with the device and the versions beside what is told."""
    made = {
        **told,
        "device": str(torch.accelerator.current_accelerator() or "cpu"),
        "torch": torch.__version__,
        "lskd": __version__,
    }
    with table.draft(folder / NOTE) as unfinished:
        unfinished.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


def read(folder: Path) -> object:
    """Return what the note of a base model's folder tells; raises UserError if it has none."""
    path = present(folder, NOTE)
    try:
        told: object = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    return told


def present(folder: Path, name: str) -> Path:
    """Return the path of a file of a base model's folder; raises UserError if it is not there."""
    if not (folder / name).is_file():
        raise UserError(
            f"{folder} is no base model of the lab: it has no {name}; give a folder that "
            "`lskd lab pretrain` has written"
        )
    return folder / name


def digest(**of: object) -> str:
    """Return a hash of what a training comes from, for the name of its folder."""
    text = json.dumps(of, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
