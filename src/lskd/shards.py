"""One shard of a stage: made by the stage's work, written to its tables, noted.

In: the rows that a stage yields. Out: a file for each record, and a line in `shards.jsonl`. A shard
may be made in another process than that which leads the run; the leading one alone writes notes.
"""

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lskd import shardlog, table
from lskd.errors import UserError, cannot_write
from lskd.run import Run
from lskd.shardlog import SHARD_LOG
from lskd.stage import Context, Shard, Stage, Worker
from lskd.storage import mirror
from lskd.storage.lock import LOGS
from lskd.types import Record


@dataclass(frozen=True, slots=True)
class Finished:
    """A shard whose tables are written: how many rows of each record, in how many seconds.

    `checksums` are those of the files, by record.
    """

    shard: str
    rows: Mapping[str, int]
    seconds: float
    checksums: Mapping[str, str]


def before(run: Run, stage: Stage[Any]) -> list[Stage[Any]]:
    """Return the stages that a stage reads from, which must have been run."""
    return [
        other
        for other in run.stages()
        if other.name != stage.name and set(other.writes) & set(stage.reads)
    ]


def make(run: Run, stage: Stage[Any], work: Worker, shard: str) -> Finished:
    """Make and write one shard.

    Raises UserError if a stage that it is made from has not made its own.
    """
    for earlier in before(run, stage):
        whole = earlier.is_whole(run.settings[earlier.name])
        made = run.tables.has(earlier.writes[0], shard, earlier.name)
        if not whole and not made:
            raise UserError(
                f"{stage.name} needs shard {shard} of {earlier.name}, which is not made yet: run "
                f"without --only, or with --until {earlier.name} first"
            )
    started = time.monotonic()
    return put(run, stage, shard, work(Shard(shard, run.tables)), started)


def make_whole(run: Run, stage: Stage[Any], context: Context) -> Iterator[Finished]:
    """Write the shards of a stage on whole tables as it yields them."""
    assert stage.whole is not None
    started = time.monotonic()
    for shard, rows in stage.whole(run.settings[stage.name], context, run.tables):
        yield put(run, stage, shard, rows, started)
        started = time.monotonic()


def catch_up(run: Run, stage: Stage[Any]) -> None:
    """Bring here what other machines have made of a run, before taking part in a stage of it.

    Nothing if the run is on a disk. The logs are those of the process that leads.
    """
    folder = run.folders[stage.name]
    mirror.update(folder.parent)
    mirror.complete(folder, but=LOGS)


def follow(run: Run, stage: Stage[Any], context: Context) -> None:
    """Take part in a stage that trains, beside the process that makes it; write nothing."""
    assert stage.whole is not None
    for _ in stage.whole(run.settings[stage.name], context, run.tables):
        pass


def put(
    run: Run, stage: Stage[Any], shard: str, rows: Iterable[Record], started: float
) -> Finished:
    """Write the tables of one shard, the one that says that it is done last.

    `started` is when its work began, in seconds of `time.monotonic`.
    """
    kept: dict[type, list[Record]] = {record: [] for record in stage.writes}
    for row in rows:
        kept[type(row)].append(row)
    checksums: dict[str, str] = {}
    for record in reversed(stage.writes):
        file = run.tables.file(record, shard, stage.name)
        checksums[record.__name__] = table.write(record, file, kept[record])
    counts = {record.__name__: len(found) for record, found in kept.items()}
    return Finished(shard, counts, round(time.monotonic() - started, 3), checksums)


def note(run: Run, stage: Stage[Any], finished: Finished) -> None:
    """Add a line about a shard to the log beside the stage's tables."""
    pictures = None
    if stage.name != "images":
        pictures = shardlog.pictures(run.folders["images"]).get(finished.shard)
    line = {**asdict(finished), "pictures": pictures}
    file = run.folders[stage.name] / SHARD_LOG
    try:
        with file.open("a", encoding="utf-8") as opened:
            opened.write("\n" + json.dumps(line))
    except OSError as error:
        raise cannot_write(file, error) from error
