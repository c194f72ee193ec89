"""Captions by number, kept as Arrow columns, and which of them are chosen.

In: the columns of a corpus' captions, and numbers of some. Out: these captions one by one, or fewer
of them by what is asked of all at once.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lskd import table
from lskd.corpora.captions.caption import Caption
from lskd.types import Box
from lskd.writing.pointing import Canvas


class Places:
    """Some captions of a corpus, by number; as columns they take a tenth of records' memory."""

    def __init__(self, columns: pa.Table, numbers: NDArray[np.int64]) -> None:
        self._columns = columns
        self._numbers = numbers
        self._convert = table.converter(Caption)

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, number: int) -> Caption:
        """Return a caption."""
        row = self._columns.slice(int(self._numbers[number]), 1).to_pylist()[0]
        caption: Caption = self._convert(row)
        return caption

    def wider(self, least: float, canvas: Canvas) -> "Places":
        """Return those whose box is at least `least` pixels wide and high on a writer's canvas."""
        rows = self._columns.take(pa.array(self._numbers))
        images, boxes = rows["image"], rows["box"]
        sides = [_numbers(images, side) for side in ("width", "height")]
        corners = [_numbers(boxes, corner) for corner in Box._fields]
        sizes, which = np.unique(np.stack(sides, axis=1), axis=0, return_inverse=True)
        seen = np.array([canvas(int(w), int(h)) for w, h in sizes]).reshape(-1, 2)
        scale = (seen / sizes)[which.reshape(-1)]  # (places, 2)
        across = (corners[2] - corners[0]) * scale[:, 0]
        down = (corners[3] - corners[1]) * scale[:, 1]
        # What has no box is the whole picture: its corners are NaN, and it is kept.
        return Places(self._columns, self._numbers[~(np.minimum(across, down) < least)])

    def without(self, numbers: Sequence[int]) -> "Places":
        """Return all but those of some numbers."""
        return Places(self._columns, np.delete(self._numbers, list(numbers)))

    def longest_first(self) -> Iterator[int]:
        """Yield the number of each caption, by the letters of its longest text."""
        texts = self._columns["texts"].take(pa.array(self._numbers)).combine_chunks()
        letters = pc.utf8_length(texts.flatten()).to_numpy(zero_copy_only=False)
        owners = pc.list_parent_indices(texts).to_numpy(zero_copy_only=False)
        most = np.zeros(len(self._numbers), dtype=np.int64)
        np.maximum.at(most, owners, letters)
        yield from np.argsort(-most, kind="stable").tolist()


def _numbers(records: pa.ChunkedArray, name: str) -> NDArray[np.float64]:
    """Return a field of records, NaN where there is no record."""
    field = pc.struct_field(records, name).cast(pa.float64())
    return np.asarray(field.to_numpy(zero_copy_only=False), dtype=np.float64)
