"""What a run shows while it works: bars in a terminal, plain lines elsewhere, or JSON lines."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from lskd.events import Event
from lskd.jsonlog import row

Kind = Literal["auto", "plain", "json"]
PLAIN_EVERY = 10.0
NOTHING: Mapping[str, float | None] = {}


class Bar(Protocol):
    """The progress of one stage."""

    def tick(self, count: int) -> None:
        """Say that `count` more images are done."""
        ...

    def say(self, text: str) -> None:
        """Tell the user something."""
        ...


class Display(Protocol):
    """Where a run tells what it does."""

    @contextmanager
    def stage(self, name: str, total: int | None) -> Iterator[Bar]:
        """Show the work of one stage on `total` images (None: not known)."""
        ...

    def line(self, stage: str, text: str) -> None:
        """Tell one thing about a stage."""
        ...


@dataclass
class TerminalBar:
    """A Rich bar."""

    progress: Progress
    name: str
    total: int | None
    started: float = field(default_factory=time.monotonic)
    done: int = 0

    def __post_init__(self) -> None:
        self.task = self.progress.add_task(self.name, total=self.total, rate="")

    def tick(self, count: int) -> None:
        """Move the bar."""
        self.done += count
        rate = self.done / max(1e-6, time.monotonic() - self.started)
        self.progress.update(self.task, advance=count, rate=f"{rate:.1f} images/s")

    def say(self, text: str) -> None:
        """Print above the bar."""
        self.progress.console.print(f"{self.name:<11} {text}", highlight=False)


class Terminal:
    """Bars on a terminal."""

    def __init__(self, console: Console) -> None:
        self.console = console

    @contextmanager
    def stage(self, name: str, total: int | None) -> Iterator[Bar]:
        """Show a bar with count, rate and remaining time."""
        columns = (
            TextColumn("{task.description:<11}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console, transient=True) as progress:
            yield TerminalBar(progress, name, total)

    def line(self, stage: str, text: str) -> None:
        """Print a line."""
        self.console.print(f"{stage:<11} {text}", highlight=False)


@dataclass
class LineBar:
    """A line now and then."""

    display: "Lines"
    name: str
    total: int | None
    started: float = field(default_factory=time.monotonic)
    told: float = field(default_factory=time.monotonic)
    done: int = 0

    def tick(self, count: int) -> None:
        """Print a line if the last one is a while ago."""
        self.done += count
        now = time.monotonic()
        if now - self.told < PLAIN_EVERY:
            return
        self.told = now
        rate = self.done / (now - self.started)
        left = ""
        if self.total is not None and rate > 0:  # shards may have no image at all
            left = f", {(self.total - self.done) / rate:.0f} s left"
        of = "" if self.total is None else f" of {self.total}"
        text = f"{self.done}{of} images, {rate:.1f} images/s{left}"
        numbers = {"done": self.done, "total": self.total, "images_per_second": round(rate, 3)}
        self.display.line(self.name, text, "progress", numbers)

    def say(self, text: str) -> None:
        """Print a line."""
        self.display.line(self.name, text)


class Lines:
    """Plain or JSON lines, for logs; plain ones begin with `before`, where several runs write."""

    def __init__(self, kind: Literal["plain", "json"], before: str = "") -> None:
        self.kind = kind
        self.before = before

    @contextmanager
    def stage(self, name: str, total: int | None) -> Iterator[Bar]:
        """Print progress now and then."""
        yield LineBar(self, name, total)

    def line(
        self,
        stage: str,
        text: str,
        event: str = "text",
        numbers: Mapping[str, float | None] = NOTHING,
    ) -> None:
        """Print a line to standard error; JSON also tells the event, and its numbers."""
        if self.kind == "json":
            sys.stderr.write(row(event, stage, None, text=text, **numbers))
        else:
            sys.stderr.write(f"{self.before}{stage:<11} {text}\n")
        sys.stderr.flush()

    def happened(self, event: Event) -> None:
        """Print what happened to a shard, as JSON; in plain lines it would say too much."""
        if self.kind == "json":
            told = event.as_json()
            stage, shard, what = told.pop("stage"), told.pop("shard") or None, told.pop("event")
            sys.stderr.write(row(what, stage, shard, **{**told, "time": event.time}))
            sys.stderr.flush()


def display(kind: Kind) -> Display:
    """Return bars where there is a terminal, else lines; or JSON lines if asked for."""
    console = Console(stderr=True, markup=False, emoji=False)
    if kind == "auto" and console.is_terminal:
        return Terminal(console)
    return Lines("json" if kind == "json" else "plain")
