"""What a critic is trained from: weights of a size, and the words that its tokens stand for."""

from dataclasses import replace
from pathlib import Path

import torch

from lskd.blip2 import files, weights
from lskd.blip2.size import Size, vit_g, vit_l
from lskd.blip2.stage1 import Critic, new_critic
from lskd.blip2.text import Tokenizer
from lskd.critique.note import Rating
from lskd.critique.settings import Settings
from lskd.critique.trained import VOCABULARY
from lskd.errors import UserError

SIZES = {"vit_g": vit_g, "vit_l": vit_l}
RATINGS: tuple[Rating, ...] = ("qa", "rationale")  # parts that BLIP-2 lacks


def load(settings: Settings, seed: int) -> Critic:
    """Return the critic that training begins with, on the processor.

    `seed` is that of fresh regressions. Raises UserError for a file that is absent, broken or of
    another size.
    """
    path, size = vocabulary(settings), _size(settings)
    words = len(Tokenizer(path))
    if words != size.qformer.vocabulary:
        raise UserError(
            f"{path} has {words} entries, [DEC] included; the model has "
            f"{size.qformer.vocabulary}: give the vocab.txt that belongs to it"
        )
    if settings.tokens > size.qformer.positions:
        raise UserError(
            f"tokens = {settings.tokens}; the model reads at most {size.qformer.positions}"
        )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        critic = new_critic(size, settings.attention, settings.dropout)
    frozen = None if settings.frozen is None else Path(settings.frozen)
    weights.load(critic, Path(settings.weights), frozen, RATINGS)
    return critic


def vocabulary(settings: Settings) -> Path:
    """Return the path of BERT's vocab.txt; raises UserError if there is none."""
    given = Path(settings.weights if settings.vocabulary is None else settings.vocabulary)
    path = given / VOCABULARY if given.is_dir() else given
    if (settings.vocabulary is None and path.name != VOCABULARY) or not path.is_file():
        raise UserError(
            f"no vocabulary at {given}: set vocabulary in [critic] to BERT's vocab.txt "
            "(bert-base-uncased), or to a folder that has it"
        )
    return path


def _size(settings: Settings) -> Size:
    named = settings.size
    if named is None:
        named = settings.weights if Path(settings.weights).is_dir() else "vit_g"
    if named in SIZES:
        return SIZES[named](settings.image)
    if not Path(named).is_dir():
        raise UserError(
            f"size = {named!r}: expected {', '.join(SIZES)}, or a folder that has a config.json"
        )
    size = files.read_size(Path(named))
    return replace(size, vision=replace(size.vision, image=settings.image))
