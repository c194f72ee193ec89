"""A precision of "auto" is bf16 where the device has it, and float32 elsewhere."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from toy_task import RECIPE, Toy, equal, train, weights

from lskd.errors import UserError
from lskd.training.precision import INSTRUCTIONS, bf16, named
from lskd.training.recipe import Precision

CPU = torch.device("cpu")


def test_a_processor_runs_bf16_where_it_has_instructions_for_it() -> None:
    known = torch.cpu.get_capabilities()
    assert bf16("auto", CPU) == any(known.get(name) for name in INSTRUCTIONS)
    assert named("auto", CPU) == ("bf16" if bf16("auto", CPU) else "float32")


def test_what_is_said_is_taken_whatever_the_device_has() -> None:
    for device in (CPU, torch.device("cuda"), torch.device("mps")):
        assert bf16("bf16", device)
        assert not bf16("float32", device)


def test_a_device_of_which_nothing_is_known_runs_float32() -> None:
    assert named("auto", torch.device("mps")) == "float32"


def test_auto_ends_in_the_weights_of_the_precision_that_it_names(tmp_path: Path) -> None:
    found = {}
    precisions: tuple[Precision, ...] = ("auto", "bf16", "float32")
    for precision in precisions:
        task = Toy()
        train(task, replace(RECIPE, precision=precision), tmp_path / precision)
        found[precision] = weights(task.model)
    taken = named("auto", CPU)
    assert equal(found["auto"], found[taken])
    assert not equal(found["bf16"], found["float32"])
    said = json.loads((tmp_path / "auto/beginning.json").read_text(encoding="utf-8"))
    assert said["precision"] == taken


def test_a_training_goes_on_only_in_the_precision_that_auto_stood_for(tmp_path: Path) -> None:
    taken = named("auto", CPU)
    other: Precision = "float32" if taken == "bf16" else "bf16"
    auto = replace(RECIPE, precision="auto")
    train(Toy(), auto, tmp_path / "auto")
    train(Toy(), replace(RECIPE, precision=taken), tmp_path / "auto")
    with pytest.raises(UserError, match=rf"made with precision = {taken} \(now {other}\)"):
        train(Toy(), replace(RECIPE, precision=other), tmp_path / "auto")
    # As where it was begun on a device that had the other.
    train(Toy(), replace(RECIPE, precision=other), tmp_path / "other")
    with pytest.raises(UserError, match=rf"made with precision = {other} \(now {taken}\)"):
        train(Toy(), auto, tmp_path / "other")


def test_a_checkpoint_that_tells_auto_alone_is_gone_on_from(tmp_path: Path) -> None:
    """Versions before this one noted no more."""
    auto = replace(RECIPE, precision="auto")
    train(Toy(), auto, tmp_path)
    for file in (tmp_path / "checkpoints").glob("*.pt"):
        content = torch.load(file, weights_only=True)
        told = json.loads(content["made_with"]) | {"precision": "auto"}
        torch.save(content | {"made_with": json.dumps(told)}, file)
    task = Toy()
    train(task, auto, tmp_path)
    assert not task.rows


@pytest.mark.parametrize("name", INSTRUCTIONS[:2])
def test_torch_tells_of_each_instruction(name: str) -> None:
    if torch.cpu.get_capabilities()["architecture"] != "x86_64":
        pytest.skip("names of x86_64")
    assert name in torch.cpu.get_capabilities()
