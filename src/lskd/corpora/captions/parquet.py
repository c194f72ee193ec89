"""Rows of a Parquet file as rows of any other: pictures that lie in it are written to files."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lskd import table
from lskd.errors import UserError
from lskd.evaluate.rows import Row, Wrong, written
from lskd.picture import image_id
from lskd.types import Reject

AT_ONCE = 64


def rows_of(file: Path, unpacked: Path | None) -> Iterator[Row | Reject]:
    """Yield the rows of a Parquet file.

    In place of a picture (a struct of bytes and path) stands the name of the file in `unpacked`
    that now has it, by the hash of its content. Raises UserError if the file cannot be read.
    """
    try:
        opened = pq.ParquetFile(file)
        number = 0
        for batch in opened.iter_batches(batch_size=AT_ONCE):
            for fields in batch.to_pylist():
                number += 1
                yield _row(f"{file.name} row {number}", fields, unpacked)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{file} is no whole Parquet file: {error}") from error


def _row(source: str, fields: Mapping[str, object], unpacked: Path | None) -> Row | Reject:
    try:
        plain = {key: _plain(value, unpacked) for key, value in fields.items()}
        return Row(source, written(plain), plain)
    except Wrong as error:
        return Reject(source, str(error), ", ".join(fields))
    except TypeError as error:
        return Reject(source, f"it holds something other than JSON: {error}", ", ".join(fields))


def _plain(value: object, unpacked: Path | None) -> object:
    if not isinstance(value, Mapping) or not isinstance(value.get("bytes"), bytes):
        return value
    if unpacked is None:
        raise Wrong("its picture lies inside of the file, and there is no folder to unpack it to")
    data = value["bytes"]
    path = unpacked / f"{image_id(data)}{Path(str(value.get('path') or '')).suffix or '.jpg'}"
    if not path.exists():
        with table.draft(path) as unfinished:
            unfinished.write_bytes(data)
    return path.name
