"""What the Q-Former's cross-attention knows of views, and which view each row looks at."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

Seen = tuple[Tensor, Tensor]  # keys and values, both (views, heads, tokens, width / heads)


@dataclass(frozen=True, slots=True)
class Seats:
    """Which view each row looks at, where not all views have equally many rows.

    Row r sits at `of`[r], (rows,) int64, of views * `each` seats; seats of one view follow each
    other, and some stay empty. So keys and values need not be repeated for each row: only queries
    are moved, which are few.
    """

    of: Tensor
    each: int


@dataclass(frozen=True, slots=True)
class Memory:
    """What the cross-attention of each layer that has one knows of some views.

    Rows look at it in the order of the views, equally many at each, or as `seats` tells.
    """

    layers: Mapping[int, Seen]
    seats: Seats | None = None

    @property
    def views(self) -> int:
        """Return the number of views."""
        return next(iter(self.layers.values()))[0].shape[0]

    @property
    def device(self) -> torch.device:
        """Return where the memory lies."""
        return next(iter(self.layers.values()))[0].device

    def seen_by(self, rows: Tensor) -> "Memory":
        """Return the memory for rows of which each looks at a view, (rows,) int64."""
        counts = torch.bincount(rows, minlength=self.views)
        order = rows.argsort(stable=True)
        first = counts.cumsum(0) - counts  # where the rows of each view begin in that order
        place = torch.empty_like(rows)
        place[order] = torch.arange(len(rows), device=rows.device) - first[rows[order]]
        each = int(counts.max())
        return replace(self, seats=Seats(rows * each + place, each))

    def join(self, other: "Memory") -> "Memory":
        """Return these views, and then those of another memory; nobody looks at them yet."""
        return Memory(
            {
                n: (torch.cat([keys, other.layers[n][0]]), torch.cat([values, other.layers[n][1]]))
                for n, (keys, values) in self.layers.items()
            }
        )
