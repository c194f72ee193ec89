"""`lskd lab pretrain`: the lab's base model is trained from nothing: tower first, then Q-Former.

Its folder holds a BLIP-2 stage 1 of the same classes as the real ones, with its vocabulary, and
`pretrain.json`: how it was made and what it learnt.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from pydantic import TypeAdapter, ValidationError

from lskd.blip2 import weights
from lskd.blip2.given import VOCABULARY
from lskd.blip2.stage1 import Stage1, new_student
from lskd.blip2.text import Tokenizer
from lskd.checkpoints.checkpoint import digest
from lskd.errors import UserError
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
from lskd.training.standing import TRAINING

# The parts, where each is trained, and how its settings in a plan begin.
PARTS = (
    ("patches", "patch_"),
    ("tints", "tint_"),
    ("captions", "caption_"),
    ("matching", "match_"),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is seen: scenes, and steps of each part with batches and rates; 0 skips a part.

    `first` is the number of the first scene, so that a training that starts from another sees new
    ones. What the tower learnt is evaluated on `held_back` further ones.
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
    held_back: int = 256
    first: int = 0
    precision: Precision = "float32"
    seed: int = 0


def changed(plan: Plan, changes: Sequence[str]) -> Plan:
    """Return a plan with "key=value" changes; raises UserError for what it cannot have."""
    given: dict[str, object] = asdict(plan)
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals or key not in given:
            raise UserError(f"--set {change!r}: expected KEY=VALUE, of {', '.join(given)}")
        given[key] = value
    try:
        return TypeAdapter(Plan).validate_python(given)
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"--set {first['loc'][0]}={first['input']}: {first['msg']}") from error


def pretrain(
    plan: Plan, folder: Path, tell: Callable[[str], None], start: Path | None = None
) -> Path:
    """Train the base model into `folder` and return it; a killed training goes on.

    It begins with the weights of `start`, if that is given. The defaults are about 100 minutes'
    work for 2 cores, by rates seen in parts. Raises UserError if `start` is no base model.
    """
    began = time.monotonic()
    before = None if start is None else note.read(start)
    own = _folders(plan, folder / TRAINING, None if start is None else digest(str(start)))
    vocabulary.write(folder / VOCABULARY)
    tokenizer = Tokenizer(folder / VOCABULARY)
    with torch.random.fork_rng():
        torch.manual_seed(plan.seed)
        student = new_student(size(len(tokenizer)), dropout=0.0, attention="eager")
    if start is not None:
        begin_with(student, vocabulary_of(folder), start)
    tell(f"{sum(w.numel() for w in student.parameters()):,} weights")
    numbers = range(plan.first, plan.first + plan.scenes + plan.held_back)
    made = stills(numbers, os.cpu_count() or 1, lambda n: None)
    tell(f"{len(made)} scenes drawn in {time.monotonic() - began:.0f} s")
    seen, held_back = made[: plan.scenes], made[plan.scenes :]
    with _saying(plan, shown(seen), folder / VOCABULARY) as saying:
        learnt = _patches(plan, student, seen, held_back, own, tell) if plan.patch_steps else {}
        if plan.tint_steps:
            learnt |= _tints(plan, student, seen, held_back, own, tell)
        student.backbone.freeze(vision=True)
        device = torch.accelerator.current_accelerator() or torch.device("cpu")
        kept = features(student.to(device), seen, torch.bfloat16).to(device)
        if plan.caption_steps:
            recipe = _recipe(plan, plan.caption_steps, plan.caption_batch, plan.caption_rate)
            captions = CaptionTask(Reader(student, tokenizer.decode_id), seen, kept, tokenizer)
            fit(captions, len(seen), recipe, own["captions"], tell, lambda n: None)
        if plan.match_steps:
            recipe = _recipe(plan, plan.match_steps, plan.match_batch, plan.match_rate)
            matching = MatchTask(Matcher(student), saying, kept)
            fit(matching, len(seen), recipe, own["matching"], tell, lambda n: None)
    _write(folder, student.cpu(), plan, learnt, time.monotonic() - began, before)
    return folder


def _folders(plan: Plan, training: Path, start: str | None) -> dict[str, Path]:
    """Return where each part is trained.

    A name tells all that the part's weights come from, those of the parts before it among them, so
    that none goes on from what another training has left in the same folder.
    """
    given = asdict(plan)
    of = {name: given[name] for name in ("scenes", "first", "precision", "seed")}
    of["start"] = start
    found: dict[str, Path] = {}
    for part, prefix in PARTS:
        of |= {name: value for name, value in given.items() if name.startswith(prefix)}
        found[part] = training / f"{part}-{note.digest(**of)}"
    return found


def _patches(
    plan: Plan,
    student: Stage1,
    seen: Sequence[Still],
    held_back: Sequence[Still],
    own: Mapping[str, Path],
    tell: Callable[[str], None],
) -> dict[str, float]:
    """Train the tower to label patches, and return how well it does on other scenes."""
    with torch.random.fork_rng():
        torch.manual_seed(plan.seed + 1)
        labeller = Labeller(student.backbone.vision)
    recipe = _recipe(plan, plan.patch_steps, plan.patch_batch, plan.patch_rate)
    fit(PatchTask(labeller, seen), len(seen), recipe, own["patches"], tell, lambda n: None)
    learnt = accuracy(labeller.eval(), held_back)
    tell("patches right: " + ", ".join(f"{name} {share:.1%}" for name, share in learnt.items()))
    student.to(labeller.heads.weight.device)
    return learnt


def _tints(
    plan: Plan,
    student: Stage1,
    seen: Sequence[Still],
    held_back: Sequence[Still],
    own: Mapping[str, Path],
    tell: Callable[[str], None],
) -> dict[str, float]:
    """Train the tower to say loudly which frames surround a patch, and return how well it does."""
    louder = Louder(student.backbone.vision, plan.seed)
    recipe = _recipe(plan, plan.tint_steps, plan.tint_batch, plan.tint_rate)
    fit(TintTask(louder, seen), len(seen), recipe, own["tints"], tell, lambda n: None)
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
    start: object,
) -> None:
    weights.save(student, folder)
    note.write(
        folder,
        plan=asdict(plan),
        patches_right=learnt,
        seconds=round(seconds),
        start=start,
    )
