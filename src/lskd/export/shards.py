"""Parquet shards whose pictures `datasets` and the hub's viewer show, a series for each split."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lskd.export.folder import split_name
from lskd.table import release

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
GROUP_ROWS = 100  # what `datasets` and the hub's viewer read at a time, where there are pictures
GROUP_BYTES = 64 << 20
# Without pictures: a file of many groups is slow to open, and its writer holds a note of each.
BARE_ROWS = 10_000
DICTIONARY_BYTES = 1 << 30


def feature(kind: pa.DataType) -> Any:
    """Return a column's type as `datasets` writes it in JSON; struct<bytes, path> is a picture."""
    if kind == IMAGE:
        return {"_type": "Image"}
    if pa.types.is_list(kind):
        return [feature(kind.value_type)]
    if pa.types.is_struct(kind):
        return {inner.name: feature(inner.type) for inner in kind}
    return {"dtype": dtype(kind), "_type": "Value"}


def dtype(kind: pa.DataType) -> str:
    """Return the word of `datasets` for a scalar type."""
    return "float64" if pa.types.is_float64(kind) else str(kind)


def yaml(fields: Iterable[pa.Field], indent: str) -> Iterator[str]:
    """Yield the lines of columns as the YAML of a dataset's card has them."""
    for column in fields:
        yield f"{indent}- name: {column.name}"
        yield from yaml_type(column.type, f"{indent}  ", "dtype")


def yaml_type(kind: pa.DataType, indent: str, key: str) -> Iterator[str]:
    """Yield the lines that follow a name, or the word "list"."""
    if kind == IMAGE:
        yield f"{indent}{key}: image"
    elif pa.types.is_list(kind):
        inner = kind.value_type
        if pa.types.is_struct(inner) and inner != IMAGE:
            yield f"{indent}list:"
            yield from yaml(inner, indent)
        elif pa.types.is_list(inner):
            yield f"{indent}list:"
            yield from yaml_type(inner, f"{indent}  ", "list")
        else:
            yield from yaml_type(inner, indent, "list")
    else:
        yield f"{indent}{key}: {dtype(kind)}"


def features_yaml(schema: pa.Schema) -> str:
    """Return `dataset_info` for a card's YAML: it tells viewers which columns are pictures."""
    return "\n".join(["dataset_info:", "  features:", *yaml(schema, "  ")]) + "\n"


def picture_paths(fields: Iterable[pa.Field]) -> Iterator[str]:
    """Yield the Parquet paths of all columns that hold bytes of pictures."""
    for column in fields:
        if column.type == IMAGE:
            yield f"{column.name}.bytes"
        elif pa.types.is_list(column.type) and column.type.value_type == IMAGE:
            yield f"{column.name}.list.element.bytes"


@dataclass
class Series:
    """The shards of one split: those that are done, and the one that is being written.

    The next row group is in `parts` and `rows`, the latter not packed yet; its pictures are of
    `size` bytes.
    """

    done: list[Path] = field(default_factory=list)
    writer: pq.ParquetWriter | None = None
    parts: list[pa.Table] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    size: int = 0


class Shards:
    """Writes rows to Parquet files of about `shard_bytes`, one series for each split.

    A picture that several rows of a row group share is stored there once: its column has a
    dictionary. So a row can have its picture at hand and a file holds it (nearly) once, as long as
    the rows of one image follow each other.
    """

    def __init__(self, folder: Path, schema: pa.Schema, shard_bytes: int) -> None:
        described = {"info": {"features": {f.name: feature(f.type) for f in schema}}}
        self.folder = folder
        self.schema = schema.with_metadata({"huggingface": json.dumps(described)})
        self.pictures = list(picture_paths(schema))
        self.shard_bytes = shard_bytes
        self.series: dict[str, Series] = {}

    def add(self, split: str, row: dict[str, Any], pictures: Sequence[bytes]) -> None:
        """Write a row; `pictures` are the bytes of pictures in it, by which memory is kept low."""
        series = self.series.setdefault(split_name(split), Series())
        series.rows.append(row)
        series.size += sum(map(len, pictures))
        if len(series.rows) >= GROUP_ROWS:
            self.pack(series)
        held = len(series.rows) + GROUP_ROWS * len(series.parts)
        if held >= (GROUP_ROWS if series.size else BARE_ROWS) or series.size >= GROUP_BYTES:
            self.flush(split_name(split), series)

    def pack(self, series: Series) -> None:
        """Make the rows at hand smaller."""
        series.parts.append(pa.Table.from_pylist(series.rows, schema=self.schema))
        series.rows = []

    def flush(self, split: str, series: Series) -> None:
        """Write the rows at hand as a row group, and end the file if it is large enough."""
        if series.writer is None:
            file = self.folder / f"{split}-{len(series.done):05d}.parquet"
            series.done.append(file)
            series.writer = pq.ParquetWriter(
                file,
                self.schema,
                compression="zstd",
                use_dictionary=self.pictures,
                dictionary_pagesize_limit=DICTIONARY_BYTES,
                write_statistics=False,
            )
        if series.rows:
            self.pack(series)
        series.writer.write_table(pa.concat_tables(series.parts))
        series.parts, series.size = [], 0
        release()
        if series.done[-1].stat().st_size >= self.shard_bytes:
            self.end(series)

    def end(self, series: Series) -> None:
        """End the file of a series, so that its bytes are on the disk."""
        if series.writer is not None:
            series.writer.close()
            series.writer = None
            with series.done[-1].open("rb") as opened:
                os.fsync(opened.fileno())

    def close(self) -> None:
        """End all files and give them the names that loaders look for: split-00000-of-00003."""
        for split, series in self.series.items():
            if series.rows or series.parts:
                self.flush(split, series)
            self.end(series)
            for number, file in enumerate(series.done):
                file.rename(
                    file.with_name(f"{split}-{number:05d}-of-{len(series.done):05d}.parquet")
                )
