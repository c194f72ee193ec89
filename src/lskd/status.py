"""How far a run has come: shards, rows and rejects of each stage, and what was paid."""

from dataclasses import asdict, dataclass
from typing import Any

from lskd.chat.journal import spent_so_far
from lskd.run import Run
from lskd.stage import Stage
from lskd.types import Image, Reject


@dataclass(frozen=True, slots=True)
class StageStatus:
    """One stage: finished shards of all, rows of its first table, rejects, seconds of work.

    The last five are of the stage's journal, None where it has none; `price` is also None where the
    settings name no prices. `unanswered` calls may have been paid without a reply having arrived.
    """

    stage: str
    folder: str
    shards_done: int
    shards: int
    rows: int
    rejects: int
    seconds: float | None
    calls: int | None
    input_tokens: int | None
    output_tokens: int | None
    price: float | None
    unanswered: int | None

    def as_json(self) -> dict[str, Any]:
        """Return the status as JSON."""
        return asdict(self)


def status(run: Run) -> list[StageStatus]:
    """Return the state of every stage that writes tables."""
    return [of(run, stage) for stage in run.stages() if stage.writes]


def of(run: Run, stage: Stage[Any]) -> StageStatus:
    """Return the state of one stage, read from file names, footers and the journal."""
    tables = run.tables
    first = stage.writes[0]
    done = tables.shards(first, stage.name)
    paid = run.context(stage).journal_file
    spent = spent_so_far(paid) if paid.exists() else None
    return StageStatus(
        stage=stage.name,
        folder=str(run.folders[stage.name]),
        shards_done=len(done),
        shards=len(tables.shards(Image)),
        rows=sum(tables.count(first, shard, stage.name) for shard in done),
        rejects=sum(tables.count(Reject, shard, stage.name) for shard in done),
        seconds=run.seconds(stage.name),
        calls=spent.calls if spent else None,
        input_tokens=spent.input_tokens if spent else None,
        output_tokens=spent.output_tokens if spent else None,
        price=spent.price if spent else None,
        unanswered=spent.unanswered if spent else None,
    )
