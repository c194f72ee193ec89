"""The sizes of a stage-1 model, and those that were published."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

Attention = Literal["sdpa", "eager"]


@dataclass(frozen=True, slots=True)
class VisionSize:
    """A vision tower. `image` and `patch` are sides in pixels; `mlp` is the inner width.

    "eva" is the ViT of EVA (as LAVIS' eva_vit), "clip" that of CLIP without its last block.
    """

    kind: Literal["eva", "clip"]
    image: int
    patch: int
    width: int
    depth: int
    heads: int
    mlp: int

    @property
    def tokens(self) -> int:
        """Return the number of tokens: whole patches and one class token."""
        return (self.image // self.patch) ** 2 + 1


@dataclass(frozen=True, slots=True)
class QFormerSize:
    """A Q-Former: a BERT whose every `cross_every`-th layer, from the first, looks at the image.

    `vocabulary` counts [DEC], `positions` is the longest text in tokens.
    """

    width: int = 768
    depth: int = 12
    heads: int = 12
    mlp: int = 3072
    queries: int = 32
    vocabulary: int = 30523
    positions: int = 512
    cross_every: int = 2

    @property
    def cross_layers(self) -> tuple[int, ...]:
        """Return the layers that have cross-attention."""
        return tuple(range(0, self.depth, self.cross_every))


@dataclass(frozen=True, slots=True)
class Size:
    """A whole model; `embedding` is the width in which images and texts are compared."""

    vision: VisionSize
    qformer: QFormerSize
    embedding: int = 256


def vit_g(image: int = 480) -> Size:
    """Return the size of BLIP-2 with EVA ViT-g, as the paper uses it (480 pixels, section 3)."""
    return Size(VisionSize("eva", image, 14, 1408, 39, 16, 6144), QFormerSize())


def vit_l(image: int = 480) -> Size:
    """Return the size of LAVIS' smaller BLIP-2, with CLIP ViT-L and 23 of its 24 blocks."""
    return Size(VisionSize("clip", image, 14, 1024, 23, 16, 4096), QFormerSize())


SIZES: Final[Mapping[str, Callable[[int], Size]]] = {"vit_g": vit_g, "vit_l": vit_l}
