"""`lskd lab serve` says where it listens, answers there, and ends as it is told to."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def served(port: int = 0) -> Iterator["subprocess.Popen[str]"]:
    words = [sys.executable, "-m", "lskd", "lab", "serve", "--port", str(port)]
    # Tests may have been started where an interrupt is ignored, and children inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
        )
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(("told", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_answers_once_it_has_said_where_and_ends_with_the_code_of_a_signal(
    told: signal.Signals, code: int
) -> None:
    with served() as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:[1-9]\d*/v1", url)
        with urllib.request.urlopen(f"{url}/models") as answer:
            assert json.load(answer)["data"][0]["id"] == "lskd-lab-teacher"
        process.send_signal(told)
        _, said = process.communicate(timeout=30)
        assert process.returncode == code, said
        assert "Traceback" not in said


def test_a_port_that_is_taken_is_one_line() -> None:
    with served() as first:
        assert first.stdout is not None
        port = int(first.stdout.readline().removesuffix("/v1\n").rpartition(":")[2])
        with served(port) as second:
            _, said = second.communicate(timeout=120)
    assert second.returncode == 2
    assert said == f"error: cannot listen on 127.0.0.1 port {port}: is it taken?\n"
