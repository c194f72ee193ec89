"""How many processes would work on a stage of a run at once, on a cluster that a plan is made for.

In: a stage, the cluster, and how fast the stage is, measured or shipped. Out: its workers, as
`lskd run --executor ray` begins them by what the stage's section says that one takes
(`lskd.resources`), and what is supposed where it says too little.
"""

import math
from dataclasses import dataclass
from typing import Any

from lskd import plan
from lskd.cluster import Cluster
from lskd.fingerprint import all_models
from lskd.pace import Pace
from lskd.rates import Rate
from lskd.resources import Resources, given_by
from lskd.run import Run
from lskd.stage import Stage, named

NO_GPU = "it needs a GPU and the cluster has none: give gpus="


@dataclass(frozen=True, slots=True)
class Crew:
    """How many processes work on a stage at once, 0 if the cluster has no place for them.

    `why` says why not, or else what the plan supposes that the run file does not say.
    """

    workers: int
    why: str = ""

    @property
    def supposed(self) -> str:
        """Return what is supposed, to be put behind where a figure comes from."""
        return f"; {self.why}" if self.why else ""


def crew(
    run: Run,
    stage: Stage[Any],
    images: int,
    cluster: Cluster | None,
    measured: Pace | None,
    shipped: Rate | None,
) -> Crew:
    """Return how many processes work on a stage at once.

    Workers that share a core or an accelerator count as one: together they are not faster.
    """
    settings = run.settings[stage.name]
    gpu = (
        measured.gpu and computes(run, stage) if measured else bool(shipped and shipped.on == "gpu")
    )
    if cluster is None:
        return Crew(1)
    if gpu and not cluster.gpus:
        return Crew(0, NO_GPU)
    if stage.is_whole(settings) and not stage.together:
        return Crew(1)
    given = given_by(settings)
    if given is None and stage.together:
        return unsaid(cluster, gpu)
    takes = given or Resources()
    why = ""
    if gpu and not takes.gpus:
        takes, why = takes.model_copy(update={"gpus": 1.0}), supposition("gpus = 1")
    room = places(cluster, takes.cpus, takes.gpus)
    wanted = (takes.workers or 1) if stage.together else 1
    if room < wanted:
        return Crew(0, no_room(wanted, takes, cluster))
    busy = 0 if gpu else cores(run, stage, measured)
    apart = places(cluster, busy, max(1.0, takes.gpus) if takes.gpus else 0.0)
    if stage.together:
        return Crew(max(1, min(wanted, apart)), why)
    size = getattr(run.settings["images"], "shard_size", 1)
    most = min(math.ceil(images / size), takes.workers or room, room)
    return Crew(max(1, min(most, max(apart, cluster.nodes))), why)


def unsaid(cluster: Cluster, gpu: bool) -> Crew:
    """Return the workers of a training whose section has no resources: as many as have room."""
    if gpu:
        count, takes = places(cluster, 1.0, 1.0), "gpus = 1"
    else:
        count, takes = cluster.nodes, f"cpus = {cluster.cpus}"
    return Crew(count, supposition(f"{takes}, workers = {count}") if count > 1 else "")


def supposition(takes: str) -> str:
    """Return what the plan supposes of a section."""
    return f"supposes resources = {{ {takes} }} in its section"


def no_room(wanted: int, takes: Resources, cluster: Cluster) -> str:
    """Return why a stage has no workers on a cluster."""
    of_them = "a worker that takes" if wanted == 1 else f"{wanted} workers that each take"
    return f"its resources want {of_them} {takes.told()}: {cluster} has no room for that"


def places(cluster: Cluster, cpus: float, gpus: float) -> int:
    """Return how many workers that take so much of a node have room on all nodes."""
    takes = ((cluster.cpus, cpus), (cluster.gpus, gpus))
    return cluster.nodes * min(int(there / amount + 1e-9) for there, amount in takes if amount)


def computes(run: Run, stage: Stage[Any]) -> bool:
    """Return whether a stage may use an accelerator: it trains, or names a model."""
    return stage.together or bool(all_models(run.settings[stage.name]))


def alone(run: Run, stage: Stage[Any], measured: Pace) -> float:
    """Return the seconds that one worker would have taken for what was measured.

    The shards of one process are in flight together where they wait for paid replies, and overlap;
    what overlaps beyond that was the work of several workers.
    """
    paying = [named(m.use) for m in all_models(run.settings[stage.name]) if plan.pays(m)]
    in_flight = max([stage.at_once, *(getattr(kind, "shards_at_once", 1) for kind in paying)])
    return max(measured.seconds, measured.spans.total / (in_flight if paying else 1))


def cores(run: Run, stage: Stage[Any], measured: Pace | None) -> int:
    """Return how many cores a worker keeps busy while it does not wait."""
    if measured is None or not measured.seconds:
        return 1
    busy = alone(run, stage, measured) * (1 - measured.share("waiting"))
    return max(1, round(measured.cpu / busy)) if busy > 0 else 1
