"""CLIPScore: how a text fits what a picture shows, by a CLIP, without what people said.

Of a place, CLIP sees what is in the box: a text about one thing is held against that thing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import PIL.Image
import torch

from lskd.types import Box
from lskd.verbalize.dual_encoder import DualEncoder

WEIGHT = 2.5  # Hessel et al., EMNLP 2021, as the template
TEMPLATE = "A photo depicts {}"


@dataclass(frozen=True, slots=True)
class Fit:
    """How a text fits: `alone`, and `with_references`, which is also how it agrees with those."""

    alone: float
    with_references: float


class ClipScore:
    """A CLIP that tells how texts fit pictures."""

    def __init__(self, checkpoint: str, device: str = "auto") -> None:
        """Load the weights; raises UserError for a checkpoint that cannot be used."""
        self.encoder = DualEncoder(checkpoint, template=TEMPLATE, device=device)

    def fits(
        self,
        pictures: Sequence[PIL.Image.Image],
        written: Sequence[str],
        references: Sequence[Sequence[str]],
    ) -> list[Fit]:
        """Return CLIPScore and RefCLIPScore of each text; the first is 0 to 2.5."""
        if not pictures:
            return []
        seen = self.encoder.image_features(pictures)
        told = self.encoder.text_features(written)
        alone = WEIGHT * (seen * told).sum(dim=1).clamp(min=0)
        said = self.encoder.text_features([text for texts in references for text in texts])
        each = torch.split(said, [len(texts) for texts in references])
        fits = []
        for number, some in enumerate(each):
            agrees = (some @ told[number]).clamp(min=0).max()
            both = torch.stack([alone[number], agrees])
            mean = 2 * both.prod() / both.sum() if both.sum() > 0 else both.sum()
            fits.append(Fit(float(alone[number]), float(mean)))
        return fits


def cut_out(pixels: PIL.Image.Image, box: Box | None) -> PIL.Image.Image:
    """Return the part of a picture that a box shows, at least a pixel wide and high."""
    if box is None:
        return pixels
    x0, y0 = min(int(box.x0), pixels.width - 1), min(int(box.y0), pixels.height - 1)
    x1, y1 = max(x0 + 1, round(box.x1)), max(y0 + 1, round(box.y1))
    return pixels.crop((x0, y0, min(x1, pixels.width), min(y1, pixels.height)))
