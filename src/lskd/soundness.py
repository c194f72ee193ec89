"""Which tables of a run are not what was written, and what has to be made again for them.

In: the tables of a run, and the checksums in `shards.jsonl` beside them. Out: the broken shards by
name. `forget` removes them with all that was made from them, so that the run makes them again;
replies that were paid for stay in the journal, and equal prompts are not asked again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lskd import shardlog, table
from lskd.errors import UserError
from lskd.run import INPUTS, Run, makers
from lskd.stage import Stage
from lskd.storage import files


@dataclass(frozen=True, slots=True)
class Broken:
    """A file of a table that is not what was written, and how that shows."""

    stage: str
    shard: str
    file: Path
    reason: str


def broken(run: Run, stages: Sequence[Stage[Any]]) -> Iterator[Broken]:
    """Yield the files of some stages' tables that are not what was written.

    A file without a noted checksum is read to its end, which finds all but a changed header.
    """
    for stage in stages:
        noted = shardlog.noted(run.folders[stage.name])
        for shard in run.tables.shards(stage.writes[0], stage.name) if stage.writes else ():
            for record in stage.writes:
                file = run.tables.file(record, shard, stage.name)
                known = noted[shard].checksums if shard in noted else {}
                reason = fault(record, file, known.get(record.__name__))
                if reason:
                    yield Broken(stage.name, shard, file, reason)


def fault(record: type, file: Path, checksum: str | None) -> str:
    """Return how it shows that a file is not what was written, "" if it is."""
    try:
        if not files.exists(file):
            return "it is gone"
        if checksum is not None:
            same = table.digest(file) == checksum
            return "" if same else "its checksum is not that of what was written"
        table.read(record, file)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    except UserError as error:
        return str(error)
    return ""


def check(run: Run) -> int:
    """Return how many shards a run has, all of them sound.

    Raises UserError that names those which are not.
    """
    stages = [stage for stage in run.stages() if stage.writes]
    found = list(broken(run, stages))
    if found:
        several = "; ".join(f"{one.file} ({one.reason})" for one in found[:5])
        more = f"; and {len(found) - 5} more" if len(found) > 5 else ""
        raise UserError(
            f"{len(found)} of the tables' files are broken: {several}{more}: `lskd run` with "
            "--verify makes them again"
        )
    return sum(len(run.tables.shards(stage.writes[0], stage.name)) for stage in stages)


def forget(run: Run, found: Sequence[Broken]) -> list[str]:
    """Remove broken shards, and the same shards of the stages that read from theirs.

    Returns what is to be made again, "stage shard". Raises UserError if a file cannot be removed.
    """
    stages = list(run.stages())
    gone: dict[str, None] = {}
    for one in found:
        for stage in stages:
            if stage.name != one.stage and one.stage not in ancestors(stage, stages):
                continue
            if stage.name != one.stage and stage.is_whole(run.settings[stage.name]):
                continue  # it is made again where what it reads has changed
            if remove(run, stage, one.shard):
                gone[f"{stage.name} {one.shard}"] = None
    return list(gone)


def remove(run: Run, stage: Stage[Any], shard: str) -> bool:
    """Remove a shard's files, first that which says that it is done; return whether one was there.

    Raises UserError if one cannot be removed.
    """
    written = [run.tables.file(record, shard, stage.name) for record in stage.writes]
    there = [file for file in written if files.exists(file)]
    if stage.is_whole(run.settings[stage.name]):
        there.append(run.folders[stage.name] / INPUTS)
    for file in there:
        try:
            files.remove(file)
        except OSError as error:
            raise UserError(f"cannot remove {file}: {error.strerror or error}") from error
    return bool(there)


def ancestors(stage: Stage[Any], stages: Sequence[Stage[Any]]) -> set[str]:
    """Return the names of the stages that a stage reads from, directly or not."""
    direct = makers(stage)
    known = {other.name: other for other in stages}
    return direct.union(
        *(ancestors(known[name], stages) for name in direct if name in known and name != stage.name)
    )
