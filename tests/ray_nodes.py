"""A Ray cluster of two nodes on this machine, whose workers and second node can be killed.

Its head and its second node have one core each. Times that Ray waits for its own processes are
long, since tests share their machine.
"""

import importlib.util
import os
import random
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

STORE_BYTES = 80 << 20
PATIENCE = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_raylet_start_wait_time_s": "600",
    "RAY_worker_register_timeout_seconds": "600",
    "RAY_agent_register_timeout_ms": "600000",
    "RAY_gcs_server_request_timeout_seconds": "300",
    "RAY_worker_niceness": "0",  # its own 15 is for machines with other work
    # A node that is gone refuses connections at once; one that is slow may be so for a while.
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_failure_threshold": "8",
    "RAY_health_check_timeout_ms": "60000",
}


class TwoNodes:
    """A cluster at `address`; its second node has variables of its `own`."""

    def __init__(self, cluster: Any, own: Mapping[str, str]) -> None:
        self._cluster = cluster
        self._given = {
            "num_cpus": 1,
            "object_store_memory": STORE_BYTES,
            **({"env_vars": dict(own)} if own else {}),
        }
        self._second = cluster.add_node(**self._given)

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    def workers(self) -> list[int]:
        """Return the processes that make shards now."""
        return self._titled(b"ray::Maker")

    def training(self) -> list[int]:
        """Return the processes that train now."""
        return self._titled(b"ray::RayTrainWorker")

    def _titled(self, begin: bytes) -> list[int]:
        """Return the processes of the cluster whose title begins so."""
        raylets = {
            info.process.pid
            for node in (self._cluster.head_node, self._second)
            for info in node.all_processes.get("raylet", [])
        }
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                title = (entry / "cmdline").read_bytes()
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError):  # it has ended
                continue
            if title.startswith(begin) and parent in raylets:
                found.append(int(entry.name))
        return found

    def kill_worker(self, rng: random.Random) -> bool:
        """Kill one of the workers; return whether there was one."""
        there = self.workers()
        if not there:
            return False
        os.kill(rng.choice(there), signal.SIGKILL)
        return True

    def kill_node(self) -> None:
        """Kill all processes of the second node, and add another."""
        self._cluster.remove_node(self._second, allow_graceful=False)
        self._second = self._cluster.add_node(wait=False, **self._given)

    def until_idle(self, seconds: float = 120) -> None:
        """Wait until no worker is left, as after the end of the process that leads them."""
        end = time.monotonic() + seconds
        while self.workers():
            assert time.monotonic() < end, "workers outlive the process that leads them"
            time.sleep(0.2)


def skip_without_ray() -> None:
    """Skip a module of tests if ray is not installed, without importing it yet."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("ray is not installed", allow_module_level=True)


@contextmanager
def two_nodes(own: Mapping[str, str] = {}) -> Iterator[TwoNodes]:
    """Have a cluster within the block; its second node has variables of its `own`."""
    before = dict(os.environ)
    os.environ.update(PATIENCE)
    try:
        # It reads the environment when it is first imported: not before this.
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 1, "object_store_memory": STORE_BYTES, "include_dashboard": False}
        cluster: Any = Cluster(initialize_head=True, head_node_args=head)
        try:
            yield TwoNodes(cluster, own)
        finally:
            cluster.shutdown()
    finally:
        os.environ.clear()
        os.environ.update(before)
