"""What `[images] source` names: folders, globs, lists, COCO jsons and Parquet files, here or away.

In: names. Out: the images that they stand for, each a path, a URL, or the bytes of a Parquet row.
"""

import contextlib
import importlib.resources
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lskd import annotations
from lskd.errors import UserError
from lskd.picture import read_away
from lskd.storage.address import is_url, on, told
from lskd.storage.listing import beside, files_at
from lskd.textfile import text_of

SUFFIXES = frozenset(".jpg .jpeg .png .webp .bmp .gif .tif .tiff .ppm .jfif".split())
PACKAGE = "package:"
AT_ONCE = 16  # images that are fetched from a place together


def package_file(name: str) -> list[Path]:
    """Return the path of "package:name/path"."""
    package, _, inside = name.removeprefix(PACKAGE).partition("/")
    try:
        file = Path(str(importlib.resources.files(package).joinpath(inside)))
    except ModuleNotFoundError as error:
        raise UserError(f"images.source {name!r}: package {package!r} is not installed") from error
    if not file.is_file():
        raise UserError(f"images.source {name!r}: {package} has no file {inside!r}")
    return [file]


def pictures_in(folder: Path) -> list[Path]:
    """Return the files of a folder, in depth and in order, that are named like images.

    A link that leads nowhere, and a folder that cannot be opened, stay in: each becomes a reject.
    """
    closed: list[OSError] = []
    found = [path for path in files_in(folder, closed) if path.suffix.lower() in SUFFIXES]
    found += [Path(str(error.filename)) for error in closed]
    return sorted(found)


def parquet_in(folder: Path) -> list[Path]:
    """Return the Parquet files of a folder, in depth and in order."""
    return sorted(file for file in files_in(folder, []) if file.suffix == ".parquet")


def files_in(folder: Path, closed: list[OSError]) -> Iterator[Path]:
    """Yield the files of a folder in depth; what cannot be opened is added to `closed`.

    Folders that are linked are gone into, each folder once, so that links may lead in circles.
    """
    met: set[tuple[int, int]] = set()
    for where, inner, names in os.walk(folder, onerror=closed.append, followlinks=True):
        known = Path(where).stat()
        if (known.st_dev, known.st_ino) in met:
            inner.clear()
            continue
        met.add((known.st_dev, known.st_ino))
        inner.sort()  # which of several ways into a folder is gone is the same each time
        yield from (Path(where, name) for name in names)


def spelled(path: str) -> str:
    """Return a path as it can be stored, with bytes that are no UTF-8 written in hexadecimal."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def listed(file: Path) -> list[Path]:
    """Return the paths that a text file lists, a line each, relative to the file."""
    lines = text_of(file).splitlines()
    return [file.parent / line.strip() for line in lines if line.strip()]


def expand(name: str) -> list[Path]:
    """Return the files that one source stands for; image files as they are, Parquet files whole.

    Raises UserError if there is no such thing, or nothing in it.
    """
    path = Path(name).expanduser()
    if name.startswith(PACKAGE):
        return package_file(name)
    if path.is_dir():
        found = pictures_in(path) or parquet_in(path)
    elif path.is_file() and path.suffix.lower() == ".json":
        found = annotations.files_named(path)
    elif path.is_file():
        found = listed(path) if path.suffix.lower() in (".txt", ".lst") else [path]
    elif any(sign in name for sign in "*?["):
        anchor = Path(path.anchor or ".")
        pattern = path.relative_to(path.anchor) if path.anchor else path
        try:
            found = sorted(file for file in anchor.glob(str(pattern)) if file.is_file())
        except ValueError as error:
            raise UserError(f"images.source {name!r}: {error}; ** stands for folders") from error
    else:
        raise UserError(f"images.source {name!r}: no such file or folder")
    if not found:
        raise nothing_in(name)
    return found


def paths(name: str) -> list[str]:
    """Return the absolute paths, or URLs, of the files that one source stands for.

    Raises UserError if there is no such thing, or nothing in it.
    """
    if not is_url(name):
        return [str(file.absolute()) for file in expand(name)]
    if name.lower().endswith(".json"):
        raise UserError(
            f"images.source {name!r}: a COCO json must lie on this machine; give the folder of the "
            "images as source, and the json in images.annotations"
        )
    found = files_at(name, SUFFIXES)
    if not found:
        raise nothing_in(name)
    return found


def nothing_in(name: str) -> UserError:
    """Return what to tell of a source without images."""
    return UserError(
        f"images.source {name!r}: no images there; known endings: {' '.join(sorted(SUFFIXES))}"
    )


@dataclass(frozen=True, slots=True)
class Found:
    """An image that a source names: a file, or the bytes of a Parquet row that goes by `path`."""

    path: str
    data: bytes | None = None


def image_column(schema: pa.Schema, file: str) -> str:
    """Return the name of the column that holds images: struct<bytes, path> or plain bytes."""
    for column in schema:
        kind = column.type
        holds = pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0
        if holds or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            return str(column.name)
    raise UserError(f"{file} has no column of images; its columns: {', '.join(schema.names)}")


def rows_of(file: str) -> Iterator[Found]:
    """Yield the images of a Parquet file, a few rows at a time."""
    with told_of(file):
        yield from _rows_of(file)


def told_of(name: str) -> contextlib.AbstractContextManager[None]:
    """Return the block in which what a place says is told in one line; a local file needs none."""
    return told(name) if is_url(name) else contextlib.nullcontext()


def opened_parquet(file: str) -> pq.ParquetFile:
    """Open a Parquet file; at a place only the parts that are asked for are read.

    Raises UserError if it is none.
    """
    system, name = on(file) if is_url(file) else (None, file)
    try:
        return pq.ParquetFile(name if system is None else system.open(name, "rb"))
    except pa.ArrowException as error:
        raise UserError(f"{file} is not a Parquet file: {error}") from error


def _batches(opened: pq.ParquetFile, column: str, file: str) -> Iterator[list[Any]]:
    """Yield the values of a column in groups; raises UserError for a page that is broken."""
    try:
        for batch in opened.iter_batches(batch_size=32, columns=[column]):
            yield batch.column(0).to_pylist()
    except (pa.ArrowException, OSError) as error:
        if getattr(error, "errno", None) is not None:  # the disk's or the place's own
            raise
        raise UserError(f"{file} is a broken Parquet file: {error}") from error


def _rows_of(file: str) -> Iterator[Found]:
    opened = opened_parquet(file)
    column = image_column(opened.schema_arrow, file)
    position = 0
    for values in _batches(opened, column, file):
        for value in values:
            data = value.get("bytes") if isinstance(value, dict) else value
            inner = value.get("path") if isinstance(value, dict) else None
            path = f"{file}#{position}"
            if data is None and inner:
                yield Found(beside(file, inner) if is_url(file) else str(Path(file).parent / inner))
            else:
                yield Found(path, data or b"")
            position += 1


def sources(names: Sequence[str]) -> Iterator[Found]:
    """Yield every image that some sources name, once for each path, in a stable order."""
    met: set[str] = set()
    for name in names:
        for file in paths(name):
            for found in rows_of(file) if is_parquet(file) else [Found(file)]:
                if found.path not in met:
                    met.add(found.path)
                    yield found


def counted(names: Sequence[str]) -> int:
    """Return how many images some sources name, copies and broken files included; none is read."""
    total = 0
    for name in names:
        for file in paths(name):
            with told_of(file):
                total += int(opened_parquet(file).metadata.num_rows) if is_parquet(file) else 1
    return total


def is_parquet(file: str) -> bool:
    """Return whether a name is that of a file with a column of images; a folder's is not."""
    return file.lower().endswith(".parquet") and (is_url(file) or Path(file).is_file())


def content_of(found: Found) -> bytes:
    """Return the bytes of an image; raises OSError if it cannot be read."""
    if found.data is not None:
        return found.data
    return read_away(found.path) if is_url(found.path) else Path(found.path).read_bytes()


def read_ahead(group: Sequence[Found]) -> Iterator[tuple[Found, Callable[[], bytes]]]:
    """Yield images in order, each with what returns its bytes, or raises as `content_of` does.

    Several of those at places are on their way at a time.
    """
    if not any(is_url(found.path) for found in group):
        yield from ((found, partial(content_of, found)) for found in group)
        return
    with ThreadPoolExecutor(AT_ONCE) as pool:
        coming: deque[tuple[Found, Future[bytes]]] = deque()
        for found in group:
            coming.append((found, pool.submit(content_of, found)))
            if len(coming) > AT_ONCE:
                first, content = coming.popleft()
                yield first, content.result
        yield from ((found, content.result) for found, content in coming)
