"""How fast stages are that a run has not measured itself, as `rates.toml` beside this file says."""

import functools
import importlib.resources
import tomllib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """An entry of `rates.toml`, which says what its fields mean."""

    stage: str
    use: str
    on: str
    seconds: float
    source: str
    memory: int | None = None
    bytes: float | None = None
    bound: bool = False
    each: str = "image"


@functools.cache
def rates() -> tuple[Rate, ...]:
    """Return the rates that are shipped."""
    text = importlib.resources.files("lskd").joinpath("rates.toml").read_text(encoding="utf-8")
    return tuple(Rate(**entry) for entry in tomllib.loads(text)["rate"])
