"""Where what a run made comes from: versions, seed, models, the critic and how good it is.

In: what a run says of itself, and its tables. Out: a record for the cards of datasets and students.
What the run does not say is None or "", which a card calls unknown.
"""

import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lskd.facts import RunFacts
from lskd.fingerprint import versions
from lskd.table import Tables
from lskd.types import Fit

# What tells a model's weights or server, in the order in which a reader asks for them.
TELLING = ("checkpoint", "model", "folder", "weights", "projection", "revision", "base_url")


@dataclass(frozen=True, slots=True)
class Part:
    """A model that took part: its role ("generate.teacher"), its class, and what stands behind it.

    `what` are its checkpoint, its name at a server and the like, or "" for a class without any.
    """

    role: str
    use: str
    what: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """What decided a run beside its images. `critic` is None where none was fitted in the run."""

    seed: int | None
    versions: tuple[tuple[str, str], ...]
    parts: tuple[Part, ...]
    teachers: tuple[str, ...]
    critic: Fit | None


def provenance(run: RunFacts, tables: Tables, stages: Collection[str]) -> Provenance:
    """Return where a run's results come from; only models of `stages` are named.

    Raises UserError if a table cannot be read.
    """
    sections = tomllib.loads(run.settings)
    parts = tuple(
        part for name in sections if name in stages for part in parts_of(name, sections[name])
    )
    taught = [f"{one.use} {one.what}".strip() for one in parts if one.role.endswith(".teacher")]
    return Provenance(
        seed=sections.get("seed"),
        versions=tuple(versions().items()),
        parts=parts,
        teachers=tuple(dict.fromkeys(taught)),
        critic=fitted(tables),
    )


def parts_of(role: str, settings: object) -> Iterator[Part]:
    """Yield the models that a section names, those within models included."""
    if not isinstance(settings, Mapping):
        return
    for key, value in settings.items():
        if isinstance(value, Mapping):
            if "use" in value:
                yield Part(f"{role}.{key}", str(value["use"]), told(value))
            yield from parts_of(f"{role}.{key}", value)


def told(keys: Mapping[str, Any]) -> str:
    """Return what stands behind a model, as "checkpoint = x, revision = y"."""
    return ", ".join(f"{key} = {keys[key]}" for key in TELLING if key in keys)


def fitted(tables: Tables) -> Fit | None:
    """Return the critic that a run fitted, or None."""
    stage = tables.makers.get(Fit)
    if stage is None or stage not in tables.folders:
        return None
    rows = (row for shard in tables.shards(Fit) for row in tables.read(Fit, shard))
    return next(rows, None)
