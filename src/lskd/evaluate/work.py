"""The stage's work: benchmarks are read, models answer, and what they earn is written.

In: the stage's settings and its folder. Out: an `Evaluation`, and in the folder the items, the
predictions, `summary.md`, `.csv` and `.json`, and `evaluation.html`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lskd import table
from lskd.bootstrap import Bootstrap
from lskd.errors import UserError
from lskd.evaluate import foreign, outcome, trial
from lskd.evaluate.calibration import Calibration
from lskd.evaluate.figures import Figure, calibrations, figures, people
from lskd.evaluate.predictions import Answers, Scores, contender
from lskd.evaluate.presets import Figures
from lskd.evaluate.protocol import Protocol
from lskd.evaluate.stage import Entry, Settings
from lskd.evaluate.trial import Trial
from lskd.stage import Context
from lskd.storage.address import shown
from lskd.types import Outcome, Reject

SUMMARY, PAGE = "summary", "evaluation.html"


@dataclass(frozen=True, slots=True)
class Entrant:
    """Who took part: `title` is what tables call the model, `asked` how it was asked."""

    name: str
    title: str
    asked: str
    paper: Figures


@dataclass(frozen=True, slots=True)
class Calibrated:
    """How well a model's confidence keeps to its accuracy on one task of a benchmark."""

    model: str
    benchmark: str
    task: str
    found: Calibration


@dataclass(frozen=True)
class Evaluation:
    """All that was found. `answers[model][n]` are the scores of `trials[n]`."""

    models: tuple[Entrant, ...]
    trials: tuple[Trial, ...]
    answers: dict[str, tuple[Scores, ...]]
    outcomes: tuple[Outcome, ...]
    calibrations: tuple[Calibrated, ...]
    rejects: tuple[Reject, ...]
    notes: tuple[str, ...]


def evaluate(settings: Settings, context: Context) -> Evaluation:
    """Ask what is missing, measure all, and write the summary and the page.

    Raises UserError, before any model is loaded, for benchmarks that cannot be read and files of
    predictions that do not answer them; and for a model that cannot be used.
    """
    # Only a run at work draws pictures.
    from lskd.evaluate import page, summary

    trials = trial.read(settings.benchmarks, settings.faults, settings.leaks)
    # What can be wrong without a model is told before one is loaded.
    given = {
        name: _given(name, entry, trials)
        for name, entry in settings.models.items()
        if entry.predictions is not None
    }
    for one in trials:
        trial.keep(one, context.folder)
    said: dict[str, list[Answers]] = {}
    for name, entry in settings.models.items():
        said[name] = given[name] if name in given else _asked(name, entry, trials, context)
    found = measured(settings, trials, said)
    found = replace(found, notes=(*context.substituted, *found.notes))
    for note in found.notes:
        context.say(note)
    for ending, text in summary.texts(found).items():
        _write(context.folder / f"{SUMMARY}.{ending}", text)
    _write(context.folder / PAGE, page.render(found, settings.gallery, settings.seed))
    titles = [column.title for column in summary.columns(found)]
    for line in summary.results(found):
        cells = (f"{title} {cell}" for title, cell in zip(titles, line.cells, strict=True))
        context.say(f"{line.title}: {', '.join(cells)}")
    folder = shown(context.folder)
    context.say(f"results: {folder}/{SUMMARY}.md, pictures: {folder}/{PAGE}")
    return found


def measured(
    settings: Settings, trials: Sequence[Trial], said: dict[str, list[Answers]]
) -> Evaluation:
    """Return what the answers are worth."""
    by_model: dict[str, list[Figure]] = {}
    calibrated: list[Calibrated] = []
    for name, answers in said.items():
        by_model[name] = []
        for one, answer in zip(trials, answers, strict=True):
            by_model[name] += figures(one, answer.scores)
            calibrated += [
                Calibrated(name, one.name, task, found)
                for task, found in calibrations(one, answer.scores)
            ]
    how = Bootstrap(settings.resamples, settings.seed)
    return Evaluation(
        models=tuple(_entrant(name, entry) for name, entry in settings.models.items()),
        trials=tuple(trials),
        answers={name: tuple(one.scores for one in answers) for name, answers in said.items()},
        outcomes=tuple(outcome.outcomes(by_model, {t.name: t.leaked for t in trials}, how)),
        calibrations=tuple(calibrated),
        rejects=tuple(fault for one in trials for fault in one.faults),
        notes=tuple(_notes(trials, said)),
    )


def _asked(name: str, entry: Entry, trials: Sequence[Trial], context: Context) -> list[Answers]:
    # The weights go when this returns, so that two models never share the memory.
    model = contender(name, entry, context)
    return [model.answers(one) for one in trials]


def _given(name: str, entry: Entry, trials: Sequence[Trial]) -> list[Answers]:
    try:
        found = foreign.read(Path(str(entry.predictions)), trials)
    except UserError as error:
        raise UserError(f"models.{name}: {error}") from error
    return [Answers(found[one.name], ()) for one in trials]


def _entrant(name: str, entry: Entry) -> Entrant:
    if entry.model is None:
        return Entrant(
            name, entry.title or name, f"predictions of {entry.predictions}", entry.figures
        )
    how = entry.protocol
    shown = "no regions drawn" if how.drawn == "none" else f"{how.drawn} regions drawn"
    asked = f"{how.score}, {'with' if how.question else 'without'} the question, {shown}"
    told = ("score", "question", "drawn")
    usual = Protocol()
    other = [(n, value) for n, value in how if n not in told and value != getattr(usual, n)]
    asked = "; ".join([asked, *(f"{n} = {json.dumps(value)}" for n, value in other)])
    return Entrant(name, entry.title or name, asked, entry.figures)


def _notes(trials: Sequence[Trial], said: dict[str, list[Answers]]) -> list[str]:
    notes = []
    for one in trials:
        notes += [f"{one.name}: {note}" for note in (*one.notes, people(one)) if note]
        if one.faults:
            notes.append(f"{one.name}: left out, {trial.counted(one.faults)}")
        if one.leaked is not None:
            touched = sum(trial.key(item) in one.leaked for item in one.items)
            notes.append(
                f"{one.name}: a training corpus touches {touched} of {len(one.items)} items"
            )
        if unkeyed := sum(not (item.right or item.ratings) for item in one.items):
            told = f"{unkeyed} items have no public answer and are in no figure"
            notes.append(f"{one.name}: {told}")
    return notes + [note for answers in said.values() for one in answers for note in one.notes]


def _write(file: Path, text: str) -> None:
    with table.draft(file) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
