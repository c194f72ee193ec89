"""How far a training has come, for who looks at it from outside.

In: the folder of a training, with what `fit` wrote into it at its beginning and the losses of each
step. Out: its latest step of how many, and how long the rest will take at the pace it has kept.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path

from lskd import table
from lskd.training.history import LOSSES, read
from lskd.training.recipe import Precision

BEGINNING, TRAINING = "beginning.json", "training"


@dataclass(frozen=True, slots=True)
class Standing:
    """A training after `step` of `steps`; `seconds_left` is None before its first step."""

    step: int
    steps: int
    seconds_left: float | None


def begin(folder: Path, step: int, steps: int, precision: Precision) -> None:
    """Write down that a training of some steps begins, or goes on, after a step, and how precisely.

    To be called before the losses of an earlier start are touched. Raises UserError if the disk is
    full or the folder cannot be written.
    """
    row = {
        "step": step,
        "steps": steps,
        "time": time.time(),
        "spent": spent(folder),
        "precision": precision,
    }
    with table.draft(folder / BEGINNING) as unfinished:
        unfinished.write_text(json.dumps(row) + "\n", encoding="utf-8")


def standing(folder: Path) -> Standing | None:
    """Return how far a training has come, None where none has begun."""
    start = _latest_start(folder)
    if start is None:
        return None
    done = read(folder / LOSSES)
    step = done[-1].step if done else start.step
    if step <= start.step:
        return Standing(step, start.steps, 0.0 if step >= start.steps else None)
    each = start.seconds / (step - start.step)
    return Standing(step, start.steps, each * (start.steps - step))


def spent(folder: Path) -> float:
    """Return the seconds that a training has taken in all its starts, each up to its last step."""
    start = _latest_start(folder)
    return 0.0 if start is None else start.spent + start.seconds


@dataclass(frozen=True, slots=True)
class _Start:
    """A start after `step` of `steps`, that has run for `seconds`; those before took `spent`."""

    step: int
    steps: int
    spent: float
    seconds: float


def _latest_start(folder: Path) -> _Start | None:
    try:
        began = json.loads((folder / BEGINNING).read_text(encoding="utf-8"))
        since = float(began["time"])
        latest = (folder / LOSSES).stat().st_mtime
        return _Start(
            step=int(began["step"]),
            steps=int(began["steps"]),
            spent=float(began.get("spent", 0.0)),  # of a version that did not tell it
            seconds=max(0.0, latest - since),  # a file's time is coarser than a clock's
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def of_stage(stage: Path) -> Standing | None:
    """Return the standing of the training that a stage's folder was last busy with, if any."""
    begun = stage.glob(f"{TRAINING}/*/{BEGINNING}")
    last = max(begun, key=lambda file: file.stat().st_mtime, default=None)
    return None if last is None else standing(last.parent)
