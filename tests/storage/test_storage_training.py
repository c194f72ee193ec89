"""Trainings of a run in a bucket, by one machine and by two that share no disk."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from test_storage_run import names

import buckets
import forked
import house
import test_gen_gaps_run as school
from buckets import bucket, disk, machine, variables
from lskd.run import load
from lskd.storage.address import located
from lskd.types import Sample, Student

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def storage() -> Iterator[str]:
    with buckets.served() as address:
        yield address


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a run that one process has made on its disk."""
    folder = tmp_path_factory.mktemp("home")
    school.build(folder)
    waiting = forked.lskd("run", "small.toml", folder=folder)
    assert "people each to judge" in waiting.stderr
    school.judge(folder / "judgments.csv", house.rows(load(folder / "out" / "small"), Sample))
    made = forked.lskd("run", "small.toml", "--until", "generative", folder=folder)
    assert made.returncode == 0, made.stderr
    return folder


def test_two_machines_that_share_a_bucket_alone_come_to_the_weights_of_one_process(
    home: Path, storage: str, tmp_path: Path
) -> None:
    out = f"{bucket(storage, 'two')}/run"
    own = [{**variables(storage), **disk(tmp_path / name)} for name in ("first", "second")]
    works = [Path(one["LSKD_WORK"], "lskd-places", "s3", "two", "run") for one in own]
    words = ("run", "small.toml", "--out", out, "--until", "generative")
    said = forked.lskd_twice(home, *words, own=own)
    assert f"the student is in {out}/distil/student" in said
    with machine(own[0]):
        there = names(out)
        (student,) = house.rows(load(located(out)), Student)
    assert student.folder == f"{out}/distil/student"
    assert not [name for name in there if "/checkpoints/" in name or "/features/" in name]
    for stage, file in school.WEIGHTS.items():
        assert file in there
        one, two = load_file(home / "out" / "small" / file), load_file(works[0] / file)
        assert one.keys() == two.keys()
        for key, weight in one.items():
            if not key.endswith("key.bias"):  # of rounding, AdamW makes whole steps
                torch.testing.assert_close(
                    two[key], weight, atol=1e-4, rtol=0, msg=f"{stage} {key}"
                )
    # What the second needed it was given, and made its own features.
    assert list(works[1].glob("distil/training/*/examples.jsonl"))
    assert list(works[1].glob("distil/features/*/keys"))
    again = forked.lskd(*words, folder=home, **own[1])
    assert again.returncode == 0, again.stderr
    assert "distil      up to date" in again.stderr
