"""Stages that train do so on workers of a real Ray cluster, as several launched processes would."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import house
import test_gen_gaps_run as school
from buckets import bucket, disk, environment, machine, served
from faults.matrix import TRAINER_LOST
from forked import TESTS, lskd
from lskd.events import TRACE, read
from lskd.run import load
from lskd.storage.address import located, on, url_of
from lskd.types import Student
from ray_nodes import TwoNodes, skip_without_ray, two_nodes

skip_without_ray()
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def nodes() -> Iterator[TwoNodes]:
    with two_nodes() as started:
        yield started


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a run that one process has made as far as the first student."""
    folder = tmp_path_factory.mktemp("home")
    school.made(folder, until="distil")
    return folder


def without(home: Path, name: str, *stages: str) -> Path:
    """Return a copy of the run from which some stages are gone."""
    copy = home / "out" / name
    shutil.copytree(home / "out" / "small", copy)
    for stage in stages:
        shutil.rmtree(copy / stage)
    return copy


def on_workers(nodes: TwoNodes, name: str, *stages: str) -> tuple[str, ...]:
    """Return the command that trains some stages on two workers each."""
    changes = [f"{stage}.resources={{workers = 2}}" for stage in stages]
    sets = [word for change in changes for word in ("--set", change)]
    cluster = ("--executor", "ray", "--address", nodes.address)
    return ("run", "small.toml", "--out", f"out/{name}", *sets, *cluster)


def alike(home: Path, name: str, stage: str) -> None:
    """Check that two workers have come to the weights of one process."""
    one = load_file(home / "out" / "small" / school.WEIGHTS[stage])
    two = load_file(home / "out" / name / school.WEIGHTS[stage])
    assert one.keys() == two.keys()
    for key, weight in one.items():
        if not key.endswith("key.bias"):  # of rounding, AdamW makes whole steps
            torch.testing.assert_close(two[key], weight, atol=1e-4, rtol=0)


@pytest.mark.check
def test_two_workers_of_a_cluster_end_in_the_weights_of_one_process(
    nodes: TwoNodes, home: Path
) -> None:
    copy = without(home, "spread", "distil")
    result = lskd(*on_workers(nodes, "spread", "distil"), "--only", "distil", folder=home)
    assert result.returncode == 0, result.stderr
    alike(home, "spread", "distil")
    assert "step 4 of 4: loss" in result.stderr and "the student is in" in result.stderr
    there, here = (house.rows(load(home / "out" / name), Student) for name in ("spread", "small"))
    assert [one.digest for one in there] == [one.digest for one in here]
    assert not list((copy / "distil").glob("ray-train*"))
    last = read(copy / "distil" / TRACE)[-1]
    assert (last.what, last.shard) == ("ended", "")
    again = lskd("run", "small.toml", "--out", "out/spread", "--only", "distil", folder=home)
    assert "up to date" in again.stderr


@pytest.mark.check
def test_a_mistake_on_a_worker_is_told_in_one_line_and_not_tried_again(
    nodes: TwoNodes, home: Path
) -> None:
    without(home, "wrong", "distil")
    command = on_workers(nodes, "wrong", "distil")
    result = lskd(*command, "--only", "distil", "--set", "distil.split=nowhere", folder=home)
    assert result.returncode == 2
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("error: none of the ") and "split 'nowhere'" in last
    assert last.endswith(f" (on {socket.gethostname()})")
    assert "Traceback" not in result.stderr


@pytest.mark.check
def test_nodes_that_share_a_bucket_alone_train_as_one_process_even_if_one_is_lost(
    home: Path, tmp_path: Path
) -> None:
    long = ("--set", "distil.steps=120", "--set", "distil.save_every=10")
    until = ("--until", "distil")
    whole = lskd("run", "small.toml", "--out", "out/long", *long, *until, folder=home)
    assert whole.returncode == 0, whole.stderr
    with served() as storage, two_nodes(disk(tmp_path / "second")) as nodes:
        out = f"{bucket(storage, 'nodes')}/run"
        variables = environment(storage, tmp_path / "first")
        words = ("run", "small.toml", "--out", out)
        made = lskd(*words, "--until", "corpus", folder=home, **variables)
        assert made.returncode == 0, made.stderr
        changes = ("--set", "distil.resources={workers = 2}", *long)
        cluster = ("--executor", "ray", "--address", nodes.address)
        with (home / "log").open("wb") as log:
            led = subprocess.Popen(
                [sys.executable, "-m", "lskd", *words, *changes, *cluster, *until],
                cwd=home,
                env={**os.environ, **variables, "PYTHONPATH": str(TESTS)},
                stdout=log,
                stderr=log,
            )
        with machine(variables):
            training, end = located(out) / "distil" / "training", time.monotonic() + 300
            while not [name for name in of_place(training) if name.endswith(".pt")]:
                assert time.monotonic() < end and led.poll() is None, (home / "log").read_text()
                time.sleep(0.2)
        assert list(Path(tmp_path / "second").rglob("distil/training/*/examples.jsonl"))
        nodes.kill_node()
        assert led.wait(900) == 0, (home / "log").read_text()
        said = (home / "log").read_text()
        assert TRAINER_LOST.said in said and "going on after step" in said
        with machine(variables):
            (student,) = house.rows(load(located(out)), Student)
            assert student.folder == f"{out}/distil/student"
            assert {Path(name).suffix for name in of_place(training)} == {".json", ".jsonl", ".svg"}
        one = load_file(home / "out" / "long" / school.WEIGHTS["distil"])
        # Where the command runs the student is too, whichever node has written it.
        two = load_file(tmp_path / "first/work/lskd-places/s3/nodes/run" / school.WEIGHTS["distil"])
        for key, weight in one.items():
            if not key.endswith("key.bias"):
                torch.testing.assert_close(two[key], weight, atol=1e-3, rtol=0)


def of_place(folder: Path) -> list[str]:
    """Return the names of all files below a folder of a place."""
    url = url_of(folder)
    assert url is not None
    system, root = on(url)
    return [str(name) for name in system.find(root)]


@pytest.mark.check
def test_critic_and_writing_student_are_trained_on_workers_too(nodes: TwoNodes, home: Path) -> None:
    made = lskd("run", "small.toml", folder=home)
    assert made.returncode == 0, made.stderr
    without(home, "both", "critic", "generative")
    command = on_workers(nodes, "both", "critic", "generative")
    for stage in ("critic", "generative"):
        result = lskd(*command, "--only", stage, folder=home)
        assert result.returncode == 0, result.stderr
        alike(home, "both", stage)


@pytest.mark.check
def test_a_lost_worker_lets_all_begin_again_at_the_last_checkpoint(
    nodes: TwoNodes, home: Path
) -> None:
    copy = without(home, "lost", "distil")
    long = ("--set", "distil.steps=200", "--set", "distil.save_every=10")
    whole = lskd("run", "small.toml", "--out", "out/whole", *long, "--until", "distil", folder=home)
    assert whole.returncode == 0, whole.stderr
    command = [sys.executable, "-m", "lskd", *on_workers(nodes, "lost", "distil"), *long]
    with (home / "log").open("wb") as log:
        led = subprocess.Popen(
            [*command, "--only", "distil"],
            cwd=home,
            env={**os.environ, "PYTHONPATH": str(TESTS)},
            stdout=log,
            stderr=log,
        )
    end = time.monotonic() + 300
    while not list((copy / "distil").glob("training/*/checkpoints/[!.]*")):
        assert time.monotonic() < end and led.poll() is None, (home / "log").read_text()
        time.sleep(0.05)
    os.kill(nodes.training()[-1], signal.SIGKILL)
    assert led.wait(600) == 0, (home / "log").read_text()
    said = (home / "log").read_text()
    assert "a worker was lost" in said and "going on after step" in said
    one, two = (load_file(home / "out" / n / school.WEIGHTS["distil"]) for n in ("whole", "lost"))
    for key, weight in one.items():
        if not key.endswith("key.bias"):
            torch.testing.assert_close(two[key], weight, atol=1e-3, rtol=0)
