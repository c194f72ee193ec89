"""What a worker of a stage takes of a cluster, as a run file says it.

`[generate] resources = { cpus = 1, gpus = 0, memory_gb = 2, workers = 16 }`. It changes no row, and
has no effect where a run works in one process. A stage that trains does so on a cluster's workers
only if its section has them.
"""

from typing import Annotated, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from lskd.stage import WITHOUT_EFFECT

GIB = 1 << 30


class Resources(BaseModel):
    """What one worker takes: processor cores, accelerators and memory; and how many there may be.

    Shares of a core or an accelerator are allowed below 1. `memory_gb` (of 2^30 bytes) is what the
    cluster sets apart, None nothing. There are never more `workers` than shards to make, and than
    the cluster has room for; those of a training, one if none are said, begin all together.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    cpus: NonNegativeFloat = 1.0
    gpus: NonNegativeFloat = 0.0
    memory_gb: PositiveFloat | None = None
    workers: PositiveInt | None = None

    @model_validator(mode="after")
    def possible(self) -> Self:
        """Refuse what no cluster can count."""
        for name, amount in (("cpus", self.cpus), ("gpus", self.gpus)):
            if amount > 1 and amount != int(amount):
                raise ValueError(f"{name} = {amount:g}: above 1 only whole ones are given")
        if not self.cpus and not self.gpus:
            raise ValueError("cpus = 0 and gpus = 0: a worker needs some of one")
        return self

    @property
    def amounts(self) -> dict[str, float]:
        """Return what a worker takes, by Ray's names; memory in bytes."""
        memory = {} if self.memory_gb is None else {"memory": float(int(self.memory_gb * GIB))}
        return {"CPU": self.cpus, "GPU": self.gpus, **memory}

    def told(self) -> str:
        """Return what a worker takes in words, as "1 cpus, 0 gpus"."""
        memory = "" if self.memory_gb is None else f", {self.memory_gb:g} GB of memory"
        return f"{self.cpus:g} cpus, {self.gpus:g} gpus{memory}"


Spread = Annotated[Resources, WITHOUT_EFFECT]
TrainingSpread = Annotated[Resources | None, WITHOUT_EFFECT]


def given_by(settings: BaseModel) -> Resources | None:
    """Return what a worker of a stage takes by its settings, or None where they say nothing."""
    found = getattr(settings, "resources", None)
    return found if isinstance(found, Resources) else None


def resources_of(settings: BaseModel) -> Resources:
    """Return what a worker of a stage takes by its settings; the default where they say nothing."""
    return given_by(settings) or Resources()
