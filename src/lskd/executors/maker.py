"""A process of a cluster that makes shards of one stage: it loads the models once, then makes.

In: an order, sent by the process that leads the run (`lskd.executors.pool`). Out: tables on the
storage that all see, and for each call an outcome that says what came of it. A mistake that the
user can put right is an outcome too; anything else is a defect, and raised.
"""

import contextlib
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from lskd import __version__, shards
from lskd.errors import UserError
from lskd.executors.job import Job, at_once
from lskd.journal.address import Address
from lskd.meter import Meter, Took
from lskd.run import Run
from lskd.shards import Finished
from lskd.stage import Context
from lskd.stages import STAGES
from lskd.storage import files
from lskd.storage.address import WORK, here, shown
from lskd.storage.cache import CACHE_GB
from lskd.trace import Clock, running
from lskd.watch import Made, lies

NODE: Final = (WORK, CACHE_GB)  # variables that tell of a node's own disk


@dataclass(frozen=True)
class Order:
    """Which stage of which run is to be worked on.

    `folder` is the working directory of the process that leads, `path` where it finds modules,
    `version` its lskd. `file` is one of the run's: who sees it sees the run's storage.
    """

    run: Run
    stage: str
    file: Path
    folder: str
    path: tuple[str, ...]
    version: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """An error of the user's that arose in another process."""

    text: str
    exit_code: int

    def error(self) -> UserError:
        """Return the error, to be raised here."""
        error = UserError(self.text)
        error.exit_code = self.exit_code
        return error


def trouble_of(error: UserError) -> Trouble:
    """Return what another process is told of an error here: it may be that of this node alone."""
    return Trouble(f"{error} (on {socket.gethostname()})", error.exit_code)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a call: what it took, what the user is to be told, and what was made.

    `at_once` shards may be in flight in this process, `holder` is the name by which it claims paid
    calls ("": it pays for nothing), `torch` says that its models use that.
    """

    took: Took
    said: tuple[str, ...]
    at_once: int = 1
    holder: str = ""
    torch: bool = False
    finished: Finished | None = None
    made: Made | None = None
    trouble: Trouble | None = None


class Warned(logging.Handler):
    """Gives what the house warns of to whoever tells the user, and to no other log."""

    def __init__(self, say: Callable[[str], object]) -> None:
        super().__init__(logging.WARNING)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        """Give a warning."""
        self._say(record.getMessage())

    def listen(self) -> None:
        """Take all warnings of this process from now on."""
        log = logging.getLogger("lskd")
        log.addHandler(self)
        log.propagate = False


class Said:
    """Keeps what a stage says, and what the house warns of, until the next outcome takes it."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._guard = threading.Lock()

    def say(self, text: str) -> None:
        """Keep a text for the user."""
        with self._guard:
            self._texts.append(text)

    def taken(self) -> tuple[str, ...]:
        """Return what was said since this was last asked."""
        with self._guard:
            texts, self._texts = tuple(self._texts), []
        return texts


class Maker:
    """Makes shards of the stage that it was told to load; several threads may call it."""

    def __init__(self) -> None:
        self._meter = Meter()
        self._said = Said()
        Warned(self._said.say).listen()

    def load(
        self, order: Order, environment: Mapping[str, str], journal: Address | None = None
    ) -> Outcome:
        """Load the models of a stage.

        `environment` has the secrets of the process that leads, `journal` is where that keeps what
        is paid for.
        """
        clock = Clock()
        in_flight, holder, trouble = 1, "", None
        try:
            with running(clock):
                context = self._prepare(order, environment, journal)
            if context.waits:
                in_flight = at_once(self._stage, order.run.settings[order.stage])
                holder = getattr(context.journal, "holder", "")
        except UserError as error:
            trouble = trouble_of(error)
        return Outcome(
            took=self._meter.take(clock),
            said=self._said.taken(),
            at_once=in_flight,
            holder=holder,
            torch="torch" in sys.modules,
            trouble=trouble,
        )

    def make(self, shard: str) -> Outcome:
        """Make one shard."""
        clock = Clock()
        finished, made, trouble = None, None, None
        try:
            with running(clock):
                finished = shards.make(self._run, self._stage, self._work, shard)
                made = lies(self._run, self._stage, shard, finished.rows)
        except UserError as error:
            trouble = trouble_of(error)
        return Outcome(
            took=self._meter.take(clock),
            said=self._said.taken(),
            finished=finished,
            made=made,
            trouble=trouble,
        )

    def _prepare(
        self, order: Order, environment: Mapping[str, str], journal: Address | None
    ) -> Context:
        """Load the models; return the context in which they were built."""
        self._run = go_to(order, environment)
        self._stage = next(stage for stage in STAGES if stage.name == order.stage)
        settings = self._run.settings[order.stage]
        context = self._run.context(self._stage)
        context = replace(context, say=self._said.say, journal_service=journal)
        assert self._stage.each is not None
        self._work = self._stage.each(settings, context)
        return context


def order_of(job: Job, file: Path) -> Order:
    """Return the order that workers get for a job; `file` is one of the run that they must see."""
    return Order(
        run=job.run,
        stage=job.stage.name,
        file=file,
        folder=str(Path.cwd()),
        path=tuple(str(Path(place).absolute()) for place in sys.path),
        version=__version__,
    )


def go_to(order: Order, environment: Mapping[str, str]) -> Run:
    """Work in the folder of the process that leads, and find the modules that it finds.

    `environment` has the secrets of that process. A node that has no such folder can do without if
    nothing is relative to it. Return the run as this node has its folders. Raises UserError if it
    has another lskd, or does not see the run.
    """
    # First: what is looked for may lie at a place with keys. A node knows best which disk it has.
    kept = {name: os.environ[name] for name in NODE if name in os.environ}
    os.environ.update({**environment, **kept})
    host = socket.gethostname()
    if order.version != __version__:
        raise UserError(
            f"{host} has lskd {__version__}, this run {order.version}: install one on all nodes"
        )
    with contextlib.suppress(OSError):
        os.chdir(order.folder)
    sys.path.extend(place for place in order.path if place not in sys.path)
    if not files.exists(here(order.file)):
        raise UserError(
            f"{host} does not see {shown(order.file)} from {Path.cwd()}, but the run's own process "
            f"does from {order.folder}: all nodes of a cluster need the same storage by the same "
            "path"
        )
    return order.run.here()
