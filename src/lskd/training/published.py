"""What of a training another machine needs is published, where the run is at a place.

In: the folder of a training in a working folder (`lskd.storage`). Out: at the place, its latest
checkpoints with the losses that led to them, so that another machine goes on after them; and what
the first of several processes has prepared, so that those of other machines need not prepare it
too. On a disk, which all processes see, nothing is to be done.

What lies at the place is what counts: of several processes those that follow have no checkpoint
that it lacks.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from lskd.errors import UserError
from lskd.storage import files
from lskd.storage.address import shown, url_of
from lskd.storage.disk import held
from lskd.training.history import LOSSES, PLOT
from lskd.training.standing import BEGINNING

CHECKPOINTS: Final = "checkpoints"  # the folder that they lie in
ENDING: Final = ".pt"  # of a checkpoint's name
BESIDE: Final = (LOSSES, PLOT, BEGINNING)
LEDGERS: Final = (".jsonl", ".starts")  # endings of what is prepared
PREPARED: Final = "prepared.json"  # what the first process has prepared, with checksums


def publish(folder: Path, checkpoint: Path) -> None:
    """Publish a checkpoint and what lies beside it; those that are gone here go there too.

    Raises UserError if the place cannot be reached or written.
    """
    if url_of(folder) is None:
        return
    for file in (folder / name for name in BESIDE):
        if file.exists():
            files.publish(file, file)
    files.publish(checkpoint, checkpoint)
    for name in files.names(checkpoint.parent, ENDING):
        if not (checkpoint.parent / name).exists():
            files.remove(checkpoint.parent / name)


def bring(folder: Path, leads: bool) -> None:
    """Bring here the checkpoints that another machine has published.

    Who leads keeps its own where they are later, and publishes them; who does not has those of the
    place alone. Raises UserError if the place cannot be reached.
    """
    if url_of(folder) is None:
        return
    home = folder / CHECKPOINTS
    home.mkdir(parents=True, exist_ok=True)
    with held(home, _silent):  # processes of one machine share it
        here = sorted(path.name for path in home.glob(f"[0-9]*{ENDING}"))
        there = files.names(home, ENDING)
        if not leads or here[-1:] < there[-1:]:
            _take(home, here, there)
            for file in (folder / name for name in BESIDE if leads):
                if files.exists(file):
                    files.fetch(file)
        elif here[-1:] > there[-1:]:
            publish(folder, home / here[-1])


def forget(folder: Path) -> None:
    """Remove the checkpoints at the place: what they led to is published by now.

    Raises UserError if the place cannot be reached or written.
    """
    if url_of(folder) is None:
        return
    for name in files.names(folder / CHECKPOINTS, ENDING):
        files.remove(folder / CHECKPOINTS / name)


def share(folder: Path) -> None:
    """Publish the files that lie in a folder, as the first process has prepared them.

    Raises UserError if the place cannot be reached or written.
    """
    if url_of(folder) is None:
        return
    there = _prepared(folder)
    prepared = sorted(file for file in folder.glob("[!.]*") if file.suffix in LEDGERS)
    here = {file.name: _checksum(file) for file in prepared if file.name not in BESIDE}
    if here == there:
        return
    for name, checksum in here.items():
        if there.get(name) != checksum:
            files.publish(folder / name, folder / name)
    (folder / PREPARED).write_text(json.dumps(here), encoding="utf-8")
    files.publish(folder / PREPARED, folder / PREPARED)


def receive(folder: Path) -> None:
    """Bring here what the first process has prepared; what is here already is left as it is.

    Raises UserError if the place cannot be reached, or has another file by then.
    """
    if url_of(folder) is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    with held(folder, _silent):  # processes of one machine share it
        for name, checksum in _prepared(folder).items():
            file = folder / name
            if file.exists() and _checksum(file) == checksum:
                continue
            files.fetch(file)
            if _checksum(file) != checksum:
                raise UserError(
                    f"{shown(file)} is not what the first process of this training has published: "
                    "another one works there too; end it, and give the same command again"
                )


def _prepared(folder: Path) -> Mapping[str, str]:
    """Return the checksums of what the place has of the files that were prepared, by name."""
    try:
        found = json.loads(files.read_bytes(folder / PREPARED))
    except FileNotFoundError:
        return {}
    return {str(name): str(checksum) for name, checksum in found.items()}


def _take(home: Path, here: Sequence[str], there: Sequence[str]) -> None:
    """Have the checkpoints of the place, by name, and no others."""
    for name in there:
        if name not in here:
            files.fetch(home / name)
    for name in here:
        if name not in there:
            (home / name).unlink()


def _silent(_: str) -> None:
    """Say nothing of another process that brings the same files."""


def _checksum(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "blake2b").hexdigest()
