"""BLIP-2 with FlanT5, and Mini-GPT4, as captioner and as narrator: from a recipe to a run."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import verbalizer_world as world
from safetensors.torch import load_file
from typer.testing import CliRunner

import house
import tiny_writers
from forked import lskd_twice
from lskd.cli import app
from lskd.execute import Selection, execute
from lskd.progress import Lines
from lskd.run import load
from lskd.types import Narratives, Regions
from lskd.verbalize.training import note
from lskd.verbalize.training.settings import Kind
from lskd.writing.note import opened

KINDS: tuple[Kind, ...] = ("captioner", "narrator")
STEPS = 24
CLASSES = {"captioner": "TrainedCaptioner", "narrator": "TrainedNarrator"}


@dataclass(frozen=True)
class Made:
    """A recipe and the folder that its command has made."""

    file: Path
    out: Path

    def losses(self) -> list[float]:
        (file,) = self.out.glob("training/*/losses.jsonl")
        return [json.loads(line)["loss"] for line in file.read_text("utf-8").splitlines()]


def steady(folder: Path) -> Path:
    """Let nothing drop out of a BLIP-2: each process would drop out something else."""
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config["qformer_config"] |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with corpora, and with what the writers begin with."""
    folder = tmp_path_factory.mktemp("world")
    world.build(folder)
    steady(tiny_writers.write_blip2_writer(folder / "blip2", "t5"))
    tiny_writers.write_vicuna(folder / "vicuna")
    tiny_writers.write_minigpt4(folder / "projection.pth")
    return folder


def writer(place: Path, name: str) -> dict[str, Any]:
    """Return the line of a recipe that names a writer."""
    if name == "flan-t5":
        return {"use": "lskd.writing.blip2:Blip2Writer", "checkpoint": str(place / "blip2")}
    return {
        "use": "lskd.writing.minigpt4:MiniGPT4Writer",
        "checkpoint": str(place / "vicuna"),
        "projection": str(place / "projection.pth"),
        "blip2": str(place / "blip2"),
    }


def train(place: Path, name: str, kind: Kind, root: Path, **changes: Any) -> Made:
    """Train by the command what a recipe says, and return both."""
    told = world.recipe(place, kind, place, writer=writer(place, name), **changes)
    one = Made(told.rename(root / told.name), root / "out" / kind)
    words = [kind, str(one.file), "--out", str(one.out), "--log", "plain"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert str(one.out / kind) in done.stdout and "cider" in done.stdout
    return one


@pytest.fixture(scope="module")
def made(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Kind], Made]:
    """Return what gives what a command makes of a recipe for a writer and a kind, once."""

    @cache
    def trained(name: str, kind: Kind) -> Made:
        changes: dict[str, Any] = {"steps": STEPS, "learning_rate": 5e-2}
        return train(place, name, kind, tmp_path_factory.mktemp(f"{name}-{kind}"), **changes)

    return trained


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("flan-t5", "captioner"),
        ("flan-t5", "narrator"),
        ("minigpt4", "captioner"),
        pytest.param("minigpt4", "narrator", marks=pytest.mark.check),
    ],
)
def test_it_learns_and_keeps_no_more_than_what_was_trained(
    made: Callable[[str, Kind], Made], name: str, kind: Kind
) -> None:
    one = made(name, kind)
    losses = one.losses()
    assert sum(losses[-5:]) < sum(losses[:5])
    folder = one.out / kind
    assert note.read(folder, kind).steps == STEPS
    kept = load_file(folder / "trained.safetensors")
    assert kept and not [part for part in kept if part.startswith(("vision", "language_model"))]
    loaded = dict(opened(folder, "cpu").module.named_parameters())
    for weight, value in kept.items():
        assert torch.equal(loaded[f"model.{weight}"], value)


@pytest.mark.parametrize("name", ["flan-t5", pytest.param("minigpt4", marks=pytest.mark.check)])
def test_a_run_takes_both_by_one_line_each(
    made: Callable[[str, Kind], Made], name: str, tmp_path: Path
) -> None:
    file = house.build(tmp_path, count=2)
    changes = [f"images.source={tmp_path / 'pictures'}"]
    for kind in KINDS:
        use = f"lskd.verbalize.training.trained:{CLASSES[kind]}"
        folder = made(name, kind).out / kind
        changes.append(f'models.{kind}={{use = "{use}", folder = "{folder}", device = "cpu"}}')
    run = load(file, changes, tmp_path / "out", with_models=True)
    for stage in ("images", "narratives", "regions"):
        execute(run, Selection(only=stage), Lines("plain"))
    described = house.rows(run, Regions)
    assert [len(row.regions) for row in described] == [2, 2]
    assert any(region.description for row in described for region in row.regions)
    assert all(row.texts for row in house.rows(run, Narratives))


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "kind", [KINDS[0], *(pytest.param(one, marks=pytest.mark.check) for one in KINDS[1:])]
)
def test_two_processes_train_what_one_does_and_one_evaluates(
    place: Path, kind: Kind, tmp_path: Path
) -> None:
    one = train(place, "flan-t5", kind, tmp_path)
    two = Made(one.file, tmp_path / "two")
    said = lskd_twice(tmp_path, kind, str(one.file), "--out", str(two.out))
    assert said.count(f"the {kind} is in") == 1 and said.count("95 % interval") == 1
    assert two.losses() == pytest.approx(one.losses(), abs=1e-4)
    kept = [load_file(made.out / kind / "trained.safetensors") for made in (one, two)]
    for name, weight in kept[0].items():
        # The loss does not depend on a key's bias: of rounding, AdamW makes whole steps.
        if not name.endswith("key.bias"):
            torch.testing.assert_close(kept[1][name], weight, atol=1e-4, rtol=0)
    figures = [json.loads((made.out / "evaluation.json").read_text()) for made in (one, two)]
    measures = [[row["measure"] for row in one["figures"]] for one in figures]
    assert measures[0] == measures[1] and "cider" in measures[0]
