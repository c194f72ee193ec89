"""`lskd lab pretrain`: the lab's base model is trained from nothing: tower first, then Q-Former.

Its folder holds a BLIP-2 stage 1 of the same classes as the real ones, with its vocabulary, and
`pretrain.json`: how it was made and what it learnt.
"""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from lskd.blip2 import weights
from lskd.blip2.given import VOCABULARY
from lskd.blip2.stage1 import Stage1, new_student
from lskd.blip2.text import Tokenizer
from lskd.lab import vocabulary
from lskd.lab.pretrain import note
from lskd.lab.pretrain.captions import CaptionTask, Reader, features
from lskd.lab.pretrain.gallery import Still, stills
from lskd.lab.pretrain.matching import Matcher, MatchTask, Saying
from lskd.lab.pretrain.patches import Labeller, PatchTask, accuracy
from lskd.lab.pretrain.shape import size
from lskd.lab.pretrain.speech import Choir, Shown, Voice, shown
from lskd.lab.pretrain.start import begin_with, vocabulary_of
from lskd.lab.pretrain.tints import Louder, TintTask, heard
from lskd.training.loop import fit
from lskd.training.recipe import Precision, Recipe

HELD_BACK = 256  # stills that the patch labels are evaluated on


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is seen: scenes, and steps of each part with batches and rates; 0 skips a part.

    `first` is the number of the first scene, so that a training that starts from another sees new
    ones.
    """

    scenes: int = 20_000
    patch_steps: int = 3_200
    patch_batch: int = 128
    patch_rate: float = 2e-3
    tint_steps: int = 1_000
    tint_batch: int = 128
    tint_rate: float = 2e-3
    caption_steps: int = 3_000
    caption_batch: int = 48
    caption_rate: float = 1e-3
    match_steps: int = 4_000
    match_batch: int = 64
    match_rate: float = 1e-3
    first: int = 0
    precision: Precision = "float32"
    seed: int = 0


def pretrain(
    plan: Plan, folder: Path, tell: Callable[[str], None], start: Path | None = None
) -> Path:
    """Train the base model into `folder` and return it; a killed training goes on.

    It begins with the weights of `start`, if that is given. The defaults are about 100 minutes'
    work for 2 cores, by rates seen in parts.
    """
    began = time.monotonic()
    vocabulary.write(folder / VOCABULARY)
    tokenizer = Tokenizer(folder / VOCABULARY)
    with torch.random.fork_rng():
        torch.manual_seed(plan.seed)
        student = new_student(size(len(tokenizer)), dropout=0.0, attention="eager")
    if start is not None:
        begin_with(student, vocabulary_of(folder), start)
    tell(f"{sum(w.numel() for w in student.parameters()):,} weights")
    numbers = range(plan.first, plan.first + plan.scenes + HELD_BACK)
    made = stills(numbers, os.cpu_count() or 1, lambda n: None)
    tell(f"{len(made)} scenes drawn in {time.monotonic() - began:.0f} s")
    seen, held_back = made[: plan.scenes], made[plan.scenes :]
    with _saying(plan, shown(seen), folder / VOCABULARY) as saying:
        learnt = _patches(plan, student, seen, held_back, folder, tell) if plan.patch_steps else {}
        if plan.tint_steps:
            learnt |= _tints(plan, student, seen, held_back, folder, tell)
        student.backbone.freeze(vision=True)
        device = torch.accelerator.current_accelerator() or torch.device("cpu")
        kept = features(student.to(device), seen, torch.bfloat16).to(device)
        if plan.caption_steps:
            recipe = _recipe(plan, plan.caption_steps, plan.caption_batch, plan.caption_rate)
            captions = CaptionTask(Reader(student, tokenizer.decode_id), seen, kept, tokenizer)
            fit(captions, len(seen), recipe, folder / "captions", tell, lambda n: None)
        if plan.match_steps:
            recipe = _recipe(plan, plan.match_steps, plan.match_batch, plan.match_rate)
            matching = MatchTask(Matcher(student), saying, kept)
            fit(matching, len(seen), recipe, folder / "matching", tell, lambda n: None)
    _write(folder, student.cpu(), plan, learnt, time.monotonic() - began, start)
    return folder


def _patches(
    plan: Plan,
    student: Stage1,
    seen: Sequence[Still],
    held_back: Sequence[Still],
    folder: Path,
    tell: Callable[[str], None],
) -> dict[str, float]:
    """Train the tower to label patches, and return how well it does on other scenes."""
    with torch.random.fork_rng():
        torch.manual_seed(plan.seed + 1)
        labeller = Labeller(student.backbone.vision)
    recipe = _recipe(plan, plan.patch_steps, plan.patch_batch, plan.patch_rate)
    fit(PatchTask(labeller, seen), len(seen), recipe, folder / "patches", tell, lambda n: None)
    learnt = accuracy(labeller.eval(), held_back)
    tell("patches right: " + ", ".join(f"{name} {share:.1%}" for name, share in learnt.items()))
    student.to(labeller.heads.weight.device)
    return learnt


def _tints(
    plan: Plan,
    student: Stage1,
    seen: Sequence[Still],
    held_back: Sequence[Still],
    folder: Path,
    tell: Callable[[str], None],
) -> dict[str, float]:
    """Train the tower to say loudly which frames surround a patch, and return how well it does."""
    louder = Louder(student.backbone.vision, plan.seed)
    recipe = _recipe(plan, plan.tint_steps, plan.tint_batch, plan.tint_rate)
    fit(TintTask(louder, seen), len(seen), recipe, folder / "tints", tell, lambda n: None)
    share = heard(louder.eval(), held_back)
    tell(f"patches within frames whose tints are all told: {share:.1%}")
    student.to(louder.directions.device)
    return {"tints": share}


def _saying(plan: Plan, told: Sequence[Shown], words: Path) -> AbstractContextManager[Saying]:
    """Return who says things of stills: several processes where an accelerator would wait."""
    others = (os.cpu_count() or 1) - 1
    if plan.match_steps and torch.accelerator.is_available() and others > 1:
        return Choir(told, words, others)
    return nullcontext(Voice(told, words))


def _recipe(plan: Plan, steps: int, batch: int, rate: float) -> Recipe:
    return Recipe(
        steps=steps,
        batch=batch,
        warmup=steps // 20,
        learning_rate=rate,
        weight_decay=0.05,
        clip=1.0,
        precision=plan.precision,
        seed=plan.seed,
        log_every=200,
    )


def _write(
    folder: Path,
    student: Stage1,
    plan: Plan,
    learnt: dict[str, float],
    seconds: float,
    start: Path | None,
) -> None:
    weights.save(student, folder)
    note.write(
        folder,
        plan=asdict(plan),
        patches_right=learnt,
        seconds=round(seconds),
        start=None if start is None else note.read(start),
    )
