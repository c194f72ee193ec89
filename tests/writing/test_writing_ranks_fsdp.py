"""Two processes that keep half of a writer each learn what one learns that has all of it.

What accelerate has to launch is tested by `make check`.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import ranks_work
import torch
from accelerate import Accelerator
from ranks_work import ASKED, LINES, learn
from torch import nn

from lskd.errors import UserError
from lskd.training import sharding
from lskd.writing.activations import Load
from lskd.writing.blip2 import USE, Blip2Writer
from lskd.writing.memory import needed
from lskd.writing.writer import Decoding
from tiny_writers import Language, blocks, write_blip2_writer

SETTINGS = Path(__file__).parents[2] / "runs/accelerate/fsdp.yaml"
LANGUAGES: tuple[Language, ...] = ("t5", "llama")
LOAD = Load(rows=2, views=2, prompt=8, target=8)


@dataclass(frozen=True)
class Together:
    """What the first of two processes told, and the folder of the writer."""

    folder: Path
    kept: dict[str, list[int]]
    losses: list[float]
    likelihoods: list[float]
    written: list[str]


def steady(folder: Path) -> Path:
    """Let nothing drop out of a writer: each process would drop out something else."""
    file = folder / "config.json"
    config = json.loads(file.read_text("utf-8"))
    config["qformer_config"] |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    file.write_text(json.dumps(config), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Together]:
    """Launch two processes as accelerate does it, with the settings that are shipped."""
    root = tmp_path_factory.mktemp("ranks")
    folders = {
        language: steady(write_blip2_writer(root / language, language)) for language in LANGUAGES
    }
    script = Path(ranks_work.__file__)
    paths = os.pathsep.join(path for path in sys.path if path)
    words = ["-m", "accelerate.commands.launch", "--config_file", str(SETTINGS)]
    words += ["--num_processes", "2", "--main_process_port", "0", str(script)]
    done = subprocess.run(
        [sys.executable, *words, *map(str, folders.values())],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return {
        language: Together(folder, **json.loads((folder / "told.json").read_text("utf-8")))
        for language, folder in folders.items()
    }


@pytest.fixture(params=LANGUAGES)
def two(request: pytest.FixtureRequest, together: dict[str, Together]) -> Together:
    return together[request.param]


@pytest.mark.check
@pytest.mark.timeout(900)
def test_two_processes_learn_on_halves_of_a_batch_what_one_learns_on_all(two: Together) -> None:
    alone = Blip2Writer(str(two.folder))
    start = {name: weight.detach().clone() for name, weight in alone.module.named_parameters()}
    sights = alone.look([blocks(0), blocks(1)])
    losses = learn(alone.module, sights, LINES)
    assert len(set(losses)) == len(losses)
    assert two.losses == pytest.approx(losses, abs=1e-4)
    saved = Blip2Writer(str(two.folder), trained=str(two.folder / "student"))
    learnt = dict(saved.module.named_parameters())
    moved = set()
    for name, weight in alone.module.named_parameters():
        torch.testing.assert_close(learnt[name], weight, atol=1e-4, rtol=0)
        if not torch.equal(weight, start[name]):
            moved.add(name)
    assert moved and all(learnt[name].requires_grad for name in moved)
    assert two.likelihoods == pytest.approx(alone.likelihoods(sights, LINES), abs=1e-4)
    written = [one.text for one in alone.write(sights, ASKED, Decoding(tokens=6))]
    assert two.written == written


@pytest.mark.check
@pytest.mark.timeout(900)
def test_each_keeps_half_of_the_layers_and_of_what_is_trained_and_the_eyes_whole(
    two: Together,
) -> None:
    writer = Blip2Writer(str(two.folder))
    layers = {id(w) for layer in writer.module.layers() for w in layer.parameters()}
    for name, weight in writer.module.named_parameters():
        own, whole = two.kept[name]
        assert whole == weight.numel()
        shared = id(weight) in layers or weight.requires_grad
        rows = -(-weight.shape[0] // 2) if shared else weight.shape[0]
        assert own == rows * (weight.numel() // weight.shape[0]), name


@pytest.mark.check
@pytest.mark.timeout(900)
def test_the_estimate_is_what_a_process_kept(two: Together) -> None:
    found = needed(USE, {"checkpoint": str(two.folder), "dtype": "float32"}, LOAD, ranks=2)
    assert found.held == 4 * sum(own for own, _ in two.kept.values())


def test_a_model_without_layers_cannot_be_spread() -> None:
    with pytest.raises(UserError, match="a Linear cannot be spread over processes by FSDP"):
        sharding.spread(Accelerator(cpu=True), nn.Linear(2, 2))


def test_one_process_alone_cannot_be_spread(tmp_path: Path) -> None:
    writer = Blip2Writer(str(write_blip2_writer(tmp_path / "t5")))
    with pytest.raises(UserError, match="FSDP needs more processes than this one: start it with"):
        sharding.spread(Accelerator(cpu=True), writer.module)
    assert writer.look([blocks(0)])
