"""A run trains a student on one process, then on two that keep a share of the model each (FSDP)."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import house
from launched import lskd_spread


def ends_as_on_one(home: Path, weights: str) -> list[float]:
    """Check that small.toml in `home`, where we are, ends alike both ways; return the losses.

    `weights` is the file of what is trained, from the run's folder.
    """
    house.run(Path("small.toml"))
    said = lskd_spread(home, "run", "small.toml", "--out", "out/two")
    assert said.count("the student is in") == 1
    one, two = (load_file(home / "out" / name / weights) for name in ("small", "two"))
    assert one.keys() == two.keys() and len(one) > 8
    for name, weight in one.items():
        torch.testing.assert_close(two[name], weight, atol=1e-4, rtol=0)
    alone, both = _losses(home, "small"), _losses(home, "two")
    assert both == pytest.approx(alone, abs=1e-4)
    return alone


def _losses(home: Path, name: str) -> list[float]:
    (file,) = (home / "out" / name / "generative/training").glob("*/losses.jsonl")
    return [json.loads(line)["loss"] for line in file.read_text("utf-8").splitlines()]
