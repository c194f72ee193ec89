"""A pre-trained folder tells how it was made: what was seen and learnt, on what, by what."""

import json
from pathlib import Path

import torch

from lskd import __version__, table

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
    """Return what the note of a folder tells."""
    told: object = json.loads((folder / NOTE).read_text(encoding="utf-8"))
    return told
