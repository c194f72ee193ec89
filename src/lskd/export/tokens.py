"""Texts as the released corpus has them: words, and lists of region ids where a text names regions.

`["What", "is", [0, 2], "doing", "?"]` is "What is [0, 2] doing ?": words are joined by blanks, a
list becomes a tag. Only next to a tag is the blank left out before closing punctuation and 's, and
after an opening parenthesis: `["Is", [4], "'s", "hat", "on", [4], "?"]` is "Is [4]'s hat on [4]?".

Words to text to words loses nothing as long as no word is empty, holds white space or a square
bracket, and ids are 0 to 999999, each once in its list. Text to words to text loses nothing as long
as single blanks part the words, tags are written "[0, 2]" and stand apart from what surrounds them,
but for the signs above. `lskd.export.lck` keeps what does not fit word for word beside the row.
"""

import re
from collections.abc import Iterator, Sequence

from lskd.export.names import Name, cut

Token = str | list[int]
CLOSING = re.compile(r"[.,?!;:)]|['\u2019](?:s|d|ll|re|ve|m)?(?![A-Za-z])")


def text_of(tokens: Sequence[Token]) -> str:
    """Return the text that tokens stand for; a list without ids stands for nothing."""
    text = ""
    after_tag = False
    for token in tokens:
        if isinstance(token, list):
            if not token:
                continue
            piece = f"[{', '.join(map(str, token))}]"
            glued = text.endswith("(")
        else:
            piece = token
            glued = after_tag and CLOSING.match(token) is not None
        text += piece if glued or not text else f" {piece}"
        after_tag = isinstance(token, list)
    return text


def tokens_of(text: str) -> list[Token]:
    """Return the tokens of a text."""
    return list(tokens(text))


def tokens(text: str) -> Iterator[Token]:
    """Yield the tokens of a text."""
    for piece in cut(text):
        if isinstance(piece, Name):
            yield list(piece.region_ids)
        else:
            yield from piece.split()
