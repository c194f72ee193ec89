"""A student of which all layers are trained on packed rows is spread over two processes (FSDP)."""

import json
from pathlib import Path

import chat_checkpoints
import pytest
import torch
from safetensors.torch import load_file

import house
from launched import lskd_spread

LAYERS = "generative/student/writer/trained.safetensors"
GENERATIVE = """
[generative]
student = { use = "lskd.writing.chat:ChatWriter", checkpoint = "base", trains = "layers" }
tokens = 6
steps = 3
batch = 2
packed = true
precision = "float32"
learning_rate = 1e-3
workers = 1
save_every = 2
"""


def losses(home: Path, name: str) -> list[float]:
    (file,) = (home / "out" / name / "generative/training").glob("*/losses.jsonl")
    return [json.loads(line)["loss"] for line in file.read_text("utf-8").splitlines()]


@pytest.mark.timeout(900)
@pytest.mark.check
def test_layers_on_two_processes_end_as_on_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = house.build(tmp_path)
    file.write_text(file.read_text() + GENERATIVE)
    chat_checkpoints.write_internvl(tmp_path / "base")
    monkeypatch.chdir(tmp_path)
    house.run(Path("small.toml"))
    said = lskd_spread(tmp_path, "run", "small.toml", "--out", "out/two")
    assert said.count("the student is in") == 1
    one, two = (load_file(tmp_path / "out" / name / LAYERS) for name in ("small", "two"))
    assert one.keys() == two.keys() and len(one) > 8
    for name, weight in one.items():
        torch.testing.assert_close(two[name], weight, atol=1e-4, rtol=0)
    alone, both = losses(tmp_path, "small"), losses(tmp_path, "two")
    assert both == pytest.approx(alone, abs=1e-4)
