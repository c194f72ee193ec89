"""`lskd lab pretrain`: the lab's base model is trained from nothing, in two steps.

Its folder holds a BLIP-2 stage 1 of the same classes as the real ones, with its vocabulary, and
`pretrain.json`: how it was made and what it learnt.
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from lskd import __version__, table
from lskd.blip2 import weights
from lskd.blip2.base import VOCABULARY
from lskd.blip2.objectives import StudentObjective
from lskd.blip2.size import QFormerSize, Size, VisionSize
from lskd.blip2.stage1 import Stage1, new_student
from lskd.blip2.text import Tokenizer
from lskd.lab import vocabulary
from lskd.lab.drawing import SIDE
from lskd.lab.pretrain.captions import CaptionTask, Reader, features
from lskd.lab.pretrain.gallery import stills
from lskd.lab.pretrain.patches import Labeller, PatchTask, accuracy
from lskd.lab.pretrain.rectangles import PATCH
from lskd.training.loop import fit
from lskd.training.recipe import Recipe

NOTE = "pretrain.json"
HELD_BACK = 256  # stills that the patch labels are evaluated on


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is seen: scenes, and steps of each part with their batches."""

    scenes: int = 20_000
    patch_steps: int = 3_000
    patch_batch: int = 96
    caption_steps: int = 4_000
    caption_batch: int = 96
    seed: int = 0


def size(words: int) -> Size:
    """Return the size of the lab's models, for a vocabulary of so many words, [DEC] included."""
    return Size(
        VisionSize("eva", SIDE, PATCH, width=128, depth=4, heads=4, mlp=384),
        QFormerSize(
            width=128,
            depth=3,
            heads=4,
            mlp=256,
            queries=8,
            vocabulary=words,
            positions=64,
            cross_every=1,
        ),
        embedding=64,
    )


def pretrain(plan: Plan, folder: Path, tell: Callable[[str], None]) -> Path:
    """Train the base model into `folder` and return it; a killed training goes on.

    On 2 cores the defaults take under two hours.
    """
    began = time.monotonic()
    vocabulary.write(folder / VOCABULARY)
    tokenizer = Tokenizer(folder / VOCABULARY)
    with torch.random.fork_rng():
        torch.manual_seed(plan.seed)
        student = new_student(size(len(tokenizer)), dropout=0.0)
    tell(f"{sum(w.numel() for w in student.parameters()):,} weights")
    made = stills(plan.scenes + HELD_BACK, os.cpu_count() or 1, lambda n: None)
    tell(f"{len(made)} scenes drawn in {time.monotonic() - began:.0f} s")
    seen, held_back = made[: plan.scenes], made[plan.scenes :]
    with torch.random.fork_rng():
        torch.manual_seed(plan.seed + 1)
        labeller = Labeller(student.backbone.vision)
    recipe = Recipe(
        steps=plan.patch_steps,
        batch=plan.patch_batch,
        warmup=plan.patch_steps // 20,
        learning_rate=1e-3,
        weight_decay=0.05,
        clip=1.0,
        seed=plan.seed,
        log_every=200,
    )
    fit(PatchTask(labeller, seen), len(seen), recipe, folder / "patches", tell, lambda n: None)
    learnt = accuracy(labeller.eval(), held_back)
    tell("patches right: " + ", ".join(f"{name} {share:.1%}" for name, share in learnt.items()))
    student.backbone.freeze(vision=True)
    student.to(labeller.heads.weight.device)
    kept = features(student, seen, torch.bfloat16)
    objective = StudentObjective(student, tokenizer.decode_id, smoothing=0.1)
    recipe = Recipe(
        steps=plan.caption_steps,
        batch=plan.caption_batch,
        warmup=plan.caption_steps // 20,
        learning_rate=1e-3,
        weight_decay=0.05,
        clip=1.0,
        seed=plan.seed,
        log_every=200,
    )
    task = CaptionTask(Reader(objective), seen, kept, tokenizer)
    fit(task, len(seen), recipe, folder / "captions", tell, lambda n: None)
    _write(folder, student.cpu(), plan, learnt, time.monotonic() - began)
    return folder


def _write(
    folder: Path, student: Stage1, plan: Plan, learnt: dict[str, float], seconds: float
) -> None:
    weights.save(student, folder)
    told = {
        "plan": asdict(plan),
        "patches_right": learnt,
        "seconds": round(seconds),
        "device": str(torch.accelerator.current_accelerator() or "cpu"),
        "torch": torch.__version__,
        "lskd": __version__,
    }
    with table.draft(folder / NOTE) as unfinished:
        unfinished.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
