"""Which executor a command asks for."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from lskd.errors import UserError
from lskd.executors import local
from lskd.executors.job import Executor
from lskd.run import Run
from lskd.stage import Stage

Name = Literal["local", "ray"]
NAMES: tuple[Name, ...] = ("local", "ray")


@contextmanager
def chosen(
    name: Name, address: str | None, run: Run, stages: Sequence[Stage[Any]]
) -> Iterator[Executor]:
    """Have an executor for some stages of a run, `address` being that of a Ray cluster.

    Raises UserError for an address without a cluster, a cluster that does not answer, or a stage
    that cannot be made there.
    """
    if name == "local":
        if address is not None:
            raise UserError(f"--address {address} goes with --executor ray")
        yield local.HERE
        return
    # Ray is an extra.
    from lskd.executors import ray

    ray.check_shared(run, stages)
    with ray.connected(address) as executor:
        yield executor
