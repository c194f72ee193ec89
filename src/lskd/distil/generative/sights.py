"""What the frozen part of a writer saw, on disk: for training with a fixed set of views.

```
<folder>/<writer>/sights   the bytes of one sight after the other
<folder>/<writer>/index    for each: 16 bytes that say which view it is of, its start, its length
```

A view's key is that of `lskd.blip2.features`. The name `<writer>` is a hash of the model's line in
the run file, of its files, of the marking style and of the precision: another writer never meets
these files. An index entry is written after its sight, so a kill loses what was not finished and
nothing else.
"""

import os
import shutil
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lskd.blip2.features import GB, KEY, Limits, key
from lskd.errors import UserError
from lskd.storage.disk import held, plainly, write_at
from lskd.types import View
from lskd.writing.writer import Sight, unpacked

ENTRY = struct.Struct(f"<{KEY}sQQ")

Look = Callable[[Sequence[View]], Sequence[Sight]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sight lies in the file, in bytes."""

    start: int
    length: int


class SightCache:
    """Sights by view; several processes may read, one at a time fills."""

    def __init__(self, folder: Path) -> None:
        """Open the cache in a folder, which is one writer's."""
        self.folder = folder
        self._places: dict[bytes, Place] = {}
        self._end = 0  # of what is kept, in bytes
        self._read_index()

    def __len__(self) -> int:
        return len(self._places)

    def __call__(self, views: Sequence[View]) -> list[Sight]:
        """Return the sights of views, on the processor.

        Raises UserError for one that is not there.
        """
        with plainly(self._sights), self._sights.open("rb") as file:
            return [unpacked(self._bytes(file.fileno(), view)) for view in views]

    def fill(
        self,
        views: Callable[[], Iterable[View]],
        look: Look,
        limits: Limits,
        tell: Callable[[str], None],
    ) -> None:
        """Add those of some views, which are asked for twice, that are not there.

        What it will take is told, from the size of the first ones, before most are made. Raises
        UserError if that is more than the limit or the disk allows, and if the disk becomes full.
        """
        more = len({name for view in views() if (name := key(view)) not in self._places})
        if not more:
            tell(f"all {len(self)} views were seen before, see {self.folder}")
            return
        with plainly(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        with held(self.folder, tell):
            self._read_index()  # what another process has added until now
            foreseen = False
            for waiting in self._missing(views(), limits.views):
                packed = [sight.packed() for sight in look(list(waiting.values()))]
                if not foreseen:
                    self._foresee(sum(map(len, packed)) / len(packed), more, limits, tell)
                    foreseen = True
                self._add(list(waiting), packed, limits)

    @property
    def _sights(self) -> Path:
        return self.folder / "sights"

    @property
    def _index(self) -> Path:
        return self.folder / "index"

    def _read_index(self) -> None:
        if not self._index.exists():
            return
        data, size = self._index.read_bytes(), self._sights.stat().st_size
        whole = len(data) // ENTRY.size * ENTRY.size
        for name, start, length in ENTRY.iter_unpack(data[:whole]):
            if start + length > size:
                break
            self._places[name] = Place(start, length)
            self._end = start + length

    def _bytes(self, file: int, view: View) -> bytes:
        place = self._places.get(key(view))
        if place is None:
            raise UserError(
                f"{self.folder} lacks a view that is trained on: remove it and run again"
            )
        return os.pread(file, place.length, place.start)

    def _missing(self, views: Iterable[View], most: int) -> Iterator[dict[bytes, View]]:
        """Yield the views that are not there, each once, `most` at a time."""
        waiting: dict[bytes, View] = {}
        for view in views:
            if (name := key(view)) not in self._places:
                waiting[name] = view
            if len(waiting) == most:
                yield waiting
                waiting = {}
        if waiting:
            yield waiting

    def _add(self, names: Sequence[bytes], packed: Sequence[bytes], limits: Limits) -> None:
        """Write sights, and then the entries that say that they are there."""
        start = self._end
        if (size := start + sum(map(len, packed))) > limits.gigabytes * GB:
            raise UserError(_too_large(size, limits))
        write_at(self._sights, start, b"".join(packed))
        entries = []
        for name, data in zip(names, packed, strict=True):
            entries.append(ENTRY.pack(name, start, len(data)))
            start += len(data)
        write_at(self._index, len(self._places) * ENTRY.size, b"".join(entries))
        self._places |= {name: Place(at, many) for name, at, many in map(ENTRY.unpack, entries)}
        self._end = start

    def _foresee(self, each: float, more: int, limits: Limits, tell: Callable[[str], None]) -> None:
        """Tell how much room `more` sights will take; refuse what there is no room for."""
        size = each * more
        tell(
            f"what is seen of {more} views will take about {size / GB:.3g} GB in {self.folder}; "
            f"{len(self)} are there"
        )
        if self._end + size > limits.gigabytes * GB:
            raise UserError(_too_large(self._end + size, limits))
        with plainly(self.folder):
            free = shutil.disk_usage(self.folder).free
        if size > free:
            raise UserError(
                f"what is seen of {more} views takes about {size / GB:.3g} GB, but {self.folder} "
                f"has room for {free / GB:.3g}: choose another cache folder, or lower views"
            )


def _too_large(size: float, limits: Limits) -> str:
    return (
        f"what is seen of all views takes about {size / GB:.3g} GB, more than cache_gb = "
        f"{limits.gigabytes:g}: raise it, lower views, or set views to 'fresh'"
    )
