"""Records to Parquet shards and back.

A file is written whole, then renamed: if it exists, it is done.

A table is a folder of shards, `<stage>/<record>/<shard>.parquet`. A shard is a five-digit number
and keeps it through the whole house: `triple/00007` comes from `image/00007`.
"""

import contextlib
import functools
import hashlib
import os
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from lskd.errors import UserError
from lskd.trace import measured

R = TypeVar("R")
SCALARS: Mapping[Any, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
}


@functools.cache
def columns(record: type) -> tuple[tuple[str, Any], ...]:
    """Return the name and type of each field of a record or NamedTuple."""
    return tuple(typing.get_type_hints(record).items())


def optional(hint: Any) -> Any | None:
    """Return X if `hint` is `X | None`, else None."""
    if (
        isinstance(hint, types.UnionType)
        and len(hint.__args__) == 2
        and type(None) in hint.__args__
    ):
        return next(kind for kind in hint.__args__ if kind is not type(None))
    return None


def arrow_field(name: str, hint: Any) -> pa.Field:
    """Return the column of a field: a scalar, Literal, X | None, tuple[X, ...] or a record."""
    inner = optional(hint)
    return pa.field(name, arrow_type(inner or hint), nullable=inner is not None)


def arrow_type(hint: Any) -> pa.DataType:
    """Return the Arrow type of a field that is never None."""
    if hint in SCALARS:
        return SCALARS[hint]
    if typing.get_origin(hint) is typing.Literal:
        return pa.string()
    if typing.get_origin(hint) is tuple:
        return pa.list_(arrow_type(typing.get_args(hint)[0]))
    return pa.struct([arrow_field(name, kind) for name, kind in columns(hint)])


def schema(record: type) -> pa.Schema:
    """Return the columns of a record's table."""
    return pa.schema([arrow_field(name, hint) for name, hint in columns(record)])


def plain(value: Any) -> Any:
    """Turn a record into the dicts and lists that Arrow and JSON store."""
    if isinstance(value, type):
        raise TypeError(f"{value!r} is a class, not a record")
    if is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if hasattr(value, "_asdict"):
        return value._asdict()
    return [plain(v) for v in value] if isinstance(value, tuple) else value


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
    if hint in SCALARS or typing.get_origin(hint) is typing.Literal:
        return same
    if typing.get_origin(hint) is tuple:
        item = converter(typing.get_args(hint)[0])
        return tuple if item is same else lambda values: tuple(item(value) for value in values)
    kept = [(name, converter(kind)) for name, kind in columns(hint)]
    return lambda row: hint(*[convert(row[name]) for name, convert in kept])


@contextlib.contextmanager
def draft(file: Path) -> Iterator[Path]:
    """Give a temporary path; when the block ends well it takes the place of `file` in one step.

    Raises UserError if the disk is full or the folder cannot be written.
    """
    unfinished = file.with_name(f".{file.name}.{os.getpid()}.draft")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        yield unfinished
        with unfinished.open("rb") as written:
            os.fsync(written.fileno())
        unfinished.replace(file)
    except OSError as error:
        raise UserError(
            f"cannot write {file}: {error.strerror or error}; what was finished is kept, and the "
            "same command goes on once this is mended"
        ) from error
    finally:
        # Where the folder itself cannot be reached there is no draft either.
        with contextlib.suppress(OSError):
            unfinished.unlink()


@measured("writing")
def write(record: type[R], file: Path, rows: Iterable[R]) -> None:
    """Write one shard of a table, whole or not at all."""
    kept = list(rows)
    assert all(isinstance(row, record) for row in kept)
    content = pa.Table.from_pylist([plain(row) for row in kept], schema=schema(record))
    with draft(file) as unfinished:
        pq.write_table(content, unfinished, compression="zstd")


def release() -> None:
    """Give memory that Arrow keeps for later back to the system."""
    pa.default_memory_pool().release_unused()


@measured("reading")
def read(record: type[R], file: Path) -> list[R]:
    """Return the rows of one shard in order.

    Raises UserError if the file is broken or was written with other columns.
    """
    try:
        content = pq.ParquetFile(file, memory_map=True).read()
    except (OSError, pa.ArrowException) as error:
        raise UserError(
            f"{file} is broken ({error}): remove it and run again to remake it"
        ) from error
    if content.schema.names != schema(record).names:
        raise UserError(
            f"{file} has the columns {content.schema.names}, not those of {record.__name__}, "
            f"{schema(record).names}: another version of lskd wrote it; start a new run with --out"
        )
    kind: type = record
    convert = converter(kind)
    return [convert(row) for row in content.to_pylist()]


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
        return sorted(file.stem for file in self.file(record, "*", stage).parent.glob("*.parquet"))

    def read(self, record: type[R], shard: str, stage: str | None = None) -> list[R]:
        """Return the rows of one shard; none if there is no such shard."""
        file = self.file(record, shard, stage)
        return read(record, file) if file.exists() else []

    def count(self, record: type, shard: str, stage: str | None = None) -> int:
        """Return the number of rows of one shard, read from the file's footer."""
        file = self.file(record, shard, stage)
        return int(pq.read_metadata(file).num_rows) if file.exists() else 0

    def digest(self, records: Sequence[type]) -> str:
        """Return a hash of all that is in the tables of `records`."""
        total = hashlib.blake2b(digest_size=16)
        for record in records:
            for shard in self.shards(record):
                total.update(f"{record.__name__} {shard} ".encode())
                with self.file(record, shard).open("rb") as opened:
                    total.update(hashlib.file_digest(opened, "blake2b").digest())
        return total.hexdigest()
