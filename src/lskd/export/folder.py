"""An export's folder is made beside what is there and takes its place when it is whole.

All is written into a hidden folder inside `out`. When the export ends well, its files and folders
are moved into `out` one by one, each in one step, the data last; those of an earlier export of the
same format make room. A hidden list says which names in `out` are an export's, so that nothing else
is ever removed.
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

from lskd.drafts import drafted
from lskd.errors import UserError
from lskd.holder import LOCK
from lskd.table import plain
from lskd.types import Example, Reject, Style

T = TypeVar("T")
LIST = ".lskd-export.json"
REJECTS = "rejects.jsonl"
BOTH: tuple[Style, ...] = ("id", "description")
SPLITS = {"": "train", "val": "validation", "valid": "validation", "dev": "validation"}


@dataclass(frozen=True, slots=True)
class Written:
    """What an export has made.

    `files` are what lies at the top of the folder, folders too; `rejects.jsonl` is among them if
    `rejected` examples could not be written. `left_out` were of a style that was not asked for.
    """

    files: tuple[Path, ...]
    rows: int
    rejected: int
    left_out: int


class Draft:
    """An export at work: the folder to write into, and what could not be written."""

    def __init__(self, out: Path, format_name: str, path: Path, before: tuple[str, ...]) -> None:
        self.out = out
        self.format_name = format_name
        self.path = path
        self.before = before
        self.rows = 0
        self.rejected = 0
        self.left_out = 0
        self.names: tuple[str, ...] = ()

    def chosen(self, examples: Iterable[Example], styles: tuple[Style, ...]) -> Iterator[Example]:
        """Yield the examples of the styles that were asked for."""
        for example in examples:
            if example.style in styles:
                yield example
            else:
                self.left_out += 1

    def attempt(self, example: Example, work: Callable[[Example], T]) -> T | None:
        """Return what `work` makes of an example, or None: then the example is kept as a reject."""
        try:
            return work(example)
        except UserError as error:
            text = f"{example.question}\n{example.answer}\n{example.rationale}"
            self.reject(Reject(example.id, str(error), text))
            return None

    def each(
        self, examples: Iterable[Example], work: Callable[[Example], T]
    ) -> Iterator[tuple[Example, T]]:
        """Yield what `work` makes of each example, which is then a row; see `attempt`."""
        for example in examples:
            made = self.attempt(example, work)
            if made is not None:
                yield example, made
                self.rows += 1

    def reject(self, reject: Reject) -> None:
        """Keep a reject, in the file beside the export."""
        with (self.path / REJECTS).open("a", encoding="utf-8", errors="backslashreplace") as opened:
            opened.write(json.dumps(plain(reject), ensure_ascii=False) + "\n")
        self.rejected += 1

    def written(self) -> Written:
        """Return what was made, once it has taken its place."""
        files = tuple(self.out / name for name in self.names)
        return Written(files, self.rows, self.rejected, self.left_out)

    def finish(self) -> None:
        """Move what was made into place, the data last, and remove what it replaces."""
        entries = [entry for entry in self.path.iterdir() if entry.name != LOCK]
        made = sorted(entries, key=lambda entry: (entry.is_file(), entry.name))
        self.names = tuple(entry.name for entry in made)
        foreign = [
            name for name in self.names if name not in self.before and (self.out / name).exists()
        ]
        if foreign:
            raise UserError(
                f"{self.out / foreign[0]} is there and was not made by an export: "
                "remove it, or choose another folder"
            )
        old = self.path / ".old"
        old.mkdir()
        both = json.dumps({"format": self.format_name, "names": [*{*self.names, *self.before}]})
        replaced(self.out / LIST, both)
        for name in self.before:
            if (self.out / name).exists():
                (self.out / name).replace(old / name)
        for entry in made:
            if entry.is_file():
                settled(entry)
            entry.replace(self.out / entry.name)
        replaced(self.out / LIST, json.dumps({"format": self.format_name, "names": self.names}))


@contextlib.contextmanager
def export(out: Path, format_name: str) -> Iterator[Draft]:
    """Give a draft to write into; when the block ends well it takes its place in `out`.

    Raises UserError if `out` holds something else, the disk is full or it cannot be written.
    """
    try:
        before = earlier(out, format_name)
        with drafted(out) as path:
            draft = Draft(out, format_name, path, before)
            yield draft
            draft.finish()
    except OSError as error:
        raise UserError(
            f"cannot write the export to {out}: {error.strerror or error}; "
            "run the same command again when that is put right"
        ) from error


def earlier(out: Path, format_name: str) -> tuple[str, ...]:
    """Return the names in `out` that an earlier export of this format made.

    Raises UserError if `out` is a file, or holds an export of another format.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file: name a folder to export into")
    try:
        said = json.loads((out / LIST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ()
    except ValueError as error:
        raise UserError(f"{out / LIST} is broken: remove the folder and export again") from error
    if said["format"] != format_name:
        raise UserError(
            f"{out} holds an export of format {said['format']!r}, not {format_name!r}: "
            "choose another folder"
        )
    return tuple(said["names"])


def replaced(file: Path, text: str) -> None:
    """Write a small file in one step."""
    unfinished = file.with_name(f"{file.name}.{os.getpid()}")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(file)


def settled(file: Path) -> None:
    """Wait until a file's bytes are on the disk."""
    with file.open("rb") as opened:
        os.fsync(opened.fileno())


def split_name(split: str) -> str:
    """Return the word by which loaders know a split: train, validation, test, or its own."""
    lowered = split.strip().lower()
    name = SPLITS.get(lowered, lowered)
    return "".join(sign if sign.isalnum() and sign.isascii() else "_" for sign in name)


class JsonFiles:
    """One JSON file for each split, written row by row: a list, or a row on each line."""

    def __init__(self, folder: Path, listed: bool) -> None:
        self.folder = folder
        self.listed = listed
        self.open: dict[str, IO[str]] = {}

    def add(self, split: str, row: Any) -> None:
        """Write a row to the file of its split."""
        name = split_name(split)
        if name not in self.open:
            file = self.folder / f"{name}.{'json' if self.listed else 'jsonl'}"
            self.open[name] = file.open("x", encoding="utf-8")
            self.open[name].write("[\n" if self.listed else "")
        elif self.listed:
            self.open[name].write(",\n")
        self.open[name].write(json.dumps(row, ensure_ascii=False) + ("" if self.listed else "\n"))

    def close(self) -> None:
        """End the files."""
        for opened in self.open.values():
            opened.write("\n]\n" if self.listed else "")
            opened.close()
