"""Weights, optimiser and average on disk: each checkpoint whole or not at all, the last two kept.

`<folder>/checkpoints/00000500.pt` is the state after step 500. It holds what training changes:
weights that have no gradient are not in it.
"""

import json
import pickle
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lskd.checkpoints.written import write_pickle
from lskd.errors import UserError
from lskd.training import memory, published, sharding
from lskd.training.average import Average
from lskd.training.recipe import Precision, Recipe

KEPT = 2
# Settings of a recipe that leave the weights as they are, so that they may change in between.
FREE = ("save_every", "log_every", "track")


@dataclass(frozen=True, slots=True)
class Trained:
    """All that training changes."""

    weights: dict[str, nn.Parameter]
    buffers: dict[str, Tensor]
    optimiser: torch.optim.Optimizer
    average: Average | None


def made_with(recipe: Recipe, count: int, precision: Precision) -> str:
    """Return what a checkpoint must have been made with to be gone on from, as JSON text.

    `precision` is the recipe's, or what "auto" stands for: on another device that may be another.
    """
    given = {name: value for name, value in asdict(recipe).items() if name not in FREE}
    return json.dumps({"rows": count, **given, "precision": precision})


def path_of(folder: Path, step: int) -> Path:
    """Return where the checkpoint of a step lies."""
    return folder / published.CHECKPOINTS / f"{step:08}{published.ENDING}"


def steps(folder: Path) -> list[int]:
    """Return the steps that have a checkpoint, latest first."""
    found = (folder / published.CHECKPOINTS).glob(f"[0-9]*{published.ENDING}")
    return sorted((int(path.stem) for path in found if path.stem.isdigit()), reverse=True)


def content_of(step: int, trained: Trained, made: str) -> dict[str, Any]:
    """Return what a checkpoint holds; all processes must ask for it, as each may have a share.

    `made` is what it was `made_with`.
    """
    optimiser = trained.optimiser.state_dict()
    state = {number: sharding.wholes(one) for number, one in optimiser["state"].items()}
    return {
        "step": step,
        "made_with": made,
        "weights": sharding.wholes({n: weight.detach() for n, weight in trained.weights.items()}),
        "buffers": trained.buffers,
        "optimiser": {**optimiser, "state": state},
        "average": sharding.wholes(trained.average.weights) if trained.average else None,
    }


def save(folder: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint, then remove all but the latest two up to it.

    Raises UserError if there is no room; those that were written before are kept.
    """
    step: int = content["step"]
    for unfinished in path_of(folder, step).parent.glob(".*.draft"):
        unfinished.unlink(missing_ok=True)  # of a process that was killed as it wrote
    write_pickle(path_of(folder, step), content)
    # Later ones could not be read, or training would have gone on from there: they would outlive
    # each new one.
    found = steps(folder)
    kept = [one for one in found if one <= step][:KEPT]
    for one in found:
        if one not in kept:
            path_of(folder, one).unlink(missing_ok=True)


def restore(folder: Path, trained: Trained, made: str, tell: Callable[[str], None]) -> int:
    """Put back the latest state that can be read, and return its step; 0 if there is none.

    Raises UserError if it was made with other settings or for another model.
    """
    for step in steps(folder):
        path = path_of(folder, step)
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, LookupError, pickle.UnpicklingError) as error:
            if memory.ended(error):
                raise
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            tell(f"{path} cannot be read ({reason}): the one before is taken")
            continue
        _check(path, content, trained, made)
        _put_back(content, trained)
        return step
    return 0


def _check(path: Path, content: dict[str, Any], trained: Trained, made: str) -> None:
    before, now = json.loads(content["made_with"]), json.loads(made)
    if before.get("precision") == "auto":  # of a version that did not tell what it stood for
        before["precision"] = now.get("precision")
    other = [
        f"{name} = {before.get(name)} (now {now.get(name)})"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]
    if other:
        device = " on a device that has it" if before["precision"] != now["precision"] else ""
        raise UserError(
            f"{path} was made with {', '.join(other)}: go on with that{device}, or remove "
            f"{path.parent}"
        )
    shapes = _shapes(trained.weights) | _shapes(trained.buffers)
    saved = _shapes(content["weights"]) | _shapes(content["buffers"])
    if shapes != saved:
        names = sorted(
            name for name in shapes.keys() | saved.keys() if shapes.get(name) != saved.get(name)
        )
        raise UserError(
            f"{path} is of another model: {len(names)} weights differ, as {names[0]} "
            f"({saved.get(names[0])} there, {shapes.get(names[0])} here); remove {path.parent}"
        )


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


@torch.no_grad()
def _put_back(content: dict[str, Any], trained: Trained) -> None:
    for name, weight in trained.weights.items():
        weight.copy_(sharding.like(content["weights"][name], weight))
    for name, buffer in trained.buffers.items():
        buffer.copy_(content["buffers"][name])
    places = [weight for group in trained.optimiser.param_groups for weight in group["params"]]
    optimiser = content["optimiser"]
    state = {
        number: {name: sharding.like(one, places[number]) for name, one in some.items()}
        for number, some in optimiser["state"].items()
    }
    trained.optimiser.load_state_dict({**optimiser, "state": state})
    if trained.average:
        kept = trained.average.weights
        trained.average.load({n: sharding.like(content["average"][n], kept[n]) for n in kept})
