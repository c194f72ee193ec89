"""The same run file on a two-node Ray cluster with its tables on S3."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import buckets
import house
from buckets import bucket, environment, machine
from forked import TESTS, lskd
from lskd.run import load
from lskd.types import Concepts, Image, Narratives
from ray_nodes import TwoNodes, skip_without_ray, two_nodes

skip_without_ray()
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def nodes() -> Iterator[TwoNodes]:
    with two_nodes() as started:
        yield started


def test_a_run_on_two_nodes_with_its_tables_on_s3_makes_the_rows_of_one_process_on_a_disk(
    nodes: TwoNodes, tmp_path: Path
) -> None:
    house.build(tmp_path, 14)
    here = lskd("run", "small.toml", "--out", "here", "--until", "narratives", folder=tmp_path)
    assert here.returncode == 0, here.stderr
    with buckets.served() as server:
        out = f"{bucket(server, 'cluster')}/run"
        variables = environment(server, tmp_path)
        command = [sys.executable, "-m", "lskd", "run", "small.toml", "--until", "narratives"]
        cluster = ("--executor", "ray", "--address", nodes.address)
        result = subprocess.run(
            [*command, "--out", out, *cluster],
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
            for record in (Image, Concepts, Narratives):
                assert house.rows(there, record) == house.rows(disk, record)
    nodes.until_idle()
