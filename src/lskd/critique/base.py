"""The critic that training begins with."""

from pathlib import Path

import torch

from lskd.blip2 import weights
from lskd.blip2.base import size_of, tokenizer_for
from lskd.blip2.given import vocabulary_of
from lskd.blip2.stage1 import Critic, new_critic
from lskd.critique.note import Rating
from lskd.critique.settings import Settings

RATINGS: tuple[Rating, ...] = ("qa", "rationale")  # parts that BLIP-2 lacks


def load(settings: Settings, seed: int) -> Critic:
    """Return the critic that training begins with, on the processor.

    `seed` is that of fresh regressions. Raises UserError for a file that is absent, broken or of
    another size.
    """
    size = size_of(settings.size, settings.weights, settings.image)
    tokenizer_for(vocabulary(settings), size, settings.tokens)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        critic = new_critic(size, settings.attention, settings.dropout)
    frozen = None if settings.frozen is None else Path(settings.frozen)
    weights.load(critic, Path(settings.weights), frozen, RATINGS)
    return critic


def vocabulary(settings: Settings) -> Path:
    """Return the path of BERT's vocab.txt; raises UserError if there is none."""
    return vocabulary_of(settings.vocabulary, settings.weights, "critic")
