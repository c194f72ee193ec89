"""Codes of many pictures are kept so that those near to another picture's are found fast.

A code of 64 bits is cut into four bands of 16. Two codes that differ in at most 7 bits have a band
in which they differ in at most one, so 17 looks into the table of each band find every such code,
and nearly all others are never touched.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lskd.audit.image_hash import WINDOWS, Codes, Hashes, differing

BANDS = 4
REACH = 7  # bits of 63 by which the waves of one photograph may differ
# Bits of all 127 by which two pictures may differ and still be one. Measured at half and double
# size, as JPEG of quality 30, cut by 5 to 10 % at each side, and with all of this together
# (tests/audit/test_audit_image.py repeats it on fewer): of 570 changed photographs all are found,
# the farthest at 15 bits; of 3,000 changed made pictures all, the farthest at 17. No other picture
# is found in their place: the nearest two of 38 photographs differ in 32 bits, of 300 made pictures
# (22,350 pairs) in 25. Cut by 12 % at each side all are found, by 13 % 95 %, by 15 % 40 %.
LIMIT = 20
ALL_BITS = 127
_FLIPS = np.array([0, *(1 << bit for bit in range(16))], dtype=np.uint16)

Ints = NDArray[np.int64]


class CodeTable:
    """Codes that can be asked which of them are near to others."""

    def __init__(self, codes: Codes) -> None:
        """Sort the codes, (n,), by each band; takes about 24 bytes a code."""
        self.codes = codes
        self._order: list[NDArray[np.uint32]] = []
        self._starts: list[Ints] = []
        for keys in _bands(codes).T:
            self._order.append(np.argsort(keys, kind="stable").astype(np.uint32))
            counts = np.bincount(keys, minlength=1 << 16)
            self._starts.append(np.concatenate([[0], np.cumsum(counts)]))

    def near(self, asked: Codes) -> tuple[Ints, Ints, Ints]:
        """Return all pairs that differ in at most REACH bits: places in `asked`, ours, and bits."""
        rows: list[Ints] = []
        ours: list[Ints] = []
        for band, keys in enumerate(_bands(asked).T):
            probes = (keys[:, None] ^ _FLIPS[None]).astype(np.int64).ravel()
            starts = self._starts[band][probes]
            counts = self._starts[band][probes + 1] - starts
            probe = np.repeat(np.arange(len(probes)), counts)
            # The n-th hit of a probe lies n places behind its start.
            first = np.repeat(np.cumsum(counts) - counts, counts)
            places = starts[probe] + np.arange(len(probe)) - first
            rows.append(probe // len(_FLIPS))
            ours.append(self._order[band][places].astype(np.int64))
        row, own = np.concatenate(rows), np.concatenate(ours)
        bits = differing(asked[row], self.codes[own])
        near = bits <= REACH
        return row[near], own[near], bits[near]


class Gallery:
    """Pictures, by number, that can be asked which of them show what another picture shows."""

    def __init__(self, pictures: Sequence[Hashes]) -> None:
        """Take the codes of all pictures; about 10 kB a picture stay in memory."""
        self._steps = _joined([one.steps for one in pictures])
        waves = _joined([one.waves for one in pictures])
        self._windows = CodeTable(waves)
        self._wholes = CodeTable(waves[::WINDOWS])

    def same(self, picture: Hashes) -> dict[int, float]:
        """Return the pictures that are nearly this one, whole or cut, with their distance.

        The distance is the share of bits that differ, 0 to LIMIT / ALL_BITS; the least of all
        windows counts.
        """
        _, ours, waves = self._windows.near(picture.waves[:1])
        steps = differing(self._steps[ours], picture.steps[0])
        rows, wholes, others = self._wholes.near(picture.waves)
        steps_too = differing(self._steps[wholes * WINDOWS], picture.steps[rows])
        numbers = np.concatenate([ours // WINDOWS, wholes])
        bits = np.concatenate([waves + steps, others + steps_too])
        found: dict[int, float] = {}
        for number, count in zip(numbers.tolist(), bits.tolist(), strict=True):
            if count <= LIMIT:
                found[number] = min(found.get(number, 1.0), count / ALL_BITS)
        return found


def _joined(codes: Sequence[Codes]) -> Codes:
    return np.concatenate(codes) if codes else np.zeros(0, dtype=np.uint64)


def _bands(codes: Codes) -> NDArray[np.uint16]:
    """Return the bands of codes, (n, BANDS)."""
    return np.ascontiguousarray(codes)[:, None].view(np.uint16)
