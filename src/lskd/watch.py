"""A stage at work tells its trace, and who listens, what happens to each of its shards.

In: the blocks in which a stage makes shards. Out: events (`lskd.events`).
"""

import contextlib
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lskd.chat.journal import Charge, Totals
from lskd.errors import UserError
from lskd.events import TRACE, Event, Listener, What, append
from lskd.holder import SESSION
from lskd.run import Run
from lskd.stage import Context, Stage
from lskd.trace import Clock, running
from lskd.types import Image

INTERRUPTED = "interrupted"  # by the user, or by the end of another shard
ERROR = 1000  # characters of an error's text that are kept
UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes


@dataclass(frozen=True, slots=True)
class Made:
    """What was made of a shard: images worked on, rows and bytes on disk by record."""

    images: int
    rows: Mapping[str, int]
    bytes: Mapping[str, int]


NOTHING = Made(0, {}, {})


class Watch:
    """Tells of one stage; safe to use from several threads.

    `totals` returns the sums of the journal of paid replies, or None as long as none is open: what
    it holds when it is first seen counts as paid before.
    """

    def __init__(
        self,
        file: Path,
        stage: str,
        listeners: Sequence[Listener],
        totals: Callable[[], Totals | None],
    ) -> None:
        self._file = file
        self._stage = stage
        self._listeners = listeners
        self._totals = totals
        self._guard = threading.Lock()
        self._cpu = time.process_time()
        self._paid = totals()

    @contextmanager
    def shard(self, name: str) -> Iterator["Laps"]:
        """Tell that a shard begins, and how it ends; measure what this thread does between."""
        laps = Laps(self, name)
        self._tell(name, "began")
        with running(laps.clock):
            try:
                yield laps
            except BaseException as error:
                text = " ".join(str(error).split()) or type(error).__name__
                if not isinstance(error, Exception):
                    text = INTERRUPTED
                # The first error is the one that the user must see.
                with contextlib.suppress(UserError):
                    self._tell(name, "failed", laps.clock, error=text[:ERROR])
                raise
        self._tell(name, "ended", laps.clock, laps.made)

    def _tell(
        self,
        shard: str,
        what: What,
        clock: Clock | None = None,
        made: Made = NOTHING,
        error: str | None = None,
    ) -> None:
        with self._guard:
            event = Event(
                time=time.time(),
                session=SESSION,
                stage=self._stage,
                shard=shard,
                what=what,
                spans=clock.lap() if clock else None,
                cpu=self._cpu_since() if clock else 0.0,
                memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT,
                gpu=has_gpu() if clock else False,
                paid=self._paid_since() if clock else None,
                images=made.images,
                rows=made.rows,
                bytes=made.bytes,
                error=error,
            )
            append(self._file, event)
        for listener in self._listeners:
            listener(event)

    def ended(self, shard: str, clock: Clock, made: Made) -> None:
        """Tell that a shard is there, which a stage on whole tables has made."""
        self._tell(shard, "ended", clock, made)

    def _cpu_since(self) -> float:
        before, self._cpu = self._cpu, time.process_time()
        return self._cpu - before

    def _paid_since(self) -> Charge | None:
        before, now = self._paid, self._totals()
        self._paid = now
        if before is None or now is None:
            return None
        known = now.unpriced_input == before.unpriced_input
        return Charge(
            now.input_tokens - before.input_tokens,
            now.output_tokens - before.output_tokens,
            now.price - before.price if known else None,
        )


class Laps:
    """The work within one block: `made` is what came of it, `clock` measures it."""

    def __init__(self, watch: Watch, name: str) -> None:
        self.clock = Clock()
        self.made = NOTHING
        self._watch = watch
        self._name = name

    def ended(self, shard: str, made: Made) -> None:
        """Tell that a shard of a stage on whole tables is there; the clock begins anew."""
        self._watch.ended(shard, self.clock, made)


def watched(run: Run, stage: Stage[Any], context: Context, listeners: Sequence[Listener]) -> Watch:
    """Return what tells of a stage that works in `context`."""

    def totals() -> Totals | None:
        return context.journal.totals if context.waits else None

    return Watch(run.folders[stage.name] / TRACE, stage.name, listeners, totals)


def lies(run: Run, stage: Stage[Any], shard: str, rows: Mapping[str, int]) -> Made:
    """Return what lies on the disk of a shard that a stage has written, with so many `rows`."""
    files = {record.__name__: run.tables.file(record, shard, stage.name) for record in stage.writes}
    images = rows["Image"] if "Image" in rows else run.tables.count(Image, shard)
    return Made(images, rows, {name: file.stat().st_size for name, file in files.items()})


def has_gpu() -> bool:
    """Return whether torch is in use and has an accelerator at hand."""
    # Another thread may just be importing it: then it is not in use yet.
    asked = getattr(getattr(sys.modules.get("torch"), "cuda", None), "is_available", None)
    return asked is not None and bool(asked())
