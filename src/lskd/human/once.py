"""Judgments or comparisons in, one of each person and item out; what is left out is a Reject."""

import json
from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

from lskd.table import plain
from lskd.types import Comparison, Judgment, Reject

Row = TypeVar("Row", Judgment, Comparison)


def once(
    given: Iterable[Row], item: Callable[[Row], Hashable], verdict: Callable[[Row], Hashable]
) -> tuple[list[Row], list[Reject]]:
    """Return the rows that count, in order, and those whose annotators contradict themselves.

    Equal verdicts of one person on one item count once. Where two differ, neither counts: which of
    them was meant cannot be known.
    """
    groups: dict[tuple[str, Hashable], list[Row]] = {}
    for row in given:
        groups.setdefault((row.annotator, item(row)), []).append(row)
    kept: list[Row] = []
    rejects: list[Reject] = []
    for rows in groups.values():
        if len({verdict(row) for row in rows}) == 1:
            kept.append(rows[0])
        else:
            rejects += [_reject(row) for row in rows]
    return kept, rejects


def _reject(row: Judgment | Comparison) -> Reject:
    source = row.triple_id if isinstance(row, Judgment) else row.question_id
    said = json.dumps(plain(row), ensure_ascii=False)
    return Reject(source, f"{row.annotator} contradicts it", said)
