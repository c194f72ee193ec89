"""How a writer is pointed at places: by marks in the picture, or by coordinates in the prompt.

In: an upright picture, regions of it, and the words of a prompt. Out: the picture that the writer
looks at, at the size of its canvas, and the prompt that it reads.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import PIL.Image

from lskd import marking
from lskd.types import Region
from lskd.writing.coordinates import Codec, Frame, legend

# What `Writer.canvas` is: the size of the canvas for a picture of some size, in pixels.
Canvas = Callable[[int, int], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Pictured:
    """An upright picture, and the regions that are pointed at, in pixels of that picture."""

    pixels: PIL.Image.Image
    regions: tuple[Region, ...]

    @property
    def seen(self) -> tuple[Region, ...]:
        """Return the regions of which something is visible."""
        return tuple(one for one in self.regions if marking.visible(one, self.pixels.size))


@dataclass(frozen=True, slots=True)
class Pointing:
    """One way of pointing: marks of a `style`, or, where there is a `codec`, coordinates."""

    style: marking.MarkStyle
    canvas: Canvas
    codec: Codec | None = None

    def picture(self, pictured: Pictured) -> PIL.Image.Image:
        """Return the RGB picture at the size of the canvas; marks are on it if regions are drawn.

        It is resized first, so that marks keep their width and no mark is blurred.
        """
        pixels = pictured.pixels.convert("RGB")
        size = self.canvas(*pixels.size)
        if size != pixels.size:
            pixels = pixels.resize(size, PIL.Image.Resampling.BICUBIC)
        if self.codec is not None:
            return pixels
        own = pictured.pixels.size
        placed = [marking.resized(region, own, size) for region in pictured.seen]
        return marking.mark(pixels, placed, self.style)

    def prompt(self, words: str, regions: Sequence[Region], size: tuple[int, int]) -> str:
        """Return the words, after the places of the visible regions where these are not drawn.

        `size` is that of the upright picture, (width, height) in pixels.
        """
        if self.codec is None:
            return words
        seen = [region for region in regions if marking.visible(region, size)]
        places = legend(seen, self.codec, Frame(size, self.canvas(*size)))
        return f"{places} {words}".strip() if places else words
