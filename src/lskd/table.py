"""Records to Parquet shards and back.

A file is written whole, then renamed: if it exists, it is done.

A table is a folder of shards, `<stage>/<record>/<shard>.parquet`. A shard is a five-digit number
and keeps it through the whole house: `triple/00007` comes from `image/00007`.
"""

import contextlib
import functools
import hashlib
import os
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from lskd.columns import arrow_of, columns, is_scalar, optional, records_of, schema
from lskd.errors import UserError, cannot_write
from lskd.holder import SESSION
from lskd.storage import files, mirror
from lskd.storage.address import shown, url_of
from lskd.trace import measured

R = TypeVar("R")
PLAIN = frozenset({str, int, float, bool, type(None)})  # values that are stored as they are
FOOTER_BYTES = 1 << 18  # at the end of a shard, which has one row group: more than it ever takes


def plain(value: Any) -> Any:
    """Turn a record into the dicts and lists that Arrow and JSON store."""
    if type(value) in PLAIN:
        return value
    if isinstance(value, type):
        raise TypeError(f"{value!r} is a class, not a record")
    if is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if hasattr(value, "_asdict"):
        return value._asdict()
    if isinstance(value, tuple):  # of hundreds of numbers, if it is an outline
        return [v if type(v) in PLAIN else plain(v) for v in value]
    return value


Convert = Callable[[Any], Any]


def same(value: Any) -> Any:
    """Return a stored value that is already what the record wants."""
    return value


@functools.cache
def converter(hint: Any) -> Convert:
    """Return the function that turns a stored value back into the type `hint`."""
    inner = optional(hint)
    if inner is not None:
        convert = converter(inner)
        return lambda value: None if value is None else convert(value)
    if is_scalar(hint):
        return same
    if typing.get_origin(hint) is tuple:
        item = converter(typing.get_args(hint)[0])
        return tuple if item is same else lambda values: tuple(item(value) for value in values)
    kept = [(name, converter(kind)) for name, kind in columns(hint)]
    return lambda row: hint(*[convert(row[name]) for name, convert in kept])


@contextlib.contextmanager
def draft(file: Path) -> Iterator[Path]:
    """Give a temporary path; when the block ends well it takes the place of `file` in one step.

    A file in the working folder of a place is published there; a table is kept there alone. Raises
    UserError if the disk is full or the folder or place cannot be written.
    """
    # Processes of other hosts, which can have the same number, may write beside it.
    unfinished = file.with_name(f".{file.name}.{SESSION}-{os.getpid()}.draft")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        yield unfinished
        with unfinished.open("rb") as written:
            os.fsync(written.fileno())
        if url_of(file) is None:
            unfinished.replace(file)
        elif files.lies_there_alone(file):
            files.publish(unfinished, file)
        else:
            mirror.send(file, unfinished)
    except OSError as error:
        raise cannot_write(file, error) from error
    finally:
        # Where the folder itself cannot be reached there is no draft either.
        with contextlib.suppress(OSError):
            unfinished.unlink()


def digest(file: Path) -> str:
    """Return the checksum of a file: 32 hexadecimal digits."""
    if url_of(file) is None:
        return digest_here(file)
    return hashlib.blake2b(files.read_bytes(file), digest_size=16).hexdigest()


def digest_here(file: Path) -> str:
    """Return the checksum of a file that lies on this machine."""
    with file.open("rb") as opened:
        kind = functools.partial(hashlib.blake2b, digest_size=16)
        return hashlib.file_digest(opened, kind).hexdigest()


@measured("writing")
def write(record: type[R], file: Path, rows: Iterable[R]) -> str:
    """Write one shard of a table, whole or not at all; return the checksum of the file."""
    kept = list(rows)
    assert all(isinstance(row, record) for row in kept)
    content = arrow_of(record, kept)
    with draft(file) as unfinished:
        pq.write_table(content, unfinished, compression="zstd", write_page_checksum=True)
        return digest_here(unfinished)


def release() -> None:
    """Give memory that Arrow keeps for later back to the system."""
    pa.default_memory_pool().release_unused()


def broken(file: Path, error: Exception) -> UserError:
    """Return what to tell of a table that cannot be read."""
    if isinstance(error, OSError) and error.errno:
        return UserError(f"cannot read {shown(file)}: {error.strerror}")
    return UserError(f"{shown(file)} is broken ({error}): `lskd run` with --verify makes it again")


def opened(file: Path) -> pq.ParquetFile:
    """Open a shard where it lies."""
    source = file if url_of(file) is None else pa.BufferReader(files.read_bytes(file))
    return pq.ParquetFile(source, memory_map=True, page_checksum_verification=True)


def row_count(file: Path) -> int:
    """Return the number of rows of a shard, from the end of its file alone."""
    source = file if url_of(file) is None else pa.BufferReader(files.tail(file, FOOTER_BYTES))
    return int(pq.read_metadata(source).num_rows)


def read(record: type[R], file: Path) -> list[R]:
    """Return the rows of one shard in order.

    Raises UserError if the file is missing, broken or was written with other columns.
    """
    rows = found(record, file)
    if rows is None:
        raise UserError(f"cannot read {shown(file)}: there is no such file")
    return rows


@measured("reading")
def found(record: type[R], file: Path) -> list[R] | None:
    """Return the rows of one shard in order, or None if there is none; raises as `read` does."""
    try:
        content = opened(file).read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise broken(file, error) from error
    kind: type = record
    if content.schema.names != schema(kind).names:
        raise UserError(
            f"{shown(file)} has the columns {content.schema.names}, not those of "
            f"{record.__name__}, {schema(kind).names}: another version of lskd wrote it; start a "
            "new run with --out"
        )
    try:
        if content.schema.types != schema(kind).types:
            raise pa.ArrowInvalid("its columns are of other types")
        return records_of(record, content)
    except (pa.ArrowException, TypeError, UnicodeDecodeError) as error:  # the footer has changed
        raise broken(file, error) from error


@measured("reading")
def stored(file: Path, names: Sequence[str]) -> list[tuple[Any, ...]] | None:
    """Return some columns of a shard, row by row, as they are stored; None if there is none.

    Far quicker than whole rows where these hold much more. Raises UserError if it is broken.
    """
    try:
        content = opened(file).read(columns=list(names))
        found = [content.column(name).to_pylist() for name in names]
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, pa.ArrowException, KeyError, UnicodeDecodeError) as error:
        raise broken(file, error) from error
    return list(zip(*found, strict=True))


@dataclass(frozen=True)
class Tables:
    """Read access to every table of a run.

    `makers` tells which stage writes a record, `folders` where a stage's tables lie (in this run's
    folder or in a parent's).
    """

    folders: Mapping[str, Path]
    makers: Mapping[type, str]

    def file(self, record: type, shard: str, stage: str | None = None) -> Path:
        """Return where a shard of a table lies; `stage` is needed for Reject, which many write."""
        folder = self.folders[stage or self.makers[record]]
        return folder / record.__name__.lower() / f"{shard}.parquet"

    def shards(self, record: type, stage: str | None = None) -> list[str]:
        """Return the names of a table's finished shards, in order."""
        folder = self.file(record, "*", stage).parent
        return [name.removesuffix(".parquet") for name in files.names(folder, ".parquet")]

    def has(self, record: type, shard: str, stage: str | None = None) -> bool:
        """Return whether a shard of a table is there."""
        return files.exists(self.file(record, shard, stage))

    def read(self, record: type[R], shard: str, stage: str | None = None) -> list[R]:
        """Return the rows of one shard; none if there is no such shard."""
        return found(record, self.file(record, shard, stage)) or []

    def stored(self, record: type, shard: str, *names: str) -> list[tuple[Any, ...]]:
        """Return some columns of one shard, row by row; none if there is no such shard."""
        return stored(self.file(record, shard), names) or []

    def count(self, record: type, shard: str, stage: str | None = None) -> int:
        """Return the number of rows of one shard, read from the file's footer."""
        file = self.file(record, shard, stage)
        try:
            return row_count(file)
        except (FileNotFoundError, NotADirectoryError):
            return 0
        except (OSError, pa.ArrowException) as error:
            raise broken(file, error) from error

    def digest(self, records: Sequence[type]) -> str:
        """Return a hash of all that is in the tables of `records`.

        At a place that tells what changes with a file's content, no file is read for it.
        """
        total = hashlib.blake2b(digest_size=16)
        for record in records:
            folder = self.file(record, "*").parent
            for name, stamp in files.listed(folder, ".parquet"):
                total.update(f"{record.__name__} {name.removesuffix('.parquet')} ".encode())
                total.update(stamp.encode() or files.fingerprint(folder / name))
        return total.hexdigest()
