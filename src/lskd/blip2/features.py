"""What a frozen vision tower saw, on disk: for training with a fixed set of views.

```
<folder>/<encoder>/features   one block of (tokens, width) numbers after the other
<folder>/<encoder>/keys       16 bytes for each block: which view it is of
```

A view's key is a hash of its image, of its regions with their ids and shapes, and of their order.
The name `<encoder>` is a hash of the tower's weights, the image size, the marking style, the
precision of work and of storage, and lskd's version: another tower never meets these files. A key
is written after its block, so a kill loses what was not finished and nothing else.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from lskd import __version__
from lskd.blip2.stage1 import Backbone
from lskd.checkpoints.device import place
from lskd.errors import UserError
from lskd.storage.disk import held, plainly, write_at
from lskd.training import processes
from lskd.training.memory import guarded
from lskd.training.precision import named
from lskd.training.settings import Cached
from lskd.types import View

Storage = Literal["bf16", "float32"]
Features = Callable[[Sequence[View]], Tensor]

KEY = 16  # bytes
GB = 1_000_000_000
# Bfloat16 is unknown to numpy: its bits are kept as whole numbers.
_KINDS: Mapping[Storage, tuple[torch.dtype, np.dtype[Any]]] = {
    "bf16": (torch.bfloat16, np.dtype(np.uint16)),
    "float32": (torch.float32, np.dtype(np.float32)),
}


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a cache may become, in GB (10^9 bytes), and how many views are seen at once."""

    gigabytes: float
    views: int


class FeatureCache:
    """Features before `ln_vision` by view; several processes may read, one at a time fills."""

    def __init__(self, folder: Path, backbone: Backbone, note: str, storage: Storage) -> None:
        """Open the cache of a tower below `folder`; `note` is whatever else decides features."""
        size = backbone.vision.size
        self.folder = folder / f"{digest(backbone, f'{note} {storage} {__version__}')}"
        self.shape = size.tokens, size.width
        self.kind, self._stored = _KINDS[storage]
        self.bytes: int = size.tokens * size.width * self._stored.itemsize
        self._slots: dict[bytes, int] = {}
        self._blocks: np.memmap[Any, np.dtype[Any]] | None = None
        self._read_keys()

    def __len__(self) -> int:
        return len(self._slots)

    def __call__(self, views: Sequence[View]) -> Tensor:
        """Return features, (views, tokens, width), as they are stored.

        Raises UserError for a view that is not there.
        """
        try:
            slots = [self._slots[key(view)] for view in views]
        except KeyError as error:
            raise UserError(
                f"{self.folder} lacks a view that is trained on: remove it and run again"
            ) from error
        if self._blocks is None or len(self._blocks) < len(self._slots):
            self._blocks = np.memmap(
                self._features, self._stored, "r", shape=(len(self._slots), *self.shape)
            )
        return torch.from_numpy(np.array(self._blocks[slots])).view(self.kind)

    def fill(
        self,
        views: Callable[[], Iterable[View]],
        features: Features,
        limits: Limits,
        tell: Callable[[str], None],
    ) -> None:
        """Add those of some views, which are asked for twice, that are not there.

        What it will take is told before anything is made. Raises UserError if that is more than
        the limit or the disk allows, and if the disk becomes full.
        """
        more = len({name for view in views() if (name := key(view)) not in self._slots})
        tell(
            f"features of {len(self) + more} views take {self.gigabytes(more):.3g} GB in "
            f"{self.folder}; {more} views are to be seen"
        )
        self._check_room(more, limits.gigabytes)
        if not more:
            return
        with held(self.folder, tell):
            self._read_keys()  # what another process has added until now
            waiting: dict[bytes, View] = {}
            for view in views():
                if (name := key(view)) not in self._slots:
                    waiting[name] = view
                if len(waiting) == limits.views:
                    self._append(waiting, features)
                    waiting = {}
            if waiting:
                self._append(waiting, features)

    def gigabytes(self, more: int = 0) -> float:
        """Return the size of the cache in GB (10^9 bytes), once `more` views are added."""
        return (len(self) + more) * self.bytes / GB

    @property
    def _features(self) -> Path:
        return self.folder / "features"

    @property
    def _keys(self) -> Path:
        return self.folder / "keys"

    def _read_keys(self) -> None:
        if not self._keys.exists():
            return
        data = self._keys.read_bytes()
        count = min(len(data) // KEY, self._features.stat().st_size // self.bytes)
        self._slots = {data[n * KEY : (n + 1) * KEY]: n for n in range(count)}

    def _check_room(self, more: int, most: float) -> None:
        if self.gigabytes(more) > most:
            raise UserError(
                f"the features of {len(self) + more} views take {self.gigabytes(more):.3g} GB, "
                f"more than cache_gb = {most:g}: raise it, lower views, or set views to 'fresh'"
            )
        with plainly(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self.folder).free
        if more * self.bytes > free:
            raise UserError(
                f"the features of {more} views take {more * self.bytes / GB:.3g} GB, but "
                f"{self.folder} has room for {free / GB:.3g}: choose another cache folder, or "
                "lower views"
            )

    def _append(self, waiting: Mapping[bytes, View], features: Features) -> None:
        """Write blocks, and then the keys that say that they are there."""
        seen = features(list(waiting.values()))
        numbers = seen.detach().to("cpu", self.kind).contiguous()
        bits = numbers.view(torch.uint16) if self.kind == torch.bfloat16 else numbers
        start = len(self._slots)
        write_at(self._features, start * self.bytes, bits.numpy().tobytes())
        write_at(self._keys, start * KEY, b"".join(waiting))
        self._slots.update({name: start + n for n, name in enumerate(waiting)})


def filled(
    backbone: Backbone,
    views: Callable[[], Iterable[View]],
    pixels: Features,
    settings: Cached,
    folder: Path,
    tell: Callable[[str], None],
) -> FeatureCache:
    """Return a cache that has what a frozen tower sees of all views; the backbone is then in place.

    Of several processes the first looks, of each machine where they share no disk, and the others
    wait for it. `pixels` returns (views, 3, side, side), normalised, for some views; features lie
    in `folder` unless the settings say otherwise. Raises UserError as `FeatureCache.fill` does, and
    for too little memory.
    """
    with processes.first_of_machine(folder):
        precision = named(settings.precision, place())
        note = f"{settings.marking} {precision}"
        cache = FeatureCache(settings.cached_in(folder), backbone, note, settings.storage)

        def features(some: Sequence[View]) -> Tensor:
            device = backbone.ln_vision.weight.device
            with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
                return backbone.features(pixels(some).to(device))

        backbone.to(place())
        limits = Limits(settings.cache_gb, settings.cache_batch)
        with guarded("while views are seen", f"lower cache_batch ({settings.cache_batch})"):
            cache.fill(views, features, limits, tell)
    return cache


def key(view: View) -> bytes:
    """Return what tells a view from others under one encoder: 16 bytes."""
    drawn = [(region.id, tuple(map(float, region.box)), region.polygons) for region in view.regions]
    said = repr((view.image.id, drawn)).encode()
    return hashlib.blake2b(said, digest_size=KEY).digest()


def digest(backbone: Backbone, note: str) -> str:
    """Return a hash of a vision tower's weights and size, and of `note`."""
    total = hashlib.blake2b(f"{backbone.vision.size} {note}".encode(), digest_size=12)
    for name, tensor in sorted(backbone.vision.state_dict().items()):
        total.update(name.encode())
        flat = tensor.detach().cpu().contiguous().flatten()
        total.update(memoryview(flat.view(torch.uint8).numpy()))
    return total.hexdigest()
