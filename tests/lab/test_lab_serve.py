"""`lskd lab serve` says where it listens, answers there, and ends as it is told to."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def served(port: int) -> Iterator["subprocess.Popen[str]"]:
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


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.parametrize(("told", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_answers_once_it_has_said_where_and_ends_with_the_code_of_a_signal(
    port: int, told: signal.Signals, code: int
) -> None:
    with served(port) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url == f"http://127.0.0.1:{port}/v1"
        with urllib.request.urlopen(f"{url}/models") as answer:
            assert json.load(answer)["data"][0]["id"] == "lskd-lab-teacher"
        process.send_signal(told)
        _, said = process.communicate(timeout=30)
        assert process.returncode == code, said
        assert "Traceback" not in said


def test_a_port_that_is_taken_is_one_line(port: int) -> None:
    with served(port) as first:
        assert first.stdout is not None
        first.stdout.readline()
        with served(port) as second:
            _, said = second.communicate(timeout=60)
    assert second.returncode == 2
    assert said == f"error: cannot listen on 127.0.0.1 port {port}: is it taken?\n"
