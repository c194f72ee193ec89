"""Panels become views, each distinct one once, and views become pictures with regions drawn.

In: panels. Out: pictures at the size that a model sees. They are resized first and marked then, so
that marks keep their width and no mark is blurred.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

import PIL.Image

from lskd import marking
from lskd.errors import UserError
from lskd.marking import MarkStyle
from lskd.picture import load
from lskd.protocols import Panel, Text
from lskd.types import Image, Region

Fit = Literal["squash", "crop"]
FITS: tuple[Fit, ...] = ("squash", "crop")
STYLES: tuple[MarkStyle, ...] = ("release", "clear")
Extent = tuple[int, int]  # width and height in pixels


@dataclass(frozen=True, slots=True)
class View:
    """An image with regions drawn, in that order; copies of an image make one view."""

    image_id: str
    regions: tuple[Region, ...]
    image: Image = field(compare=False)


@dataclass(frozen=True, slots=True)
class Asked:
    """A text that is held against a view."""

    view: View
    text: Text


@dataclass(frozen=True)
class Sight:
    """How views are shown to a model.

    `size` gives the size to which a picture of some size is resized before it is marked, None for
    its own size; `crop` is the side of the square that is then cut from its middle, if any.
    """

    style: MarkStyle
    size: Callable[[Extent], Extent] | None
    resample: PIL.Image.Resampling
    crop: int | None
    pool: ThreadPoolExecutor

    def pictures(self, views: Sequence[View]) -> list[PIL.Image.Image]:
        """Return the marked RGB pictures; raises UserError for one that cannot be read."""
        return list(self.pool.map(self._picture, views))

    def _picture(self, view: View) -> PIL.Image.Image:
        pixels = load(view.image)
        target = pixels.size if self.size is None else self.size(pixels.size)
        seen = [region for region in view.regions if marking.visible(region, pixels.size)]
        scaled = [marking.resized(region, pixels.size, target) for region in seen]
        resized = pixels if target == pixels.size else pixels.resize(target, self.resample)
        marked = marking.mark(resized, scaled, self.style)
        return marked if self.crop is None else _middle(marked, self.crop)


def questions(panels: Sequence[Panel]) -> list[Asked]:
    """Return every text with its view, panel by panel."""
    return [
        Asked(View(panel.image.id, panel.regions, panel.image), text)
        for panel in panels
        for text in panel.texts
    ]


def answers(panels: Sequence[Panel], scores: Sequence[float]) -> list[tuple[float, ...]]:
    """Return the scores of `questions(panels)` as they belong to the panels."""
    waiting: Iterator[float] = iter(scores)
    return [tuple(next(waiting) for _ in panel.texts) for panel in panels]


def sight_of(image_processor: Any, style: MarkStyle, fit: Fit, workers: int) -> Sight:
    """Return how an image processor of transformers brings pictures to size.

    "squash" resizes to the model's square; "crop" resizes the shorter side and cuts the ends of the
    longer, as CLIP was trained, and with them what they show. A processor that takes any number of
    patches (SigLIP 2) keeps the shape of a picture. Raises UserError for settings that do not suit.
    """
    if fit not in FITS:
        raise UserError(f"fit = {fit!r}: known are {', '.join(FITS)}")
    resample = PIL.Image.Resampling(int(image_processor.resample))
    pool = pool_of(workers)
    if (patches := getattr(image_processor, "max_num_patches", None)) is not None:
        if fit == "crop":
            raise UserError('fit = "crop": this model sees pictures of any shape; leave fit out')
        return Sight(style, _patched(image_processor.patch_size, patches), resample, None, pool)
    width, height = square_of(image_processor)
    if fit == "squash":
        return Sight(style, lambda _: (width, height), resample, None, pool)
    if width != height:
        raise UserError(f'fit = "crop": this model sees {width} x {height} pixels, no square')
    return Sight(style, lambda size: _shorter_side(size, width), resample, width, pool)


def own_size(style: MarkStyle, workers: int) -> Sight:
    """Return how pictures are shown to a processor that itself brings them to size."""
    return Sight(style, None, PIL.Image.Resampling.BICUBIC, None, pool_of(workers))


def square_of(image_processor: Any) -> Extent:
    """Return the size, (width, height), of what a model of one size sees.

    Raises UserError for a model that takes other sizes too.
    """
    crop = image_processor.crop_size if getattr(image_processor, "do_center_crop", False) else None
    size = dict(crop or image_processor.size or {})
    width, height = size.get("width"), size.get("height")
    if not width or not height:
        raise UserError(
            f"{type(image_processor).__name__} gives no one size of pictures: {size or 'none'}"
        )
    return int(width), int(height)


def pool_of(workers: int) -> ThreadPoolExecutor:
    """Return threads that read pictures; raises UserError for a number below 1."""
    if workers < 1:
        raise UserError(f"workers = {workers}: 1 is the least")
    return ThreadPoolExecutor(workers)


def style_of(name: str) -> MarkStyle:
    """Return a marking style by its name; raises UserError if there is none of it."""
    if name not in STYLES:
        raise UserError(f"marking = {name!r}: known are {', '.join(STYLES)}")
    return STYLES[STYLES.index(name)]


def _patched(patch: int, most: int) -> Callable[[Extent], Extent]:
    def size(own: Extent) -> Extent:
        # Only a model of this kind needs it, and with it transformers.
        from transformers.models.siglip2 import image_processing_pil_siglip2 as siglip2

        width, height = own
        counted: Any = siglip2.get_image_size_for_max_num_patches
        tall, wide = counted(height, width, patch, most)
        return wide, tall

    return size


def _shorter_side(size: Extent, side: int) -> Extent:
    """Return a size whose shorter side is `side`, the longer rounded down as transformers does."""
    width, height = size
    if width <= height:
        return side, int(side * height / width)
    return int(side * width / height), side


def _middle(picture: PIL.Image.Image, side: int) -> PIL.Image.Image:
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    return picture.crop((left, top, left + side, top + side))
