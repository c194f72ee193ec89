"""An image becomes a small marked picture, or the reason why it cannot."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import PIL.Image

from lskd.errors import UserError
from lskd.marking import mark, resized, visible
from lskd.picture import UNREADABLE, load
from lskd.types import Image, Region

WIDTH, HEIGHT = 480, 640  # pixels at most
QUALITY = 82


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A JPEG as a data URL with its size in pixels; or `url` is "" and `missing` says why."""

    url: str
    width: int
    height: int
    missing: str = ""


def thumbnail(image: Image | None, regions: Sequence[Region]) -> Thumbnail:
    """Return an image of at most 480 x 640 pixels; `regions` are marked after it is shrunk."""
    if image is None:
        return Thumbnail("", 4, 3, "The run has no row about this image.")
    scale = min(1.0, WIDTH / image.width, HEIGHT / image.height)
    width, height = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    try:
        pixels = load(image)
    except (UserError, *UNREADABLE) as error:
        return Thumbnail("", width, height, f"The picture cannot be shown: {error}")
    small = pixels.resize((width, height), PIL.Image.Resampling.LANCZOS, reducing_gap=3.0)
    placed = [resized(region, pixels.size, small.size) for region in regions]
    marked = mark(small, [region for region in placed if visible(region, small.size)], "clear")
    data = io.BytesIO()
    # At full colour resolution: thin coloured lines would fade otherwise.
    marked.save(data, "JPEG", quality=QUALITY, optimize=True, subsampling=0)
    url = "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()
    return Thumbnail(url, width, height)
