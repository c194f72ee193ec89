"""How a text agrees with what people said of the same place: CIDEr-D and METEOR.

CIDEr-D is that of its authors' own code, as pycocoevalcap packs it (10 is a text that is each
reference); METEOR is NLTK's, of 2005 (Banerjee and Lavie), with its synonyms where NLTK's WordNet
is installed and without them elsewhere. Neither needs Java or a network. Words are those of NLTK's
Treebank tokenizer in lower case, without punctuation, as the authors of both cut them.
"""

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

from lskd.errors import MissingExtra

try:
    from nltk.corpus import wordnet
    from nltk.tokenize.treebank import TreebankWordTokenizer
    from nltk.translate import meteor_score
    from pycocoevalcap.cider.cider import Cider
except ImportError as error:
    raise MissingExtra("to evaluate descriptions", str(error.name), "captions") from error

# What the authors' evaluation leaves out of the Treebank's tokens, and their signs for brackets.
PUNCTUATION = frozenset(["''", "'", "``", "`", '"', *"()[]{}?!,:;"])


class _NoWordNet:
    """Stands for WordNet where it is not installed: no word has a synonym but itself."""

    def synsets(self, word: str) -> list[Any]:
        """Return none."""
        return []


def words(text: str) -> list[str]:
    """Return the words of a text in lower case, without punctuation."""
    found = TreebankWordTokenizer().tokenize(text.lower())
    # The tokenizer expects a sentence: it leaves a full stop at the end of all others but the last.
    ended = (word[:-1] if word.endswith(".") and word.count(".") == 1 else word for word in found)
    return [word for word in ended if word.strip(".-") and word not in PUNCTUATION]


@cache
def has_synonyms() -> bool:
    """Return whether NLTK's WordNet is installed, so that METEOR knows synonyms."""
    try:
        return bool(wordnet.synsets("cup"))
    except LookupError:
        return False


def cider(written: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """Return CIDEr-D of each text against its references, 0 to 10.

    How rare a word is comes from the references of all, so that a single text has none: NaN.
    """
    if len(written) < 2:
        return [math.nan] * len(written)
    scored = dict(enumerate(written))
    said = {n: [" ".join(words(text)) for text in texts] for n, texts in enumerate(references)}
    _, scores = Cider().compute_score(said, {n: [" ".join(words(t))] for n, t in scored.items()})
    return [float(score) for score in scores]


def meteor(written: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """Return METEOR of each text, 0 to 1: that against the reference it agrees with best."""
    knows = wordnet if has_synonyms() else _NoWordNet()
    return [
        float(meteor_score.meteor_score([words(one) for one in said], words(text), wordnet=knows))
        for text, said in zip(written, references, strict=True)
    ]
