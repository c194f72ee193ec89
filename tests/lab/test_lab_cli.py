"""The commands of the lab: what they print, and a user's mistakes in one line."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from forked import lskd


def test_make_makes_a_world_and_says_where(tmp_path: Path) -> None:
    done = lskd(
        "lab", "make", "w", "--scenes", "8", "--tests", "4", "--log", "plain", folder=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "w: 16 scenes" in done.stdout
    assert (tmp_path / "w" / "gold" / "test" / "vcr" / "val.jsonl").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("bars", "run.toml", "--seeds", "one"), "whole numbers, apart by commas"),
        (("run", "absent.toml", "--scenes", "8", "--tests", "4"), "no run file"),
        (("judge", "absent.toml", "--world", "w", "--judgments", "j.parquet"), "no run file"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    words: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    done = lskd("lab", *words, folder=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_process_that_was_killed_is_told_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lskd", "lab", "make", "w", "--scenes", "2000"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as making:
        end = time.monotonic() + 60
        # As a system does that has no memory left.
        while not (begun := children(making.pid)):
            assert making.poll() is None and time.monotonic() < end
            time.sleep(0.05)
        os.kill(begun[0], signal.SIGKILL)
        _, said = making.communicate(timeout=60)
    assert making.returncode == 2
    (line,) = [line for line in said.splitlines() if not line.startswith("scenes")]
    assert line.startswith("error: ") and "was killed" in line
    assert line.endswith("run the same command again")


def children(process: int) -> list[int]:
    """Return the numbers of the processes that the first thread of a process has begun."""
    listed = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii")
    return [int(number) for number in listed.split()]
