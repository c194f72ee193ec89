"""The stage's work: the parts are put together, the student is trained and written."""

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lskd import __version__
from lskd.blip2 import features
from lskd.blip2.features import Features
from lskd.blip2.objectives import StudentObjective
from lskd.blip2.pixels import Eye
from lskd.blip2.stage1 import Stage1
from lskd.distil import base, examples, interpolation, note, rehearsal, student
from lskd.distil.base import Base
from lskd.distil.examples import Choice
from lskd.distil.ledger import Ledger
from lskd.distil.lessons import Lessons, Variety
from lskd.distil.note import About
from lskd.distil.stage import Settings, files
from lskd.distil.swaps import Look, SwapsOf, judged
from lskd.distil.task import Pupil, StudentTask
from lskd.fingerprint import checkpoints, effective, file_digest
from lskd.protocols import Critic
from lskd.stage import Context, Parts
from lskd.storage.address import shown
from lskd.table import Tables
from lskd.training import processes, published
from lskd.training.loop import fit
from lskd.training.settings import FEATURES
from lskd.training.standing import TRAINING
from lskd.types import Example, Student

STUDENT = "student"
USE = "lskd.distil.student:Student"


def train(settings: Settings, context: Context, tables: Tables) -> Parts:
    """Train a student unless it is there, and yield for each shard what could not be used.

    What belongs to a training lies in a folder named by its fingerprint, so that a killed one goes
    on, and one on other examples never takes up its checkpoints.
    """
    begun = base.load(settings, context.seed)
    fingerprint = fingerprint_of(settings, context.seed, tables)
    folder = context.folder / TRAINING / fingerprint
    choice = Choice(settings.split, _cut(settings, begun))
    with processes.first(folder):
        kept = examples.prepared(tables, folder, choice, context)
    made = context.folder / STUDENT
    done = (made / note.FILE).exists() and note.read(made).fingerprint == fingerprint
    if processes.decided(not done):
        with processes.first(folder):
            swaps = _swaps(kept, settings, folder, context)
            old = (
                rehearsal.prepared(Path(settings.rehearsal), folder) if settings.rehearsal else None
            )
        lessons = Lessons(kept, _variety(settings, context.seed), settings.wording, swaps, old)
        _fit(begun, lessons, settings, context, folder)
        if not processes.leads():
            return
        about = _about(settings, begun, context.seed, fingerprint)
        student.write(made, begun.student, about, begun.vocabulary)
        context.say(f"the student is in {shown(made)}, its losses in {shown(folder)}")
    told = [Student(shown(made), fingerprint, len(kept), settings.steps)]
    for shard in tables.shards(Example):
        yield shard, [*told, *examples.rejects(folder, shard)]
        told = []
    if processes.leads():
        published.clear(context.folder)


def fingerprint_of(settings: Settings, seed: int, tables: Tables) -> str:
    """Return a hash of all that decides a student."""
    decisive = {
        "settings": effective(settings),
        "seed": seed,
        "examples": tables.digest((Example,)),
        "checkpoints": dict(checkpoints(settings)),
        "files": [file_digest(file) for file in files(settings)],
        "lskd": ".".join(__version__.split(".")[:2]),
    }
    text = json.dumps(decisive, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _fit(begun: Base, lessons: Lessons, settings: Settings, context: Context, folder: Path) -> None:
    """Train the student of `begun` in place."""
    model = begun.student
    model.backbone.freeze(vision=not settings.train_vision, ln_vision=not settings.train_ln_vision)
    before = interpolation.copied(model) if settings.base_share else {}
    if settings.recompute:
        model.backbone.recompute(vision=settings.train_vision)
    side = model.backbone.vision.size.image
    with ThreadPoolExecutor(settings.workers) as pool:
        sights = _sights(model, lessons, Eye(settings.marking, side, pool), settings, context)
        objective = StudentObjective(
            model,
            begun.tokenizer.decode_id,
            settings.kin,
            settings.gathered_gradient,
            settings.smoothing,
            settings.hard_negatives,
        )
        task = StudentTask(
            Pupil(objective, settings.views != "fresh"),
            lessons,
            sights,
            begun.tokenizer,
            settings.tokens,
            settings.loss_weights,
        )
        recipe = settings.recipe(settings.steps, context.seed)
        fit(task, len(lessons), recipe, folder, context.say, lambda steps: None)
    interpolation.interpolate(model, before, settings.base_share)


def _sights(
    model: Stage1, lessons: Lessons, eye: Eye, settings: Settings, context: Context
) -> Features:
    """Return what gives the pixels of views, or their features where each view is seen once."""
    if settings.views == "fresh":
        return eye
    folder = context.folder / FEATURES
    return features.filled(model.backbone, lessons.all_views, eye, settings, folder, context.say)


def _swaps(
    kept: Ledger[Example], settings: Settings, folder: Path, context: Context
) -> Ledger[SwapsOf] | None:
    if settings.swap_critic is None:
        return None
    critic = context.build(Critic, settings.swap_critic)
    look = Look(settings.swap_candidates, settings.swap_threshold, context.seed)
    return judged(kept, critic, look, folder, context)


def _variety(settings: Settings, seed: int) -> Variety:
    return Variety(
        rationales=settings.rationales,
        further=settings.further,
        described=settings.described,
        swaps=settings.swaps,
        checked=settings.swap_checked,
        views=None if settings.views == "fresh" else settings.views,
        seed=seed,
        control=settings.control,
        misnamed=settings.misnamed,
        rehearsed=settings.rehearsed,
        swapped=settings.swap_texts,
    )


def _cut(settings: Settings, begun: Base) -> Callable[[Sequence[Example]], int]:
    """Return what counts the examples whose texts have more tokens than the student will read."""

    def count(some: Sequence[Example]) -> int:
        said = settings.rationales > 0
        texts = [
            settings.wording.text(e.question, e.answer, e.rationale if said else None) for e in some
        ]
        return sum(length > settings.tokens for length in begun.tokenizer.lengths(texts))

    return count


def _about(settings: Settings, begun: Base, seed: int, fingerprint: str) -> About:
    return About(
        use=USE,
        marking=settings.marking,
        image=begun.student.backbone.vision.size.image,
        tokens=settings.tokens,
        base=settings.weights,
        seed=seed,
        fingerprint=fingerprint,
        text=settings.wording,
    )
