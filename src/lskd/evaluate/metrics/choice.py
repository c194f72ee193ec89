"""One choice of several: VCR, A-OKVQA, SNLI-VE, Visual7W, and hit@1 of VisualCOMET.

Scores of each item's choices and the places of the right ones go in, marks come out. The functions
that take words instead check files of answers, as the evaluators of A-OKVQA and Visual7W do.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lskd.errors import UserError
from lskd.evaluate.metrics.marks import Marks, Values, checked, even, gathered

ENOUGH = 3  # of A-OKVQA's ten people must have given an answer for it to count in full


@dataclass(frozen=True, slots=True, eq=False)
class Vcr:
    """The three figures of VCR: Q->A, QA->R with the right answer given, and Q->AR for both."""

    answer: Marks
    rationale: Marks
    both: Marks


def choose(scores: Sequence[Sequence[float]], right: Sequence[Sequence[int]]) -> Marks:
    """Return 1 for each item whose best choice is a right one, else 0.

    Of equal best scores the first counts officially, as with numpy's argmax; fairly, the share of
    right ones among them. Raises UserError as `checked` does.
    """
    even(scores=len(scores), keys=len(right))
    return gathered(
        _best(row, checked(item, row, places))
        for item, (row, places) in enumerate(zip(scores, right, strict=True))
    )


def _best(scores: Sequence[float], wanted: frozenset[int]) -> tuple[float, float, float]:
    best = max(scores)
    tied = [place for place, score in enumerate(scores) if score == best]
    return (
        float(tied[0] in wanted),
        len(wanted.intersection(tied)) / len(tied),
        len(wanted) / len(scores),
    )


def joint(first: Marks, second: Marks) -> Marks:
    """Return what is earned by items that must be right twice; ties are broken independently."""
    even(first=len(first), second=len(second))
    return Marks(
        first.official * second.official, first.fair * second.fair, first.chance * second.chance
    )


def vcr(
    answer_scores: Sequence[Sequence[float]],
    answer_right: Sequence[int],
    rationale_scores: Sequence[Sequence[float]],
    rationale_right: Sequence[int],
) -> Vcr:
    """Return VCR's marks; rationales were scored beside the right answer, whatever was chosen."""
    answer = choose(answer_scores, [(place,) for place in answer_right])
    rationale = choose(rationale_scores, [(place,) for place in rationale_right])
    return Vcr(answer, rationale, joint(answer, rationale))


def alike(
    choices: Sequence[str], right: Sequence[int], *, any_case: bool = False
) -> tuple[int, ...]:
    """Return the places of all choices that read as a right one does.

    A-OKVQA compares words, not places, and some questions repeat a choice; Visual7W does too, with
    `any_case`. Raises UserError if a right place is none of the choices.
    """
    if not all(0 <= place < len(choices) for place in right):
        raise UserError(
            f"the right choices are said to be at {sorted(right)}, but there are {len(choices)}"
        )
    words = [choice.lower() for choice in choices] if any_case else list(choices)
    wanted = {words[place] for place in right}
    return tuple(place for place, word in enumerate(words) if word in wanted)


def aokvqa_choice(said: Sequence[str | None], right: Sequence[str]) -> Values:
    """Return 1 for each question of A-OKVQA answered in the very words of the right choice, else 0.

    None is a question without an answer, and earns 0 officially. Shape (questions,).
    """
    even(answers=len(said), questions=len(right))
    return np.array([one == key for one, key in zip(said, right, strict=True)], dtype=np.float64)


def aokvqa_direct(
    said: Sequence[str | None], answers: Sequence[Sequence[str]], difficult: Sequence[bool]
) -> Values:
    """Return a third for each person who gave the same direct answer, at most 1.

    Difficult questions are left out, officially; None earns 0. Shape (questions not difficult,).
    """
    even(answers=len(said), questions=len(answers), marks=len(difficult))
    rows = zip(said, answers, difficult, strict=True)
    shares = [min(1.0, _agreeing(one, people) / ENOUGH) for one, people, hard in rows if not hard]
    return np.array(shares, dtype=np.float64)


def _agreeing(said: str | None, people: Sequence[str]) -> int:
    return sum(said == answer for answer in people)


def visual7w_answer(said: Sequence[str | None], right: Sequence[str]) -> Values:
    """Return 1 for each result of Visual7W that is the right answer in any case, else 0.

    None is a result without a candidate. The official mean is over results, so questions without
    one raise it; with None for each of those, the mean is over all questions. Shape (results,).
    """
    even(results=len(said), answers=len(right))
    hits = [
        one is not None and one.lower() == key.lower() for one, key in zip(said, right, strict=True)
    ]
    return np.array(hits, dtype=np.float64)
