"""`lskd lab speaker`: the lab's base model learns to speak, with a language model from nothing.

Its folder is an InternVL that chats, in the classes and files of the real ones, so that the stage
`generative` takes it; `pretrain.json` beside it tells how it was made and what it learnt.
"""

import copy
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from lskd.checkpoints.checkpoint import digest
from lskd.lab.pretrain import note
from lskd.lab.pretrain.patches import normal
from lskd.lab.pretrain.speaker import Shape, internvl, looked, written
from lskd.lab.pretrain.speaker_bank import Bank, bank
from lskd.lab.pretrain.speaker_task import LabelTask, Speaker, SpeakTask, right, told_apart
from lskd.training.loop import fit
from lskd.training.recipe import Recipe
from lskd.training.standing import TRAINING, spent
from lskd.writing.trained import base_of

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is learnt, of `scenes` that are seen twice each.

    The projector learns labels in `label_steps`; then it and the language model learn to answer in
    `steps`. Both have a batch, in views, and a rate. A view has lines of `width` tokens each time.
    `held_back` further scenes are asked about in the end; `first` is the number of the first scene.
    """

    scenes: int = 6_000
    label_steps: int = 1_500
    label_batch: int = 48
    label_rate: float = 3e-3
    steps: int = 15_000
    batch: int = 6
    rate: float = 3e-3
    width: int = 120
    held_back: int = 100
    first: int = 3_000_000
    seed: int = 0
    shape: Shape = field(default_factory=Shape)


def speaker(plan: Plan, base: Path, folder: Path, tell: Tell) -> Path:
    """Teach a speaker into `folder` and return it; a killed training goes on at its checkpoint.

    Raises UserError if `base` is no base model of the lab.
    """
    note.present(base, note.NOTE)
    began = time.monotonic()
    with torch.random.fork_rng():
        torch.manual_seed(plan.seed)
        model = Speaker(internvl(base, plan.shape))
    trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    tell(f"{sum(w.numel() for w in model.model.parameters()):,} weights, {trained:,} are trained")
    known, unseen = _views(plan, model)
    tell(f"{len(known)} views drawn and seen: {_since(began)}")
    training = folder / TRAINING
    made = note.digest(base=digest(str(base)), plan=asdict(plan))  # another goes on from nothing
    own = {part: training / f"{part}-{made}" for part in ("labels", "speaking")}
    recipe = _recipe(plan.label_steps, plan.label_batch, plan.label_rate, plan.seed)
    fit(LabelTask(model, known), len(known), recipe, own["labels"], tell, _quiet)
    recipe = _recipe(plan.steps, plan.batch, plan.rate, plan.seed)
    task = SpeakTask(model, known, plan.width)
    fit(task, len(known), recipe, own["speaking"], tell, _quiet)
    told_apart(model, known, plan.seed)
    _round(model)
    learnt = right(model, unseen)
    tell(f"right: {learnt}: {_since(began)}")
    whole = copy.deepcopy(model.model).cpu().to(torch.bfloat16)
    written(folder, whole)
    seconds = {part: round(spent(place)) for part, place in own.items()}
    note.write(folder, plan=asdict(plan), right=learnt, seconds=seconds, base=base_of(str(base)))
    shutil.rmtree(training, ignore_errors=True)
    return folder


def _views(plan: Plan, model: Speaker) -> tuple[Bank, Bank]:
    """Return what is learnt from, and what is asked about in the end."""
    device = torch.accelerator.current_accelerator() or torch.device("cpu")
    model.to(device)

    def look(pixels: Any) -> Any:
        return looked(model.model, normal(pixels.to(device)))

    numbers = range(plan.first, plan.first + plan.scenes + plan.held_back)
    every = bank(numbers, look, os.cpu_count() or 1)
    return every.cut(2 * plan.scenes)


def _round(model: Speaker) -> None:
    """Give all weights the values that they have in the file, which is half as large for it."""
    with torch.no_grad():
        for weight in model.model.parameters():
            weight.copy_(weight.to(torch.bfloat16))


def _recipe(steps: int, batch: int, rate: float, seed: int) -> Recipe:
    return Recipe(
        steps=steps,
        batch=batch,
        warmup=min(100, steps // 10),
        learning_rate=rate,
        weight_decay=0.02,
        betas=(0.9, 0.98),
        clip=1.0,
        seed=seed,
        log_every=200,
    )


def _quiet(_: int) -> None:
    """Say nothing of a step."""


def _since(began: float) -> str:
    return f"{round(time.monotonic() - began)} s"
