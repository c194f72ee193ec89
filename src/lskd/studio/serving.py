"""Pictures for pages: those of the run by their ids, and those that a visitor uploads.

No path ever comes from a visitor: an id is looked up in the run's own table. An upload is checked
before a pixel of it is decoded, and kept in memory only, under the hash of its bytes.
"""

import io
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import PIL.Image
from fastapi import APIRouter, HTTPException, Path, Query, Request, Response

from lskd import picture
from lskd.errors import UserError
from lskd.types import Image

# Formats that are read from strangers: common ones, none of which runs a program.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
SMALLEST, LARGEST = 64, 2048  # pixels of a served picture's longer side
QUALITY = 88
AT_ONCE = 2  # pictures decoded at the same time, since each can take some hundred megabytes
# Of strangers' files more can go wrong.
BROKEN = (*picture.UNREADABLE, EOFError, OverflowError, PIL.Image.DecompressionBombWarning)

ImageId = Annotated[str, Path(pattern="^[0-9a-f]{16}$")]
Side = Annotated[int, Query(ge=SMALLEST, le=LARGEST)]


@dataclass(frozen=True, slots=True)
class Upload:
    """An uploaded picture: the id by which pages name it, and the size of the upright picture."""

    id: str
    width: int
    height: int


class Shelf:
    """Keeps bytes by name, the last used ones, up to a number of bytes; threads may share it."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.kept: OrderedDict[str, bytes] = OrderedDict()
        self.size = 0
        self.lock = threading.Lock()

    def get(self, name: str) -> bytes | None:
        """Return what lies under a name, or None if it is not there (any more)."""
        with self.lock:
            if name not in self.kept:
                return None
            self.kept.move_to_end(name)
            return self.kept[name]

    def put(self, name: str, data: bytes) -> None:
        """Keep bytes, and let go of those that were not used for longest."""
        with self.lock:
            self.size += len(data) - len(self.kept.pop(name, b""))
            self.kept[name] = data
            while self.size > self.most and len(self.kept) > 1:
                self.size -= len(self.kept.popitem(last=False)[1])


class Photographs:
    """The pictures that the studio can show.

    `find` returns the run's row of an id, or None; `upload` and `pixels` are the most bytes and
    pixels of an uploaded picture.
    """

    def __init__(self, find: Callable[[str], Image | None], upload: int, pixels: int) -> None:
        self.find = find
        self.upload = upload
        self.most_pixels = pixels
        self.uploads = Shelf(10 * upload)
        self.jpegs = Shelf(64_000_000)
        self.decoding = threading.Semaphore(AT_ONCE)

    def take(self, data: bytes) -> Upload:
        """Keep an uploaded picture in memory and return its id and upright size.

        Raises UserError for data that is too large or is no picture of a known format.
        """
        if len(data) > self.upload:
            raise UserError(f"the picture has {len(data):,} bytes: at most {self.upload:,}")
        self._check(data)
        with self.decoding:
            size = _decoded(data, "the picture").size
        name = picture.image_id(data)
        self.uploads.put(name, data)
        return Upload(name, *size)

    def pixels(self, name: str) -> PIL.Image.Image | None:
        """Return upright RGB pixels, of an upload or of the run, or None for an unknown id.

        Raises UserError for a file that has gone or changed.
        """
        data = self.uploads.get(name)
        if data is not None:
            with self.decoding:
                return _decoded(data, "the picture")
        image = self.find(name)
        return None if image is None else self._load(image)

    def jpeg(self, name: str, side: int) -> bytes | None:
        """Return a picture as JPEG, its longer side at most `side` pixels; None if unknown."""
        found = self.jpegs.get(f"{name} {side}")
        if found is not None:
            return found
        pixels = self.pixels(name)
        return None if pixels is None else self._encoded(pixels, name, side)

    def jpeg_of(self, image: Image, side: int) -> bytes:
        """Return the picture of a row that is not in the run's table, as `jpeg` does."""
        found = self.jpegs.get(f"{image.id} {side}")
        return found if found is not None else self._encoded(self._load(image), image.id, side)

    def _load(self, image: Image) -> PIL.Image.Image:
        with self.decoding:
            try:
                return picture.load(image)
            except BROKEN as error:
                raise UserError(f"{image.path} cannot be shown: {error}") from error

    def _encoded(self, pixels: PIL.Image.Image, name: str, side: int) -> bytes:
        pixels.thumbnail((side, side), PIL.Image.Resampling.LANCZOS, reducing_gap=3.0)
        data = io.BytesIO()
        pixels.save(data, "JPEG", quality=QUALITY)
        self.jpegs.put(f"{name} {side}", data.getvalue())
        return data.getvalue()

    def _check(self, data: bytes) -> None:
        """Look at no more than the file's head."""
        try:
            with PIL.Image.open(io.BytesIO(data), formats=FORMATS) as opened:
                width, height = opened.size
        except PIL.UnidentifiedImageError:
            raise UserError(f"this is no picture; formats: {', '.join(FORMATS)}") from None
        except BROKEN as error:
            raise UserError(f"the picture cannot be read: {error}") from error
        if width * height > self.most_pixels:
            raise UserError(
                f"the picture has {width} x {height} pixels: at most {self.most_pixels:,}"
            )


def _decoded(data: bytes, name: str) -> PIL.Image.Image:
    try:
        return picture.decode(data)
    except BROKEN as error:
        raise UserError(f"{name} is broken: {error}") from error


def as_response(jpeg: bytes) -> Response:
    """Return a picture for a browser to keep: an id always means the same bytes."""
    return Response(
        jpeg, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=604800"}
    )


def router(photographs: Photographs) -> APIRouter:
    """Return the one address of pictures, `/images/{id}?side=1024`."""
    pictures = APIRouter()

    @pictures.get("/images/{image_id}", response_class=Response)
    def shown(request: Request, image_id: ImageId, side: Side = 1024) -> Response:
        """Return a picture as JPEG."""
        found = photographs.jpeg(image_id, side)
        if found is None:
            raise HTTPException(404, f"no picture {image_id}")
        return as_response(found)

    return pictures
