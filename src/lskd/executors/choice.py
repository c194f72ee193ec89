"""Which executor a command asks for."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from lskd.errors import UserError
from lskd.executors import local
from lskd.executors.job import Executor

Name = Literal["local", "ray"]
NAMES: tuple[Name, ...] = ("local", "ray")


@contextmanager
def chosen(name: Name, address: str | None) -> Iterator[Executor]:
    """Have an executor, `address` being that of a Ray cluster.

    Raises UserError for an address without a cluster, or a cluster that does not answer.
    """
    if name == "local":
        if address is not None:
            raise UserError(f"--address {address} goes with --executor ray")
        yield local.HERE
        return
    # Ray is an extra.
    from lskd.executors import ray

    with ray.connected(address) as executor:
        yield executor
