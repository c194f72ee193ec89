"""Regions become counts: how many an image has, what they are, how large, where they lie."""

from collections.abc import Mapping, Sequence

import numpy as np

from lskd.report.sketch import Histogram, Tally, Wholes
from lskd.report.statistics import Places
from lskd.types import Box, Image, Regions

HEAT = (32, 24)  # columns and rows of the map of where regions lie
AREAS = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
LABELS = 8


class PlaceCount:
    """Counts regions: how many an image has, what they are, where they lie."""

    def __init__(self) -> None:
        self.per_image = Wholes()
        self.labels = Tally()
        self.areas = Histogram(AREAS)
        self.unplaced = 0
        # Corners of boxes; the sums along both axes are the counts of the boxes between them.
        self.corners = np.zeros((HEAT[1] + 1, HEAT[0] + 1), dtype=np.int64)

    def add(self, rows: Sequence[Regions], images: Mapping[str, Image]) -> None:
        """Add the regions of a shard."""
        self.per_image.add(len(row.regions) for row in rows)
        for row in rows:
            for region in row.regions:
                self.labels.add(region.label or "no label")
            if row.image_id in images:
                self._place([region.box for region in row.regions], images[row.image_id])
            else:
                self.unplaced += len(row.regions)

    def _place(self, boxes: Sequence[Box], image: Image) -> None:
        self.areas.add([box.area / (image.width * image.height) for box in boxes])
        for box in boxes:
            left, right = cells(box.x0, box.x1, image.width, HEAT[0])
            top, bottom = cells(box.y0, box.y1, image.height, HEAT[1])
            self.corners[top, left] += 1
            self.corners[top, right] -= 1
            self.corners[bottom, left] -= 1
            self.corners[bottom, right] += 1

    def result(self) -> Places:
        """Return what was counted."""
        heat = self.corners.cumsum(axis=0).cumsum(axis=1)[:-1, :-1]
        return Places(
            regions=self.labels.total,
            per_image=self.per_image.spread(),
            labels=self.labels.most(LABELS),
            heat=tuple(tuple(row) for row in heat.tolist()),
            areas=self.areas.bins(),
            unplaced=self.unplaced,
        )


def cells(start: float, end: float, size: int, count: int) -> tuple[int, int]:
    """Return the first of `count` cells, and that after the last, with middles in [start, end).

    The cells divide `size` pixels. If there are none, it is the cell where the interval's own
    middle lies.
    """
    edges = (int(np.ceil(edge * count / size - 0.5)) for edge in (start, end))
    first, last = (min(count, max(0, edge)) for edge in edges)
    if first < last:
        return first, last
    middle = min(count - 1, max(0, int((start + end) / 2 * count / size)))
    return middle, middle + 1
