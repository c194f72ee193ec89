"""`lskd lab speaker`: the lab's base model learns to speak, with a language model from nothing.

Its folder is a BLIP-2 that writes, in the classes and files of the real ones, so that the stage
`generative` takes it; `pretrain.json` beside it tells how it was made and what it learnt.
"""

import copy
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from lskd.lab.pretrain import note
from lskd.lab.pretrain.speaker import Shape, Speaker, blip2, processor
from lskd.lab.pretrain.speaker_bank import texts, views
from lskd.lab.pretrain.speaker_task import SpeakTask, WordTask, looked, right
from lskd.training.loop import fit
from lskd.training.recipe import Precision, Recipe
from lskd.training.task import Task
from lskd.writing.trained import base_of, write_whole

TRAINING = "training"
AROUND = 2  # sentences that are of no thing: the place, and the rectangles
WORDS = ("language_model.", "language_projection.")
ALL = (*WORDS, "qformer.", "query_tokens")
PACE, WARM = 24, 8  # steps that are timed, of which the first are not counted

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is learnt: of `texts` scenes that are told, then of `scenes` that are seen.

    Both parts have steps, a batch of scenes or views with so many `lines` each, and a rate; `share`
    texts are read beside each view. With `seconds` the steps are fewer if they would end later.
    `held_back` further scenes are asked about in the end; `first` is the number of the first scene.
    """

    texts: int = 24_000
    word_steps: int = 2_500
    word_batch: int = 128
    word_rate: float = 2e-3
    scenes: int = 12_000
    steps: int = 2_500
    batch: int = 128
    rate: float = 1e-3
    lines: int = 8
    held_back: int = 128
    share: float = 0.5
    seconds: float | None = None
    first: int = 3_000_000
    seed: int = 0
    shape: Shape = field(default_factory=Shape)


def speaker(plan: Plan, base: Path, folder: Path, tell: Tell) -> Path:
    """Teach a speaker into `folder` and return it; a killed training goes on at its checkpoint."""
    began = time.monotonic()
    with torch.random.fork_rng():
        torch.manual_seed(plan.seed)
        model = Speaker(blip2(base, plan.shape))
    counts = {part: sum(w.numel() for w in getattr(model.model, part).parameters())
              for part in ("vision_model", "qformer", "language_model")}  # fmt: skip
    tell(", ".join(f"{part} {count:,}" for part, count in counts.items()) + " weights")
    slots = model.model.config.num_query_tokens - AROUND
    processes = os.cpu_count() or 1
    read = texts(range(plan.first, plan.first + plan.texts + plan.held_back), slots, processes)
    scenes = views(range(plan.first, plan.first + plan.scenes + plan.held_back), slots, processes)
    tell(f"{len(read)} scenes told, {len(scenes.bank)} views drawn: {_since(began)}")
    end = None if plan.seconds is None else began + plan.seconds
    trained = folder / TRAINING

    model.learning(WORDS)
    known, unread = read.cut(plan.texts)
    words = WordTask(model, known, plan.lines)
    recipe = _recipe(plan.word_steps, plan.word_batch, plan.word_rate, plan.seed)
    # A third of the time is for words: pictures are the harder part.
    recipe = _paced(words, len(known), recipe, _middle(end), trained, tell)
    fit(words, len(known), recipe, trained / "words", tell, lambda n: None)
    learnt = {"texts": right(model, unread, None)}
    tell(f"of texts: {learnt['texts']}: {_since(began)}")

    seen = looked(model, scenes, torch.bfloat16)
    model.learning(ALL)
    about, unseen = scenes.bank.cut(2 * plan.scenes)
    task = SpeakTask(model, seen, about, known, plan.lines, plan.share)
    recipe = _recipe(plan.steps, plan.batch, plan.rate, plan.seed)
    recipe = _paced(task, len(about), recipe, end, trained, tell)
    fit(task, len(about), recipe, trained / "speaking", tell, lambda n: None)
    rounded(model)
    learnt = {"texts": right(model, unread, None),
              "pictures": right(model, unseen, seen[len(about) :])}  # fmt: skip
    for of, shares in learnt.items():
        tell(f"of {of}: {shares}: {_since(began)}")
    _write(folder, model, plan, base, {"right": learnt, "seconds": _passed(began)})
    shutil.rmtree(trained, ignore_errors=True)
    return folder


def rounded(model: Speaker) -> None:
    """Give all weights the values that they have in the file, which is half as large for it."""
    with torch.no_grad():
        for weight in model.model.parameters():
            weight.copy_(weight.to(torch.bfloat16))


def _write(folder: Path, model: Speaker, plan: Plan, base: Path, more: dict[str, Any]) -> None:
    whole = copy.deepcopy(model.model).cpu().to(torch.bfloat16)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder, whole, processor(whole))
    note.write(folder, plan=asdict(plan), **more, base=base_of(str(base)))


def _recipe(steps: int, batch: int, rate: float, seed: int) -> Recipe:
    precision: Precision = "bf16" if torch.accelerator.is_available() else "float32"
    return Recipe(
        steps=steps,
        batch=batch,
        warmup=steps // 20,
        learning_rate=rate,
        weight_decay=0.02,
        betas=(0.9, 0.98),
        clip=1.0,
        precision=precision,
        seed=seed,
        save_every=steps,
        log_every=200,
    )


def _paced(
    task: Task, count: int, recipe: Recipe, end: float | None, folder: Path, tell: Tell
) -> Recipe:
    """Return the recipe with as many steps as can be done until `end`, timing some on a copy."""
    if end is None or recipe.steps <= PACE:
        return recipe
    times = [time.monotonic()]
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        rehearsed: Any = copy.copy(task)
        rehearsed.model = copy.deepcopy(task.model)
        fit(
            rehearsed,
            count,
            replace(recipe, steps=PACE, warmup=0, save_every=PACE),
            Path(scratch),
            lambda text: None,
            lambda n: times.append(time.monotonic()),
        )
    each = (times[-1] - times[WARM]) / (len(times) - 1 - WARM)
    able = int((end - time.monotonic()) / each)
    steps = max(PACE, min(recipe.steps, able))
    tell(f"{1 / each:.1f} steps a second: {steps} of {recipe.steps} steps")
    return replace(recipe, steps=steps, warmup=steps // 20, save_every=steps)


def _middle(end: float | None) -> float | None:
    now = time.monotonic()
    return None if end is None else now + (end - now) / 3


def _passed(began: float) -> int:
    return round(time.monotonic() - began)


def _since(began: float) -> str:
    return f"{_passed(began)} s"
