"""The workers of one stage on a Ray cluster, and the shards that they are making.

In: a job. Out: its finished shards. Each worker is an actor that loads the stage's models once; a
shard is given only to a worker that has loaded and has room, so that no more are in flight than are
being made. A worker that is lost, alone or with its node, is replaced, and what it had is made
again. Which node a worker comes to, and whether nodes are added for it, is left to Ray.
"""

import contextlib
import itertools
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lskd.errors import UserError
from lskd.executors.job import Job, at_once
from lskd.executors.maker import Maker, Outcome, order_of
from lskd.journal.service import Service
from lskd.resources import resources_of
from lskd.shards import Finished
from lskd.types import Image
from lskd.watch import INTERRUPTED, NOTHING, reason

PENDING = 8  # workers that are asked for together: Ray adds nodes for what is asked for
LOSSES = 3  # of workers, with one shard and none finished since, after which it is not tried again
PAUSE = 20.0  # seconds without news after which the user may wonder


@dataclass(frozen=True, slots=True)
class Flight:
    """A call under way: of which worker, for which shard; "" while it loads its models."""

    worker: int
    shard: str


class Pool:
    """Makes the shards of one job; `ray` is the module, connected to a cluster.

    `environment` is what its workers get of the secrets of this process, `service` keeps what they
    pay for, None if they pay for nothing.
    """

    def __init__(
        self, ray: Any, job: Job, environment: Mapping[str, str], service: Service | None
    ) -> None:
        self._ray = ray
        self._job = job
        self._environment = dict(environment)
        self._service = service
        self._resources = resources_of(job.settings)
        amounts = self._resources.amounts
        self._actor = ray.remote(Maker).options(
            num_cpus=amounts["CPU"],
            num_gpus=amounts["GPU"],
            memory=amounts.get("memory"),
            max_concurrency=at_once(job.stage, job.settings),
        )
        self._order = order_of(job, job.run.tables.file(Image, job.shards[0]))
        self._waiting = deque(job.shards)
        self._numbers = itertools.count()
        self._workers: dict[int, Any] = {}
        self._holders: dict[int, str] = {}  # by which name workers claim paid calls
        self._room: dict[int, int] = {}  # of workers that have loaded, in shards
        self._flights: dict[Any, Flight] = {}
        self._losses: Counter[str] = Counter()
        self._failure: BaseException | None = None
        self._told: set[str] = set()

    def make(self) -> Iterator[Finished]:
        """Yield the shards as they are finished; raise the first failure once others have landed.

        Raises UserError for a mistake in a worker, and if workers are lost again and again.
        """
        self._job.watch.began("")
        while self._has_work():
            if self._failure is None:
                self._send()
                self._hire()
            for call in self._landed():
                finished = self._settled(self._flights.pop(call), call)
                if finished is not None:
                    yield finished
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """End all workers; what is still in flight is interrupted."""
        for flight in self._flights.values():
            if flight.shard:
                self._job.watch.failed(flight.shard, INTERRUPTED, None)
        for number in list(self._workers):
            self._dismiss(number)

    def _has_work(self) -> bool:
        """Return whether shards are in flight, or others can still be given out."""
        flying = any(flight.shard for flight in self._flights.values())
        return flying or (bool(self._waiting) and self._failure is None)

    def _send(self) -> None:
        """Give shards to the workers that have room."""
        for number in list(self._room):
            while self._room[number] and self._waiting:
                shard = self._waiting.popleft()
                self._room[number] -= 1
                self._job.watch.began(shard)
                call = self._workers[number].make.remote(shard)
                self._flights[call] = Flight(number, shard)

    def _hire(self) -> None:
        """Ask for workers for the shards that nobody has room for."""
        most = min(self._resources.workers or len(self._job.shards), len(self._job.shards))
        loading = sum(not flight.shard for flight in self._flights.values())
        wanted = min(PENDING, len(self._waiting)) - loading
        for _ in range(min(wanted, most - len(self._workers))):
            number = next(self._numbers)
            self._workers[number] = worker = self._actor.remote()
            # Secrets go into a call, from process to process: Ray's head keeps what an actor is
            # constructed with.
            journal = None if self._service is None else self._service.address
            call = worker.load.remote(self._order, self._environment, journal)
            self._flights[call] = Flight(number, "")

    def _landed(self) -> list[Any]:
        """Return the calls that have ended; wait for one, but not forever."""
        ready, _ = self._ray.wait(list(self._flights), num_returns=1, timeout=PAUSE)
        if not ready and not self._room:
            self._tell_of_room()
        return list(ready)

    def _settled(self, flight: Flight, call: Any) -> Finished | None:
        """Take note of how a call has ended; return the shard that it has made, if any."""
        try:
            outcome: Outcome = self._ray.get(call)
        except self._ray.exceptions.RayTaskError as error:
            self._job.watch.failed(flight.shard, reason(error), None)
            self._failure = self._failure or error
            return None
        except self._ray.exceptions.RayError as error:
            self._lost(flight, error)
            return None
        for text in outcome.said:
            self._say_once(text)
        if outcome.trouble is not None:
            self._job.watch.failed(flight.shard, outcome.trouble.text, outcome.took)
            self._failure = self._failure or outcome.trouble.error()
            return None
        if outcome.finished is None or outcome.made is None:
            self._loaded(flight, outcome)
            return None
        if flight.worker in self._room:  # it may be lost since it finished this one
            self._room[flight.worker] += 1
        self._losses.clear()  # where others are finished, that a shard is to blame is not known
        self._job.context.tick(outcome.made.images)
        self._job.watch.ended(flight.shard, outcome.made, outcome.took)
        return self._job.noted(outcome.finished)

    def _loaded(self, flight: Flight, outcome: Outcome) -> None:
        """Take a worker that has its models into service."""
        self._losses[""] = 0
        self._room[flight.worker] = outcome.at_once
        self._holders[flight.worker] = outcome.holder
        self._job.watch.ended("", NOTHING, outcome.took)
        if outcome.torch and not self._resources.gpus and self._ray.cluster_resources().get("GPU"):
            self._say_once(
                "the cluster has accelerators, but the workers of this stage see none: "
                f"[{self._job.stage.name}] resources = {{gpus = 1}} gives one to each"
            )

    def _lost(self, flight: Flight, error: Exception) -> None:
        """Let another worker make what a lost one had; fail if that was so too often."""
        self._dismiss(flight.worker)
        self._losses[flight.shard] += 1
        why = f"its worker was lost: {reason(error)}"[:300]
        what = f"shard {flight.shard}" if flight.shard else "its models half loaded"
        last = self._losses[flight.shard] > LOSSES
        if flight.shard or last:
            self._job.watch.failed(flight.shard, why, None)
        if flight.shard:
            self._waiting.append(flight.shard)  # last: if it ends its worker, the others are made
        if not last:
            self._job.context.say(f"a worker was lost with {what}; another takes its place")
        elif self._failure is None:
            name = self._job.stage.name
            self._failure = UserError(
                f"{name}: {self._losses[flight.shard]} workers were lost with {what}; {why}; if "
                f"they need more memory, say so: [{name}] resources = {{memory_gb = 8}}"
            )

    def _dismiss(self, number: int) -> None:
        """End a worker, if it is still there."""
        self._room.pop(number, None)
        worker = self._workers.pop(number, None)
        if worker is not None:
            with contextlib.suppress(self._ray.exceptions.RayError):
                self._ray.kill(worker)
        holder = self._holders.pop(number, "")
        if self._service is not None and holder:
            # Now rather than when its silence is noticed: another worker waits for its calls.
            self._service.ledger.let_go_of(holder)

    def _tell_of_room(self) -> None:
        """Tell the user if no node that is there can ever hold a worker."""
        wanted = {name: amount for name, amount in self._resources.amounts.items() if amount}
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        if not any(all(node.get(k, 0.0) >= v for k, v in wanted.items()) for node in nodes):
            self._say_once(
                f"no node of the cluster has the {self._resources.told()} that a worker takes: "
                f"waiting for one; change [{self._job.stage.name}] resources if none will come"
            )

    def _say_once(self, text: str) -> None:
        """Tell the user what several workers may say."""
        if text not in self._told:
            self._told.add(text)
            self._job.context.say(text)
