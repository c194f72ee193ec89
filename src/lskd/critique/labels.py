"""Judgments of a triple become its label, by the paper's rule (section 2.3).

A triple is rejected if any of its annotators rejects it by either question, where a rejected first
question rejects the second. The targets of the regression, `qa` and `rationale`, are 0 where any
rating rejects, and else the mean rating, scaled so that 1 (reject) is 0 and 3 (accept) is 1.

The paper has two annotators. Where a triple has more, the rule holds for all of them.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from lskd.human.once import once
from lskd.human.work import HIGHEST, LOWEST
from lskd.table import plain
from lskd.types import Judgment, Reject


@dataclass(frozen=True, slots=True)
class Label:
    """What people think of a triple; `qa` and `rationale` in [0, 1]."""

    triple_id: str
    accepted: bool
    qa: float
    rationale: float
    annotators: int


@dataclass(frozen=True, slots=True)
class Labelled:
    """The labels of some judgments, and the judgments that gave none."""

    labels: tuple[Label, ...]
    rejects: tuple[Reject, ...]


def labelled(judgments: Iterable[Judgment], annotators: int = 2) -> Labelled:
    """Return the label of each triple that at least `annotators` people have judged.

    Equal judgments of one person count once. Where two of one person differ, neither counts: which
    of them was meant cannot be known.
    """
    of_triple: dict[str, list[Judgment]] = {}
    for judgment in judgments:
        of_triple.setdefault(judgment.triple_id, []).append(judgment)
    labels: list[Label] = []
    rejects: list[Reject] = []
    for triple_id, given in of_triple.items():
        clear, contradicted = once(given, lambda one: None, lambda one: (one.qa, one.rationale))
        rejects += contradicted
        if len(clear) >= annotators:
            labels.append(label(triple_id, clear))
        else:
            reason = f"judged by {len(clear)} of {annotators} annotators"
            rejects += [rejected(one, reason) for one in clear]
    return Labelled(tuple(labels), tuple(rejects))


def label(triple_id: str, judgments: Sequence[Judgment]) -> Label:
    """Return the label that some judgments of a triple give, one from each annotator."""
    qa = target([one.qa for one in judgments])
    # A rating that was not asked for is that of a rejected first question.
    rationale = target([LOWEST if one.rationale is None else one.rationale for one in judgments])
    return Label(triple_id, qa > 0 and rationale > 0, qa, rationale, len(judgments))


def target(ratings: Sequence[int]) -> float:
    """Return what a regression is to say, in [0, 1]: 0 if any rating rejects, else their mean."""
    if LOWEST in ratings:
        return 0.0
    return (fmean(ratings) - LOWEST) / (HIGHEST - LOWEST)


def rejected(judgment: Judgment, reason: str) -> Reject:
    """Return a judgment that is left out, word for word."""
    return Reject(judgment.triple_id, reason, json.dumps(plain(judgment), ensure_ascii=False))
