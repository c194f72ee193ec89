"""A stage that trains on workers of a Ray cluster, as a job of Ray Train.

In: a job whose section says what a worker takes: `[distil] resources = {gpus = 1, workers = 4}`.
Out: its tables, written by the first of the workers; the others train with it, as processes of
`accelerate launch` do (`lskd.training.processes`). If a worker is lost all of them begin again,
from the last checkpoint in the stage's folder, which all must see, or at the run's place.
"""

import shutil
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from lskd import shards
from lskd.errors import UserError
from lskd.executors.job import Job
from lskd.executors.maker import Order, Trouble, Warned, go_to, order_of, trouble_of
from lskd.journal.address import Address
from lskd.resources import Resources
from lskd.run import Run
from lskd.runfile import RUN_FILE
from lskd.shards import Finished
from lskd.stages import STAGES
from lskd.storage import mirror
from lskd.storage.lock import LOGS
from lskd.training import processes

LOSSES: Final = 3  # of workers, after which the training is not begun again
PAUSE: Final = 0.5  # seconds between two looks at what the workers have to tell
SILENCE: Final = 20.0  # seconds without a worker after which the user may wonder
GRACE: Final = 30.0  # seconds for the others to end after one has met a mistake
OWN: Final = "ray-train"  # the beginning of the name of what Ray Train keeps while it works


@dataclass(frozen=True)
class Task:
    """What every worker is told: the stage, the secrets that it needs, and where replies are paid.

    `limit` is the run's, for this time.
    """

    order: Order
    environment: Mapping[str, str]
    journal: Address | None
    limit: int | None


@dataclass(frozen=True, slots=True)
class News:
    """What has come from the workers since the last look: texts for the user, shards, a trouble.

    `begun` counts how often they have begun.
    """

    texts: tuple[str, ...]
    finished: tuple[Finished, ...]
    trouble: Trouble | None
    begun: int


class Desk:
    """Stands between the process that leads the run and the workers; an actor without a core.

    The task comes in a call, from process to process: Ray's head keeps what an actor is made with.
    """

    def __init__(self) -> None:
        self._task: Task | None = None
        self._texts: list[str] = []
        self._finished: list[Finished] = []
        self._trouble: Trouble | None = None
        self._begun = 0

    def bring(self, task: Task) -> None:
        """Keep the task for the workers."""
        self._task = task

    def task(self, leads: bool) -> Task | None:
        """Return the task to a worker that begins; None if another has told a trouble."""
        self._begun += leads
        return None if self._trouble else self._task

    def say(self, text: str) -> None:
        """Keep a text for the user."""
        self._texts.append(text)

    def made(self, finished: Finished) -> None:
        """Keep that a shard is there."""
        self._finished.append(finished)

    def stop(self, trouble: Trouble) -> None:
        """Keep the first mistake of the user's; no worker begins any more."""
        self._trouble = self._trouble or trouble

    def news(self) -> News:
        """Return what has come since this was last asked."""
        texts, self._texts = tuple(self._texts), []
        finished, self._finished = tuple(self._finished), []
        return News(texts, finished, self._trouble, self._begun)


def take_part(given: Mapping[str, Any]) -> None:
    """Make or follow the stage, as one of the workers; `given` has the "desk"."""
    import ray

    desk: Any = given["desk"]
    leads = processes.leads()
    task: Task | None = ray.get(desk.task.remote(leads))
    if task is None:
        return
    try:
        run = go_to(task.order, task.environment)
        processes.meet()
        for finished in _parts(run, task, desk, leads):
            ray.get(desk.made.remote(finished))
    except processes.Left:
        raise  # Ray has noticed, and lets all begin again
    except UserError as error:
        # Not raised: Ray Train would begin again, and find the same.
        ray.get(desk.stop.remote(trouble_of(error)))


def _parts(run: Run, task: Task, desk: Any, leads: bool) -> Iterator[Finished]:
    """Yield the shards that the first worker has written; the others yield none."""
    stage = next(stage for stage in STAGES if stage.name == task.order.stage)
    context = replace(run.context(stage), limit=task.limit, journal_service=task.journal)
    shards.catch_up(run, stage)
    if not leads:
        shards.follow(run, stage, context)
        return
    Warned(desk.say.remote).listen()
    context = replace(context, say=lambda text: desk.say.remote(text))
    yield from shards.make_whole(run, stage, context)
    mirror.push(context.folder)


class Trainer:
    """Has one job trained on a cluster; `ray` is the module, connected to it."""

    def __init__(
        self,
        ray: Any,
        job: Job,
        resources: Resources,
        environment: Mapping[str, str],
        service: Address | None,
    ) -> None:
        self._ray = ray
        self._job = job
        self._resources = resources
        order = order_of(job, job.run.own / RUN_FILE)
        self._task = Task(order, environment, service, job.context.limit)
        self._failure: BaseException | None = None
        self._told: set[str] = set()

    def make(self) -> Iterator[Finished]:
        """Yield the shards of the stage; raise what a worker could not do.

        Raises UserError for a mistake in a worker, and if workers are lost again and again.
        """
        yield from self._made()
        # What a worker has made on another machine. The logs are this process's.
        mirror.complete(self._job.context.folder, but=LOGS)

    def _made(self) -> Iterator[Finished]:
        """Yield shards as the workers tell of them."""
        desk = self._desk()
        self._ray.get(desk.bring.remote(self._task))
        # In a thread: in the main one Ray would take Ctrl-C for itself.
        thread = threading.Thread(target=self._fit, args=(desk,), daemon=True)
        thread.start()
        begun, began, end = 0, time.monotonic(), float("inf")
        while True:
            over = not thread.is_alive() or time.monotonic() > end
            news: News = self._ray.get(desk.news.remote())
            for text in news.texts:
                self._job.context.say(text)
            for finished in news.finished:
                yield self._job.noted(finished)
            if news.begun > max(1, begun):
                self._job.context.say("a worker was lost; all begin again at the last checkpoint")
            begun = news.begun
            if not begun and time.monotonic() - began > SILENCE:
                self._tell_of_room()
            if news.trouble is not None:
                end = min(end, time.monotonic() + GRACE)
            if over:
                break
            thread.join(PAUSE)
        if news.trouble is not None:
            raise news.trouble.error()
        if self._failure is not None:
            raise self._lost(self._failure, begun)

    def _desk(self) -> Any:
        """Return a new desk on the node of this process, which is there as long as the run is."""
        here = self._ray.get_runtime_context().get_node_id()
        own = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(here, soft=False)
        return self._ray.remote(Desk).options(num_cpus=0, scheduling_strategy=own).remote()

    def _fit(self, desk: Any) -> None:
        """Have Ray Train start the workers, and again if some are lost; keep how that failed."""
        from ray.train import FailureConfig, RunConfig, ScalingConfig
        from ray.train.torch import TorchTrainer

        folder = self._job.context.folder
        for left in folder.glob(f"{OWN}-*"):  # by a run that was killed
            shutil.rmtree(left, ignore_errors=True)
        name = f"{OWN}-{uuid.uuid4().hex[:8]}"
        try:
            TorchTrainer(
                take_part,
                train_loop_config={"desk": desk},
                scaling_config=ScalingConfig(
                    num_workers=self._resources.workers or 1,
                    use_gpu=self._resources.gpus > 0,
                    resources_per_worker=self._resources.amounts,
                ),
                run_config=RunConfig(
                    name=name,
                    storage_path=str(folder.absolute()),
                    failure_config=FailureConfig(max_failures=LOSSES),
                ),
            ).fit()
        except BaseException as error:  # is raised in the main thread
            self._failure = error
        finally:
            shutil.rmtree(folder / name, ignore_errors=True)

    def _lost(self, failure: BaseException, begun: int) -> BaseException:
        """Return the error that tells why the workers have not come to an end."""
        causes = getattr(failure, "worker_failures", None) or {0: failure}
        cause = next(iter(causes.values()))
        if not isinstance(cause, self._ray.exceptions.RayActorError):
            return failure  # a defect
        name = self._job.stage.name
        line = " ".join(str(cause).split())
        return UserError(
            f"{name}: its workers were lost {begun} times, the last time since {line[:300]}; the "
            "same command goes on after the last checkpoint; if they need more memory, say so: "
            f"[{name}] resources = {{memory_gb = 32}}"
        )

    def _tell_of_room(self) -> None:
        """Tell the user once what is waited for, if the cluster has not that much."""
        count, there = self._resources.workers or 1, self._ray.cluster_resources()
        wanted = {name: count * amount for name, amount in self._resources.amounts.items()}
        if "room" in self._told or all(there.get(k, 0.0) >= v for k, v in wanted.items()):
            return
        self._told.add("room")
        self._job.context.say(
            f"the cluster has no room for {count} workers that take {self._resources.told()}: "
            f"waiting for it; change [{self._job.stage.name}] resources if none will come"
        )
