"""A killed training goes on, and ends in the same bits as one that nobody disturbed."""

import signal
from pathlib import Path
from typing import Any

import torch
import toys

from forked import begun
from lskd.blip2 import files

CHANGES: dict[str, Any] = {
    "steps": 12,
    "save_every": 4,
    "swaps": 0.5,
    "average": 0.9,
    "base_share": 0.25,
    "accumulate": 2,
}


def train(root: Path) -> None:
    toys.House(root).distil(toys.Fatal("step 9 of 12"), **CHANGES)


def test_a_killed_training_ends_in_the_same_bits(tmp_path: Path) -> None:
    house = toys.house(tmp_path)
    process = begun(train, tmp_path)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not (house.folder / "student").exists()

    said: list[str] = []
    house.distil(said, **CHANGES)
    assert "going on after step 8 of 12" in said
    killed = files.read(house.folder / "student")
    (losses,) = house.folder.glob("training/*/losses.jsonl")

    other = toys.House(tmp_path / "other")
    (tmp_path / "other").mkdir()
    (tmp_path / "base").rename(tmp_path / "other" / "base")
    (tmp_path / "corpus").rename(tmp_path / "other" / "corpus")
    other.distil(**CHANGES)
    whole = files.read(other.folder / "student")
    assert killed.keys() == whole.keys()
    assert all(torch.equal(killed[name], whole[name]) for name in whole)
    (undisturbed,) = other.folder.glob("training/*/losses.jsonl")
    assert losses.read_bytes() == undisturbed.read_bytes()
