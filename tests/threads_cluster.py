"""A cluster of threads that has of Ray's interface what `lskd.executors.pool` uses, and can lose.

Tests of what happens when workers are lost begin none of Ray's processes: `loses(shard)` is asked
for each call, "" while models are loaded, before its work begins and again when it is done.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, Self


class RayError(Exception):
    """A worker is gone."""


class RayTaskError(RayError):
    """A worker has met a defect."""


class Method:
    """A method of an actor that is called without waiting for it."""

    def __init__(self, actor: "Actor", name: str) -> None:
        self._actor = actor
        self._name = name

    def remote(self, *args: Any) -> Future[Any]:
        shard = args[0] if self._name == "make" else ""
        return self._actor.threads.submit(self._actor.call, self._name, shard, args)


class Actor:
    """An object that lives in threads of its own until it is killed or lost."""

    def __init__(self, cluster: "ThreadsCluster", made: Any, at_once: int) -> None:
        self.threads = ThreadPoolExecutor(at_once)
        self.alive = True
        self._cluster = cluster
        self._made = made

    def __getattr__(self, name: str) -> Method:
        return Method(self, name)

    def call(self, name: str, shard: str, args: Sequence[Any]) -> Any:
        self._live(shard)
        try:
            found = getattr(self._made, name)(*args)
        except Exception as error:
            raise RayTaskError(f"defect: {error!r}") from error
        self._live(shard)
        return found

    def _live(self, shard: str) -> None:
        if not self.alive or self._cluster.loses(shard):
            self.alive = False
            raise RayError("the node went down")


class Kind:
    """A class whose objects are actors."""

    def __init__(self, cluster: "ThreadsCluster", kind: type) -> None:
        self._cluster = cluster
        self._kind = kind
        self._options: dict[str, Any] = {}

    def options(self, **options: Any) -> Self:
        self._options = options
        return self

    def remote(self) -> Actor:
        self._cluster.asked.append(self._options)
        actor = Actor(self._cluster, self._kind(), self._options["max_concurrency"])
        with self._cluster.guard:
            self._cluster.actors.append(actor)
        return actor


class ThreadsCluster:
    """Stands for the module ray, connected to one node with some resources."""

    def __init__(
        self, loses: Callable[[str], bool] = lambda shard: False, gpus: float = 0.0
    ) -> None:
        self.exceptions = type(
            "exceptions", (), {"RayError": RayError, "RayTaskError": RayTaskError}
        )
        self.actors: list[Actor] = []
        self.asked: list[dict[str, Any]] = []
        self.killed = 0
        self.guard = threading.Lock()
        self._loses = loses
        self._gpus = gpus

    def loses(self, shard: str) -> bool:
        with self.guard:
            return self._loses(shard)

    def remote(self, kind: type) -> Kind:
        return Kind(self, kind)

    def wait(
        self, calls: Sequence[Future[Any]], num_returns: int, timeout: float
    ) -> tuple[list[Future[Any]], list[Future[Any]]]:
        done, others = wait(calls, timeout, FIRST_COMPLETED)
        return list(done)[:num_returns], [*list(done)[num_returns:], *others]

    def get(self, call: Future[Any]) -> Any:
        return call.result()

    def kill(self, actor: Actor) -> None:
        actor.alive = False
        self.killed += 1

    def end(self) -> None:
        """Wait for what killed actors are still at: a thread goes on where a process would not."""
        for actor in self.actors:
            actor.threads.shutdown(cancel_futures=True)

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 2.0, "GPU": self._gpus}

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": self.cluster_resources()}]
