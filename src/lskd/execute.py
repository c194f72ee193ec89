"""Runs what is missing: stage by stage, shard by shard, in this process or where an executor says.

A stage's shards are missing until their last file is there; a killed run is continued by the same
command. A stage on whole tables is made again when what it reads has changed. Of several processes
that were launched together, the first does all of this, and the others train with it.
"""

import dataclasses
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lskd import shards, soundness, table
from lskd.errors import UserError
from lskd.events import Listener
from lskd.executors import local
from lskd.executors.job import Executor, Job
from lskd.hold import held, is_current, noted_digest
from lskd.progress import Display
from lskd.run import INPUTS, Run
from lskd.runfile import RUN_FILE, wrong_models
from lskd.stage import Stage
from lskd.storage import files, mirror
from lskd.storage.lock import LOGS
from lskd.training import processes
from lskd.types import Image
from lskd.watch import Made, lies, watched


@dataclass(frozen=True, slots=True)
class Selection:
    """Which part of a run is wanted: up to a stage, one stage, or all; and of how many images.

    With `verify` what is there is compared with its checksums first, and made again if broken.
    """

    until: str | None = None
    only: str | None = None
    limit: int | None = None
    verify: bool = False

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


def execute(
    run: Run,
    selection: Selection,
    display: Display,
    listeners: Sequence[Listener] = (),
    executor: Executor = local.HERE,
) -> None:
    """Make all that is missing of the selected stages; tell `listeners` of each shard.

    All tables are made by `executor`. A process that was launched beside the first one makes
    nothing but trains with it. Raises UserError for anything
    that the user can put right; what was made until then is kept.
    """
    stages = selection.of(run)
    processes.meet()
    if not processes.leads():
        for stage in stages:
            follow(run, stage)
        return
    check(run, stages)
    with held(run, stages, selection.limit, alone=selection.verify) as complete:
        with table.draft(run.own / RUN_FILE) as unfinished:
            unfinished.write_text(run.text())
        for notice in run.notices([stage.name for stage in stages]):
            display.line("note", notice)
        if selection.verify:
            mend(run, stages, display)
        telling = Telling(display, listeners)
        for stage in stages:
            if stage.name in complete:
                pass_by(stage, telling)
                continue
            run.claim(stage)
            if stage.is_whole(run.settings[stage.name]):
                make_whole(run, stage, selection.limit, telling, executor)
            else:
                make_shards(run, stage, telling, executor)
            mirror.push(run.folders[stage.name])
            table.release()


def check(run: Run, stages: Sequence[Stage[Any]]) -> None:
    """Raise UserError for what would stop some stages later, before any of them works.

    That is a model that is wrong, a folder that holds other settings, or a file that is not there.
    """
    chosen = {stage.name: run.settings[stage.name] for stage in stages}
    if wrong := wrong_models(chosen, for_work=True):
        raise UserError("; ".join(wrong))
    absent: list[str] = []
    for stage in stages:
        for earlier in shards.before(run, stage):
            run.check(earlier)
        run.check(stage)
        # What has made something once may have needed it then, and not any more.
        if not (stage.writes and run.tables.shards(stage.writes[0], stage.name)):
            absent += [f"[{stage.name}] {told}" for told in stage.needs(run.settings[stage.name])]
    if absent:
        raise UserError(f"{'; '.join(absent)} (paths are relative to the working directory)")


def mend(run: Run, stages: Sequence[Stage[Any]], display: Display) -> None:
    """Name the broken shards of some stages, and let them be made again with what follows."""
    found = list(soundness.broken(run, stages))
    for one in found:
        display.line(one.stage, f"{one.file} is broken: {one.reason}")
    again = soundness.forget(run, found)
    display.line("verify", f"made again: {', '.join(again)}" if again else "all tables are sound")


def follow(run: Run, stage: Stage[Any]) -> None:
    """Take part in a stage that trains, beside the process that makes it; write nothing."""
    if not stage.together or not processes.told():
        return
    try:
        shards.catch_up(run, stage)
        shards.follow(run, stage, run.context(stage))
    except UserError as error:
        error.args = (f"process {processes.number() + 1} of {processes.count()}: {error}",)
        raise


@dataclass(frozen=True, slots=True)
class Telling:
    """Who is told what a run does: its user, and those who listen to the events of shards."""

    display: Display
    listeners: Sequence[Listener]

    def made(self, stage: Stage[Any], rows: Mapping[str, int], started: float) -> None:
        """Tell what has come of a stage that began at `started` of the monotonic clock."""
        counts = ", ".join(f"{count} {name.lower()}" for name, count in rows.items() if count)
        nothing = "nothing new" if stage.writes else "made"
        self.display.line(stage.name, f"{counts or nothing} in {time.monotonic() - started:.1f} s")


def pass_by(stage: Stage[Any], telling: Telling) -> None:
    """Leave a stage of which nothing is missing as it is."""
    if stage.together:
        processes.tell(False)
    telling.display.line(stage.name, "up to date")


def renew(run: Run, stage: Stage[Any]) -> None:
    """Remove a stage's shards if the whole tables that each depends on are not what they were."""
    inputs = run.whole_inputs(stage)
    if not inputs:
        return
    digest = run.tables.digest(inputs)
    if noted_digest(run, stage) == digest:
        return
    for shard in run.tables.shards(stage.writes[0], stage.name):
        files.remove(run.tables.file(stage.writes[0], shard, stage.name))
    with table.draft(run.folders[stage.name] / INPUTS) as unfinished:
        unfinished.write_text(json.dumps({"digest": digest}))


def make_whole(
    run: Run, stage: Stage[Any], limit: int | None, telling: Telling, executor: Executor
) -> None:
    """Make the tables of a whole-table stage, then note what they were made from."""
    if not stage.grows and is_current(run, stage):
        pass_by(stage, telling)
        return
    mirror.complete(run.folders[stage.name], but=LOGS)
    if stage.together:
        processes.tell(True)
    began = time.monotonic()
    total: Counter[str] = Counter()
    images = sum(run.tables.count(Image, shard) for shard in run.tables.shards(Image))
    digest = run.tables.digest(stage.reads)
    with telling.display.stage(stage.name, None if stage.grows or not images else images) as bar:
        context = dataclasses.replace(run.context(stage), tick=bar.tick, say=bar.say, limit=limit)
        watch = watched(run, stage, context, telling.listeners)
        with watch.shard("") as laps:
            for finished in executor.whole(Job(run, stage, (), context, watch)):
                total.update(finished.rows)
                laps.ended(finished.shard, lies(run, stage, finished.shard, finished.rows))
            if not stage.grows:
                laps.made = Made(images, {}, {})
    if not stage.grows:
        # The note says that all is there: it comes last.
        mirror.push(run.folders[stage.name])
        with table.draft(run.folders[stage.name] / INPUTS) as unfinished:
            unfinished.write_text(json.dumps({"digest": digest}))
    telling.made(stage, total, began)


def clear(run: Run, stage: Stage[Any], telling: Telling) -> None:
    """Remove shards of pictures that are not there any more, as where images were read again.

    What was made of other pictures than a shard has now is removed too: others would read it.
    """
    old = run.stale(stage)
    for shard in old:
        soundness.remove(run, stage, shard)
    if old:
        telling.display.line(
            stage.name, f"{len(old)} shards were of pictures that are others or gone by now"
        )


def make_shards(run: Run, stage: Stage[Any], telling: Telling, executor: Executor) -> None:
    """Make the missing shards of a stage."""
    renew(run, stage)
    clear(run, stage, telling)
    todo = run.missing(stage)
    if not todo:
        pass_by(stage, telling)
        return
    began = time.monotonic()
    total: Counter[str] = Counter()
    images = sum(run.tables.count(Image, shard) for shard in todo)
    with telling.display.stage(stage.name, images) as bar:
        context = dataclasses.replace(run.context(stage), tick=bar.tick, say=bar.say)
        watch = watched(run, stage, context, telling.listeners)
        for finished in executor.shards(Job(run, stage, todo, context, watch)):
            total.update(finished.rows)
    telling.made(stage, total, began)
