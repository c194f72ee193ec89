"""What a benchmark is: the files that it needs, and the reader that makes items of them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lskd.errors import UserError
from lskd.presence import AFAR
from lskd.storage.address import is_url, located, shown
from lskd.types import Item, Reject

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Options:
    """What a reader is asked for.

    `images` is a folder in which images are looked for before the benchmark's own. `seed` decides
    what the authors leave to chance: the order of Visual7W's choices, and VisualCOMET's candidates
    where the published lists are not there. `limit` is the number of questions that are read.
    """

    split: str = "val"
    seed: int = 0
    images: Path | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What a reader returns: items in the order of the file, and the rows that make none.

    A fault's `source` is the file and the place of the row in it, counted from 1; its `text` is the
    row. `notes` say what was decided on the way, one sentence each.
    """

    items: tuple[Item, ...]
    faults: tuple[Reject, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class File:
    """A file that a benchmark needs: its name from the folder, as a glob, and what is in it.

    "{split}" in the name stands for a split. One that is not `needed` is used where it is there.
    """

    pattern: str
    what: str
    needed: bool = True


@dataclass(frozen=True, slots=True)
class Benchmark:
    """All that a user has to know to bring a benchmark, and its reader.

    `source` is the public address of the files, `images` says which pictures belong to them and
    where these are to lie. `splits` are those that the reader knows, in the authors' words.
    `labels` says that the choices are names of classes, which tell nothing without the question.
    """

    name: str
    title: str
    metric: str
    files: tuple[File, ...]
    source: str
    licence: str
    images: str
    splits: tuple[str, ...]
    read: Callable[[Path, Options], Found]
    labels: bool = False


def file_in(folder: Path, names: tuple[str, ...], what: str) -> Path:
    """Return the first of `names` that is a file in `folder`.

    Raises UserError if none is, saying which file is missing and where it belongs.
    """
    if is_url(folder):
        raise UserError(f"{shown(located(folder))}: {AFAR}")
    if not folder.is_dir():
        raise UserError(f"no folder {folder}: it should hold {names[0]} ({what})")
    for name in names:
        if (folder / name).is_file():
            return folder / name
    others = f" (or as {', '.join(names[1:])})" if names[1:] else ""
    raise UserError(
        f"{folder / names[0]} is missing: {what}; put it there{others}; `lskd benchmarks` says "
        "where to get it"
    )


def known_split(split: str, splits: tuple[str, ...]) -> str:
    """Return `split`; raises UserError if it is none of a benchmark's."""
    if split not in splits:
        raise UserError(f"no split {split!r}; splits: {', '.join(splits)}")
    return split
