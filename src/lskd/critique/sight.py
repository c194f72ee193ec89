"""Views become pixels: pictures are read, resized and marked by several threads."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import PIL.Image
import torch
from torch import Tensor

from lskd.blip2.pixels import view_pixels
from lskd.critique.view import Look
from lskd.types import View


class Sight:
    """Makes what a critic sees; `load` returns the upright RGB picture of a view."""

    def __init__(
        self, look: Look, load: Callable[[View], PIL.Image.Image], pool: ThreadPoolExecutor
    ) -> None:
        self.look = look
        self.load = load
        self.pool = pool

    def __call__(self, views: Sequence[View]) -> Tensor:
        """Return pixels, (views, 3, side, side), float32, normalised.

        Raises UserError for a picture that cannot be read.
        """
        return torch.stack(list(self.pool.map(self._pixels, views)))

    def _pixels(self, view: View) -> Tensor:
        return view_pixels(self.load(view), view.regions, self.look.marking, self.look.image)
