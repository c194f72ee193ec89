"""What a student is trained from: weights of a size, and the words that its tokens stand for."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from lskd.blip2 import files, weights
from lskd.blip2.size import Size, vit_g, vit_l
from lskd.blip2.stage1 import Stage1, new_student
from lskd.blip2.text import Tokenizer
from lskd.distil.stage import Settings
from lskd.errors import UserError

SIZES = {"vit_g": vit_g, "vit_l": vit_l}
VOCABULARY = "vocab.txt"


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
    vocabulary = _vocabulary(settings)
    tokenizer, size = Tokenizer(vocabulary), _size(settings)
    if len(tokenizer) != size.qformer.vocabulary:
        raise UserError(
            f"{vocabulary} has {len(tokenizer)} entries, [DEC] included; the model has "
            f"{size.qformer.vocabulary}: give the vocab.txt that belongs to it"
        )
    if settings.tokens > size.qformer.positions:
        raise UserError(
            f"tokens = {settings.tokens}; the model reads at most {size.qformer.positions}"
        )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        student = new_student(size, settings.attention, settings.dropout)
    frozen = None if settings.frozen is None else Path(settings.frozen)
    weights.load(student, Path(settings.weights), frozen, settings.fresh)
    return Base(student, tokenizer, vocabulary)


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


def _vocabulary(settings: Settings) -> Path:
    given = Path(settings.weights if settings.vocabulary is None else settings.vocabulary)
    path = given / VOCABULARY if given.is_dir() else given
    if (settings.vocabulary is None and path.name != VOCABULARY) or not path.is_file():
        raise UserError(
            f"no vocabulary at {given}: set vocabulary in [distil] to BERT's vocab.txt "
            "(bert-base-uncased), or to a folder that has it"
        )
    return path
