"""A job of `lskd.lab.jobs` is killed, as a system does that has no memory left."""

import multiprocessing
import os
import re
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import house
from lskd.errors import UserError


def tells_which_run_was_made(begin: Callable[[], None]) -> None:
    """Check what is told in one line when a job of two seeds side by side is killed."""
    killer = threading.Thread(target=kill_a_job)
    killer.start()
    with pytest.raises(UserError) as told:
        begin()
    killer.join()
    assert re.search(r"made seed[01] was killed", str(told.value))
    assert "the same command goes on" in str(told.value) and "--jobs 1" in str(told.value)
    assert "\n" not in str(told.value)


def kill_a_job() -> None:
    """Kill a process that this one begins."""
    end = time.monotonic() + 60
    while not (jobs := multiprocessing.active_children()):
        assert time.monotonic() < end
        time.sleep(0.01)
    os.kill(jobs[0].pid or 0, signal.SIGKILL)


def run_whole(file: Path) -> None:
    """Run a run file, as a job of its own."""
    house.run(file)
