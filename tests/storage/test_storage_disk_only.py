"""What is read from the disk, or written there, is refused as a URL before anything is done."""

from pathlib import Path

import pytest

import house
import test_gen_gaps_run as school
from typed import lskd

REFUSED = {
    "evaluate": ("evaluate", "blip2-vit-g", "--benchmark", "vcr=gold", "--out", "s3://b/found"),
    "audit": ("audit", "small.toml", "vcr", "gold", "--out", "s3://b/leaks.jsonl"),
    "answers": ("answers", "small.toml", "--to", "s3://b/answers"),
    "lab make": ("lab", "make", "s3://b/world"),
    "lab run": ("lab", "run", "small.toml", "--out", "s3://b/lab"),
    "reproduce": ("reproduce", "runs", "--out", "s3://b/lab"),
    "captioner": ("captioner", "small.toml", "--out", "s3://b/captioner"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_url_where_the_disk_is_meant_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    house.build(tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    refused = lskd(*REFUSED[name], folder=tmp_path)
    assert refused.returncode == 2, refused.stderr
    (line,) = refused.stderr.strip().splitlines()
    assert "s3://b/" in line and " on the disk alone" in line
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_files_that_are_read_from_the_disk_say_so_of_a_url(tmp_path: Path) -> None:
    school.build(tmp_path)
    told = lskd("benchmarks", "vcr", "s3://b/vcr", folder=tmp_path)
    assert told.returncode == 2
    assert "s3://b/vcr: this is read from the disk and not from a URL" in told.stdout
    weights = ("--set", "distil.weights=s3://b/blip2.pth")
    refused = lskd("run", "small.toml", "--only", "distil", *weights, folder=tmp_path)
    assert refused.returncode == 2
    assert "weights = 's3://b/blip2.pth': this is read from the disk" in refused.stderr
    judged = ("--set", "critic.judgments=s3://b/judgments.csv", "--until", "critic")
    refused = lskd("run", "small.toml", *judged, folder=tmp_path)
    assert refused.returncode == 2
    assert "judgments = 's3://b/judgments.csv': this is read from the disk" in refused.stderr
