"""Being stopped, networks that are cut, clocks that jump: one line, nothing lost, and on again."""

import email.utils
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from journal_network import Mode, Network

import house
from chat.server import Misbehaviour, Server
from chat.talks import talks
from faults.matrix import NETWORK, pattern
from forked import Ended, at_work
from lskd.chat.faults import fault_of_status
from lskd.chat.journal import Journal
from lskd.chat.paid import spent_so_far
from lskd.chat.teacher import ChatTeacher
from lskd.run import load
from test_paid import tables, teacher
from typed import lskd

HERE = Path(__file__).parent
IMAGES = 5


def words(change: str) -> tuple[str, ...]:
    """Return the command of a run up to its paid replies."""
    return ("run", "small.toml", "--until", "generate", "--set", change)


def last_of(done: Ended) -> str:
    """Return the last line of what a run has said."""
    assert "Traceback" not in done.stderr, done.stderr
    return done.stderr.strip().splitlines()[-1]


def made(folder: Path) -> Mapping[str, Any]:
    return tables(load(folder / "out" / "small"))


@pytest.fixture(scope="module")
def smooth(shared_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """Return the tables of an undisturbed run."""
    folder = tmp_path_factory.mktemp("smooth")
    house.build(folder, IMAGES)
    shared_server.reset()
    assert lskd(*words(teacher(shared_server)), folder=folder).returncode == 0
    return made(folder)


@pytest.mark.parametrize(
    ("number", "code", "line"),
    [
        pytest.param(signal.SIGTERM, 143, "stopped by SIGTERM", id="SIGTERM"),
        pytest.param(signal.SIGINT, 130, "interrupted", id="Ctrl-C", marks=pytest.mark.check),
    ],
)
def test_a_signal_lets_paid_calls_in_flight_finish_and_asks_nothing_more(
    server: Server,
    tmp_path: Path,
    smooth: Mapping[str, Any],
    number: signal.Signals,
    code: int,
    line: str,
) -> None:
    house.build(tmp_path, IMAGES)
    server.reset(latency=1.0)
    with at_work(*words(teacher(server, concurrency=3)), folder=tmp_path) as run:
        while server.calls() < 5:
            time.sleep(0.02)
        run.signal(number)
        done = run.ended(200)
    last = last_of(done)
    assert done.returncode == code, last
    assert last == f"{line}; the same command goes on where this one stopped"
    spent = spent_so_far(tmp_path / "out" / "small" / "journal.sqlite")
    # All that was asked was waited for, and is kept.
    assert (spent.unanswered, spent.calls) == (0, server.calls())
    assert spent.calls <= 5 + 3
    server.reset(latency=0.0)
    assert lskd(*words(teacher(server)), folder=tmp_path).returncode == 0
    assert server.calls() == IMAGES * (1 + 2 * 3) - spent.calls
    assert made(tmp_path) == smooth


@pytest.mark.parametrize(
    "mode",
    [
        pytest.param("refused", marks=pytest.mark.check),
        "reset",
        pytest.param("hole", marks=pytest.mark.check),
    ],
)
def test_a_network_that_is_cut_is_told_in_one_line_and_loses_nothing(
    server: Server, tmp_path: Path, smooth: Mapping[str, Any], mode: Mode
) -> None:
    house.build(tmp_path, IMAGES)
    server.reset(latency=0.2)
    keys = {"concurrency": 3, "timeout": 2.0, "retries": 1, "patience": 1.0}
    with Network(server.port) as network:
        change = teacher(server, **keys).replace(server.base_url, network.base_url)
        with at_work(*words(change), folder=tmp_path) as run:
            while server.calls() < 15:
                time.sleep(0.02)
            network.become(mode)
            done = run.ended(200)
        last = last_of(done)
        assert done.returncode == NETWORK.exit_code, last
        assert re.fullmatch(f"error: {pattern(NETWORK)}", last) and network.base_url in last
        before = server.tally()
        spent = spent_so_far(tmp_path / "out" / "small" / "journal.sqlite")
        network.become("open")
        assert lskd(*words(change), folder=tmp_path).returncode == 0
        tally = server.tally()
    assert made(tmp_path) == smooth  # no reply became an error on the way
    assert tally.calls - len(tally.requests) <= spent.unanswered
    assert tally.calls - before.calls <= IMAGES * 7 - spent.calls
    assert max(tally.requests.values()) <= 2


def test_one_request_that_breaks_the_connection_is_told_apart_from_a_broken_network(
    server: Server, tmp_path: Path
) -> None:
    server.misbehave(Misbehaviour(cut="before", times=99, about="c1,"))
    settings: dict[str, Any] = {"model": "m", "base_url": server.base_url, "backoff": 0.02}
    server.reset(latency=0.05)
    server.misbehave(Misbehaviour(cut="before", times=99, about="c1,"))
    with Journal(tmp_path / "j.sqlite") as journal:
        asker = ChatTeacher(journal, retries=3, concurrency=4, **settings)
        held = asker.converse(talks(60))
        asker.close()
    failed = [reply for (reply,) in held if reply.error is not None]
    assert [reply.id for reply in failed] == ["c1-0"]
    assert "the connection broke" in str(failed[0].error)


def test_a_pause_until_a_date_is_by_the_servers_clock() -> None:
    there = time.time() + 86_400 * 400  # ours stands far behind, or theirs far ahead
    headers = {
        "date": email.utils.formatdate(there, usegmt=True),
        "retry-after": email.utils.formatdate(there + 7, usegmt=True),
    }
    assert fault_of_status(429, headers, "").pause == 7
    assert fault_of_status(429, headers | {"date": "nonsense"}, "").pause is not None


def test_a_date_that_jumps_by_weeks_changes_no_pace_and_ends_no_claim(
    server: Server, tmp_path: Path
) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("no C compiler: no clock can be made to jump")
    library = tmp_path / "jumping_clock.so"
    source = HERE / "jumping_clock.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    server.reset(latency=0.3)
    paths = os.pathsep.join([str(HERE.parent), str(HERE)])
    done = subprocess.run(
        [sys.executable, HERE / "journal_jumps.py", server.base_url, tmp_path],
        env=os.environ | {"PYTHONPATH": paths, "LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["far"] > 86_400 and found["errors"] == [] and found["warnings"] == []
    arrivals = sorted(server.tally().arrivals)
    assert len(arrivals) == 45 and spent_so_far(tmp_path / "j.sqlite").unanswered == 0
    # 600 a minute: 20 at once, then one every tenth of a second.
    assert 2.0 <= arrivals[-1] - arrivals[0] < 60
