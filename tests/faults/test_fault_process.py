"""Processes that meet, die, lack descriptors, or cannot trust their clock."""

import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from chat.server import Server
from faults import machine
from faults.machine import House
from faults.matrix import (
    CLOCK,
    DESCRIPTORS,
    INTERRUPTED,
    TERMINATED,
    TWO_RUNS,
    Fault,
    heard,
)
from forked import Started
from lskd.holder import holder
from lskd.run import load
from test_paid import CORPUS, tables, teacher

CLOCK_SOURCE = Path(__file__).parent / "jumping_clock.c"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> House:
    return machine.build(tmp_path_factory.mktemp("process"))


@pytest.fixture(scope="module")
def bought(home: House, shared_server: Server) -> dict[str, list[object]]:
    """Return what an undisturbed run with a served teacher makes."""
    shared_server.reset()
    assert home.run("--set", teacher(shared_server), *CORPUS, out="bought").exit_code == 0
    return tables(load(home.folder / "bought"))


def are_same(run: Path, wanted: dict[str, list[object]]) -> None:
    """Check the tables of a run, one after the other: a difference then shows what differs."""
    found = tables(load(run))
    assert found.keys() == wanted.keys()
    for name, rows in wanted.items():
        assert len(found[name]) == len(rows), name
        for one, other in zip(found[name], rows, strict=True):
            assert one == other


def begun(run: Started, folder: Path, server: Server) -> None:
    """Wait until a run holds its folder and has asked its teacher something."""
    while server.calls() == 0 or holder(folder) is None:
        assert run.process.is_alive()
        time.sleep(0.05)


def test_a_second_run_is_refused_and_a_killed_ones_lock_is_no_lock(
    home: House, server: Server, bought: dict[str, list[object]]
) -> None:
    server.reset(latency=0.3)
    paid = ("--set", teacher(server, concurrency=1), *CORPUS)
    with home.forked(*paid, out="shared") as first:  # which kills it
        begun(first, home.folder / "shared", server)
        heard(TWO_RUNS, home.run(*paid, out="shared"))
    server.reset()
    went_on = home.run(*paid, out="shared")
    assert went_on.exit_code == 0, went_on.said
    are_same(home.folder / "shared", bought)


# Of the two, `tests/journal` stops a run by SIGTERM.
@pytest.mark.parametrize("fault", [INTERRUPTED, pytest.param(TERMINATED, marks=pytest.mark.check)])
def test_a_run_that_is_told_to_stop_pays_for_nothing_twice_and_goes_on(
    home: House, server: Server, bought: dict[str, list[object]], fault: Fault
) -> None:
    out = f"stopped-{fault.exit_code}"
    server.reset(latency=0.3)
    paid = ("--set", teacher(server, concurrency=3), *CORPUS)
    with home.forked(*paid, out=out) as run:
        begun(run, home.folder / out, server)
        run.signal(signal.SIGINT if fault is INTERRUPTED else signal.SIGTERM)
        stopped = run.ended(60)
    assert stopped.returncode == fault.exit_code, stopped.stderr
    assert stopped.stderr.strip().endswith(fault.said), stopped.stderr
    assert "Traceback" not in stopped.stderr
    went_on = home.run(*paid, out=out)
    assert went_on.exit_code == 0, went_on.said
    tally = server.tally()
    assert tally.calls == len(tally.requests)
    are_same(home.folder / out, bought)


def test_too_few_descriptors_are_told_and_leave_no_picture_out(home: House) -> None:
    assert home.lskd("status", "calm").exit_code == 0  # all modules are loaded
    told = 0
    for more in range(8):
        with machine.descriptors(more):
            result = home.run(*CORPUS, out="few")
        if result.exit_code:
            heard(DESCRIPTORS, result)
            told += 1
    assert told > 1
    assert home.run(*CORPUS, out="few").exit_code == 0
    assert home.is_as_undisturbed("few")


def test_with_few_descriptors_more_calls_than_they_allow_are_bought_once(
    home: House, server: Server, bought: dict[str, list[object]]
) -> None:
    server.reset(latency=0.2)
    paid = ("--set", teacher(server, concurrency=64), *CORPUS)
    result = home.apart(*paid, limits="-n 30", out="sockets")
    if result.exit_code:
        heard(DESCRIPTORS, result)
    went_on = home.run(*paid, out="sockets")
    assert went_on.exit_code == 0, went_on.said
    tally = server.tally()
    assert tally.calls == len(tally.requests)
    are_same(home.folder / "sockets", bought)


def test_a_clock_that_jumps_changes_no_table(
    home: House, server: Server, bought: dict[str, list[object]], tmp_path: Path
) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler: the library that makes a clock jump cannot be built")
    library = tmp_path / "jumping_clock.so"
    build = [compiler, "-shared", "-fPIC", "-o", str(library), str(CLOCK_SOURCE), "-ldl"]
    subprocess.run(build, check=True)
    server.reset(latency=0.02)
    paid = ("--set", teacher(server), *CORPUS)
    with home.started(*paid, out="jumped", preload=str(library)) as process:
        _, said = process.communicate(timeout=120)
    assert process.returncode == (CLOCK.exit_code or 0), said
    assert home.run("--verify", *paid, out="jumped").exit_code == 0
    status = home.lskd("status", "jumped")
    assert status.exit_code == 0, status.said
    tally = server.tally()
    assert tally.calls == len(tally.requests)
    are_same(home.folder / "jumped", bought)
