"""What a model said becomes the text that is kept.

In: a reply, which may have several lines, thoughts before it, and an end that was cut. Out: one
line, or whole sentences.
"""

import re
from typing import Final

# With the quotes and brackets that it closes.
STOP: Final = r"[.!?][\"')\]]*(?=\s|$)"
FULL_WIDTH_STOP: Final = r"[。！？][」』”’）]*"  # noqa: RUF001  # Chinese and Japanese leave no space


def spoken(text: str) -> str:
    """Return a reply without the thoughts that some models tell before it, "" if it is no more."""
    return text.rpartition("</think>")[2].partition("<think>")[0]


def one_line(text: str) -> str:
    """Return a reply as one line, without thoughts."""
    return " ".join(spoken(text).split())


def whole_sentences(text: str) -> str:
    """Return a text that was cut up to its last full stop, or all of it if there is none."""
    ended = re.match(rf".*(?:{STOP}|{FULL_WIDTH_STOP})", text, re.DOTALL)
    return ended[0] if ended else text
