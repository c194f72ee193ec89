"""What of a training another machine needs is published, where the run is at a place.

In: the folder of a training in a working folder (`lskd.storage`). Out: at the place, its latest
checkpoints with the losses that led to them, so that another machine goes on after them; and what
was prepared for it, so that no other machine need prepare that too. On a disk, which all processes
see, nothing is to be done.

What lies at the place is what counts: who does not lead has no other checkpoint than those there.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lskd import table
from lskd.errors import UserError
from lskd.storage import files, mirror
from lskd.storage.address import on, shown, told, url_of
from lskd.storage.disk import held, plainly
from lskd.training.history import LOSSES, PLOT
from lskd.training.standing import BEGINNING, TRAINING

CHECKPOINTS: Final = "checkpoints"  # the folder that they lie in
ENDING: Final = ".pt"  # of a checkpoint's name
BESIDE: Final = (BEGINNING, PLOT, LOSSES)
LEDGERS: Final = (".jsonl", ".starts")  # endings of what is prepared
PREPARED: Final = "prepared.json"  # what was prepared, with checksums


def publish(folder: Path, checkpoint: Path) -> None:
    """Publish a checkpoint and what lies beside it; those that are gone here go there too.

    Raises UserError if the place cannot be reached or written.
    """
    if url_of(folder) is None:
        return
    for file in (*(folder / name for name in BESIDE), checkpoint):
        if file.exists():
            mirror.send(file)
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
    with plainly(home):
        home.mkdir(parents=True, exist_ok=True)
    with held(home, _silent):  # processes of one machine share it
        here = sorted(path.name for path in home.glob(f"[0-9]*{ENDING}"))
        there = files.names(home, ENDING)
        if leads and here[-1:] > there[-1:]:
            publish(folder, home / here[-1])
            return
        # Before the checkpoints: these are not taken for brought while the losses lack.
        for file in (folder / name for name in BESIDE):
            if there and files.exists(file):
                mirror.renew(file)
                # When the last step was taken, by which the time that was spent is told.
                os.utime(file, (modified := files.modified(file), modified))
        for name in there:
            mirror.renew(home / name)
        for name in here:
            if name not in there:
                (home / name).unlink()


def clear(stage: Path) -> None:
    """Remove from the place what trainings of a stage needed to go on: what they led to is there.

    Their losses stay. Raises UserError if the place cannot be reached or written.
    """
    url = url_of(stage / TRAINING)
    if url is None:
        return
    system, place = on(url)
    try:
        with told(url):
            found = system.find(place)
    except FileNotFoundError:
        return
    for name in found:
        file = stage / TRAINING / mirror.relative(str(name), place)
        if file.name not in BESIDE:
            files.remove(file)


def share(folder: Path) -> None:
    """Publish the files that lie in a folder, as they were prepared.

    Raises UserError if the place cannot be reached or written.
    """
    if url_of(folder) is None:
        return
    there = _prepared(folder)
    prepared = sorted(file for file in folder.glob("[!.]*") if file.suffix in LEDGERS)
    here = {file.name: table.digest_here(file) for file in prepared if file.name not in BESIDE}
    if here == there:
        return
    for name, checksum in here.items():
        if there.get(name) != checksum:
            files.publish(folder / name, folder / name)
    with plainly(folder):
        (folder / PREPARED).write_text(json.dumps(here), encoding="utf-8")
    files.publish(folder / PREPARED, folder / PREPARED)


def receive(folder: Path) -> None:
    """Bring here what was prepared; what is here already is left as it is.

    Raises UserError if the place cannot be reached, or has no such file by then.
    """
    if url_of(folder) is None:
        return
    with plainly(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with held(folder, _silent):  # processes of one machine share it
        for name, checksum in _prepared(folder).items():
            file = folder / name
            if file.exists() and table.digest_here(file) == checksum:
                continue
            try:
                files.fetch(file)
            except FileNotFoundError:
                checksum = ""
            if not file.exists() or table.digest_here(file) != checksum:
                raise UserError(
                    f"{shown(file)} is not what {PREPARED} beside it says: remove both, or end "
                    "what else works there, and give the same command again"
                )


def _prepared(folder: Path) -> Mapping[str, str]:
    """Return the checksums of what the place has of the files that were prepared, by name."""
    try:
        found = json.loads(files.read_bytes(folder / PREPARED))
    except FileNotFoundError:
        return {}
    return {str(name): str(checksum) for name, checksum in found.items()}


def _silent(_: str) -> None:
    """Say nothing of another process that brings the same files."""
