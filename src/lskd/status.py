"""How far a run has come, at work or dead: shards, rates, rejects, price so far, last errors.

In: the names and footers of its tables, the trace beside each stage, its lock and its journal, and
what other machines have published of theirs.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from lskd import events
from lskd.chat.paid import Spent, spent_so_far
from lskd.events import TRACE, Event
from lskd.holder import Holder, holder
from lskd.journal.segments import spent_in
from lskd.pace import Pace, pace
from lskd.run import INPUTS, JOURNAL, Run
from lskd.stage import Stage
from lskd.storage import lock
from lskd.storage.address import shown
from lskd.trace import Spans
from lskd.training.standing import Standing, of_stage
from lskd.types import Example, Image, Reject
from lskd.watch import INTERRUPTED

LATEST = 32  # shards by which the rate is judged
ERRORS = 5  # that are told
State = Literal["done", "running", "failed", "missing"]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a shard is not there: its last attempt failed at `time` (seconds since the epoch).

    Shard "" stands for the stage as a whole.
    """

    time: float
    stage: str
    shard: str
    text: str


@dataclass(frozen=True, slots=True)
class StageStatus:
    """One stage: its shards by state, rows of its first table, rejects, seconds of work.

    Of `shards` there are, `shards_done` are finished, `running` are in work, `failed` have failed
    and `missing` is the rest; `cut_off` of the missing were in work when their process was killed.
    `state` is that of the stage as a whole. A stage that writes no tables has no shards.
    `images_per_second` and `seconds_left` are judged by the latest finished shards, None if there
    are none or all is done; while a model is trained, `training` tells its steps, and they judge.
    `spans` tells where the time of all finished shards went.
    """

    stage: str
    folder: str
    state: State
    shards_done: int
    shards: int
    running: int
    failed: int
    missing: int
    cut_off: int
    rows: int
    rejects: int
    seconds: float | None
    images_per_second: float | None
    seconds_left: float | None
    spans: Spans | None
    training: Standing | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """A run: its stages, what its replies cost, who is at work in it, and what went wrong last.

    `paid` is None if it bought nothing. `holder` is None if no process holds it: then it is
    "done", or "stopped" and the same command continues it. `seconds_left` is the sum over stages,
    without those in `unknown`, which have no rate yet; `ends` is that as a time (seconds since the
    epoch), if a process is at work.
    """

    state: Literal["running", "stopped", "done"]
    holder: Holder | None
    stages: tuple[StageStatus, ...]
    seconds_left: float
    unknown: tuple[str, ...]
    ends: float | None
    paid: Spent | None
    errors: tuple[Trouble, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the status as JSON."""
        return asdict(self)


def status(run: Run) -> Status:
    """Return the state of every stage, of the run's lock and of its journal."""
    now, here = time.time(), holder(run.own)
    at_work = here or lock.holder(run.own)
    stages, troubles = [], []
    for stage in run.stages():
        told = events.read(run.folders[stage.name] / TRACE)
        one, wrong = of(run, stage, told, at_work)
        stages.append(one)
        troubles += wrong
    left = sum(one.seconds_left for one in stages if one.seconds_left is not None)
    done = all(one.state == "done" for one in stages)
    return Status(
        state="running" if at_work else "done" if done else "stopped",
        holder=at_work,
        stages=tuple(stages),
        seconds_left=left,
        unknown=tuple(s.stage for s in stages if s.state != "done" and s.seconds_left is None),
        ends=now + left if at_work else None,
        paid=paid(run.own / JOURNAL, here),
        errors=tuple(sorted(troubles, key=lambda trouble: -trouble.time)[:ERRORS]),
    )


def paid(journal: Path, here: Holder | None) -> Spent | None:
    """Return what a run has paid for, on whichever machine; no other works beside one `here`."""
    if here:
        return spent_so_far(journal) if journal.exists() else None
    return spent_in(journal.with_name(lock.SEGMENTS), journal)


def of(
    run: Run, stage: Stage[Any], told: Sequence[Event], at_work: Holder | None
) -> tuple[StageStatus, list[Trouble]]:
    """Return the state of one stage, read from file names, footers and its trace, and its faults.

    `at_work` is who holds the run; a stage in a parent's folder may be held by another.
    """
    tables, folder = run.tables, run.folders[stage.name]
    first = stage.writes[0] if stage.writes else None
    done = tables.shards(first, stage.name) if first else []
    total = len(tables.shards(Image if run.examples is None else Example)) if first else 0
    if run.inherits(stage.name):
        at_work = holder(folder.parent) or lock.holder(folder.parent)
    last = {event.shard: event for event in told}
    troubles = [
        Trouble(event.time, stage.name, event.shard, event.error or "")
        for event in last.values()
        if event.what == "failed" and event.error != INTERRUPTED and event.shard not in done
    ]
    begun = [event for event in last.values() if event.what == "began" and event.shard not in done]
    live = [one for one in begun if at_work is not None and one.session == at_work.session]
    running = sum(bool(one.shard) for one in live)
    failed = sum(bool(trouble.shard) for trouble in troubles)
    left = max(0, total - len(done))
    state = state_of(
        bool(live), bool(troubles), finished(stage, last, left, total, (folder / INPUTS).exists())
    )
    training = None if state == "done" else of_stage(folder)
    recent = pace(told, LATEST)
    everything = pace(told)
    found = StageStatus(
        stage=stage.name,
        folder=shown(folder),
        state=state,
        shards_done=len(done),
        shards=total,
        running=running,
        failed=failed,
        missing=max(0, left - running - failed),
        cut_off=sum(bool(one.shard) for one in begun) - running,
        rows=sum(tables.count(first, shard, stage.name) for shard in done) if first else 0,
        rejects=sum(tables.count(Reject, shard, stage.name) for shard in done),
        seconds=run.seconds(stage.name),
        images_per_second=recent.rate if recent else None,
        seconds_left=0.0 if state == "done" else seconds_left(recent, left, stage, training),
        spans=everything.spans if everything else None,
        training=training,
    )
    return found, troubles


def finished(stage: Stage[Any], last: dict[str, Event], left: int, total: int, noted: bool) -> bool:
    """Return whether nothing of a stage is missing; `noted`: it once was made from whole tables."""
    if stage.writes:
        return not left and total > 0
    return noted and ("" not in last or last[""].what == "ended")


def state_of(running: bool, failed: bool, done: bool) -> State:
    """Return the state of a stage as a whole."""
    return "running" if running else "done" if done else "failed" if failed else "missing"


def seconds_left(
    recent: Pace | None, left: int, stage: Stage[Any], training: Standing | None
) -> float | None:
    """Return how long `left` shards or the rest of a training will take, None if not known."""
    if training is not None:
        return training.seconds_left
    if recent is None or (stage.writes and not (left and recent.images)):
        return None
    return recent.seconds / recent.shards * (left if stage.writes else 1)
