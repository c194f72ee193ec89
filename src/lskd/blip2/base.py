"""What a model is trained from: weights of a size, and the words that its tokens stand for."""

from dataclasses import replace
from pathlib import Path

from lskd.blip2 import files
from lskd.blip2.given import no_size
from lskd.blip2.size import SIZES, Size
from lskd.blip2.text import Tokenizer
from lskd.errors import UserError


def size_of(named: str | None, weights: str, image: int) -> Size:
    """Return the size that a run file names, for pictures of `image` pixels a side.

    `named` is "vit_g", "vit_l" or a folder with a config.json; None stands for the folder
    `weights`, or vit_g where that is a file. Raises UserError for anything else.
    """
    if named is None:
        named = weights if Path(weights).is_dir() else "vit_g"
    if named in SIZES:
        return SIZES[named](image)
    if not Path(named).is_dir():
        raise UserError(no_size(named))
    size = files.read_size(Path(named))
    return replace(size, vision=replace(size.vision, image=image))


def tokenizer_for(path: Path, size: Size, tokens: int) -> Tokenizer:
    """Return the tokenizer of a vocabulary, having checked that a model of `size` can use it.

    Raises UserError if it has other words, or texts of `tokens` tokens do not fit.
    """
    tokenizer = Tokenizer(path)
    if len(tokenizer) != size.qformer.vocabulary:
        raise UserError(
            f"{path} has {len(tokenizer)} entries, [DEC] included; the model has "
            f"{size.qformer.vocabulary}: give the vocab.txt that belongs to it"
        )
    if tokens > size.qformer.positions:
        raise UserError(f"tokens = {tokens}; the model reads at most {size.qformer.positions}")
    return tokenizer
