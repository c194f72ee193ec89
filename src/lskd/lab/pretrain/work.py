"""`lskd lab pretrain`: the lab's base model is trained from nothing: tower first, then Q-Former.

Each part learns what the next one needs: without labels of what stands where, and then names alone,
neither captions nor statements are learnt in the time that there is (docs/lab.md). The folder holds
a BLIP-2 stage 1 of the same classes as the real ones, with its vocabulary, and `pretrain.json`: how
it was made and what it learnt.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from lskd.blip2 import weights
from lskd.blip2.given import VOCABULARY
from lskd.blip2.stage1 import Stage1, new_student
from lskd.blip2.text import Tokenizer
from lskd.checkpoints.checkpoint import digest
from lskd.lab import vocabulary
from lskd.lab.pretrain import note, standing
from lskd.lab.pretrain.captions import CaptionTask, Reader, features
from lskd.lab.pretrain.gallery import Still, stills
from lskd.lab.pretrain.matching import Matcher, MatchTask, Saying, judged
from lskd.lab.pretrain.patches import Labeller, PatchTask, accuracy
from lskd.lab.pretrain.plan import PARTS, Part, Plan, folders, recipe_of, steps_of
from lskd.lab.pretrain.shape import size
from lskd.lab.pretrain.speech import Choir, Says, Shown, Voice, all_kinds, names_alone, plain, shown
from lskd.lab.pretrain.standing import StandingTask, Teller
from lskd.lab.pretrain.start import begin_with, vocabulary_of
from lskd.lab.pretrain.tints import Louder, TintTask, heard
from lskd.training.loop import fit
from lskd.training.standing import TRAINING, spent
from lskd.training.task import Task

# What is said in the parts that hold statements against scenes.
LESSONS: Mapping[Part, Says] = {"names": names_alone, "plain": plain, "matching": all_kinds}


@dataclass(frozen=True, slots=True)
class Work:
    """A training: its plan, where each part of it lies, and who is told of it."""

    plan: Plan
    own: Mapping[Part, Path]
    tell: Callable[[str], None]

    def wanted(self, part: Part) -> bool:
        """Return whether a part is trained at all."""
        return steps_of(self.plan, part) > 0

    def train(self, part: Part, task: Task) -> None:
        """Train a part on all scenes, going on from what its folder holds."""
        self.tell(f"{part}:")
        recipe = recipe_of(self.plan, part)
        fit(task, self.plan.scenes, recipe, self.own[part], self.tell, lambda n: None)

    def seconds(self) -> dict[Part, int]:
        """Return the seconds that each part has taken, in all starts together."""
        return {part: round(spent(self.own[part])) for part in filter(self.wanted, PARTS)}


def pretrain(
    plan: Plan, folder: Path, tell: Callable[[str], None], start: Path | None = None
) -> Path:
    """Train the base model into `folder` and return it; a killed training goes on.

    It begins with the weights of `start`, if that is given. Raises UserError if `start` is no base
    model.
    """
    began = time.monotonic()
    before = None if start is None else note.read(start)
    own = folders(plan, folder / TRAINING, None if start is None else digest(str(start)))
    words = folder / VOCABULARY
    vocabulary.write(words)
    tokenizer = Tokenizer(words)
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
    work = Work(plan, own, tell)
    told = shown(made)
    # Those who speak begin before there is an accelerator in use.
    with _saying(work, told[: plan.scenes], words) as saying:
        learnt = _patches(work, student, seen, held_back) | _tints(work, student, seen, held_back)
        student.backbone.freeze(vision=True)
        device = torch.accelerator.current_accelerator() or torch.device("cpu")
        kept = features(student.to(device), made, torch.bfloat16).to(device)
        learnt |= _standing(work, student, told, kept)
        reader = Reader(student, tokenizer.decode_id)
        for part in filter(work.wanted, PARTS):
            if part in LESSONS:
                work.train(part, MatchTask(Matcher(student), saying, kept, LESSONS[part]))
            elif part == "captions":
                work.train(part, CaptionTask(reader, seen, kept, tokenizer))
        learnt |= _statements(work, student, told, kept, words)
    _write(folder, student.cpu(), work, learnt, before)
    return folder


def _patches(
    work: Work, student: Stage1, seen: Sequence[Still], held_back: Sequence[Still]
) -> dict[str, float]:
    """Train the tower to label patches, and return how well it does on other scenes."""
    if not work.wanted("patches"):
        return {}
    with torch.random.fork_rng():
        torch.manual_seed(work.plan.seed + 1)
        labeller = Labeller(student.backbone.vision)
    work.train("patches", PatchTask(labeller, seen))
    learnt = accuracy(labeller.eval(), held_back)
    work.tell(f"patches right: {_shares(learnt)}")
    student.to(labeller.heads.weight.device)
    return learnt


def _tints(
    work: Work, student: Stage1, seen: Sequence[Still], held_back: Sequence[Still]
) -> dict[str, float]:
    """Train the tower to say loudly which frames surround a patch, and return how well it does."""
    if not work.wanted("tints"):
        return {}
    louder = Louder(student.backbone.vision, work.plan.seed)
    work.train("tints", TintTask(louder, seen))
    learnt = {"tints": heard(louder.eval(), held_back)}
    work.tell(f"patches within frames whose tints are all told: {_shares(learnt)}")
    student.to(louder.directions.device)
    return learnt


def _standing(work: Work, student: Stage1, told: Sequence[Shown], kept: Tensor) -> dict[str, float]:
    """Train the queries to tell what stands where, and return how well they do on other scenes."""
    if not work.wanted("standing"):
        return {}
    with torch.random.fork_rng():
        torch.manual_seed(work.plan.seed + 2)
        teller = Teller(student)
    scenes = work.plan.scenes
    work.train("standing", StandingTask(teller, told[:scenes], kept))
    learnt = standing.told(teller.eval(), told[scenes:], kept[scenes:])
    work.tell(f"labels of thirds: {_shares(learnt)}")
    return learnt


def _statements(
    work: Work, student: Stage1, told: Sequence[Shown], kept: Tensor, words: Path
) -> dict[str, float]:
    """Return how well statements of all kinds about other scenes are told apart."""
    scenes = work.plan.scenes
    voice = Voice(told[scenes:], words)
    learnt = judged(Matcher(student).eval(), voice, kept[scenes:])
    work.tell(
        f"of a true statement and three false ones the true one is first: {learnt['first']:.1%}, "
        f"ITM {learnt['itm']:.3f}"
    )
    return learnt


def _shares(learnt: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {share:.1%}" for name, share in learnt.items())


def _saying(work: Work, told: Sequence[Shown], words: Path) -> AbstractContextManager[Saying]:
    """Return who says things of stills: several processes where an accelerator would wait."""
    others = (os.cpu_count() or 1) - 1
    if any(map(work.wanted, LESSONS)) and torch.accelerator.is_available() and others > 1:
        return Choir(told, words, others)
    return nullcontext(Voice(told, words))


def _write(
    folder: Path, student: Stage1, work: Work, learnt: dict[str, float], start: object
) -> None:
    weights.save(student, folder)
    note.write(
        folder,
        plan=asdict(work.plan),
        learnt=learnt,
        seconds=work.seconds(),
        start=start,
    )
