"""The training loop, on accelerate: devices, processes and trackers are its; the rest is here.

transformers.Trainer was the other choice. It would have to be told its losses, its order of rows,
its seeds and its weights of micro-batches by subclass and callback, which is most of what stands
here, and it goes on from the states of generators that it saved, not from (seed, step).

After a kill at any step, the same call ends in the same weights as if nothing had happened: bit for
bit on a processor, on a GPU as far as its kernels add in a fixed order, and to a rounding where the
losses of rows depend on those before them, as a verbalizer's do whose `sights_gb` is above 0.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean

import torch

from lskd.errors import MissingExtra, UserError
from lskd.storage.address import url_of
from lskd.training import (
    checkpoint,
    order,
    plot,
    processes,
    published,
    sharding,
    standing,
    step,
)
from lskd.training.average import Average
from lskd.training.checkpoint import Trained
from lskd.training.history import LOSSES, PLOT, History, Measured, read
from lskd.training.memory import guarded
from lskd.training.precision import named
from lskd.training.recipe import Recipe
from lskd.training.step import Run
from lskd.training.task import Task

try:
    from accelerate import Accelerator
    from accelerate.utils import DistributedDataParallelKwargs
except ImportError as error:
    raise MissingExtra("training", "accelerate", "train") from error

LIBRARIES = {
    "tensorboard": ("tensorboard", "tensorboardX"),  # either will do
    "trackio": ("trackio",),
    "wandb": ("wandb",),
}


@dataclass(frozen=True, slots=True)
class Fitted:
    """A training that is done: `losses` is the file of JSON lines, `folder` holds all files."""

    steps: int
    losses: Path
    folder: Path


def fit(
    task: Task,
    count: int,
    recipe: Recipe,
    folder: Path,
    tell: Callable[[str], None],
    tick: Callable[[int], None],
) -> Fitted:
    """Train the task's model on rows 0 to `count`, going on from what `folder` holds of it.

    The model is given as it was before its first step, also where a training is gone on with. It
    ends with the weights of the last step, or with their average if the recipe asks for one, in
    the mode that it began in. `tell` is given lines and `tick` numbers of steps, on the first
    process only. Several processes must share the folder, or the place that it stands for; launched
    with FSDP, each keeps a share of the model meanwhile, see `sharding`. Raises UserError for rows
    that cannot be shared, a loss that is no number, a full disk or memory, a place out of reach,
    and a folder that holds another training; MissingExtra for a tracker that is not installed.
    """
    accelerator = _accelerator(recipe, folder)
    if not accelerator.is_main_process:
        tell, tick = _silent, _silent
    recipe = _fitting(recipe, count, accelerator.num_processes, tell)
    device, training = accelerator.device, task.model.training
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        try:
            with guarded("before the first step", f"the model is too large for {device}"):
                run = _prepare(task, count, recipe, accelerator)
                done = _restore(run, folder, tell, tick)
            run.model.train()
            _steps(run, done, folder, tell, tick)
        finally:
            task.model.train(training)
            for tracker in accelerator.trackers:
                tracker.finish()
    if run.trained.average:
        run.trained.average.give(run.trained.weights)
    if sharding.wanted():
        sharding.gather(run.model, task.model)
    return Fitted(recipe.steps, folder / LOSSES, folder)


def _silent(_: object) -> None:
    """Say nothing: another process does."""


def _accelerator(recipe: Recipe, folder: Path) -> Accelerator:
    for tracker in recipe.track:
        if not any(find_spec(library) for library in LIBRARIES[tracker]):
            raise MissingExtra(f'track = ["{tracker}"]', LIBRARIES[tracker][0], "train")
    return Accelerator(
        cpu=not torch.accelerator.is_available(),
        # accelerate's precision is one for the whole process, which may train a critic and a
        # student; the recipe's is set around the losses.
        mixed_precision="no",
        log_with=list(recipe.track) or None,
        project_dir=folder,
        # The critic leaves some weights of its Q-Former unused.
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )


def _fitting(recipe: Recipe, count: int, processes: int, tell: Callable[[str], None]) -> Recipe:
    """Return the recipe with no more rows in a batch than there are."""
    if count < processes:
        raise UserError(f"{count} rows to train on: expected at least one for each process")
    if recipe.batch > count:
        accumulate = min(recipe.accumulate, count // processes)
        # One process takes all rows; the shares of several are as large as each other.
        even = processes * accumulate if processes > 1 else 1
        batch = count // even * even
        tell(f"batch = {recipe.batch}, but there are {count} rows: each step takes {batch}")
        recipe = replace(recipe, batch=batch, accumulate=accumulate)
    order.parts_of(range(recipe.batch), recipe.accumulate, 0, processes)  # raises if it cannot be
    return recipe


def _prepare(task: Task, count: int, recipe: Recipe, accelerator: Accelerator) -> Run:
    if sharding.wanted():
        model = sharding.spread(accelerator, task.model)
    else:
        model = accelerator.prepare_model(task.model)
    owner = model if sharding.wanted() else task.model
    weights = {name: w for name, w in owner.named_parameters() if w.requires_grad}
    if not weights:
        raise UserError("nothing to train: all weights of the model are frozen")
    decayed = [w for w in weights.values() if w.ndim >= 2]
    spared = [w for w in weights.values() if w.ndim < 2]  # biases, norms, temperature: as LAVIS
    optimiser = torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": recipe.weight_decay},
            {"params": spared, "weight_decay": 0.0},
        ],
        lr=recipe.learning_rate,
        betas=recipe.betas,
    )
    average = None if recipe.average is None else Average(weights, recipe.average)
    trained = Trained(weights, dict(task.model.named_buffers()), optimiser, average)
    precision = named(recipe.precision, accelerator.device)
    return Run(accelerator, task, model, trained, recipe, count, precision)


def _restore(
    run: Run, folder: Path, tell: Callable[[str], None], tick: Callable[[int], None]
) -> int:
    """Put back the latest checkpoint and return its step, 0 if there is none."""
    for leads in (True, False):  # what the first one has counts
        if run.accelerator.is_main_process == leads:
            published.bring(folder, leads)
        processes.together()
    made = checkpoint.made_with(run.recipe, run.count, run.precision)
    done = checkpoint.restore(folder, run.trained, made, tell)
    found = run.accelerator.gather(torch.tensor([done], device=run.accelerator.device))
    if len(set(found.tolist())) > 1:
        raise UserError(f"not all processes see the same in {folder}: choose a folder they share")
    if done:
        tell(f"going on after step {done} of {run.recipe.steps}")
        tick(done)
    return done


def _steps(
    run: Run, done: int, folder: Path, tell: Callable[[str], None], tick: Callable[[int], None]
) -> None:
    """Take the steps after `done`; the first process keeps what comes of them."""
    recipe, accelerator = run.recipe, run.accelerator
    if recipe.track:
        config = {name: str(value) for name, value in asdict(recipe).items()}
        accelerator.init_trackers("lskd", config)
    history = None
    if accelerator.is_main_process:
        standing.begin(folder, done, recipe.steps, run.precision)
        history = History(folder / LOSSES, done)
    remedy = f"lower batch ({recipe.batch}) or raise accumulate ({recipe.accumulate})"
    recent: list[Measured] = []
    began, saved = time.monotonic(), done
    try:
        if history and done:
            # It is drawn after its checkpoint: a kill or a full disk may have come between.
            plot.write(folder / PLOT, read(folder / LOSSES))
        for number in range(done + 1, recipe.steps + 1):
            with guarded(f"at step {number}", remedy):
                measured = step.take(run, number)
            if history:
                history.add(measured)
            if not measured.sound:
                raise UserError(_unsound(measured, saved, folder))
            recent.append(measured)
            last = number == recipe.steps
            if last or number % recipe.save_every == 0:
                _keep(run, folder, number, history)
                saved = number
            if last or number % recipe.told_every == 0:
                speed = recipe.batch * len(recent) / max(1e-9, time.monotonic() - began)
                _tell(accelerator, recent, recipe.steps, speed, tell)
                recent, began = [], time.monotonic()
            tick(1)
    finally:
        if history:
            history.close()
    accelerator.wait_for_everyone()  # none goes on before the last checkpoint is there


def _keep(run: Run, folder: Path, number: int, history: History | None) -> None:
    """Write the checkpoint of a step, after the lines that lead to it, and the plot.

    Processes that have no history only give their shares of it.
    """
    made = checkpoint.made_with(run.recipe, run.count, run.precision)
    content = checkpoint.content_of(number, run.trained, made)
    if history is not None:
        history.settle()
        checkpoint.save(folder, content)
        plot.write(folder / PLOT, read(folder / LOSSES))
        published.publish(folder, checkpoint.path_of(folder, number))
    if url_of(folder) is not None:
        processes.together()  # an upload may take longer than a collective waits


def _tell(
    accelerator: Accelerator,
    recent: list[Measured],
    steps: int,
    speed: float,
    tell: Callable[[str], None],
) -> None:
    """Tell the means of some steps to the user and to the trackers."""
    last = recent[-1]
    means = [("loss", fmean(measured.loss for measured in recent))]
    for name, _ in last.parts:
        means.append((name, fmean(dict(measured.parts)[name] for measured in recent)))
    parts = ", ".join(f"{name} {value:.4g}" for name, value in means[1:])
    tell(
        f"step {last.step} of {steps}: loss {means[0][1]:.4g}{f' ({parts})' if parts else ''}, "
        f"gradient {last.gradient:.3g}, rate {last.rate:.3g}, {speed:,.1f} rows/s"
    )
    if accelerator.trackers:
        rest = {"learning_rate": last.rate, "gradient": last.gradient, "rows_per_second": speed}
        accelerator.log({**dict(means), **rest}, step=last.step)


def _unsound(measured: Measured, saved: int, folder: Path) -> str:
    said = "".join(f", {name} {value:.4g}" for name, value in measured.parts)
    kept = f"the checkpoint of step {saved} is kept" if saved else "there is no checkpoint yet"
    return (
        f"at step {measured.step} the loss is no number (loss {measured.loss:.4g}{said}, gradient "
        f"{measured.gradient:.4g}): lower learning_rate, set clip, or look for broken rows; "
        f"{kept} in {folder}"
    )
