"""What an executor is given to do, and what every executor is."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from lskd.fingerprint import all_models
from lskd.run import Run
from lskd.shards import Finished, note
from lskd.stage import Context, Stage, named
from lskd.watch import Watch


@dataclass(frozen=True)
class Job:
    """The missing shards of one stage; none are named where it works on whole tables.

    `context` shows progress to the user, `watch` is told what happens to each shard.
    """

    run: Run
    stage: Stage[Any]
    shards: Sequence[str]
    context: Context
    watch: Watch

    @property
    def settings(self) -> BaseModel:
        """Return the stage's settings."""
        return self.run.settings[self.stage.name]

    def noted(self, finished: Finished) -> Finished:
        """Write a line about a shard, and return it."""
        note(self.run, self.stage, finished)
        return finished


def at_once(stage: Stage[Any], settings: BaseModel) -> int:
    """Return how many shards of a stage are in flight together in a process whose models wait.

    A model that is answered in hours, as by a batch interface, wants more of them.
    """
    kinds = (named(model.use) for model in all_models(settings))
    return max([stage.at_once, *(getattr(kind, "shards_at_once", 1) for kind in kinds)])


# Makes what a job names, and yields each shard as soon as its tables are there.
Making = Callable[[Job], Iterator[Finished]]


@dataclass(frozen=True, slots=True)
class Executor:
    """Where a run is made.

    `shards` makes the missing shards of a stage that works shard by shard, in any order; the first
    failure ends it once shards in flight have come to their own end, so that what they paid for is
    kept. `whole` makes all shards of a stage on whole tables, one after the other: its job names
    none.
    """

    shards: Making
    whole: Making
