"""What decides the rows of a stage, so that a folder never mixes two settings."""

import functools
import hashlib
import importlib.metadata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from lskd.errors import UserError
from lskd.presence import is_here
from lskd.stage import (
    WEIGHTS,
    Model,
    Ordered,
    Section,
    WithoutEffect,
    at_places,
    models_of,
    named,
    parts_of,
)
from lskd.storage.address import located, url_of
from lskd.storage.mirror import LIST, brought

SMALL = 1 << 26  # bytes, a tenth of a second; what is larger is weights

CARD = "README.md"  # what a card tells of a folder of weights decides nothing


def file_digest(file: Path) -> str:
    """Return a hash of a file's content, or of its name and size alone if it is large (weights)."""
    size = file.stat().st_size
    text = file.read_bytes() if size <= SMALL else f"{file.name} {size}".encode()
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def effective(settings: BaseModel) -> dict[str, Any]:
    """Return settings as JSON, without those that change no row."""
    return _told(settings, effective_model)


def same_rows(ours: BaseModel, theirs: BaseModel) -> bool:
    """Return whether what is `effective` of two sections is equal.

    Only classes on whose keys that hangs are imported: seconds, where they hold weights.
    """

    def as_it_is(model: Model) -> Model:
        return model

    return _alike_value(_told(ours, as_it_is), _told(theirs, as_it_is))


def _told(settings: BaseModel, told: Callable[[Model], object]) -> dict[str, Any]:
    """Return settings as JSON, without those that change no row; models as `told` tells them."""
    found: dict[str, Any] = {}
    for name, field in type(settings).model_fields.items():
        if any(isinstance(mark, WithoutEffect) for mark in field.metadata):
            continue
        value = getattr(settings, name)
        plain = settings.model_dump(mode="json", include={name})[name]
        found[name] = _told_value(value, plain, told)
        # Only where it is not that of the names, so that what was made before this was told counts.
        if any(isinstance(mark, Ordered) for mark in field.metadata) and [*value] != sorted(value):
            found[f"order of {name}"] = [*value]
    return found


def _told_value(value: Any, plain: Any, told: Callable[[Model], object]) -> Any:
    """Return a setting as JSON; `plain` is how it would be written with all that it has."""
    if isinstance(value, Model):
        return told(value)
    if isinstance(value, Section):
        return _told(value, told)
    if isinstance(value, Mapping):
        return {str(key): _told_value(part, plain[key], told) for key, part in value.items()}
    return plain


def _alike_value(ours: Any, theirs: Any) -> bool:
    """Return whether two settings, whose models are as they are, say the same."""
    if isinstance(ours, Model) and isinstance(theirs, Model):
        return _alike_models(ours, theirs)
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        same = ours.keys() == theirs.keys()
        return same and all(_alike_value(value, theirs[key]) for key, value in ours.items())
    return bool(ours == theirs)


def _alike_models(ours: Model, theirs: Model) -> bool:
    """Return whether two models say the same."""
    if ours.use != theirs.use:
        return False
    there, other = dict(parts_of(ours.keys)), dict(parts_of(theirs.keys))
    apart = {
        key
        for key in {**ours.keys, **theirs.keys}
        if (key in ours.keys, ours.keys.get(key)) != (key in theirs.keys, theirs.keys.get(key))
        and not (key in there and key in other and _alike_models(there[key], other[key]))
    }
    if not apart or (ours.use.startswith("lskd.") and apart & WEIGHTS):
        return not apart
    return apart <= idle(ours.use)


def effective_model(model: Model) -> dict[str, Any]:
    """Return a model's keys without those that change nothing that it says."""
    without = idle(model.use)
    keys = {key: value for key, value in model.keys.items() if key not in without}
    keys |= {key: effective_model(part) for key, part in parts_of(keys)}
    return {"use": model.use, **keys}


def idle(use: str) -> frozenset[str]:
    """Return the keys that change nothing that a model of this class says."""
    try:
        found: frozenset[str] = getattr(named(use), "without_effect", frozenset())
    except UserError:
        # A parent's model may need what is not installed here; then all of its keys count.
        found = frozenset()
    return found


def all_models(settings: BaseModel) -> list[Model]:
    """Return the models that settings name, and those that these are made of."""
    queue = [model for _, _, model in models_of(settings)]
    for model in queue:
        queue.extend(part for _, part in parts_of(model.keys))
    return queue


def checkpoints(settings: BaseModel, but: Sequence[Path] = ()) -> Iterator[tuple[str, str]]:
    """Yield "key=name" and a digest of each file or folder that a model names.

    So an edited prompt, list of labels or checkpoint counts as another setting. Hub names carry
    their own `revision` in the settings. Weight files are told apart by name and size. A folder at
    a place is brought here. What lies in one of the folders `but` does not count.
    """
    for model in all_models(settings):
        named_there = [(key, url, located(url)) for key, url in at_places(model.keys)]
        for key, name, path in (*named_there, *_named_here(model)):
            if any(path.absolute().is_relative_to(folder.absolute()) for folder in but):
                continue
            yield f"{key}={name}", path_digest(path if url_of(path) is None else brought(name))


def _named_here(model: Model) -> Iterator[tuple[str, str, Path]]:
    """Yield the keys by which a model names files and folders on the disk, the names and paths."""
    for key, value in effective_model(model).items():
        for name in value if isinstance(value, list) else [value]:
            if key != "use" and isinstance(name, str) and is_here(name):
                yield key, name, Path(name)


def file_digests(files: Iterable[Path]) -> dict[str, str]:
    """Return the digest of each file by its name, that of a second "x.jsonl" by "x.jsonl (2)"."""
    found: dict[str, str] = {}
    seen = Counter[str]()
    for file in files:
        seen[file.name] += 1
        again = f" ({seen[file.name]})" if seen[file.name] > 1 else ""
        found[f"{file.name}{again}"] = file_digest(file)
    return found


def path_digest(path: Path) -> str:
    """Return a hash of a file, or of all files in a folder but its card, which decides nothing."""
    if path.is_file():
        return file_digest(path)
    besides = {path / CARD, path / LIST}
    files = sorted(file for file in path.rglob("*") if file.is_file() and file not in besides)
    joined = " ".join(f"{file.relative_to(path)}:{file_digest(file)}" for file in files)
    return hashlib.blake2b(joined.encode(), digest_size=8).hexdigest()


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
