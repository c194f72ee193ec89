"""A picture and its regions become the pixels that a model sees.

The order matters: resize, scale the regions alike, draw them, and only then turn pixels to numbers.
So marks keep their width and no mark is cut or blurred by a resize.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import PIL.Image
import torch
from torch import Tensor

from lskd import marking, picture
from lskd.types import Region, View

# Mean and spread of CLIP's training pixels, RGB in [0, 1]: what LAVIS normalises with.
MEAN = (0.48145466, 0.4578275, 0.40821073)
SPREAD = (0.26862954, 0.26130258, 0.27577711)


def view_picture(
    pixels: PIL.Image.Image, regions: Sequence[Region], style: marking.MarkStyle, size: int
) -> PIL.Image.Image:
    """Return the RGB picture of `size` x `size` that a model sees, with its regions drawn.

    `pixels` is the upright picture, whose frame the regions are in. Its shape is not kept: the
    paper's models see a plain resize (480 pixels, section 3). Regions of which nothing is visible
    are left out.
    """
    square = pixels.convert("RGB").resize((size, size), PIL.Image.Resampling.BICUBIC)
    seen = [region for region in regions if marking.visible(region, pixels.size)]
    scaled = [marking.resized(region, pixels.size, square.size) for region in seen]
    return marking.mark(square, scaled, style)


def view_pixels(
    pixels: PIL.Image.Image, regions: Sequence[Region], style: marking.MarkStyle, size: int
) -> Tensor:
    """Return a view as a model takes it, (3, size, size), float32, normalised.

    See `view_picture`.
    """
    return normalised(view_picture(pixels, regions, style, size))


def normalised(pixels: PIL.Image.Image) -> Tensor:
    """Return an RGB picture as (3, height, width), float32, normalised as for CLIP."""
    values = torch.from_numpy(np.array(pixels, dtype=np.float32))  # (height, width, 3)
    normal = (values / 255 - torch.tensor(MEAN)) / torch.tensor(SPREAD)
    return normal.permute(2, 0, 1).contiguous()


def loaded(view: View) -> PIL.Image.Image:
    """Return the upright RGB picture of a view; raises UserError for one that cannot be read."""
    return picture.load(view.image)


@dataclass(frozen=True, slots=True)
class Eye:
    """Makes pixels of views by the threads of `pool`; `load` returns a view's upright picture."""

    style: marking.MarkStyle
    side: int
    pool: ThreadPoolExecutor
    load: Callable[[View], PIL.Image.Image] = loaded

    def __call__(self, views: Sequence[View]) -> Tensor:
        """Return pixels, (views, 3, side, side), float32, normalised.

        Raises UserError for a picture that cannot be read.
        """
        return torch.stack(list(self.pool.map(self._pixels, views)))

    def _pixels(self, view: View) -> Tensor:
        return view_pixels(self.load(view), view.regions, self.style, self.side)
