"""All layers of a language model are trained instead of adapters: what is learnt, kept and told."""

import contextlib
from pathlib import Path
from typing import Any

import chat_checkpoints
import pytest
import torch

from lskd.errors import UserError
from lskd.writing import note
from lskd.writing.activations import Load
from lskd.writing.chat import USE, ChatWriter
from lskd.writing.chat_model import Trains
from lskd.writing.memory import needed
from lskd.writing.writer import Decoding, Line

LINES = (Line(0, "What is [1]?", "a red cup"), Line(1, "Who?", "nobody at all"))
FAMILIES = ("internvl", "qwen2_vl", "gemma3")


def written(folder: Path, family: str) -> Path:
    return chat_checkpoints.FAMILIES[family](folder / family)


@pytest.mark.parametrize("family", FAMILIES)
def test_layers_alone_are_learnt_kept_and_come_back(tmp_path: Path, family: str) -> None:
    folder = written(tmp_path, family)
    writer = ChatWriter(str(folder), device="cpu", trains="layers")
    sights = writer.look(
        [chat_checkpoints.noise(n, writer.canvas(60, 40 + 30 * n)) for n in range(2)]
    )
    before = {name: weight.clone() for name, weight in writer.module.named_parameters()}
    losses = chat_checkpoints.trained(writer, sights, LINES, steps=6)
    assert losses[-1] < 0.9 * losses[0]
    changed = {
        name
        for name, weight in writer.module.named_parameters()
        if not torch.equal(weight, before[name])
    }
    assert changed and changed <= {
        n for n, w in writer.module.named_parameters() if w.requires_grad
    }
    assert all("language_model" in name for name in changed)
    assert not any("embed_tokens" in name or "lm_head" in name for name in changed)
    writer.save(tmp_path / "kept")
    told = note.read(tmp_path / "kept")
    assert told.keys == {"checkpoint": str(folder.resolve()), "trains": "layers"}
    again = note.opened(tmp_path / "kept", device="cpu")
    assert again.likelihoods(sights, LINES) == writer.likelihoods(sights, LINES)
    lines = [Line(line.view, line.prompt) for line in LINES]
    assert again.write(sights, lines, Decoding(tokens=4)) == writer.write(
        sights, lines, Decoding(tokens=4)
    )


@pytest.mark.parametrize("trains", ["layers", "adapters"])
def test_what_was_trained_in_one_folder_is_opened_from_another(
    tmp_path: Path, trains: Trains
) -> None:
    written(tmp_path, "internvl")
    with contextlib.chdir(tmp_path):
        ChatWriter("internvl", device="cpu", trains=trains).save(Path("kept"))
    (tmp_path / "elsewhere").mkdir()
    with contextlib.chdir(tmp_path / "elsewhere"):
        writer = note.opened(tmp_path / "kept", device="cpu")
    assert isinstance(writer, ChatWriter) and writer.family == "internvl"


def test_layers_are_learnt_in_full_precision(tmp_path: Path) -> None:
    writer = ChatWriter(
        str(written(tmp_path, "internvl")), device="cpu", dtype="bfloat16", trains="layers"
    )
    assert {weight.dtype for weight in writer.module.parameters()} == {torch.float32}


def test_layers_of_another_base_are_refused(tmp_path: Path) -> None:
    writer = ChatWriter(str(written(tmp_path, "internvl")), device="cpu", trains="layers")
    writer.save(tmp_path / "kept")
    other = written(tmp_path, "llava")
    with pytest.raises(UserError, match="was trained on another base than"):
        note.opened(tmp_path / "kept", device="cpu", checkpoint=str(other))


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"trains": "all"}, "trains = 'all': expected 'adapters' or 'layers'"),
        ({"trains": "layers", "bits": 4}, 'bits = 4 with trains = "layers"'),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    tmp_path: Path, keys: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        ChatWriter(str(tmp_path / "nothing"), device="cpu", **keys)


def test_the_memory_of_layers_is_told_before_they_are_loaded(tmp_path: Path) -> None:
    folder = written(tmp_path, "internvl")
    load = Load(rows=2, views=1, prompt=8, target=4)
    found = needed(USE, {"checkpoint": str(folder), "trains": "layers"}, load)
    writer = ChatWriter(str(folder), device="cpu", trains="layers")
    weights = [weight for weight in writer.module.parameters() if weight.requires_grad]
    assert sum(one.count for one in found.weights if one.trained) == sum(
        weight.numel() for weight in weights
    )
    assert found.gradients == 4 * sum(weight.numel() for weight in weights)
    adapters = needed(USE, {"checkpoint": str(folder), "rank": 1}, load)
    assert found.optimiser > adapters.optimiser
