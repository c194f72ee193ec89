"""Stage `images`: a folder, glob, list, COCO json or Parquet file becomes rows of Image.

What cannot be read is a Reject row with its reason, and the run goes on. New files make new shards;
a shard once made is never changed. An image's id is a hash of its bytes, so that a copy is found
wherever it lies: it becomes a Copy row in the shard in which it was met.
"""

import importlib.resources
import io
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import PositiveInt

from lskd import annotations
from lskd.errors import UserError
from lskd.picture import decode, image_id
from lskd.stage import Context, Names, Section, Stage
from lskd.table import Tables, draft
from lskd.trace import measured
from lskd.types import Annotation, Copy, Image, Record, Reject

SUFFIXES = frozenset(".jpg .jpeg .png .webp .bmp .gif .tif .tiff .ppm .jfif".split())
PACKAGE = "package:"


class Settings(Section):
    """Where the images are.

    `source` is one or more of: a folder (searched in depth), a glob, an image, a text file with a
    path on each line, a COCO json, a Parquet file or folder with a column of images, or
    "package:name/path" for a file inside an installed Python package. `annotations` are COCO,
    Visual Genome or VCR files that say what is in them. Larger pictures than `max_pixels` are
    rejected unread.
    """

    source: Names
    annotations: Names = ()
    shard_size: PositiveInt = 256
    max_pixels: PositiveInt = 100_000_000


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
    found: list[Path] = []
    for where, _, names in os.walk(folder, onerror=closed.append):
        paths = [Path(where, name) for name in names]
        found += [path for path in paths if path.suffix.lower() in SUFFIXES]
    found += [Path(str(error.filename)) for error in closed]
    return sorted(found)


def spelled(path: str) -> str:
    """Return a path as it can be stored, with bytes that are no UTF-8 written in hexadecimal."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def listed(file: Path) -> list[Path]:
    """Return the paths that a text file lists, a line each, relative to the file."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return [file.parent / line.strip() for line in lines if line.strip()]


def expand(name: str) -> list[Path]:
    """Return the files that one source stands for; image files as they are, Parquet files whole.

    Raises UserError if there is no such thing, or nothing in it.
    """
    path = Path(name).expanduser()
    if name.startswith(PACKAGE):
        return package_file(name)
    if path.is_dir():
        found = pictures_in(path) or sorted(path.rglob("*.parquet"))
    elif path.is_file() and path.suffix.lower() == ".json":
        found = annotations.files_named(path)
    elif path.is_file():
        found = listed(path) if path.suffix.lower() in (".txt", ".lst") else [path]
    elif any(sign in name for sign in "*?["):
        anchor = Path(path.anchor or ".")
        pattern = path.relative_to(path.anchor) if path.anchor else path
        found = sorted(file for file in anchor.glob(str(pattern)) if file.is_file())
    else:
        raise UserError(f"images.source {name!r}: no such file or folder")
    if not found:
        raise UserError(
            f"images.source {name!r}: no images there; known endings: {' '.join(sorted(SUFFIXES))}"
        )
    return found


@dataclass(frozen=True, slots=True)
class Found:
    """An image that a source names: a file, or the bytes of a Parquet row that goes by `path`."""

    path: str
    data: bytes | None = None


def image_column(schema: pa.Schema, file: Path) -> str:
    """Return the name of the column that holds images: struct<bytes, path> or plain bytes."""
    for column in schema:
        kind = column.type
        holds = pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0
        if holds or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            return str(column.name)
    raise UserError(f"{file} has no column of images; its columns: {', '.join(schema.names)}")


def rows_of(file: Path) -> Iterator[Found]:
    """Yield the images of a Parquet file, a few rows at a time."""
    try:
        opened = pq.ParquetFile(file)
    except pa.ArrowException as error:
        raise UserError(f"{file} is not a Parquet file: {error}") from error
    column = image_column(opened.schema_arrow, file)
    position = 0
    for batch in opened.iter_batches(batch_size=32, columns=[column]):
        for value in batch.column(0).to_pylist():
            data = value.get("bytes") if isinstance(value, dict) else value
            inner = value.get("path") if isinstance(value, dict) else None
            path = f"{file.absolute()}#{position}"
            if data is None and inner:
                yield Found(str((file.parent / inner).absolute()))
            else:
                yield Found(path, data or b"")
            position += 1


def sources(settings: Settings) -> Iterator[Found]:
    """Yield every image that the settings name, once for each path, in a stable order."""
    met: set[str] = set()
    for name in settings.source:
        for file in expand(name):
            whole = file.suffix.lower() == ".parquet" and file.is_file()
            for found in rows_of(file) if whole else [Found(str(file.absolute()))]:
                if found.path not in met:
                    met.add(found.path)
                    yield found


def counted(settings: Settings) -> int:
    """Return how many images the settings name, copies and broken files included; none is read."""
    total = 0
    for name in settings.source:
        for file in expand(name):
            whole = file.suffix.lower() == ".parquet"
            total += int(pq.read_metadata(file).num_rows) if whole else 1
    return total


def known_paths(tables: Tables) -> set[str]:
    """Return every path that a finished shard speaks of."""
    known: set[str] = set()
    for shard in tables.shards(Image):
        known |= {row.source or row.path for row in tables.read(Image, shard)}
        known |= {row.path for row in tables.read(Copy, shard)}
        known |= {row.source for row in tables.read(Reject, shard, "images")}
    return known


class Reader:
    """Turns files into rows, remembering the images met so far."""

    def __init__(
        self, settings: Settings, said: annotations.Annotations, folder: Path, met: Iterable[str]
    ) -> None:
        self.settings = settings
        self.said = said
        self.folder = folder
        self.met = set(met)

    def rows(self, found: Found) -> Iterator[Record]:
        """Yield the rows of one image: Image and perhaps Annotation, or Copy, or Reject."""
        if spelled(found.path) != found.path:
            yield Reject(spelled(found.path), "its name is not UTF-8: rename it", "")
            return
        try:
            with measured("reading"):
                data = Path(found.path).read_bytes() if found.data is None else found.data
        except OSError as error:
            yield Reject(found.path, f"cannot be read: {error.strerror or error}", "")
            return
        name = image_id(data)
        if name in self.met:
            yield Copy(name, found.path)
            return
        problem, width, height = examined(data, self.settings.max_pixels)
        if problem:
            yield Reject(found.path, problem, "")
            return
        self.met.add(name)
        if found.data is None:
            yield Image(name, found.path, width, height)
        else:
            yield Image(name, str(self.kept(name, data)), width, height, found.path)
        content, rejects = self.said.of(Path(found.path), width, height)
        yield from rejects
        if content.places or content.captions:
            yield Annotation(name, content.places, content.captions)

    def kept(self, name: str, data: bytes) -> Path:
        """Write the bytes of a Parquet row to a file of their own, and return its path."""
        file = (self.folder / "files" / name).absolute()
        with draft(file) as unfinished:
            unfinished.write_bytes(data)
        return file


def examined(data: bytes, max_pixels: int) -> tuple[str, int, int]:
    """Return what is wrong with an image's bytes ("" if nothing), and its upright size."""
    if not data:
        return "empty file", 0, 0
    try:
        with warnings.catch_warnings(), PIL.Image.open(io.BytesIO(data)) as opened:
            warnings.simplefilter("ignore")
            width, height = opened.size
        if width * height > max_pixels:
            return f"{width} x {height} pixels are more than max_pixels = {max_pixels}", 0, 0
        if min(width, height) < 2:
            return f"{width} x {height} pixels: nothing to see", 0, 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return "", *decode(data).size
    except PIL.UnidentifiedImageError:
        return "not an image that Pillow knows", 0, 0
    except PIL.Image.DecompressionBombError as error:
        return f"too large to open safely: {error}", 0, 0
    except (OSError, SyntaxError, ValueError, EOFError, OverflowError) as error:
        return f"broken image: {error}", 0, 0


def make(
    settings: Settings, context: Context, tables: Tables
) -> Iterator[tuple[str, Iterable[Record]]]:
    """Yield a shard of rows for each `shard_size` new files; no known file is read again."""
    said = annotations.read([Path(name).expanduser() for name in settings.annotations])
    known = known_paths(tables)
    finished = tables.shards(Image)
    met = (row.id for shard in finished for row in tables.read(Image, shard))
    reader = Reader(settings, said, context.folder, met)
    number = int(finished[-1]) + 1 if finished else 0
    for group in groups(settings, context.limit, known):
        rows: list[Record] = []
        for found in group:
            rows.extend(reader.rows(found))
            context.tick(1)
        yield f"{number:05d}", rows
        number += 1
    check_some(tables)
    if settings.annotations and context.limit is None:
        unused = said.unmatched(Path(found.path) for found in sources(settings))
        if unused:
            several = ", ".join(unused[:3]) + (", ..." if len(unused) > 3 else "")
            context.say(f"annotations of {len(unused)} images fit no image here: {several}")


def check_some(tables: Tables) -> None:
    """Raise UserError if there is no image at all, with the reason of the first file."""
    shards = tables.shards(Image)
    if any(tables.count(Image, shard) for shard in shards):
        return
    rejects = [row for shard in shards for row in tables.read(Reject, shard, "images")]
    first = f"{rejects[0].source}: {rejects[0].reason}" if rejects else "the source names none"
    raise UserError(f"no image could be read ({len(rejects)} files rejected; {first})")


def groups(settings: Settings, limit: int | None, known: set[str]) -> Iterator[Sequence[Found]]:
    """Yield the new images among the first `limit`, `shard_size` at a time."""
    group: list[Found] = []
    for position, found in enumerate(sources(settings)):
        if limit is not None and position >= limit:
            break
        if spelled(found.path) in known:
            continue
        group.append(found)
        if len(group) == settings.shard_size:
            yield group
            group = []
    if group:
        yield group


STAGE = Stage(
    name="images",
    settings=Settings,
    reads=(),
    writes=(Image, Copy, Annotation, Reject),
    whole=make,
    grows=True,
)
