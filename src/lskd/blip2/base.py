"""What a model is trained from: weights of a size, and the words that its tokens stand for."""

from dataclasses import replace
from pathlib import Path

from lskd.blip2 import files
from lskd.blip2.size import Size, vit_g, vit_l
from lskd.blip2.text import Tokenizer
from lskd.errors import UserError

SIZES = {"vit_g": vit_g, "vit_l": vit_l}
VOCABULARY = "vocab.txt"


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
        raise UserError(
            f"size = {named!r}: expected {', '.join(SIZES)}, or a folder that has a config.json"
        )
    size = files.read_size(Path(named))
    return replace(size, vision=replace(size.vision, image=image))


def vocabulary_of(named: str | None, weights: str, section: str) -> Path:
    """Return BERT's vocab.txt: a file, or that of a folder; None stands for the folder `weights`.

    Raises UserError, naming the section of the run file, if there is none.
    """
    given = Path(weights if named is None else named)
    path = given / VOCABULARY if given.is_dir() else given
    if (named is None and path.name != VOCABULARY) or not path.is_file():
        raise UserError(
            f"no vocabulary at {given}: set vocabulary in [{section}] to BERT's vocab.txt "
            "(bert-base-uncased), or to a folder that has it"
        )
    return path


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
