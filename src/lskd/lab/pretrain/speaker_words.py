"""The words of a speaker's language model: a word-level tokenizer in transformers' own format.

A token is a word with the blank before it, a letter, a digit or a mark. A word that is not known is
spelt in letters, and what is not even a letter is `<unk>`.
"""

import string
from typing import Any

import transformers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from lskd.lab import vocabulary
from lskd.lab.pretrain.speaker_lessons import DRAWN, TINTS

# Its types lag behind what its constructors take.
library: Any = transformers

PAD, SAY, END, UNKNOWN = "<pad>", "<say>", "<end>", "<unk>"
OPEN, PICTURE, CLOSE, VIDEO = "<img>", "<IMG_CONTEXT>", "</img>", "<video>"  # as InternVL's
CONTROL = (PAD, SAY, END, UNKNOWN, OPEN, PICTURE, CLOSE, VIDEO)
BLANK = "\N{LOWER ONE EIGHTH BLOCK}"  # how SentencePiece writes a blank
MARKS = ("[", "]", "(", ")", ".", ",", ":", ";", "?", "'", "-", "/")
PIECE = Regex(rf"{BLANK}?[a-z]+|{BLANK}?[0-9]|{BLANK}?[^a-z0-9{BLANK}]")
# A user's turn ends with SAY, the model's with END; there is room for a picture, then for words.
TEMPLATE = (
    "{% for message in messages %}{% for part in message.content %}"
    f"{{% if part.type == 'image' %}}{PICTURE}{{% else %}}{{{{ part.text }}}}{{% endif %}}"
    f"{{% endfor %}}{{{{ '{SAY}' if message.role == 'user' else '{END}' }}}}{{% endfor %}}"
)


def tokens() -> list[str]:
    """Return all tokens in their order, control tokens first."""
    words = {one for one in vocabulary.words() if one.isalpha()}
    known = sorted({*TINTS, DRAWN, *words} - {"frame"})  # what the base calls the same
    pieces = [*MARKS, *string.ascii_lowercase, *string.digits, "an", BLANK]  # "[a", "[an"
    spelt = [*pieces, *(f"{BLANK}{one}" for one in ("[", "(", *known))]
    return [*CONTROL, *dict.fromkeys(spelt)]


def plain() -> Tokenizer:
    """Return the tokenizer of `tokenizers`."""
    known = {token: number for number, token in enumerate(tokens())}
    pieces: Any = models.WordPiece
    tokenizer = Tokenizer(pieces(known, unk_token=UNKNOWN, continuing_subword_prefix=""))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(), pre_tokenizers.Split(PIECE, "isolated")]
    )
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


def whole() -> Any:
    """Return the tokenizer as transformers has it, with its chat template."""
    tokenizer = library.PreTrainedTokenizerFast(
        tokenizer_object=plain(),
        pad_token=PAD,
        eos_token=END,
        unk_token=UNKNOWN,
        start_image_token=OPEN,
        end_image_token=CLOSE,
        context_image_token=PICTURE,
        video_token=VIDEO,
    )
    tokenizer.add_special_tokens({"additional_special_tokens": [SAY]})
    tokenizer.chat_template = TEMPLATE
    return tokenizer
