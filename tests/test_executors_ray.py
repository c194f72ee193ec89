"""A run on a real Ray cluster: the same tables as in one process, and one line where there is none.

What happens when something is killed is in `faults/test_fault_ray_kills`.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import house
from forked import lskd
from lskd.events import TRACE, read
from lskd.run import Run, load
from lskd.types import Concepts, Regions
from ray_nodes import TwoNodes, skip_without_ray, two_nodes

skip_without_ray()
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def nodes() -> Iterator[TwoNodes]:
    with two_nodes() as started:
        yield started


def told(run: Run) -> set[str]:
    """Return the processes that tagged the images of a run."""
    return {one.places[0].label for one in house.rows(run, Concepts)}


# `make test` has the same with tables on S3 (`storage/test_storage_ray`).
@pytest.mark.check
def test_a_run_on_two_nodes_makes_the_rows_of_one_process(nodes: TwoNodes, tmp_path: Path) -> None:
    for name in ("here", "there"):
        house.build(tmp_path / name, 14)
    until = ("--until", "narratives")
    lskd("run", "small.toml", "--until", "regions", folder=tmp_path / "here")
    cluster = ("--executor", "ray", "--address", nodes.address, "--log", "json")
    result = lskd("run", "small.toml", *until, *cluster, folder=tmp_path / "there")
    assert result.returncode == 0, result.stderr
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert {"began", "ended"} <= {line["event"] for line in lines}
    here, there = (load(tmp_path / name / "out" / "small") for name in ("here", "there"))
    assert house.rows(here, Concepts) == house.rows(there, Concepts)
    ended = [one for one in read(there.folders["narratives"] / TRACE) if one.what == "ended"]
    assert {one.shard for one in ended} == {"", *there.tables.shards(Concepts)}
    # What the cluster began, this process goes on with, and the other way round.
    assert (
        lskd("run", "small.toml", "--until", "regions", folder=tmp_path / "there").returncode == 0
    )
    assert house.rows(here, Regions) == house.rows(there, Regions)


@pytest.mark.check
def test_each_worker_is_a_process_of_its_own(nodes: TwoNodes, tmp_path: Path) -> None:
    house.build(tmp_path, 14)
    placed = 'models.tagger={use = "executor_models:Placed"}'
    cluster = ("--executor", "ray", "--address", nodes.address, "--until", "concepts")
    changes = ("--set", placed, "--set", "concepts.resources={cpus = 0.5, workers = 2}")
    result = lskd("run", "small.toml", *changes, *cluster, folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert 1 <= len(told(load(tmp_path / "out" / "small"))) <= 2
    nodes.until_idle()
