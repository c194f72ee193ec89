"""What decides the rows of a stage, so that a folder never mixes two settings."""

import functools
import hashlib
import importlib.metadata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from lskd.stage import Model, parts_of

SMALL = 1 << 20


def file_digest(file: Path) -> str:
    """Return a hash of a file's content, or of its name and size alone if it is large (weights)."""
    size = file.stat().st_size
    text = file.read_bytes() if size <= SMALL else f"{file.name} {size}".encode()
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def all_models(settings: BaseModel) -> list[Model]:
    """Return the models that settings name, and those that these are made of."""
    values = [getattr(settings, name) for name in type(settings).model_fields]
    queue = [value for value in values if isinstance(value, Model)]
    for model in queue:
        queue.extend(part for _, part in parts_of(model.keys))
    return queue


def checkpoints(settings: BaseModel) -> Iterator[tuple[str, str]]:
    """Yield each local folder that a model of `settings` names, with a digest of its files.

    Hub names carry their own `revision` in the settings. Weight files are told apart by size.
    """
    for model in all_models(settings):
        for key, value in model.keys.items():
            if isinstance(value, str) and key in ("checkpoint", "weights") and Path(value).exists():
                path = Path(value)
                files = (
                    sorted(f for f in path.rglob("*") if f.is_file()) if path.is_dir() else [path]
                )
                joined = " ".join(f"{file.name}:{file_digest(file)}" for file in files)
                yield f"{key}={value}", hashlib.blake2b(joined.encode(), digest_size=8).hexdigest()


def difference(told: Mapping[str, Any], now: Mapping[str, Any], path: str = "") -> str:
    """Return the first few values that differ, as "threshold: 0.8, now 0.5"."""
    found = []
    for key in sorted({*told, *now}):
        was, wanted = told.get(key), now.get(key)
        if was == wanted:
            continue
        if isinstance(was, dict) and isinstance(wanted, dict):
            found.append(difference(was, wanted, f"{path}{key}."))
        else:
            found.append(f"{path}{key}: {was!r}, now {wanted!r}".replace("settings.", ""))
    return "; ".join(found[:3]) if found else "an earlier stage's"


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions of this package and of the libraries that can change a number."""
    known = ["lskd"]
    for name in ("numpy", "pillow", "torch", "transformers", "opencv-contrib-python-headless"):
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        known.append(name)
    return {name: importlib.metadata.version(name) for name in known}
