"""The rooms of the house, in the order of work."""

from typing import Any

from lskd import corpus, images
from lskd.critique import fit, sample, score
from lskd.distil import stage as distil
from lskd.distil.generative import stage as generative
from lskd.evaluate import stage as evaluate
from lskd.generate import parse, replies
from lskd.report import dataset
from lskd.report import stage as report
from lskd.stage import Stage
from lskd.verbalize import concepts, dialogue, narratives, regions

STAGES: tuple[Stage[Any], ...] = (
    images.STAGE,
    concepts.STAGE,
    narratives.STAGE,
    regions.STAGE,
    dialogue.STAGE,
    replies.STAGE,
    parse.STAGE,
    sample.STAGE,
    fit.STAGE,
    score.STAGE,
    corpus.STAGE,
    distil.STAGE,
    generative.STAGE,
    evaluate.STAGE,
    dataset.STAGE,
    report.STAGE,
)
