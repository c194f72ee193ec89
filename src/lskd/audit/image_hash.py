"""A picture becomes two codes of 64 bits for each of its windows.

A window is what is left of a picture when a margin is cut off each side, so the codes of one
picture hold those of its crops: whoever compares one picture's whole with the other's windows finds
a crop as easily as a copy of another size. The first code is made of the signs of the lowest
frequencies (a perceptual hash), the second of the signs of steps between blocks; they err on
different pictures.
"""

import io
import itertools
from dataclasses import dataclass

import numpy as np
import PIL.Image
import PIL.ImageOps
from numpy.typing import NDArray

from lskd.picture import decode

Floats = NDArray[np.float32]
Codes = NDArray[np.uint64]

SIDE = 128  # pixels of the grey square that codes are made from
BITS = 8  # bits of a code across and down
# What a window leaves out at a side, as shares of it. A crop in between is at most 0.02 off.
MARGINS = (0.0, 0.04, 0.08, 0.12)
SPANS = tuple((margin, 1 - other) for margin, other in itertools.product(MARGINS, MARGINS))
WINDOWS = len(SPANS) ** 2  # the first is the whole picture
PLAIN = 2.0  # grey levels of deviation, below which codes are made of noise


@dataclass(frozen=True, slots=True)
class Hashes:
    """Two codes of each window of a picture, both (WINDOWS,), the whole picture first."""

    waves: Codes
    steps: Codes


def hashes(grey: Floats) -> Hashes:
    """Return the codes of a grey picture, (SIDE, SIDE).

    63 bits of `waves` are the signs of the cosines of up to 7 half-periods across and down, without
    the mean; 64 bits of `steps` tell where the means of 8 x 9 blocks grow from left to right.
    """
    waves = _windows(_COSINES, grey, _COSINES) > 0  # (WINDOWS, 8, 8)
    waves[:, 0, 0] = False
    means = _windows(_ROWS, grey, _COLUMNS)  # (WINDOWS, 8, 9)
    return Hashes(_packed(waves), _packed(np.diff(means, axis=2) > 0))


def grey_square(data: bytes) -> Floats:
    """Return the upright picture of an image file's bytes as a grey square, (SIDE, SIDE), 0 to 255.

    A JPEG is decoded at a fraction of its size, which is several times as fast. Raises what Pillow
    raises for data that it cannot read (OSError, SyntaxError, ValueError, DecompressionBombError).
    """
    with PIL.Image.open(io.BytesIO(data)) as opened:
        if opened.format == "JPEG":
            opened.draft("L", (2 * SIDE, 2 * SIDE))
            upright = PIL.ImageOps.exif_transpose(opened)
        else:
            upright = decode(data)
    small = upright.convert("L").resize((SIDE, SIDE), PIL.Image.Resampling.BILINEAR)
    return np.asarray(small, dtype=np.float32)


def is_plain(grey: Floats) -> bool:
    """Return whether a picture has too little in it to be told from others by its codes."""
    return bool(grey.std() < PLAIN)


def differing(one: Codes, other: Codes) -> NDArray[np.int64]:
    """Return in how many bits codes differ; shapes are as numpy broadcasts them."""
    halves = np.ascontiguousarray(one ^ other)[..., None].view(np.uint16)  # (..., 4)
    bits: NDArray[np.int64] = _ONES[halves].sum(axis=-1, dtype=np.int64)
    return bits


def _windows(down: Floats, grey: Floats, across: Floats) -> Floats:
    """Return `down` x grey x `across` of every window, (WINDOWS, rows, columns).

    `down` is (spans, rows, SIDE), `across` is (spans, columns, SIDE).
    """
    spans, rows, _ = down.shape
    columns = across.shape[1]
    product = down.reshape(-1, SIDE) @ grey @ across.reshape(-1, SIDE).T
    apart = product.reshape(spans, rows, spans, columns).transpose(0, 2, 1, 3)
    return np.asarray(apart.reshape(-1, rows, columns), dtype=np.float32)


def _packed(bits: NDArray[np.bool_]) -> Codes:
    """Return (windows, 8, 8) bits as (windows,) numbers."""
    octets = np.packbits(bits.reshape(len(bits), -1), axis=1)  # (windows, 8)
    return np.ascontiguousarray(octets).view(np.uint64)[:, 0]


def _within(start: float, end: float) -> NDArray[np.float64]:
    """Return where the edges of pixels lie in a span, (SIDE + 1,), 0 to 1."""
    return np.clip((np.arange(SIDE + 1) / SIDE - start) / (end - start), 0, 1)


def _cosines(start: float, end: float) -> NDArray[np.float64]:
    """Return the integrals over each pixel of cosines across a span, (BITS, SIDE)."""
    edges = _within(start, end)
    waves = [edges, *(np.sin(np.pi * k * edges) / (np.pi * k) for k in range(1, BITS))]
    return np.diff(np.array(waves), axis=1)


def _blocks(start: float, end: float, count: int) -> NDArray[np.float64]:
    """Return the share that each pixel has of each of `count` blocks of a span, (count, SIDE)."""
    edges = _within(start, end) * count
    return np.array([np.diff(np.clip(edges - block, 0, 1)) for block in range(count)])


_COSINES = np.array([_cosines(*span) for span in SPANS], dtype=np.float32)
_ROWS = np.array([_blocks(*span, BITS) for span in SPANS], dtype=np.float32)
_COLUMNS = np.array([_blocks(*span, BITS + 1) for span in SPANS], dtype=np.float32)
_ONES = np.array([number.bit_count() for number in range(1 << 16)], dtype=np.uint8)
