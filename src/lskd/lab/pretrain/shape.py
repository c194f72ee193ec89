"""The size of the lab's models."""

from lskd.blip2.size import QFormerSize, Size, VisionSize
from lskd.lab.drawing import SIDE
from lskd.lab.pretrain.frames import PATCH


def size(words: int) -> Size:
    """Return the size of the lab's models, for a vocabulary of so many words, [DEC] included."""
    return Size(
        VisionSize("eva", SIDE, PATCH, width=128, depth=4, heads=4, mlp=384),
        QFormerSize(
            width=128,
            depth=3,
            heads=4,
            mlp=256,
            queries=8,
            vocabulary=words,
            positions=64,
            cross_every=1,
        ),
        embedding=64,
    )
