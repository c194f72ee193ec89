"""A run at work can be watched by Prometheus: `lskd run RUN.toml --metrics PORT`.

In: the events of its shards, and its journal of paid replies. Out: text at
http://127.0.0.1:PORT/metrics. Only this machine can read it; it is off unless asked for.
"""

import importlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lskd.chat.paid import Spent, spent_so_far
from lskd.errors import MissingExtra, UserError
from lskd.events import Event, Listener
from lskd.run import JOURNAL, Run
from lskd.trace import KINDS

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

LOOPBACK = "127.0.0.1"
STALE_SECONDS = 5.0  # sums over a journal of millions of replies take a while


class Counters:
    """What a process has done since it began, counted by the events that it is told."""

    def __init__(self, client: Any, registry: Any) -> None:
        def counter(name: str, what: str, *labels: str) -> Any:
            return client.Counter(f"lskd_{name}", what, labels, registry=registry)

        self.images = counter("images", "Images that a stage has finished.", "stage")
        self.rows = counter("rows", "Rows that a stage has written.", "stage", "record")
        self.bytes = counter("bytes", "Bytes of tables that a stage has written.", "stage")
        self.shards = counter("shards", "Shards that a stage has finished.", "stage")
        self.errors = counter("errors", "Shards, or stages, that failed.", "stage")
        self.seconds = counter("seconds", "Time of a stage's shards by kind.", "stage", "kind")
        self.in_work = client.Gauge(
            "lskd_shards_in_work", "Shards that are in work now.", ("stage",), registry=registry
        )

    def happened(self, event: Event) -> None:
        """Count an event."""
        stage = event.stage
        if event.spans is not None:
            for kind in KINDS:
                self.seconds.labels(stage, kind).inc(event.spans.of(kind))
        if event.what == "failed":
            self.errors.labels(stage).inc()
        if event.shard and event.what == "ended":
            self.shards.labels(stage).inc()
            self.images.labels(stage).inc(event.images)
            self.bytes.labels(stage).inc(sum(event.bytes.values()))
        for record, rows in event.rows.items():
            self.rows.labels(stage, record).inc(rows)


class Work:
    """Follows which shards are in work, to tell how many."""

    def __init__(self, gauge: Any) -> None:
        self._gauge = gauge
        self._begun: dict[str, set[str]] = {}
        self._guard = threading.Lock()

    def happened(self, event: Event) -> None:
        """Note that a shard begins or ends; a stage on whole tables tells of no beginning."""
        if not event.shard:
            return
        with self._guard:
            begun = self._begun.setdefault(event.stage, set())
            if event.what == "began":
                begun.add(event.shard)
            else:
                begun.discard(event.shard)
            self._gauge.labels(event.stage).set(len(begun))


class Purse:
    """Tells what a run's replies cost, over all restarts, by its journals when it is asked.

    `families` makes a counter's family: prometheus_client.core.CounterMetricFamily.
    """

    def __init__(self, journals: Sequence[Path], families: Callable[..., Any]) -> None:
        self._journals = journals
        self._families = families
        self._seen: list[Spent] = []
        self._when = float("-inf")
        self._guard = threading.Lock()

    def collect(self) -> Iterable["Metric"]:
        """Yield the counters."""
        with self._guard:
            if time.monotonic() - self._when > STALE_SECONDS:
                self._seen = [spent_so_far(one) for one in self._journals if one.exists()]
                self._when = time.monotonic()
            seen = list(self._seen)
        replies = self._families("lskd_replies", "Paid replies in the run's journals.")
        replies.add_metric([], sum(one.calls for one in seen))
        tokens = self._families("lskd_tokens", "Tokens of paid replies.", labels=["direction"])
        tokens.add_metric(["in"], sum(one.input_tokens for one in seen))
        tokens.add_metric(["out"], sum(one.output_tokens for one in seen))
        yield from (replies, tokens)
        prices = [one.price for one in seen]
        known = [price for price in prices if price is not None]
        # A price that is not known is no metric, rather than 0.
        if len(known) == len(prices):
            price = self._families("lskd_price", "Price of paid replies, in the settings' unit.")
            price.add_metric([], sum(known))
            yield price


def journals_of(run: Run) -> tuple[Path, ...]:
    """Return where the journals lie that the stages of a run write."""
    return tuple(dict.fromkeys(folder.parent / JOURNAL for folder in run.folders.values()))


@contextmanager
def served(port: int | None, run: Run) -> Iterator[tuple[Listener, ...]]:
    """Serve a run's metrics within the block; yield who is to be told of its shards.

    With port None nothing is served. Raises MissingExtra without prometheus-client, UserError if
    the port cannot be had.
    """
    if port is None:
        yield ()
        return
    try:
        client = importlib.import_module("prometheus_client")
        core = importlib.import_module("prometheus_client.core")
    except ModuleNotFoundError as error:
        raise MissingExtra("--metrics", "prometheus-client", "metrics") from error
    registry = client.CollectorRegistry()
    counters = Counters(client, registry)
    registry.register(Purse(journals_of(run), core.CounterMetricFamily))
    try:
        server, thread = client.start_http_server(port, addr=LOOPBACK, registry=registry)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"--metrics {port}: {reason}; give another port") from error
    try:
        yield (counters.happened, Work(counters.in_work).happened)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
