"""An image's row becomes pixels, upright and RGB."""

import hashlib
import io
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import PIL.Image
import PIL.ImageOps

from lskd.errors import UserError
from lskd.storage.address import is_url
from lskd.storage.cache import cache
from lskd.storage.files import read_url
from lskd.trace import measured
from lskd.types import Annotation, Image

ORIENTATION = 0x0112  # the EXIF tag; 1 is upright
JPEG_SIDE = 65_500  # pixels: a JPEG holds no longer side
UNREADABLE = (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError)  # of Pillow


def image_id(data: bytes) -> str:
    """Return the id of an image whose file holds `data`: 16 hexadecimal digits of its hash."""
    return hashlib.blake2b(data, digest_size=8).hexdigest()


@measured("decoding")
def decode(data: bytes) -> PIL.Image.Image:
    """Return the upright RGB pixels of an image file's bytes.

    Transparency is laid on white, 16-bit grey is scaled to 8. Raises what Pillow raises for data
    that it cannot read in full (OSError, SyntaxError, ValueError, DecompressionBombError).
    """
    with PIL.Image.open(io.BytesIO(data)) as opened:
        opened.load()
        upright = PIL.ImageOps.exif_transpose(opened)
    if upright.mode.startswith("I;16") or upright.mode == "I":
        # Of the modes of 16 bits `point` knows those of this machine's order alone.
        deep = upright.convert("I") if upright.mode == "I;16B" else upright
        return deep.point(lambda value: value / 256).convert("L").convert("RGB")
    if "A" in upright.getbands() or "transparency" in upright.info:
        layer = upright.convert("RGBA")
        white = PIL.Image.new("RGBA", layer.size, "white")
        return PIL.Image.alpha_composite(white, layer).convert("RGB")
    return upright.convert("RGB")


def orientation(opened: PIL.Image.Image) -> int:
    """Return how a picture is stored, 1 to 8 as EXIF has it; 1 where that is not said."""
    said = opened.getexif().get(ORIENTATION, 1)
    return said if isinstance(said, int) and 1 <= said <= 8 else 1


def upright_size(opened: PIL.Image.Image) -> tuple[int, int]:
    """Return the width and height of a picture once it is upright, without decoding it."""
    width, height = opened.size
    return (height, width) if orientation(opened) >= 5 else (width, height)


def scaled(size: tuple[int, int], longest_side: int) -> tuple[int, int]:
    """Return (width, height) in pixels with neither side above `longest_side`, nor below 1."""
    share = min(1.0, longest_side / max(size))
    return max(1, round(size[0] * share)), max(1, round(size[1] * share))


def size_of(data: bytes) -> tuple[int, int]:
    """Return the width and height of the upright picture of an image file, read to its end.

    A JPEG's pixels are made at an eighth of their size. Raises one of `UNREADABLE` for data that
    Pillow cannot read in full, as after a broken download.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with PIL.Image.open(io.BytesIO(data)) as opened:
            size = upright_size(opened)
            opened.draft("RGB", (max(1, opened.width // 8), max(1, opened.height // 8)))
            opened.load()
    return size


def read(path: str, name: str) -> bytes:
    """Return the bytes of the image at a path or URL whose id is `name`, if it has not changed.

    From a URL they are kept on this disk. Raises OSError if it cannot be read, UserError if its
    place cannot be reached.
    """
    if not is_url(path):
        return Path(path).read_bytes()
    data = cache().get(name)
    return read_away(path, name) if data is None else data


def read_away(url: str, name: str | None = None) -> bytes:
    """Return the bytes of the image at a URL, and keep them here, if its id is `name` or not known.

    Raises FileNotFoundError, and UserError if its place cannot be reached.
    """
    data = read_url(url)
    found = image_id(data)
    if name in (found, None):
        cache().put(found, data)
    return data


@measured("reading")
def load(image: Image) -> PIL.Image.Image:
    """Return the upright RGB pixels of an image, (width, height) as its row says.

    Raises UserError if the file is gone, unreadable or no longer the one that the row describes.
    """
    try:
        data = read(image.path, image.id)
    except OSError as error:
        raise UserError(f"cannot read {image.path}: {error.strerror or error}") from error
    if image_id(data) != image.id:
        raise UserError(
            f"{image.path} has changed since the images stage read it: restore the file, or start "
            "a new run with --out"
        )
    return decode(data)


@dataclass(frozen=True)
class Picture:
    """An image with what its owner says of it; pixels are read when they are first asked for."""

    image: Image
    annotation: Annotation | None = None

    @cached_property
    def pixels(self) -> PIL.Image.Image:
        """Return the upright RGB pixels."""
        return load(self.image)

    def fresh(self) -> "Picture":
        """Return the same picture without the pixels that this one may hold."""
        return Picture(self.image, self.annotation)
