"""Processes that make runs side by side: they end with the one that began them, or are killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from killing import tells_which_run_was_made
from lskd import bootstrap
from lskd.bootstrap import Bootstrap
from lskd.errors import UserError
from lskd.lab.course import Course
from lskd.lab.jobs import Job, ahead, make

SCRIPT = """
import os, sys, time
from collections.abc import Callable
from pathlib import Path
from lskd.lab.jobs import Job, make

def work(folder):
    Path(folder, str(os.getpid())).touch()
    time.sleep(600)

if __name__ == "__main__":
    make({name: Job(work, (sys.argv[1],)) for name in "ab"}, 2)
"""


@pytest.mark.check
@pytest.mark.parametrize("with_signal", [signal.SIGKILL, signal.SIGTERM])
def test_jobs_end_with_the_process_that_began_them(
    tmp_path: Path, with_signal: signal.Signals
) -> None:
    script, begun = tmp_path / "script.py", tmp_path / "begun"
    script.write_text(SCRIPT, encoding="utf-8")
    begun.mkdir()
    parent = subprocess.Popen([sys.executable, str(script), str(begun)])
    try:
        until(lambda: len(list(begun.iterdir())) == 2)
        jobs = [int(file.name) for file in begun.iterdir()]
        assert all(map(alive, jobs))
    finally:
        parent.send_signal(with_signal)
        parent.wait()
    until(lambda: not any(map(alive, jobs)))


def test_which_run_was_made_is_told_in_one_line_when_its_process_is_killed(tmp_path: Path) -> None:
    course = Course(Path("runs/lab.toml"), tmp_path, tmp_path, 0, ())
    tells_which_run_was_made(lambda: ahead(course, [0, 1, 2], [], 2))


@pytest.mark.check
def test_once_a_job_has_failed_no_other_begins_and_what_it_raised_is_told(tmp_path: Path) -> None:
    others = [tmp_path / "second", tmp_path / "third"]
    planned = {
        "first": Job(bootstrap.check, (Bootstrap(resamples=0),)),
        **{file.name: Job(Path.touch, (file,)) for file in others},
    }
    with pytest.raises(UserError, match="resamples = 0"):
        make(planned, 1)
    assert not any(file.exists() for file in others)


def until(said: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not said():
        assert time.monotonic() < end
        time.sleep(0.05)


def alive(process: int) -> bool:
    """Return whether a process is at work; a zombie, which nobody waits for, is not."""
    try:
        return "State:\tZ" not in Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False


IDLE = """
import os, signal, sys, time
from lskd.chat.stopping import stops_gracefully
from lskd.lab.workers import workers

signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    with stops_gracefully(), workers(2) as pool:
        list(pool.map(time.sleep, [0.2, 0.2]))
        print("idle", flush=True)
        time.sleep(60)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_processes_without_work_end_without_a_word_when_all_are_interrupted(tmp_path: Path) -> None:
    script = tmp_path / "idle.py"
    script.write_text(IDLE, encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "idle\n"
        os.killpg(process.pid, signal.SIGINT)
        told, wrong = process.communicate(timeout=30)
    assert (told, wrong, process.returncode) == ("interrupted\n", "", 0)
