"""A recipe becomes a verbalizer: rows, training, the folder that a run takes, and figures.

```
<out>/rows/<digest>/            what the corpora say (rows.py)
<out>/training/<fingerprint>/   checkpoints and losses, from which a killed training goes on
<out>/captioner/                the trained one, or <out>/narrator/
<out>/evaluation.json           figures on places that were held out; .jsonl has the texts
```
"""

import hashlib
import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lskd import __version__, table
from lskd.fingerprint import checkpoints, effective
from lskd.prompt import prompt_file
from lskd.stage import check, named
from lskd.training import processes
from lskd.training.loop import fit
from lskd.training.standing import TRAINING
from lskd.verbalize.training import note, rows
from lskd.verbalize.training.fitting import Fitting
from lskd.verbalize.training.mixture import Mixture, mixed
from lskd.verbalize.training.note import About
from lskd.verbalize.training.places import Places
from lskd.verbalize.training.rows import Count, Rows
from lskd.verbalize.training.settings import PROMPTS, Kind, Settings, Trainable
from lskd.verbalize.training.task import Eye, VerbalizerTask
from lskd.verbalize.training.trained import Verbalizer
from lskd.writing.note import opened
from lskd.writing.writer import Writer

if TYPE_CHECKING:  # it needs libraries that training does not
    from lskd.verbalize.training.evaluation import Figure

EVALUATION = "lskd.verbalize.training.evaluation"
TOKENS: Mapping[Kind, int] = {"captioner": 40, "narrator": 200}
# Settings that change how a text is written and not the weights.
SPOKEN = ("evaluation", "beams", "top_p", "tokens")


@dataclass(frozen=True, slots=True)
class Made:
    """A verbalizer that was trained, and the figures of its evaluation, none if nothing is held."""

    folder: Path
    figures: "tuple[Figure, ...]"


@dataclass(frozen=True, slots=True)
class Share:
    """How much of what is learnt is of a corpus, and how often it is seen in all steps."""

    count: Count
    share: float
    epochs: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What a recipe would do; nothing but the rows is made."""

    shares: tuple[Share, ...]
    rows: int
    prompt: str
    made: bool


def plan(settings: Settings, kind: Kind, folder: Path, say: Callable[[str], None]) -> Plan:
    """Return what a recipe would do; the corpora are read for it, no weights are loaded.

    Raises UserError for a recipe or files that cannot be used.
    """
    check(Trainable, settings.writer)
    about = about_of(settings, kind)
    found = rows.prepared(settings.corpora, folder, say)
    mixture = _mixture(settings, found.learnt)
    drawn = settings.steps * settings.batch
    shares = tuple(
        Share(count, quota / len(mixture), drawn * quota / len(mixture) / count.learnt)
        for count, quota in zip(found.counts, mixture.quotas, strict=True)
    )
    return Plan(shares, len(mixture), about.prompt, _is_made(folder / kind, about))


def make(settings: Settings, kind: Kind, folder: Path, say: Callable[[str], None]) -> Made:
    """Train a verbalizer unless it is there, and evaluate it; a killed training goes on.

    Of several processes all train; the first one writes and evaluates. Raises UserError for a
    recipe, files or a model that cannot be used.
    """
    check(Trainable, settings.writer, for_work=True)
    if settings.evaluation.places:
        # Said before a training, not after it, if a library is missing.
        importlib.import_module(EVALUATION)
    about = about_of(settings, kind)
    if not processes.leads():
        say = _silent
    with processes.first(folder):
        found = rows.prepared(settings.corpora, folder, say)
    made = folder / kind
    if _is_made(made, about):
        if not processes.leads():
            return Made(made, ())
        say(f"the {kind} is in {made} already")
        writer = again(made, settings)
    else:
        writer = named(settings.writer.use)(**settings.writer.keys)
        _train(writer, found.learnt, settings, about, folder, say)
        if not processes.leads():
            return Made(made, ())
        (made / note.FILE).unlink(missing_ok=True)
        writer.save(made)
        note.write(made, about)
        say(f"the {kind} is in {made}")
    verbalizer = Verbalizer(writer, about, settings.evaluation.batch)
    return Made(made, tuple(_evaluated(verbalizer, found, settings, folder, say)))


def about_of(settings: Settings, kind: Kind) -> About:
    """Return what the note of a recipe's verbalizer will say.

    Raises UserError if the prompt's file is not there.
    """
    file = prompt_file("lskd.verbalize", settings.prompt or PROMPTS[kind])
    prompt = file.read_text(encoding="utf-8").strip()
    return About(
        kind=kind,
        prompt=prompt,
        marking=settings.marking,
        drawn=settings.drawn,
        beams=settings.beams,
        top_p=settings.top_p,
        tokens=settings.tokens or TOKENS[kind],
        seed=settings.seed,
        fingerprint=_fingerprint(settings, prompt),
        corpora=tuple(settings.corpora),
        steps=settings.steps,
    )


def again(made: Path, settings: Settings) -> Writer:
    """Load the writer that was trained, in the recipe's precision, on its device, by its batch.

    A writer's own note has none of these.
    """
    keys = settings.writer.keys
    return opened(
        made, **{name: keys[name] for name in ("device", "dtype", "batch") if name in keys}
    )


def _train(
    writer: Writer,
    learnt: Mapping[str, Places],
    settings: Settings,
    about: About,
    folder: Path,
    say: Callable[[str], None],
) -> None:
    """Train a writer in place."""
    room = Fitting(writer, about.prompt, settings.marking, settings.smallest)
    kept = {name: room.fitting(name, places, say) for name, places in learnt.items()}
    eye = Eye(writer, settings.marking, settings.drawn, settings.sights_gb, settings.workers)
    mixture = _mixture(settings, kept)
    task = VerbalizerTask(writer, kept, mixture, about.prompt, eye)
    own = folder / TRAINING / about.fingerprint
    recipe = settings.recipe(settings.steps, settings.seed)
    fit(task, len(mixture), recipe, own, say, lambda steps: None)


def _evaluated(
    verbalizer: Verbalizer,
    found: Rows,
    settings: Settings,
    folder: Path,
    say: Callable[[str], None],
) -> "list[Figure]":
    """Return figures on what was held out, those of before if they are of the same."""
    how = settings.evaluation
    held = sum(map(len, found.held_out.values()))
    if not held or not how.places:
        say("not evaluated: " + ("evaluation.places is 0" if held else "no place is held out"))
        return []
    from lskd.verbalize.training import evaluation

    of = json.dumps([table.plain(verbalizer.about), effective(how)], sort_keys=True)
    there = evaluation.read(folder, of)
    if there is not None:
        return there
    say(f"{min(held, how.places):,} of {held:,} held-out places are written about")
    judged = evaluation.evaluate(verbalizer, found.held_out, how, settings.seed)
    figures = evaluation.figures(judged)
    evaluation.write(folder, judged, figures, of)
    return figures


def _silent(_: str) -> None:
    """Say nothing: the first process does."""


def _is_made(folder: Path, about: About) -> bool:
    return (folder / note.FILE).exists() and note.read(folder) == about


def _mixture(settings: Settings, learnt: Mapping[str, Places]) -> Mixture:
    weights = [settings.corpora[name].weight for name in learnt]
    return mixed([len(places) for places in learnt.values()], weights)


def _fingerprint(settings: Settings, prompt: str) -> str:
    """Return a hash of all that decides the weights."""
    kept = {name: value for name, value in effective(settings).items() if name not in SPOKEN}
    decisive = {
        "settings": kept,
        "prompt": prompt,
        "rows": rows.digest(settings.corpora),
        "models": [list(one) for one in checkpoints(settings)],
        "lskd": ".".join(__version__.split(".")[:2]),
    }
    text = json.dumps(decisive, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
