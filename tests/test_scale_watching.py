"""A run that is watched: JSON lines alone on standard error, and metrics over HTTP."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

import house
from chat.server import Server
from forked import TESTS
from lskd.jsonlog import JsonLines, only_json, row, wrapped
from ports import free_port
from test_paid import teacher
from typed import lskd

KEYS = {"time", "stage", "shard", "event"}


def test_every_line_of_a_json_log_is_an_object_with_time_stage_shard_and_event(
    tmp_path: Path,
) -> None:
    house.build(tmp_path)
    result = lskd("run", "small.toml", "--log", "json", folder=tmp_path)
    assert result.returncode == 0
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert lines and all(line.keys() >= KEYS for line in lines)
    ended = [(line["stage"], line["shard"]) for line in lines if line["event"] == "ended"]
    assert (
        ("regions", "00001") in ended and ("corpus", "00000") in ended and ("report", None) in ended
    )
    (one,) = [
        x for x in lines if (x["stage"], x["shard"], x["event"]) == ("parse", "00000", "ended")
    ]
    assert one["rows"]["Triple"] == 24 and set(one["seconds"]) >= {"reading", "writing"}
    assert {"began", "ended", "text"} <= {line["event"] for line in lines}


def test_mistakes_are_lines_of_the_log_too(tmp_path: Path) -> None:
    house.build(tmp_path)
    (tmp_path / "gone.txt").write_text("$observations $nothing")
    change = "generate.id_prompt=gone.txt"
    result = lskd("run", "small.toml", "--log", "json", "--set", change, folder=tmp_path)
    assert result.returncode == 2
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert all(line.keys() >= KEYS for line in lines)
    (failed,) = [line for line in lines if line["event"] == "failed"]
    assert (failed["stage"], failed["shard"]) == ("generate", "00000") and failed["error"]
    assert lines[-1]["event"] == "error" and "it can use" in lines[-1]["text"]


def test_text_of_others_becomes_lines_and_a_defect_becomes_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as left, only_json(True):
        sys.stderr.write("half a ")
        sys.stderr.write("line\n50%\r100%\n" + row("began", "parse", "00000"))
        sys.stderr.write("never ended")
        raise ZeroDivisionError("oh")
    assert left.value.code == 1
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert all(line.keys() >= KEYS for line in lines)
    texts = [line.get("text") for line in lines]
    assert texts[:3] == ["half a line", "50%", "100%"] and lines[3]["event"] == "began"
    assert any("ZeroDivisionError: oh" in (text or "") for text in texts)


def test_threads_that_write_in_pieces_do_not_mix_their_lines(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w+") as opened:
        lines = JsonLines(opened)

        def write(name: str) -> None:
            for _ in range(50):
                for piece in (name, name, "\n"):
                    lines.write(piece)

        threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        lines.close_lines()
        opened.seek(0)
        found = [json.loads(line)["text"] for line in opened]
    assert sorted(found) == sorted(["aa", "bb", "cc", "dd"] * 50)
    assert json.loads(wrapped('{"a": 1}'))["text"] == '{"a": 1}'


def scrape(port: int) -> dict[str, float]:
    """Return the samples of a run's metrics by name and labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def test_metrics_are_served_on_loopback_while_the_run_is_at_work(tmp_path: Path) -> None:
    pytest.importorskip("prometheus_client")
    house.build(tmp_path)
    port = free_port()
    with Server(latency=3.0) as server:
        change = teacher(server, input_price=1.0, output_price=2.0)
        command = [sys.executable, "-m", "lskd", "run", "small.toml", "--set", change]
        with subprocess.Popen(
            [*command, "--metrics", str(port)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(TESTS)},
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:
            try:
                found = until_replies(port, process)
                outside = [
                    address[4][0]
                    for address in socket.getaddrinfo(socket.gethostname(), port)
                    if not str(address[4][0]).startswith("127.") and address[4][0] != "::1"
                ]
                for address in outside:
                    with pytest.raises(OSError):
                        socket.create_connection((str(address), port), timeout=2).close()
            finally:
                os.killpg(process.pid, signal.SIGKILL)
    assert found['lskd_shards_total{stage="regions"}'] == 2
    assert found['lskd_images_total{stage="regions"}'] == 6
    assert found['lskd_rows_total{record="Regions",stage="regions"}'] == 6
    assert found['lskd_seconds_total{kind="reading",stage="regions"}'] > 0
    assert found['lskd_tokens_total{direction="in"}'] > 0
    assert found["lskd_price_total"] > 0
    assert found['lskd_bytes_total{stage="images"}'] > 0


def until_replies(port: int, process: subprocess.Popen[bytes]) -> dict[str, float]:
    """Return the metrics as soon as some replies have been paid."""
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        try:
            found = scrape(port)
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
            continue
        if found.get("lskd_replies_total", 0) > 0:
            return found
        time.sleep(0.5)
    raise AssertionError("no reply was ever counted")


def test_a_port_that_is_taken_is_told_in_one_line(tmp_path: Path) -> None:
    pytest.importorskip("prometheus_client")
    house.build(tmp_path, 1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = lskd("run", "small.toml", "--metrics", port, folder=tmp_path)
    assert result.returncode == 2 and "give another port" in result.stderr
    assert not (tmp_path / "out").exists()
