"""The stage's work: the parts are put together, the student is trained and written."""

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import PIL.Image
import torch

from lskd import __version__, picture
from lskd.blip2.features import Limits
from lskd.distil import examples, note, rehearsal
from lskd.distil.examples import Choice
from lskd.distil.generative import student
from lskd.distil.generative.fitting import Fitting
from lskd.distil.generative.rows import Rows, Variety
from lskd.distil.generative.sights import SightCache
from lskd.distil.generative.stage import Settings, files
from lskd.distil.generative.task import WriterTask
from lskd.distil.generative.units import Units
from lskd.distil.ledger import Ledger
from lskd.distil.note import About
from lskd.distil.rehearsal import Question
from lskd.errors import UserError
from lskd.fingerprint import checkpoints, effective, effective_model, file_digest
from lskd.stage import Context, Parts
from lskd.storage.address import shown
from lskd.table import Tables
from lskd.training import processes, published
from lskd.training.loop import fit
from lskd.training.memory import guarded
from lskd.training.precision import named
from lskd.training.standing import TRAINING
from lskd.types import Example, GenerativeStudent, View
from lskd.writing.coordinates import codec_of
from lskd.writing.pointing import Pictured, Pointing
from lskd.writing.writer import Packing, Sight, Writer

STUDENT, SIGHTS = "student", "sights"
USE = "lskd.distil.generative.student:GenerativeStudent"
LOSE = "are longer than the student reads: their prompts lose their beginning"
DOUBTS = 5  # warnings that are told: those of more sizes of pictures are alike
SQUARE = 1024  # pixels: of a square picture's canvas a student's note tells the side
KINDS = {"bf16": torch.bfloat16, "float32": torch.float32}


def train(settings: Settings, context: Context, tables: Tables) -> Parts:
    """Train a student unless it is there, and yield for each shard what could not be used.

    What belongs to a training lies in a folder named by its fingerprint, so that a killed one goes
    on, and one on other examples never takes up its checkpoints.
    """
    # The base may be large: it is loaded only where something is left to do.
    base = functools.cache(lambda: _base(settings, context))
    fingerprint = fingerprint_of(settings, context.seed, tables)
    folder = context.folder / TRAINING / fingerprint
    pointing = functools.cache(lambda: _pointing(settings, base()))
    fitting = Fitting(
        base, pointing, settings.prompts, settings.prefixes > 0, settings.rationales > 0
    )
    choice = Choice(settings.split, fitting.cut, LOSE, fitting.faults)
    with processes.first(folder):
        kept = examples.prepared(tables, folder, choice, context)
    for doubt in [*fitting.doubts][:DOUBTS]:
        context.say(f"careful: {doubt}")
    made = context.folder / STUDENT
    done = (made / note.FILE).exists() and note.read(made).fingerprint == fingerprint
    if processes.decided(not done):
        with processes.first(folder):
            old = _rehearsal(settings, fitting, folder, context)
        rows = Rows(kept, _variety(settings, context.seed), settings.prompts, pointing())
        _fit(base(), Units(rows, old), settings, context, folder)
        if not processes.leads():
            return
        student.write(made, base(), _about(settings, pointing(), context.seed, fingerprint))
        context.say(f"the student is in {shown(made)}, its losses in {shown(folder)}")
    told = [GenerativeStudent(shown(made), fingerprint, len(kept), settings.steps)]
    for shard in tables.shards(Example):
        yield shard, [*told, *examples.rejects(folder, shard)]
        told = []
    if processes.leads():
        published.clear(context.folder)


def fingerprint_of(settings: Settings, seed: int, tables: Tables) -> str:
    """Return a hash of all that decides a student."""
    return _digest(
        {
            "settings": effective(settings),
            "seed": seed,
            "examples": tables.digest((Example,)),
            "checkpoints": dict(checkpoints(settings)),
            "files": [file_digest(file) for file in files(settings)],
        }
    )


class Eye:
    """Draws the pictures of views, with `workers` threads."""

    def __init__(self, pointing: Pointing, workers: int) -> None:
        self.pointing = pointing
        self._pool = ThreadPoolExecutor(workers)

    def __call__(self, views: Sequence[View]) -> list[PIL.Image.Image]:
        """Return marked pictures; raises UserError for an image that cannot be read."""
        return list(self._pool.map(self._picture, views))

    def _picture(self, view: View) -> PIL.Image.Image:
        return self.pointing.picture(Pictured(picture.load(view.image), view.regions))


def _base(settings: Settings, context: Context) -> Writer:
    """Return the student as it begins."""
    writer = context.build(Writer, settings.student)
    if settings.packed:
        if not isinstance(writer, Packing):
            raise UserError(
                f"packed = true: {settings.student.use} reads no lines side by side: leave it out"
            )
        writer.pack()
    return writer


def _rehearsal(
    settings: Settings, fitting: Fitting, folder: Path, context: Context
) -> Ledger[Question] | None:
    if settings.rehearsal is None:
        return None
    found = rehearsal.questions(Path(settings.rehearsal), folder)
    if cut := fitting.rehearsed(found):
        context.say(f"{cut} questions that are rehearsed {LOSE}")
    return found


def _fit(writer: Writer, units: Units, settings: Settings, context: Context, folder: Path) -> None:
    """Train a writer in place."""
    eye = Eye(units.rows.pointing, settings.workers)
    recipe = settings.recipe(settings.steps, context.seed)
    tell, tick = context.say, lambda steps: None
    if settings.views == "fresh":
        fresh = WriterTask(writer, units, eye, writer.look)
        fit(fresh, len(units), recipe, folder, tell, tick)
        return
    with processes.first_of_machine(folder):
        cache = _filled(writer, units, settings, context, eye)
    fixed = WriterTask(writer, units, cache, _as_they_are)
    fit(fixed, len(units), recipe, folder, tell, tick)


def _as_they_are(sights: list[Sight]) -> list[Sight]:
    return sights


def _filled(
    writer: Writer, units: Units, settings: Settings, context: Context, eye: Eye
) -> SightCache:
    """Return a cache that has all views of all units."""
    device = next(writer.module.parameters()).device
    precision = named(settings.precision, device)
    decisive = {
        "student": effective_model(settings.student),
        "checkpoints": dict(checkpoints(settings)),
        "marking": None if units.rows.pointing.codec else settings.marking,
        "precision": precision,
        "storage": settings.storage,
    }
    cache = SightCache(settings.cached_in(context.folder / SIGHTS) / _digest(decisive))

    def look(some: Sequence[View]) -> list[Sight]:
        with (
            torch.no_grad(),
            torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"),
        ):
            seen = writer.look(eye(some))
        return [sight.to(torch.device("cpu"), KINDS[settings.storage]) for sight in seen]

    limits = Limits(settings.cache_gb, settings.cache_batch)
    with guarded("while views are looked at", f"lower cache_batch ({settings.cache_batch})"):
        cache.fill(units.all_views, look, limits, context.say)
    return cache


def _variety(settings: Settings, seed: int) -> Variety:
    return Variety(
        prefixes=settings.prefixes,
        rationales=settings.rationales,
        further=settings.further,
        described=settings.described,
        views=None if settings.views == "fresh" else settings.views,
        together=settings.together,
        seed=seed,
        control=settings.control,
        rehearsed=settings.rehearsed,
        packed=settings.packed,
    )


def _pointing(settings: Settings, writer: Writer) -> Pointing:
    """Return how the writer is pointed at regions; raises UserError for an unknown way."""
    if settings.coordinates is None:
        return Pointing(settings.marking, writer.canvas)
    family = str(getattr(writer, "family", ""))
    return Pointing(settings.marking, writer.canvas, codec_of(settings.coordinates, family))


def _about(settings: Settings, pointing: Pointing, seed: int, fingerprint: str) -> About:
    return About(
        use=USE,
        marking=settings.marking,
        image=pointing.canvas(SQUARE, SQUARE)[0],
        tokens=settings.tokens,
        base=str(settings.student.keys.get("checkpoint", settings.student.use)),
        seed=seed,
        fingerprint=fingerprint,
        text=settings.prompts.wording,
        coordinates=None if pointing.codec is None else pointing.codec.name,
        whole=settings.prompts.whole,
    )


def _digest(decisive: Mapping[str, Any]) -> str:
    """Return a hash of what is given, and of lskd's version."""
    whole = {**decisive, "lskd": ".".join(__version__.split(".")[:2])}
    text = json.dumps(whole, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
