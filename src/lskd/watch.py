"""A stage at work tells its trace, and who listens, what happens to each of its shards.

In: the blocks in which a stage makes shards. Out: events (`lskd.events`).
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lskd.chat.paid import Charge, Totals
from lskd.errors import UserError
from lskd.events import TRACE, Event, Listener, append
from lskd.holder import SESSION
from lskd.meter import Meter, Took, most_memory
from lskd.run import Run
from lskd.stage import Context, Stage
from lskd.storage.files import size
from lskd.trace import Clock, running
from lskd.types import Image

INTERRUPTED = "interrupted"  # by the user, or by the end of another shard
ERROR = 1000  # characters of an error's text that are kept


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
        self._meter = Meter()
        self._paid = totals()

    @contextmanager
    def shard(self, name: str) -> Iterator["Laps"]:
        """Tell that a shard begins, and how it ends; measure what this thread does between."""
        laps = Laps(self, name)
        self.began(name)
        with running(laps.clock):
            try:
                yield laps
            except BaseException as error:
                # The first error is the one that the user must see.
                with contextlib.suppress(UserError):
                    self.failed(name, reason(error), self._meter.take(laps.clock))
                raise
        laps.ended(name, laps.made)

    def began(self, shard: str) -> None:
        """Tell that a shard is being made."""
        self._tell(Event(time.time(), SESSION, self._stage, shard, "began"), None)

    def ended(self, shard: str, made: Made, took: Took) -> None:
        """Tell that a shard is there."""
        ended = Event(
            time=time.time(),
            session=SESSION,
            stage=self._stage,
            shard=shard,
            what="ended",
            images=made.images,
            rows=made.rows,
            bytes=made.bytes,
        )
        self._tell(ended, took)

    def failed(self, shard: str, why: str, took: Took | None) -> None:
        """Tell that a shard could not be made; `took` is None where nobody could measure it."""
        event = Event(time.time(), SESSION, self._stage, shard, "failed", error=why[:ERROR])
        self._tell(event, took)

    def lap(self, shard: str, clock: Clock, made: Made) -> None:
        """Tell that a shard is there, which took what `clock` tells; it begins anew."""
        self.ended(shard, made, self._meter.take(clock))

    def _tell(self, event: Event, took: Took | None) -> None:
        with self._guard:
            if took is not None:
                event = replace(
                    event,
                    spans=took.spans,
                    cpu=took.cpu,
                    memory=took.memory,
                    gpu=took.gpu,
                    paid=self._paid_since(),
                )
            else:
                event = replace(event, memory=most_memory())
            append(self._file, event)
        for listener in self._listeners:
            listener(event)

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
        self._watch.lap(shard, self.clock, made)


def watched(run: Run, stage: Stage[Any], context: Context, listeners: Sequence[Listener]) -> Watch:
    """Return what tells of a stage that works in `context`."""

    def totals() -> Totals | None:
        return context.journal.totals if context.waits else None

    return Watch(run.folders[stage.name] / TRACE, stage.name, listeners, totals)


def lies(run: Run, stage: Stage[Any], shard: str, rows: Mapping[str, int]) -> Made:
    """Return what lies on the disk of a shard that a stage has written, with so many `rows`."""
    files = {record.__name__: run.tables.file(record, shard, stage.name) for record in stage.writes}
    images = rows["Image"] if "Image" in rows else run.tables.count(Image, shard)
    return Made(images, rows, {name: size(file) for name, file in files.items()})


def reason(error: BaseException) -> str:
    """Return why a piece of work has ended, in one line."""
    if not isinstance(error, Exception):
        return INTERRUPTED
    return " ".join(str(error).split()) or type(error).__name__
