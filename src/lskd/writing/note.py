"""`writer.toml`: what lies beside trained weights, so that the whole writer can be loaded again.

In: a folder that `Writer.save` wrote. Out: the writer. The base's weights are not in that folder;
the note names them, and whoever has moved them says where they are now.
"""

import inspect
from dataclasses import dataclass
from pathlib import Path

from lskd import __version__
from lskd.errors import UserError
from lskd.stage import at_places, named
from lskd.storage.address import url_of
from lskd.storage.mirror import kept
from lskd.tomlfile import read_note, write_note
from lskd.writing.writer import Writer

FILE = "writer.toml"

# A keyword of a constructor.
Key = str | int | float | bool | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Note:
    """What the note says.

    `use` is the class, `keys` the keywords that it was built with, all but `trained`, `device` and
    `dtype`. `base` tells the base's weights from others, "" where they were not looked at.
    """

    use: str
    keys: dict[str, Key]
    base: str = ""
    lskd: str = __version__


def lasting(name: str) -> str:
    """Return a file's or folder's whole path, or its URL; other names as they are."""
    path = Path(name)
    return (url_of(path) or str(path.resolve())) if path.exists() else name


def without_none(**keys: Key | None) -> dict[str, Key]:
    """Return the keywords that have a value: TOML has no word for none."""
    return {name: value for name, value in keys.items() if value is not None}


def write(folder: Path, note: Note) -> None:
    """Write the note; raises UserError if the disk is full."""
    write_note(folder / FILE, note)


def read(folder: Path) -> Note:
    """Return what a writer's note says; raises UserError if it has none, or a strange one."""
    path = folder / FILE
    if not path.is_file():
        raise UserError(
            f"{folder} holds no trained writer: it has no {FILE}; give a folder that training wrote"
        )
    return read_note(path, Note)


def check_base(folder: Path, told: Note, own: Note) -> None:
    """Raise UserError if a folder's note names another base than a writer's `own`."""
    if told.base and own.base and told.base != own.base:
        raise UserError(
            f"{folder} was trained on another base than {own.keys.get('checkpoint')}: the files "
            "of weights differ; give the base that it was trained on "
            f"({told.keys.get('checkpoint')})"
        )


def opened(folder: Path, device: str = "auto", dtype: str = "auto", **moved: Key | None) -> Writer:
    """Load a trained writer.

    `moved` are keywords that are no more as they were in training, as `checkpoint` where the base
    lies elsewhere now; None leaves one as it was. Raises UserError if the folder holds no writer,
    or the base is gone or another.
    """
    note = read(folder)
    keys = {**note.keys, **without_none(**moved)}
    if "checkpoint" in keys and keys["checkpoint"] != note.keys.get("checkpoint"):
        keys.pop("revision", None)  # it is a commit of where the base was
    here = {key: str(kept(url)) for key, url in at_places(keys)}
    given = {**keys, **here, "trained": str(folder), "device": device, "dtype": dtype}
    kind = named(note.use)
    try:
        inspect.signature(kind).bind(**given)
    except TypeError as error:
        raise UserError(f"{folder / FILE}: {note.use} cannot be built: {error}") from error
    writer = kind(**given)
    if not isinstance(writer, Writer):
        raise UserError(f"{folder / FILE}: use = {note.use!r} is no writer")
    return writer
