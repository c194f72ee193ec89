"""Runs what is missing: stage by stage, shard by shard, in this process.

A stage's shards are missing until their last file is there; a killed run is continued by the same
command. A stage on whole tables is made again when what it reads has changed. Of several processes
that were launched together, the first does all of this, and the others train with it.
"""

import contextlib
import dataclasses
import fcntl
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from lskd import table
from lskd.errors import UserError
from lskd.events import Listener
from lskd.fingerprint import all_models
from lskd.holder import LOCK, sign
from lskd.progress import Display
from lskd.run import INPUTS, SHARD_LOG, Run
from lskd.runfile import RUN_FILE, wrong_models
from lskd.stage import Shard, Stage, Worker, named
from lskd.training import processes
from lskd.types import Image, Record
from lskd.watch import Made, lies, watched

LOCK_TRIES, LOCK_PAUSE = 5, 0.05  # `lskd status` looks at a lock by taking it for a moment


@dataclass(frozen=True, slots=True)
class Selection:
    """Which part of a run is wanted: up to a stage, one stage, or all; and of how many images."""

    until: str | None = None
    only: str | None = None
    limit: int | None = None

    def of(self, run: Run) -> list[Stage[Any]]:
        """Return the selected stages.

        Raises UserError for a stage that is not there.
        """
        stages = list(run.stages())
        names = [stage.name for stage in stages]
        for wanted in (self.until, self.only):
            if wanted is not None and wanted not in names:
                raise UserError(f"no stage is called {wanted!r}; stages: {', '.join(names)}")
        if self.only is not None:
            return [stages[names.index(self.only)]]
        return stages[: names.index(self.until) + 1] if self.until else stages


def is_current(run: Run, stage: Stage[Any]) -> bool:
    """Return whether a whole-table stage was made from the tables as they are now."""
    note = run.folders[stage.name] / INPUTS
    if not note.exists():
        return False
    return bool(json.loads(note.read_text())["digest"] == run.tables.digest(stage.reads))


@contextlib.contextmanager
def locked(folders: Iterable[Path]) -> Iterator[None]:
    """Hold run folders for this process alone.

    Raises UserError if another process holds one.
    """
    with contextlib.ExitStack() as stack:
        for folder in sorted(folders):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                held = stack.enter_context((folder / LOCK).open("a", encoding="utf-8"))
            except OSError as error:
                raise UserError(f"cannot write to {folder}: {error.strerror or error}") from error
            if not taken(held):
                raise UserError(f"another lskd is at work in {folder}: wait for it")
            sign(held)
        yield


def taken(held: TextIO) -> bool:
    """Take an opened lock; return whether no other process holds it."""
    for attempt in range(LOCK_TRIES):
        time.sleep(LOCK_PAUSE if attempt else 0)
        with contextlib.suppress(OSError):
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    return False


def execute(
    run: Run, selection: Selection, display: Display, listeners: Sequence[Listener] = ()
) -> None:
    """Make all that is missing of the selected stages; tell `listeners` of each shard.

    A process that was launched beside the first one makes nothing but trains with it. Raises
    UserError for anything that the user can put right; what was made until then is kept.
    """
    stages = selection.of(run)
    processes.meet()
    if not processes.leads():
        for stage in stages:
            follow(run, stage)
        return
    chosen = {stage.name: run.settings[stage.name] for stage in stages}
    if wrong := wrong_models(chosen, for_work=True):
        raise UserError("; ".join(wrong))
    for stage in stages:
        for checked in (*before(run, stage), stage):
            run.check(checked)
    with locked({run.own, *(run.folders[stage.name].parent for stage in stages)}):
        with table.draft(run.own / RUN_FILE) as unfinished:
            unfinished.write_text(run.text())
        for notice in run.notices([stage.name for stage in stages]):
            display.line("note", notice)
        for stage in stages:
            run.claim(stage)
            make(run, stage, selection.limit, display, listeners)
            table.release()


def follow(run: Run, stage: Stage[Any]) -> None:
    """Take part in a stage that trains, beside the process that makes it; write nothing."""
    if not stage.together or not processes.told():
        return
    assert stage.whole is not None
    try:
        for _ in stage.whole(run.settings[stage.name], run.context(stage), run.tables):
            pass
    except UserError as error:
        error.args = (f"process {processes.number() + 1} of {processes.count()}: {error}",)
        raise


def before(run: Run, stage: Stage[Any]) -> list[Stage[Any]]:
    """Return the stages that a stage reads from, which must have been run."""
    return [
        other
        for other in run.stages()
        if other.name != stage.name and set(other.writes) & set(stage.reads)
    ]


def make(
    run: Run,
    stage: Stage[Any],
    limit: int | None,
    display: Display,
    listeners: Sequence[Listener],
) -> None:
    """Make what is missing of one stage."""
    settings = run.settings[stage.name]
    started = time.monotonic()
    if stage.is_whole(settings):
        wanted = stage.grows or not is_current(run, stage)
        if stage.together:
            processes.tell(wanted)
        if not wanted:
            display.line(stage.name, "up to date")
            return
        made = make_whole(run, stage, limit, display, listeners)
    else:
        renew(run, stage)
        todo = run.missing(stage)
        if not todo:
            display.line(stage.name, "up to date")
            return
        made = make_shards(run, stage, todo, display, listeners)
    rows = ", ".join(f"{count} {name.lower()}" for name, count in made.items() if count)
    nothing = "nothing new" if stage.writes else "made"
    display.line(stage.name, f"{rows or nothing} in {time.monotonic() - started:.1f} s")


def renew(run: Run, stage: Stage[Any]) -> None:
    """Remove a stage's shards if the whole tables that each depends on are not what they were."""
    inputs = run.whole_inputs(stage)
    if not inputs:
        return
    note = run.folders[stage.name] / INPUTS
    digest = run.tables.digest(inputs)
    if note.exists() and json.loads(note.read_text())["digest"] == digest:
        return
    for shard in run.tables.shards(stage.writes[0], stage.name):
        run.tables.file(stage.writes[0], shard, stage.name).unlink()
    with table.draft(note) as unfinished:
        unfinished.write_text(json.dumps({"digest": digest}))


def make_whole(
    run: Run,
    stage: Stage[Any],
    limit: int | None,
    display: Display,
    listeners: Sequence[Listener],
) -> dict[str, int]:
    """Make the tables of a whole-table stage, then note what they were made from."""
    assert stage.whole is not None
    total: dict[str, int] = {}
    images = sum(run.tables.count(Image, shard) for shard in run.tables.shards(Image))
    digest = run.tables.digest(stage.reads)
    with display.stage(stage.name, None if stage.grows or not images else images) as bar:
        context = dataclasses.replace(run.context(stage), tick=bar.tick, say=bar.say, limit=limit)
        with watched(run, stage, context, listeners).shard("") as laps:
            started = time.monotonic()
            for shard, rows in stage.whole(run.settings[stage.name], context, run.tables):
                made = put(run, stage, shard, rows, started)
                count(total, made)
                laps.ended(shard, lies(run, stage, shard, made))
                started = time.monotonic()
            if not stage.grows:
                laps.made = Made(images, {}, {})
    if not stage.grows:
        with table.draft(run.folders[stage.name] / INPUTS) as unfinished:
            unfinished.write_text(json.dumps({"digest": digest}))
    return total


def make_shards(
    run: Run,
    stage: Stage[Any],
    todo: Sequence[str],
    display: Display,
    listeners: Sequence[Listener],
) -> dict[str, int]:
    """Make the missing shards of a stage, several at once where it waits for paid replies."""
    assert stage.each is not None
    total: dict[str, int] = {}
    images = sum(run.tables.count(Image, shard) for shard in todo)
    with display.stage(stage.name, images) as bar:
        context = dataclasses.replace(run.context(stage), tick=bar.tick, say=bar.say)
        watch = watched(run, stage, context, listeners)
        with watch.shard(""):
            work = stage.each(run.settings[stage.name], context)

        def one(shard: str) -> dict[str, int]:
            with watch.shard(shard) as laps:
                made = make_shard(run, stage, work, shard)
                laps.made = lies(run, stage, shard, made)
            return made

        for made in each_of(one, todo, at_once(run, stage) if context.waits else 1):
            count(total, made)
    return total


def at_once(run: Run, stage: Stage[Any]) -> int:
    """Return how many shards of a stage that waits are in flight together.

    A model that is answered in hours, as by a batch interface, wants more of them.
    """
    models = (named(model.use) for model in all_models(run.settings[stage.name]))
    return max([stage.at_once, *(getattr(kind, "shards_at_once", 1) for kind in models)])


def each_of(one: Any, todo: Sequence[str], at_once: int) -> Iterator[dict[str, int]]:
    """Yield one(shard) for every shard, `at_once` in flight; the first failure ends it.

    Shards in flight then come to their own end first, so that what they paid for is kept.
    """
    if at_once == 1:
        yield from map(one, todo)
        return
    with ThreadPoolExecutor(at_once) as pool:
        jobs = [pool.submit(one, shard) for shard in todo]
        done, waiting = wait(jobs, return_when=FIRST_EXCEPTION)
        for job in waiting:
            job.cancel()
        for job in jobs:
            if job in done:
                yield job.result()


def make_shard(run: Run, stage: Stage[Any], work: Worker, shard: str) -> dict[str, int]:
    """Make and write one shard."""
    for earlier in before(run, stage):
        whole = earlier.is_whole(run.settings[earlier.name])
        made = run.tables.file(earlier.writes[0], shard, earlier.name).exists()
        if not whole and not made:
            raise UserError(
                f"{stage.name} needs shard {shard} of {earlier.name}, which is not made yet: run "
                f"without --only, or with --until {earlier.name} first"
            )
    started = time.monotonic()
    return put(run, stage, shard, work(Shard(shard, run.tables)), started)


def put(
    run: Run, stage: Stage[Any], shard: str, rows: Iterable[Record], started: float
) -> dict[str, int]:
    """Write the tables of one shard, the one that says that it is done last; return the counts."""
    kept: dict[type, list[Record]] = {record: [] for record in stage.writes}
    for row in rows:
        kept[type(row)].append(row)
    for record in reversed(stage.writes):
        table.write(record, run.tables.file(record, shard, stage.name), kept[record])
    counts = {record.__name__: len(found) for record, found in kept.items()}
    note = {"shard": shard, "seconds": round(time.monotonic() - started, 3), "rows": counts}
    with (run.folders[stage.name] / SHARD_LOG).open("a", encoding="utf-8") as opened:
        opened.write("\n" + json.dumps(note))
    return counts


def count(total: dict[str, int], made: dict[str, int]) -> None:
    """Add the counts of one shard."""
    for name, number in made.items():
        total[name] = total.get(name, 0) + number
