"""What `lskd export` and `lskd import` do: a corpus goes out in a format, or comes in from one."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal, get_args

from lskd import imported, table
from lskd.corpora import llava as llava_instruct
from lskd.corpora import sherlock, visualcomet
from lskd.corpora.source import Source
from lskd.errors import UserError
from lskd.export import coco, hf, lck, llava, swift, trl
from lskd.export.conversation import Talk
from lskd.export.folder import Written
from lskd.export.pictures import LOOK, Look
from lskd.hold import locked
from lskd.report import dataset
from lskd.run import Run, load
from lskd.storage import files
from lskd.storage.address import located, shown, url_of
from lskd.storage.lock import is_repository
from lskd.storage.mirror import opened, push
from lskd.table import Tables
from lskd.types import Example, Reject, Style

Format = Literal["hf", "llava", "swift", "trl", "lck", "coco"]
FORMATS: tuple[Format, ...] = get_args(Format)
FOREIGN = ("lck", "sherlock", "visualcomet", "llava")
UNMARKED = ("lck", "coco")
UNSPOKEN = ("hf", "lck", "coco")  # no conversations: texts stay as they are
SHARD = 4096


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import has read: the folder, its examples, and the rows that could not be."""

    folder: Path
    examples: int
    rejects: int


@dataclass(frozen=True)
class Corpus:
    """The tables that hold examples, and the run that made them (None: they were imported)."""

    tables: Tables
    run: Run | None

    @property
    def settings(self) -> dataset.Settings:
        """Return how the run shows its examples as a dataset; the default where it does not."""
        given = None if self.run is None else self.run.settings.get("dataset")
        return given if isinstance(given, dataset.Settings) else dataset.Settings()

    def readme(self, look: Look, styles: tuple[Style, ...]) -> str:
        """Return the dataset card for an export to hf; "" for what was imported."""
        if self.run is None:
            return ""
        return dataset.readme(self.settings, self.run.facts(), self.tables, look, styles)


def corpus(where: Path, changes: Sequence[str]) -> Corpus:
    """Return the corpus of a run (its file or folder), or one that was imported into a folder.

    Raises UserError if there are no examples, or not all of an import's.
    """
    where = opened(where)
    folder = where / "corpus"
    there = folder.is_dir() or files.names(folder / "example", ".parquet")
    if there and not (where / "run.toml").exists():
        imported.check_whole(folder)
        found = Corpus(Tables({"corpus": folder}, {Example: "corpus"}), None)
    else:
        run = load(where, changes)
        found = Corpus(run.tables, run)
    if not found.tables.shards(Example):
        raise UserError(f"{shown(where)} has no examples yet: `lskd run` it up to the corpus first")
    return found


def write(
    source: Corpus, form: str, out: Path, look: Look, talk: Talk, root: Path | None
) -> Written:
    """Write a corpus in a format, `root` being what LCK's image names are relative to.

    With a URL as `out` it is written in its working folder, and published when it is whole. Raises
    UserError for an unknown format, naming the known ones, and for what the format has no use for.
    """
    if talk.naming == "box" and form in UNSPOKEN:
        raise UserError(f"{form}: regions are a column of their own; leave out --naming")
    if root is not None and form != "lck":
        raise UserError(f"{form}: images are named as the format wants them; leave out --images")
    if look.pictures != LOOK.pictures and form == "lck":
        raise UserError("lck: rows name pictures and hold none; leave out --pictures")
    if look.marks != LOOK.marks and form in UNMARKED:
        raise UserError(f"{form}: no region is drawn; leave out --style")
    if form == "swift" and url_of(located(out)) is not None:
        raise UserError(
            "swift: rows name pictures by their absolute path on this machine, so they are of no "
            f"use at {shown(located(out))}; give --out a folder"
        )
    folder = opened(out)
    written = write_here(source, form, folder, look, talk, root)
    push(folder)
    return written


def write_here(
    source: Corpus, form: str, out: Path, look: Look, talk: Talk, root: Path | None
) -> Written:
    """Write a corpus in a format to a folder of this machine."""
    rows = dataset.examples(source.tables)
    match form:
        case "hf":
            readme = source.readme(look, talk.styles)
            return hf.write(rows, out, look, talk.styles, source.settings.rows, readme)
        case "llava":
            return llava.write(rows, out, look, talk)
        case "swift":
            return swift.write(rows, out, look, talk)
        case "trl":
            return trl.write(rows, out, look, talk)
        case "lck":
            return lck.write(rows, out, root, talk.styles)
        case "coco":
            pictures: Literal["plain", "none"] = "none" if look.pictures == "none" else "plain"
            return coco.write(rows, out, pictures, talk.styles)
        case _:
            raise UserError(f"no format is called {form!r}; known: {', '.join(FORMATS)}")


def read(form: str, source: Source, out: Path) -> Imported:
    """Read a foreign corpus into `out`/corpus, where `lskd export` and a run's `examples` find it.

    Rows that cannot be read become Reject rows beside the examples. Raises UserError for an unknown
    format, an unreadable file, a folder that already holds a corpus, or a place at a URL where
    another process is at work. What is not read to its end is no corpus, and the same call begins
    anew.
    """
    read_in = foreign(form, source)
    file, folder = source.file, opened(out) / "corpus"
    imported.check_free(folder)
    shards = shards_of(read_in)
    # Whole shards may be rejects, as where only a part of the pictures is at hand.
    first: list[list[Example | Reject]] = []
    for shard in shards:
        first.append(shard)
        if any(isinstance(row, Example) for row in shard):
            break
    else:
        if not first:
            raise UserError(f"{file} is empty")
        reason = next(row.reason for row in first[0] if isinstance(row, Reject))
        raise UserError(f"{file} has no row of that form; the first: {reason}")
    found = {Example: 0, Reject: 0}
    with alone(folder.parent), imported.filled(folder) as draft:
        for number, rows in enumerate(chain(first, shards)):
            good = [row for row in rows if isinstance(row, Example)]
            bad = [row for row in rows if isinstance(row, Reject)]
            table.write(Reject, draft / "reject" / f"{number:05d}.parquet", bad)
            table.write(Example, draft / "example" / f"{number:05d}.parquet", good)
            found[Example] += len(good)
            found[Reject] += len(bad)
    return Imported(folder, found[Example], found[Reject])


def shards_of(rows: Iterable[Example | Reject]) -> Iterator[list[Example | Reject]]:
    """Yield rows by `SHARD`, up to twice as many where that would cut an image's rows in two."""
    shard: list[Example | Reject] = []
    for row in rows:
        full = len(shard) >= SHARD and not are_of_one_image(shard[-1], row)
        if full or len(shard) == 2 * SHARD:
            yield shard
            shard = []
        shard.append(row)
    if shard:
        yield shard


def are_of_one_image(one: Example | Reject, other: Example | Reject) -> bool:
    """Return whether two rows are examples about the same image."""
    if isinstance(one, Reject) or isinstance(other, Reject):
        return False
    return one.image_id == other.image_id


def alone(out: Path) -> AbstractContextManager[None]:
    """Hold a place at a URL for one import; on a disk the last step of each tells them apart.

    A repository of the hub is not held, since each sign of life would be a commit. Raises UserError
    if another process is at work there.
    """
    url = url_of(out)
    return nullcontext() if url is None or is_repository(url) else locked([out])


def foreign(form: str, source: Source) -> Iterator[Example | Reject]:
    """Return what a foreign corpus has, row by row.

    Raises UserError for an unknown format, naming the known ones, and for what it has no use for.
    """
    match form:
        case "lck":
            if source.prefix or source.split or len(source.images) > 1:
                raise UserError(
                    "lck: rows say their split and name their images from one folder; leave out "
                    "--prefix and --split, and give --images once"
                )
            return lck.read(source.file, next(iter(source.images), None))
        case "sherlock" | "visualcomet" if source.prefix:
            raise UserError(f"{form}: rows name whole files; leave out --prefix")
        case "sherlock":
            return sherlock.examples(source)
        case "visualcomet":
            return visualcomet.examples(source)
        case "llava":
            return llava_instruct.examples(source)
        case _:
            raise UserError(f"cannot import {form!r}; known: {', '.join(FOREIGN)}")
