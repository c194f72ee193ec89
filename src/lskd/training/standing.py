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
    row: dict[str, object] = {"step": step, "steps": steps, "precision": precision}
    row |= {"time": time.time(), "spent": spent(folder)}
    with table.draft(folder / BEGINNING) as unfinished:
        unfinished.write_text(json.dumps(row) + "\n", encoding="utf-8")


def standing(folder: Path) -> Standing | None:
    """Return how far a training has come, None where none has begun."""
    try:
        began = json.loads((folder / BEGINNING).read_text(encoding="utf-8"))
        first, steps, since = int(began["step"]), int(began["steps"]), float(began["time"])
        latest = (folder / LOSSES).stat().st_mtime
    except (OSError, ValueError, KeyError, TypeError):
        return None
    done = read(folder / LOSSES)
    step = done[-1].step if done else first
    if step <= first:
        return Standing(step, steps, 0.0 if step >= steps else None)
    each = max(0.0, latest - since) / (step - first)  # a file's time is coarser than a clock's
    return Standing(step, steps, each * (steps - step))


def spent(folder: Path) -> float:
    """Return the seconds that a training has taken in all its starts, each up to its last step."""
    try:
        began = json.loads((folder / BEGINNING).read_text(encoding="utf-8"))
        since, before = float(began["time"]), float(began.get("spent", 0.0))
        latest = (folder / LOSSES).stat().st_mtime
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return 0.0
    return before + max(0.0, latest - since)


def of_stage(stage: Path) -> Standing | None:
    """Return the standing of the training that a stage's folder was last busy with, if any."""
    begun = stage.glob(f"{TRAINING}/*/{BEGINNING}")
    last = max(begun, key=lambda file: file.stat().st_mtime, default=None)
    return None if last is None else standing(last.parent)
