"""Many candidates of which several are right: Acc@50 of VisualCOMET.

Scores of each group's candidates and the places of the right ones go in, marks come out. hit@1,
which it is often taken for, is `choose` on the same input.
"""

from collections.abc import Sequence

from lskd.evaluate.metrics.marks import Marks, checked, even, gathered


def r_precision(scores: Sequence[Sequence[float]], right: Sequence[Sequence[int]]) -> Marks:
    """Return the share of right ones among the best G candidates, of each group with G right ones.

    Higher scores are better: turn the sign of perplexities. The authors sort without saying how
    equal ones are to stand; here they keep their order, which favours the right ones, since files
    list these first. Fairly, those that straddle the cut count as drawn at random.
    Raises UserError as `checked` does.
    """
    even(scores=len(scores), keys=len(right))
    return gathered(
        _recalled(row, checked(item, row, places))
        for item, (row, places) in enumerate(zip(scores, right, strict=True))
    )


def _recalled(scores: Sequence[float], wanted: frozenset[int]) -> tuple[float, float, float]:
    cut = len(wanted)
    order = sorted(range(len(scores)), key=lambda place: -scores[place])
    found = sum(place in wanted for place in order[:cut])
    last = scores[order[cut - 1]]
    above = [place for place, score in enumerate(scores) if score > last]
    tied = [place for place, score in enumerate(scores) if score == last]
    sure, maybe = len(wanted.intersection(above)), len(wanted.intersection(tied))
    # One division of whole numbers, so that equal scores give exactly chance.
    expected = (sure * len(tied) + maybe * (cut - len(above))) / (len(tied) * cut)
    return found / cut, expected, cut / len(scores)
