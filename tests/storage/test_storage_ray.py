"""The same run file on a two-node Ray cluster with its tables on S3, and a teacher that is paid."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from test_storage_run import names, rows

import buckets
import house
from buckets import bucket, environment, machine
from chat.server import Server
from forked import TESTS
from lskd.chat.paid import spent_so_far
from lskd.run import Run, load
from lskd.status import status
from lskd.types import Reply
from ray_nodes import TwoNodes, skip_without_ray, two_nodes
from test_paid import teacher
from typed import lskd

skip_without_ray()
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def nodes() -> Iterator[TwoNodes]:
    with two_nodes() as started:
        yield started


def unhurried(made: Run) -> dict[str, list[object]]:
    """Return every row of a run's tables, without the time that each reply took."""
    return {
        table: [replace(row, seconds=0.0) if isinstance(row, Reply) else row for row in found]
        for table, found in rows(made).items()
    }


def test_a_run_on_two_nodes_with_its_tables_on_s3_makes_the_rows_of_one_process_on_a_disk(
    nodes: TwoNodes, server: Server, tmp_path: Path
) -> None:
    house.build(tmp_path)  # two shards, one for each node
    words = ("run", "small.toml", "--until", "corpus", "--set", teacher(server))
    here = lskd(*words, "--out", "here", folder=tmp_path)
    assert here.returncode == 0, here.stderr
    alone = server.tally()
    with buckets.served() as storage:
        out = f"{bucket(storage, 'cluster')}/run"
        variables = environment(storage, tmp_path)
        cluster = ("--executor", "ray", "--address", nodes.address)
        result = subprocess.run(
            [sys.executable, "-m", "lskd", *words, "--out", out, *cluster],
            cwd=tmp_path,
            env={**os.environ, **variables, "PYTHONPATH": str(TESTS)},
            capture_output=True,
            text=True,
            timeout=1000,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        with machine(variables):
            there, disk = load(Path(out)), load(tmp_path / "here")
            found = unhurried(there)
            assert found == unhurried(disk) and found["parse Triple"] and found["corpus Example"]
            # All workers paid through the command's journal, which lies there in pieces.
            assert server.tally().requests == {key: 2 * n for key, n in alone.requests.items()}
            assert "journal/journal.json" in names(out)
            paid = status(there).paid
            assert paid is not None and paid.calls == alone.calls
            assert paid == spent_so_far(disk.own / "journal.sqlite")
    nodes.until_idle()
