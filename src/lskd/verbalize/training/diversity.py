"""How different texts about one picture are from each other.

Distinct n-grams, self-BLEU (NLTK's, smoothed) and self-CIDEr, all of texts that were drawn for the
same picture. What needs two texts is NaN where there is one.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from numpy.typing import NDArray

from lskd.verbalize.training.agreement import words

LONGEST = 4  # words of an n-gram in CIDEr and BLEU
Gram = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rarity:
    """In how many of `places` an n-gram is said: what CIDEr weighs words by."""

    places: int
    said_in: Counter[Gram]

    def weight(self, gram: Gram) -> float:
        """Return the logarithm of how rare an n-gram is; one that is never said counts as once."""
        return math.log(self.places) - math.log(max(1, self.said_in[gram]))


def rarity(references: Iterable[Sequence[str]]) -> Rarity:
    """Return how rare n-grams are among the references of places."""
    said_in: Counter[Gram] = Counter()
    places = 0
    for texts in references:
        places += 1
        said_in.update({gram for text in texts for gram in grams(words(text))})
    return Rarity(places, said_in)


def grams(tokens: Sequence[str], longest: int = LONGEST) -> list[Gram]:
    """Return the n-grams of a text, of 1 to `longest` words."""
    return [
        tuple(tokens[start : start + length])
        for length in range(1, longest + 1)
        for start in range(len(tokens) - length + 1)
    ]


def distinct(texts: Iterable[str], length: int) -> float:
    """Return the share of n-grams of some texts, all together, that are different; NaN of none."""
    found = [gram for text in texts for gram in grams(words(text), length) if len(gram) == length]
    return len(set(found)) / len(found) if found else math.nan


def self_bleu(texts: Sequence[str]) -> float:
    """Return the mean BLEU-4 of each text against the others, 0 to 1: 1 if all are the same."""
    if len(texts) < 2:
        return math.nan
    said = [words(text) for text in texts]
    smooth = SmoothingFunction().method1
    each = [
        sentence_bleu(
            said[:number] + said[number + 1 :],
            one,
            # A text of few words has no long n-grams.
            weights=[1 / min(LONGEST, max(1, len(one)))] * min(LONGEST, max(1, len(one))),
            smoothing_function=smooth,
        )
        for number, one in enumerate(said)
    ]
    return float(np.mean(each))


def self_cider(texts: Sequence[str], rare: Rarity) -> float:
    """Return self-CIDEr, 0 to 1: 0 if all texts are the same, 1 if they have nothing in common.

    It is minus the logarithm, to the base of the number of texts, of the largest singular value's
    share of them all, of the texts' CIDEr vectors (Wang and Chan, CVPR 2019).
    """
    if len(texts) < 2:
        return math.nan
    values = np.linalg.eigvalsh(likeness(texts, rare))
    singular = np.sqrt(np.clip(values, 0.0, None))
    if not singular.sum() > 0:
        return math.nan
    share = float(singular.max() / singular.sum())
    return max(0.0, -math.log(share) / math.log(len(texts)))


def likeness(texts: Sequence[str], rare: Rarity) -> NDArray[np.float64]:
    """Return CIDEr between texts, (texts, texts): the mean cosine over lengths of n-grams.

    Without the clipping and the lengths of CIDEr-D it is symmetric, and no eigenvalue is negative.
    A text is like itself by 1, also where it is too short to have the longest n-grams; by 0 if each
    of its words is said of every place.
    """
    total = np.zeros((len(texts), len(texts)))
    for length in range(1, LONGEST + 1):
        counted = [
            Counter(gram for gram in grams(words(text), length) if len(gram) == length)
            for text in texts
        ]
        known = {gram: n for n, gram in enumerate(dict.fromkeys(g for c in counted for g in c))}
        vectors = np.zeros((len(texts), len(known)))
        for row, counts in enumerate(counted):
            for gram, count in counts.items():
                vectors[row, known[gram]] = count * rare.weight(gram)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
        total += unit @ unit.T
    own = np.sqrt(np.diag(total))
    scale = np.outer(own, own)
    alike: NDArray[np.float64] = np.divide(total, scale, out=np.zeros_like(total), where=scale > 0)
    return alike
