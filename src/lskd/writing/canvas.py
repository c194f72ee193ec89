"""The size to which a picture is brought before marks are drawn on it, measured for any processor.

In: an image processor of transformers and the size of a picture. Out: the size at which the model
sees it in most detail. Nothing is known of families here: a processor is given a blank picture, and
what it resizes it to is written down.
"""

import copy
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import PIL.Image

from lskd.errors import UserError
from lskd.marking import MarkStyle, clear, release

Extent = tuple[int, int]  # width and height in pixels

SEEN = 2.0  # pixels: a thinner mark is no line to most vision towers


@dataclass(frozen=True, slots=True)
class Way:
    """What becomes of a picture: its `size` in most detail, and the `narrowest` scale before that.

    A picture that is made smaller on its way has lost detail even if it is made larger again.
    """

    size: Extent
    narrowest: float


class Canvases:
    """The canvases of one image processor."""

    def __init__(self, images: Any) -> None:
        """Have the processor show whole pictures: with the ends, it would cut off marks."""
        if getattr(images, "do_center_crop", None):
            images.size = {name: dict(images.crop_size)[name] for name in ("height", "width")}
            images.do_center_crop = False
        self.images = images
        self.way = lru_cache(maxsize=4096)(self._way)

    def canvas(self, width: int, height: int) -> Extent:
        """Return the size at which a picture of width x height pixels is seen in most detail."""
        return self.way((width, height)).size

    def thinnest(self, width: int, height: int, style: MarkStyle) -> float:
        """Return how many pixels of a mark's line are left, drawn on the canvas of such a picture.

        It is the line's own thickness, unless the processor makes the canvas smaller once more.
        """
        size = self.canvas(width, height)
        drawn = clear.thickness(size) if style == "clear" else release.WIDTH
        return drawn * min(1.0, self.way(size).narrowest)

    def doubt(self, width: int, height: int, style: MarkStyle) -> str | None:
        """Return a warning if marks on such a picture are resized away, None if they are seen."""
        left = self.thinnest(width, height, style)
        if left >= SEEN:
            return None
        canvas = "{} x {}".format(*self.canvas(width, height))
        return (
            f"marks on a picture of {width} x {height} pixels are {left:.1f} pixels thin when "
            f"{type(self.images).__name__} has resized it from {canvas}: below {SEEN:g} they are "
            "hardly seen; raise the processor's size, or give coordinates in text"
        )

    def _way(self, size: Extent) -> Way:
        """Return what becomes of a blank picture."""
        observed = _Observed(self.images)
        try:
            observed.images(images=[[PIL.Image.new("RGB", size)]], return_tensors="pt")
        except (ValueError, TypeError) as error:
            line = " ".join(str(error).split())
            raise UserError(f"a picture of {size[0]} x {size[1]} pixels: {line}") from error
        outputs = observed.outputs
        if not outputs:
            return Way(size, 1.0)
        areas = [width * height for width, height in outputs]
        most = areas.index(max(areas))
        scales = (min(one[0] / size[0], one[1] / size[1]) for one in outputs[: most + 1])
        return Way(outputs[most], min(scales))


class _Observed:
    """A copy of an image processor of which each resizing is written down."""

    def __init__(self, images: Any) -> None:
        self.images = copy.copy(images)
        self.outputs: list[Extent] = []
        resize = images.resize

        def observed(*given: Any, **named: Any) -> Any:
            made = resize(*given, **named)
            height, width = made.shape[-2:]  # channels come first in every backend
            self.outputs.append((int(width), int(height)))
            return made

        self.images.resize = observed
