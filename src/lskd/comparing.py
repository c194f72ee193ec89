"""Two texts are the same where their words are."""

import re


def normal(text: str) -> str:
    """Return a text as it is compared: lower case, words only."""
    return " ".join(re.findall(r"\w+", text.lower()))
