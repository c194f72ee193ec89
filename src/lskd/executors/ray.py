"""A Ray cluster makes the shards: `lskd run RUN.toml --executor ray --address HOST:PORT`.

In: the address of a cluster, or none to begin one on this machine. Out: an executor. This process
must run on a node of the cluster; it alone takes the run's locks, writes its trace and notes, and
makes whole tables. All nodes see the images and the run's folder by the same paths, and have the
same lskd.
"""

import importlib
import inspect
import os
import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from pydantic import BaseModel

from lskd.chat.journal import Journal
from lskd.errors import MissingExtra, UserError
from lskd.executors import local
from lskd.executors.job import Executor, Job
from lskd.executors.pool import Pool
from lskd.executors.trainer import Trainer
from lskd.fingerprint import all_models
from lskd.journal.service import Service, serving
from lskd.resources import given_by
from lskd.shards import Finished
from lskd.stage import named
from lskd.storage.address import url_of
from lskd.storage.lock import SEGMENTS

STORE_BYTES: Final = 80 << 20  # of a cluster begun here: only counts pass through it
# What workers get of this process's environment, beside the keys that models name.
PASSED_ON: Final = ("LSKD_", "AWS_", "GOOGLE_", "AZURE_", "HF_", "FSSPEC_")
START_SECONDS: Final = "180"  # of a cluster begun here; its own 30 are few on a busy machine
CONTACT_SECONDS: Final = 10.0
DRAIN_SECONDS: Final = 120.0  # for replies in flight when a run is interrupted
PROXIES: Final = ("http_proxy", "https_proxy", "no_proxy", "all_proxy", "ssl_cert_file")


@contextmanager
def connected(address: str | None) -> Iterator[Executor]:
    """Connect to a cluster within the block; without an address, that of RAY_ADDRESS or a new one.

    Raises MissingExtra without ray, UserError if no cluster answers.
    """
    wanted = address or os.environ.get("RAY_ADDRESS") or "local"
    if wanted.startswith("ray://"):
        raise UserError(f"--address {wanted}: run this on a node of the cluster, with host:port")
    check_there(wanted)
    # Ray reads these when it is imported. Nothing is sent to its makers.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_raylet_start_wait_time_s", START_SECONDS)
    try:
        ray: Any = importlib.import_module("ray")
    except ModuleNotFoundError as error:
        raise MissingExtra("--executor ray", "ray", "ray") from error
    connect(ray, wanted)

    def make(job: Job) -> Iterator[Finished]:
        with paying(ray, job) as service:
            pool = Pool(ray, job, environment(job.settings), service)
            try:
                yield from pool.make()
            except KeyboardInterrupt:
                if service is not None:
                    service.drain(DRAIN_SECONDS)
                raise
            finally:
                pool.close()

    def whole(job: Job) -> Iterator[Finished]:
        given = given_by(job.settings)
        if given is None:
            yield from local.make_whole(job)
            return
        with paying(ray, job) as service:
            address = None if service is None else service.address
            yield from Trainer(ray, job, given, environment(job.settings), address).make()

    try:
        yield Executor(make, whole)
    finally:
        ray.shutdown()


def check_there(address: str) -> None:
    """Raise UserError if nothing listens at "host:port", for which Ray itself waits minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        return  # "local", or "auto", which it looks for
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONTACT_SECONDS).close()
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise UserError(
            f"--executor ray: no cluster at {address}: {why}; `ray start --head` begins one"
        ) from error


def connect(ray: Any, address: str) -> None:
    """Connect this process to a cluster, or begin one where the address is "local"."""
    own: dict[str, Any] = {}
    if address == "local":
        own = {"include_dashboard": False, "object_store_memory": STORE_BYTES}
    # Ray takes this signal for itself.
    before = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(
            address=address,
            # What workers print is in Ray's logs; what the user must know comes with outcomes.
            log_to_driver=False,
            logging_level="ERROR",
            **own,
        )
    except Exception as error:  # Ray has no narrower one for a cluster that does not begin
        line = " ".join(str(error).split())
        raise UserError(f"--executor ray: no cluster at {address}: {line[:300]}") from error
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def paying(ray: Any, job: Job) -> Iterator[Service | None]:
    """Serve the journal of paid replies to the workers of a job; None if none of its models pays.

    This process alone opens the journal. What was paid is also published beside it, so that a
    journal that a network file system has spoilt can be filled again; at a place the run's lock
    publishes it.
    """
    kinds = (named(model.use) for model in all_models(job.settings))
    if not any("journal" in inspect.signature(kind).parameters for kind in kinds):
        yield None
        return
    journal = job.context.journal
    assert isinstance(journal, Journal)
    here = ray.util.get_node_ip_address()
    segments = None if url_of(journal.path) else journal.path.with_name(SEGMENTS)
    with serving(journal, host=here, segments=segments) as service:
        yield service


def environment(settings: BaseModel) -> Mapping[str, str]:
    """Return the variables that the models of a stage need wherever they work."""
    keys = {key_variable(model.use, model.keys) for model in all_models(settings)}
    return {
        name: value
        for name, value in os.environ.items()
        if name in keys or name.startswith(PASSED_ON) or name.lower() in PROXIES
    }


def key_variable(use: str, keys: Mapping[str, Any]) -> str | None:
    """Return the variable that holds a model's key, or None if it has none."""
    known = inspect.signature(named(use)).parameters
    if "key_env" not in known:
        return None
    return str(keys.get("key_env", known["key_env"].default))
