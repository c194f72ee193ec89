"""How fast stages are that a run has not measured itself, as `rates.toml` beside this file says."""

import functools
import importlib.resources
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel


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
    where: Mapping[str, Collection[Any]] = field(default_factory=dict)

    def fits(self, stage: str, used: Collection[str], settings: BaseModel) -> bool:
        """Return whether this is the rate of a stage that has such settings and names such models.

        A setting that is not set counts as "".
        """
        if self.stage != stage or (self.use and self.use not in used):
            return False
        given = {key: getattr(settings, key) for key in self.where}
        return all(
            ("" if given[key] is None else given[key]) in those for key, those in self.where.items()
        )


@functools.cache
def rates() -> tuple[Rate, ...]:
    """Return the rates that are shipped."""
    text = importlib.resources.files("lskd").joinpath("rates.toml").read_text(encoding="utf-8")
    return tuple(Rate(**entry) for entry in tomllib.loads(text)["rate"])
