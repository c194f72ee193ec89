"""One step of the optimiser: gradients of its micro-batches, then the update."""

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from lskd.training import order, sharding
from lskd.training.checkpoint import Trained
from lskd.training.history import Measured
from lskd.training.recipe import Precision, Recipe
from lskd.training.task import Preparing, Task

if TYPE_CHECKING:  # `loop` imports it, and says what to install where it is missing
    from accelerate import Accelerator


@dataclass(frozen=True, slots=True)
class Run:
    """What the steps of a training share; `model` is the task's, wrapped for all processes.

    `precision` is the recipe's, or what "auto" stands for on the device.
    """

    accelerator: "Accelerator"
    task: Task
    model: nn.Module
    trained: Trained
    recipe: Recipe
    count: int
    precision: Precision


def take(run: Run, step: int) -> Measured:
    """Take a step and return what was measured; steps count from 1.

    If the loss or its gradient is no number (`Measured.sound`), no weight is changed.
    """
    recipe, optimiser = run.recipe, run.trained.optimiser
    optimiser.zero_grad(set_to_none=True)
    names, values = _gradients(run, step)
    norm = _norm(run)
    # One transfer from the device for all that is measured, and the only one of a step.
    loss, *parts, gradient = torch.cat([values, norm.reshape(1)]).tolist()
    measured = Measured(
        step, loss, tuple(zip(names, parts, strict=True)), recipe.rate(step), gradient
    )
    if measured.sound:
        for group in optimiser.param_groups:
            group["lr"] = measured.rate
        optimiser.step()
        if run.trained.average:
            run.trained.average.take(run.trained.weights, step)
    return measured


def _gradients(run: Run, step: int) -> tuple[tuple[str, ...], Tensor]:
    """Leave the gradients of a step; return the names of the loss's parts, and the values.

    The values, (1 + parts,) float32, are the loss and its parts, means over all rows.
    """
    recipe, accelerator = run.recipe, run.accelerator
    parts = _parts(run, step)
    names: tuple[str, ...] = ()
    measured = []
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        _prepare_next(run, step, number, parts)
        noise = order.seed_of(recipe.seed, "noise", step, number, accelerator.process_index)
        _seed(noise, accelerator.device)
        with nullcontext() if last else accelerator.no_sync(run.model):
            with torch.autocast(
                accelerator.device.type, torch.bfloat16, enabled=run.precision == "bf16"
            ):
                generator = _generator(recipe, step, number)
                losses = run.task.losses(run.model, part.rows, generator)
            accelerator.backward(losses.total * part.share)
        before, names = names, tuple(name for name, _ in losses.parts)
        assert before in ((), names), "a task names the same parts each time"
        values = [losses.total, *(value for _, value in losses.parts)]
        # A part that is unknown for some rows is unknown for the step: it stays NaN.
        measured.append(part.share * torch.stack([v.detach().float() for v in values]))
    mean = accelerator.reduce(torch.stack(measured).sum(dim=0), "mean")
    return names, mean


def _seed(seed: int, device: torch.device) -> None:
    """Set the seed of what is drawn on a device."""
    if device.type == "cpu":
        # `torch.manual_seed` would also note the seed, with a traceback of each call, for every
        # kind of device that is not there: time in each step, and memory that is never freed.
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


def _parts(run: Run, step: int) -> list[order.Part]:
    """Return this process's micro-batches of a step."""
    recipe, accelerator = run.recipe, run.accelerator
    rows = order.rows_of(step, run.count, recipe.batch, recipe.seed)
    return order.parts_of(
        rows, recipe.accumulate, accelerator.process_index, accelerator.num_processes
    )


def _generator(recipe: Recipe, step: int, number: int) -> torch.Generator:
    """Return the generator of a micro-batch, the same on every process."""
    seed = order.seed_of(recipe.seed, "draw", step, number)
    return torch.Generator().manual_seed(seed)


def _prepare_next(run: Run, step: int, number: int, parts: list[order.Part]) -> None:
    """Tell the task of the micro-batch after this one, if it wants to know."""
    task, recipe = run.task, run.recipe
    if not isinstance(task, Preparing):
        return
    if number + 1 < len(parts):
        task.prepare(parts[number + 1].rows, _generator(recipe, step, number + 1))
    elif step < recipe.steps:
        task.prepare(_parts(run, step + 1)[0].rows, _generator(recipe, step + 1, 0))


def _norm(run: Run) -> Tensor:
    """Return the norm of the whole gradient, and bound it if the recipe says so."""
    given = [weight for weight in run.trained.weights.values() if weight.grad is not None]
    gradients = [weight.grad for weight in given if weight.grad is not None]
    norm = sharding.whole(nn.utils.get_total_norm(gradients))
    if run.recipe.clip is not None:
        nn.utils.clip_grads_with_norm_(given, run.recipe.clip, norm)
    return norm.to(run.accelerator.device, torch.float32)
