"""Workers, nodes and the process that leads are killed on a Ray cluster: same tables, no loss.

Paid calls are counted by the server: none is made twice beyond those that were in flight.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import house
from chat.server import Server
from forked import TESTS, lskd
from lskd.chat.paid import spent_so_far
from lskd.run import load
from lskd.types import Reply
from ray_nodes import TwoNodes, skip_without_ray, two_nodes
from test_paid import tables, teacher

skip_without_ray()
pytestmark = pytest.mark.timeout(1200)
CONCURRENCY, LATENCY = 4, 0.1


@pytest.fixture(scope="module")
def nodes() -> Iterator[TwoNodes]:
    with two_nodes() as started:
        yield started


class Led:
    """A run on a cluster, led by a process that can be killed."""

    def __init__(self, folder: Path, change: str, address: str) -> None:
        self._folder = folder
        self._command = [sys.executable, "-m", "lskd", "run", "small.toml", "--set", change]
        self._command += ["--until", "parse", "--executor", "ray", "--address", address]
        self.process = self.start()

    def start(self) -> "subprocess.Popen[bytes]":
        with (self._folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env={**os.environ, "PYTHONPATH": str(TESTS)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self.process

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def end(self) -> None:
        log = self._folder / "log"
        assert self.process.wait(600) == 0, log.read_text()


def prepared(folder: Path, images: int, change: str) -> None:
    """Make what comes before the paid triples in this process."""
    house.build(folder, images)
    made = lskd("run", "small.toml", "--set", change, "--until", "dialogue", folder=folder)
    assert made.returncode == 0, made.stderr


def until_calls(server: Server, led: Led, calls: int, seconds: float = 300) -> bool:
    """Wait until so many calls were made; return whether the run was at work by then."""
    end = time.monotonic() + seconds
    while server.calls() < calls and led.process.poll() is None:
        assert time.monotonic() < end, "no calls are made any more"
        time.sleep(0.01)
    return led.process.poll() is None


def kill_a_worker(nodes: TwoNodes, led: Led, chance: random.Random) -> bool:
    """Kill a worker as soon as there is one; return whether the run was at work by then."""
    while led.process.poll() is None:
        if nodes.kill_worker(chance):
            return True
        time.sleep(0.05)
    return False


def killed_and_compared(nodes: TwoNodes, folder: Path, kinds: list[str], images: int) -> None:
    """Kill what `kinds` name at moments drawn in calls; compare tables, calls and the journal."""
    chance = random.Random(len(kinds))
    whole, broken = folder / "whole", folder / "broken"
    with Server(latency=LATENCY) as server:
        change = teacher(server, concurrency=CONCURRENCY)
        for one in (whole, broken):
            prepared(one, images, change)
        assert (
            lskd("run", "small.toml", "--set", change, "--until", "parse", folder=whole).returncode
            == 0
        )
        server.reset(LATENCY)
        step = images * 2 * 3 // (len(kinds) + 1)
        led = Led(broken, change, nodes.address)
        hit = 0
        for kind in kinds:
            if not until_calls(server, led, server.calls() + chance.randint(1, max(2, step))):
                break
            match kind:
                case "worker":
                    hit += kill_a_worker(nodes, led, chance)
                case "node":
                    nodes.kill_node()
                    hit += 1
                case "driver":
                    led.kill()
                    led.start()
                    hit += 1
        led.end()
        tally = server.tally()
    assert hit == len(kinds), f"the run ended after {hit} of {len(kinds)} kills"
    assert tables(load(broken / "out" / "small")) == tables(load(whole / "out" / "small"))
    replies = house.rows(load(broken / "out" / "small"), Reply)
    assert len(tally.requests) == len(replies) == images * 2 * 3
    unanswered = spent_so_far(broken / "out" / "small" / "journal.sqlite").unanswered
    print(f"{hit} kills: {tally.calls} calls for {len(replies)}, {unanswered} unanswered")
    assert tally.calls - len(tally.requests) <= unanswered <= CONCURRENCY * len(kinds)


@pytest.mark.check
def test_a_cluster_gives_the_tables_of_one_process_though_all_is_killed_once(
    nodes: TwoNodes, tmp_path: Path
) -> None:
    killed_and_compared(nodes, tmp_path, ["worker", "node", "driver"], images=24)


@pytest.mark.check
@pytest.mark.timeout(7200)
def test_fifty_kills_on_a_cluster_change_no_table_and_buy_nothing_twice(
    nodes: TwoNodes, tmp_path: Path
) -> None:
    kinds = [random.Random(number).choice(["worker", "node", "driver"]) for number in range(50)]
    killed_and_compared(nodes, tmp_path, kinds, images=600)
