"""Predictions of another program, checked before they count.

In: a file of JSON lines, each with `benchmark`, `task` ("" or absent where a benchmark has one),
`item_id` and `scores`, one for each choice in the order of the items that `evaluate` keeps. Out:
the scores by item. A file that does not answer every question, or others too, is refused.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from lskd.errors import UserError
from lskd.evaluate import rows
from lskd.evaluate.rows import Row, Wrong
from lskd.evaluate.trial import Key, Trial, key
from lskd.types import Reject

SHOWN = 3


def read(file: Path, trials: Sequence[Trial]) -> dict[str, dict[Key, tuple[float, ...]]]:
    """Return the scores of a file by benchmark, then by item id and task.

    Raises UserError with counts if lines are malformed, items unknown, given twice or missing, or
    scores not as many as there are choices; the first of each is named.
    """
    if not file.is_file():
        raise UserError(f"predictions = {str(file)!r}: no such file")
    wanted = {
        trial.name: {key(item): len(item.choices) for item in trial.items} for trial in trials
    }
    found: dict[str, dict[Key, tuple[float, ...]]] = {name: {} for name in wanted}
    wrong: dict[str, list[str]] = {}
    for row in rows.lines(file):
        if isinstance(row, Reject):
            wrong.setdefault("malformed", []).append(f"{row.source}: {row.reason}")
            continue
        try:
            name, item, scores = _said(row)
        except Wrong as error:
            wrong.setdefault("malformed", []).append(f"{row.source}: {error}")
            continue
        if problem := _problem(name, item, scores, wanted, found):
            told = f"{row.source}: {name} {' '.join(part for part in item if part)}"
            if problem == "of wrong length" and name in wanted:
                told += f" has {len(scores)} scores for {wanted[name][item]} choices"
            wrong.setdefault(problem, []).append(told)
        else:
            found[name][item] = scores
    for name, items in wanted.items():
        absent = [item for item in items if item not in found[name]]
        if absent:
            lacking = [f"{name} {' '.join(part for part in item if part)}" for item in absent]
            wrong.setdefault("missing", []).extend(lacking)
    if wrong:
        parts = [
            f"{len(each)} {problem} ({'; '.join(each[:SHOWN])}{', ...' * (len(each) > SHOWN)})"
            for problem, each in wrong.items()
        ]
        total = sum(len(items) for items in wanted.values())
        raise UserError(f"{file} does not answer these {total} items: {', '.join(parts)}")
    return found


def _said(row: Row) -> tuple[str, Key, tuple[float, ...]]:
    """Return the benchmark, the item and the scores of a line; raises Wrong if it lacks one."""
    fields = row.fields
    task = fields.get("task", "")
    if not isinstance(task, str):
        raise Wrong(f"'task' is not a text: {task!r}")
    scores = rows.several(fields, "scores")
    numbers = tuple(rows.number(score, "a score") for score in scores)
    return rows.text(fields, "benchmark"), (rows.name(fields, "item_id"), task), numbers


def _problem(
    name: str,
    item: Key,
    scores: tuple[float, ...],
    wanted: Mapping[str, Mapping[Key, int]],
    found: Mapping[str, Mapping[Key, tuple[float, ...]]],
) -> str:
    """Return what is wrong with a line, or ""."""
    if item not in wanted.get(name, {}):
        return "unknown"
    if item in found[name]:
        return "given twice"
    assert all(map(math.isfinite, scores))
    return "" if len(scores) == wanted[name][item] else "of wrong length"
