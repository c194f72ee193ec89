"""Stage `images`: a folder, glob, list, COCO json or Parquet file becomes rows of Image.

What cannot be read is a Reject row with its reason, and the run goes on. New files make new shards;
a shard once made is never changed. An image's id is a hash of its bytes, so that a copy is found
wherever it lies: it becomes a Copy row in the shard in which it was met.
"""

import errno
import io
import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import PIL.Image
from pydantic import PositiveInt

from lskd import annotations
from lskd.errors import UserError
from lskd.picture import decode, image_id
from lskd.sources import Found, read_ahead, sources, spelled
from lskd.stage import Context, Names, Section, Stage
from lskd.storage.address import shown
from lskd.table import Tables, draft
from lskd.trace import measured
from lskd.types import Annotation, Copy, Image, Record, Reject

# What ails the machine and not the file: no reason to leave an image out for good.
PASSING = frozenset(
    (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN)
)


class Settings(Section):
    """Where the images are.

    `source` is one or more of: a folder (searched in depth), a glob, an image, a text file with a
    path on each line, a COCO json, a Parquet file or folder with a column of images, or
    "package:name/path" for a file inside an installed Python package; each but the last and the
    json can be a URL, as "s3://bucket/photos". `annotations` are COCO, Visual Genome or
    VCR files that say what is in them. `shard_size` pictures make a shard, on which later stages
    work as one. Larger pictures than `max_pixels` are rejected unread.
    """

    source: Names
    annotations: Names = ()
    shard_size: PositiveInt = 256
    max_pixels: PositiveInt = 100_000_000


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
        self,
        settings: Settings,
        said: annotations.Annotations,
        folder: Path,
        met: Iterable[str],
        annotated: Iterable[str],
    ) -> None:
        self.settings = settings
        self.said = said
        self.folder = folder
        self.met = set(met)
        self.annotated = set(annotated)
        self.here: set[str] = set()  # those of `met` that the shard at work has

    def begin(self) -> None:
        """Begin a shard: what is said of an image can only be kept in the image's own."""
        self.here.clear()

    def rows(self, found: Found, content: Callable[[], bytes]) -> Iterator[Record]:
        """Yield the rows of one image: Image or Copy and perhaps Annotation, or Reject."""
        if spelled(found.path) != found.path:
            yield Reject(spelled(found.path), "its name is not UTF-8: rename it", "")
            return
        if "\0" in found.path:  # what Python refuses with another error than the system's
            yield Reject(found.path, "cannot be read: its name holds a NUL character", "")
            return
        try:
            with measured("reading"):
                data = content()
        except OSError as error:
            if error.errno in PASSING:
                raise UserError(
                    f"cannot read {found.path}: {error.strerror}; what was finished is kept, and "
                    "the same command goes on once this is mended"
                ) from error
            yield Reject(found.path, f"cannot be read: {error.strerror or error}", "")
            return
        name = image_id(data)
        if name in self.met:
            yield Copy(name, found.path)
            if self.said.entries and name not in self.annotated:
                _, width, height = examined(data, self.settings.max_pixels)
                yield from self.annotation(name, found.path, width, height)
            return
        problem, width, height = examined(data, self.settings.max_pixels)
        if problem:
            yield Reject(found.path, problem, "")
            return
        self.met.add(name)
        self.here.add(name)
        if found.data is None:
            yield Image(name, found.path, width, height)
        else:
            yield Image(name, shown(self.kept(name, data)), width, height, found.path)
        yield from self.annotation(name, found.path, width, height)

    def annotation(self, name: str, path: str, width: int, height: int) -> Iterator[Record]:
        """Yield what the owner's files say of an image at one of its paths."""
        told, rejects = self.said.of(Path(path), width, height)
        yield from rejects
        if not told.places and not told.captions:
            return
        if name not in self.here:
            texts = "; ".join((*(place.text for place in told.places), *told.captions))
            yield Reject(path, "annotated under the name of a copy, whose image is done", texts)
            return
        self.annotated.add(name)
        yield Annotation(name, told.places, told.captions)

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
        with (
            warnings.catch_warnings(action="ignore"),
            PIL.Image.open(io.BytesIO(data)) as opened,
        ):
            width, height = opened.size
        if width * height > max_pixels:
            return f"{width} x {height} pixels are more than max_pixels = {max_pixels}", 0, 0
        if min(width, height) < 2:
            return f"{width} x {height} pixels: nothing to see", 0, 0
        with warnings.catch_warnings(action="ignore"):
            return "", *decode(data).size
    except PIL.UnidentifiedImageError:
        return "not an image that Pillow knows", 0, 0
    except PIL.Image.DecompressionBombError as error:
        return f"too large to open safely: {error}", 0, 0
    except MemoryError as error:
        raise UserError(
            f"no memory for a picture of {len(data):,} bytes: what was finished is kept, and the "
            "same command goes on where there is more; a lower images.max_pixels leaves it out"
        ) from error
    except Exception as error:  # Pillow's readers raise anything at all at broken data
        return f"broken image: {error}", 0, 0


def make(
    settings: Settings, context: Context, tables: Tables
) -> Iterator[tuple[str, Iterable[Record]]]:
    """Yield a shard of rows for each `shard_size` new files; no known file is read again."""
    said = annotations.read([Path(name).expanduser() for name in settings.annotations])
    known = known_paths(tables)
    finished = tables.shards(Image)
    met = (row.id for shard in finished for row in tables.read(Image, shard))
    told = (name for shard in finished for (name,) in tables.stored(Annotation, shard, "image_id"))
    reader = Reader(settings, said, context.folder, met, told)
    taken = {int(shard) for shard in finished}
    # A shard that was lost gets its number again, and with it its files.
    free = (number for number in itertools.count() if number not in taken)
    for number, group in zip(free, groups(settings, context.limit, known), strict=False):
        rows: list[Record] = []
        reader.begin()
        for found, content in read_ahead(group):
            rows.extend(reader.rows(found, content))
            context.tick(1)
        yield f"{number:05d}", rows
    check_some(tables)
    if settings.annotations and context.limit is None:
        unused = said.unmatched(Path(found.path) for found in sources(settings.source))
        if unused:
            several = ", ".join(unused[:3]) + (", ..." if len(unused) > 3 else "")
            context.say(f"annotations of {len(unused)} images fit no image here: {several}")


def unread(settings: Settings, context: Context, tables: Tables) -> bool:
    """Return whether there are files that no finished shard speaks of, or no image at all."""
    if not any(tables.count(Image, shard) for shard in tables.shards(Image)):
        return True
    return next(groups(settings, context.limit, known_paths(tables)), None) is not None


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
    for position, found in enumerate(sources(settings.source)):
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
    grows=unread,
)
