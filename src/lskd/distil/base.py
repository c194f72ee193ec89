"""The student that training begins with."""

from dataclasses import dataclass
from pathlib import Path

import torch

from lskd.blip2 import weights
from lskd.blip2.base import size_of, tokenizer_for
from lskd.blip2.given import vocabulary_of
from lskd.blip2.stage1 import Stage1, new_student
from lskd.blip2.text import Tokenizer
from lskd.distil.stage import Settings


@dataclass(frozen=True)
class Base:
    """A student as it begins."""

    student: Stage1
    tokenizer: Tokenizer
    vocabulary: Path


def load(settings: Settings, seed: int) -> Base:
    """Return the student that training begins with, on the processor.

    `seed` is that of fresh parts. Raises UserError for a file that is absent, broken or of another
    size.
    """
    vocabulary = vocabulary_of(settings.vocabulary, settings.weights, "distil")
    size = size_of(settings.size, settings.weights, settings.image)
    tokenizer = tokenizer_for(vocabulary, size, settings.tokens)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        student = new_student(size, settings.attention, settings.dropout)
    frozen = None if settings.frozen is None else Path(settings.frozen)
    weights.load(student, Path(settings.weights), frozen, settings.fresh)
    return Base(student, tokenizer, vocabulary)
