"""Runs that are killed at random moments: they end with the same replies, and buy none twice."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chat.driver import TURNS
from chat.server import Server
from lskd.chat.paid import spent_so_far


def start(server: Server, journal: Path, conversations: int, file: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "chat.driver", server.base_url, str(journal)]
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, sys.path)])
    return subprocess.Popen(
        [*command, str(conversations), str(file)], env=os.environ | {"PYTHONPATH": paths}
    )


def killed_until_done(server: Server, folder: Path, conversations: int, kills: int) -> int:
    """Kill a run so many times, each time a while after it went on; return how often it worked.

    A moment is drawn in calls, not in seconds, so that kills hit on slow machines as on fast ones.
    """
    chance = random.Random(conversations)
    hit = 0
    journal, file = folder / "killed.sqlite", folder / "killed.json"
    step = conversations * TURNS // kills
    for _ in range(kills):
        target = server.calls() + chance.randint(1, max(1, 2 * step - 2))
        run = start(server, journal, conversations, file)
        while run.poll() is None and server.calls() < target:
            time.sleep(0.002)
        hit += run.poll() is None
        run.send_signal(signal.SIGKILL)
        run.wait()
    assert start(server, journal, conversations, file).wait() == 0
    return hit


def check(server: Server, folder: Path, conversations: int, kills: int) -> None:
    assert start(server, folder / "calm.sqlite", conversations, folder / "calm.json").wait() == 0
    calm = server.tally()
    assert calm.calls == len(calm.requests) == conversations * TURNS
    server.reset(latency=0.02)
    hit = killed_until_done(server, folder, conversations, kills)
    tally = server.tally()
    assert hit >= kills // 2  # or else this test would show little
    assert (folder / "killed.json").read_text() == (folder / "calm.json").read_text()
    assert tally.requests.keys() == calm.requests.keys()
    paid_again = tally.calls - len(tally.requests)
    spent = spent_so_far(folder / "killed.sqlite")
    assert spent.calls == conversations * TURNS
    assert paid_again <= spent.unanswered <= 16 * hit
    print(f"{hit} kills, {paid_again} calls paid again, {spent.unanswered} shown as unanswered")


def test_a_killed_run_ends_alike_and_pays_only_what_was_in_flight_again(
    server: Server, tmp_path: Path
) -> None:
    server.reset(latency=0.02)
    check(server, tmp_path, conversations=60, kills=5)


@pytest.mark.check
@pytest.mark.timeout(1200)
def test_a_run_killed_a_hundred_times_ends_alike(server: Server, tmp_path: Path) -> None:
    server.reset(latency=0.02)
    check(server, tmp_path, conversations=1200, kills=100)
