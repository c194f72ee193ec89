"""How far a run has come: shards, rows and rejects of each stage, and what was paid."""

from dataclasses import asdict, dataclass
from typing import Any

from lskd.chat.journal import Spent, spent_so_far
from lskd.run import JOURNAL, Run
from lskd.stage import Stage
from lskd.types import Example, Image, Reject


@dataclass(frozen=True, slots=True)
class StageStatus:
    """One stage: finished shards of all, rows of its first table, rejects, seconds of work."""

    stage: str
    folder: str
    shards_done: int
    shards: int
    rows: int
    rejects: int
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Status:
    """A run: its stages, and what the replies in its journal cost (None: it bought none)."""

    stages: tuple[StageStatus, ...]
    paid: Spent | None

    def as_json(self) -> dict[str, Any]:
        """Return the status as JSON."""
        return asdict(self)


def status(run: Run) -> Status:
    """Return the state of every stage that writes tables, and of the run's journal."""
    journal = run.own / JOURNAL
    return Status(
        tuple(of(run, stage) for stage in run.stages() if stage.writes),
        spent_so_far(journal) if journal.exists() else None,
    )


def of(run: Run, stage: Stage[Any]) -> StageStatus:
    """Return the state of one stage, read from file names and footers."""
    tables = run.tables
    first = stage.writes[0]
    done = tables.shards(first, stage.name)
    return StageStatus(
        stage=stage.name,
        folder=str(run.folders[stage.name]),
        shards_done=len(done),
        shards=len(tables.shards(Image if run.examples is None else Example)),
        rows=sum(tables.count(first, shard, stage.name) for shard in done),
        rejects=sum(tables.count(Reject, shard, stage.name) for shard in done),
        seconds=run.seconds(stage.name),
    )
