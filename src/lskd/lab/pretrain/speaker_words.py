"""The words of a speaker's language model: a word-level tokenizer in transformers' own format.

A token is a word with the blank before it, or a mark without one. A region's tag, as "[3]", is one
token. What is not known is `<unk>`.
"""

from typing import Any

import transformers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.processors import TemplateProcessing

from lskd.lab import vocabulary
from lskd.lab.pretrain.speaker_lessons import NOTHING, ORDINALS, SIDES, TAGS

# Its types lag behind what its constructors take.
library: Any = transformers

PAD, END, UNKNOWN, PICTURE = "<pad>", "</s>", "<unk>", "<image>"
CONTROL = (PAD, END, UNKNOWN)  # in the order of T5's
BLANK = "\N{LOWER ONE EIGHTH BLOCK}"  # how SentencePiece, hence T5, writes a blank
MARKS = ("[", "]", "(", ")", ".", ",", ":", ";", "?", "'", "-", "/")
# Words of the lessons that a base model's vocabulary has not.
MORE = ("from", "many", "one", "only", "rectangle", "drawn", NOTHING, *ORDINALS, *SIDES)
PIECE = Regex(rf"{BLANK}?\[\d+\]|{BLANK}?[a-z0-9]+|{BLANK}?[^a-z0-9{BLANK}]")


def tokens() -> list[str]:
    """Return all tokens in their order, control tokens first, `PICTURE` not among them."""
    words = sorted({*(one for one in vocabulary.words() if one.isalnum()), *MORE})
    tags = [f"[{number}]" for number in range(TAGS)]
    first = ("a", "an", *tags)  # what may follow a bracket
    marks = [*MARKS, *(f"{BLANK}{mark}" for mark in ("[", "("))]
    return [*CONTROL, *marks, *first, *(f"{BLANK}{one}" for one in (*words, *tags))]


def plain() -> Tokenizer:
    """Return the tokenizer of `tokenizers`: texts end with `END`."""
    known = {token: number for number, token in enumerate(tokens())}
    tokenizer = Tokenizer(models.WordLevel(known, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(), pre_tokenizers.Split(PIECE, "isolated")]
    )
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = TemplateProcessing(
        single=f"$A {END}", special_tokens=[(END, known[END])]
    )
    return tokenizer


def whole() -> Any:
    """Return the tokenizer as transformers has it, with `PICTURE` as its last token."""
    return library.PreTrainedTokenizerFast(
        tokenizer_object=plain(),
        pad_token=PAD,
        eos_token=END,
        unk_token=UNKNOWN,
        extra_special_tokens=[PICTURE],
    )
