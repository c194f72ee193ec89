"""Scores and right places become what each item earns; plain sequences in, `Marks` out.

Each metric is its authors' own to the last tie, with a fair one beside it that a constant scorer
cannot use: equal scores count as put in random order, exactly, not by drawing. All values are
shares; the authors print A-OKVQA's and Sherlock's in percent.
"""

from lskd.evaluate.metrics.choice import (
    Vcr,
    alike,
    aokvqa_choice,
    aokvqa_direct,
    choose,
    joint,
    vcr,
    visual7w_answer,
)
from lskd.evaluate.metrics.comparison import (
    MOST_CANDIDATES,
    TIE_NOISE,
    Compared,
    compare,
    fair_pairwise,
    pairwise,
)
from lskd.evaluate.metrics.marks import Marks, Mean, Values, mean, mean_of
from lskd.evaluate.metrics.ranking import r_precision

__all__ = [
    "MOST_CANDIDATES",
    "TIE_NOISE",
    "Compared",
    "Marks",
    "Mean",
    "Values",
    "Vcr",
    "alike",
    "aokvqa_choice",
    "aokvqa_direct",
    "choose",
    "compare",
    "fair_pairwise",
    "joint",
    "mean",
    "mean_of",
    "pairwise",
    "r_precision",
    "vcr",
    "visual7w_answer",
]
