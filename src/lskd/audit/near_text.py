"""Texts are kept so that those which say the same in nearly the same words are found fast.

A text becomes the set of its runs of three words. Two texts are near if they share at least a
share of these (Jaccard: shared runs over all runs of both). The search leaves no such text out: a
text that shares so many runs with another shares one of the few rarest of its own, so only these
are looked up.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from lskd.export.names import Name, cut

RUN = 3  # words
# The share of runs from which on two texts are near. One word that is replaced in the middle of a
# text takes three runs from it, so such a change is found in texts of 14 words or more.
LIKE = 0.6
_CLITIC = re.compile(r"\s*(n?)['’](?=(?:s|t|re|ve|ll|d|m)\b)")
_WORD = re.compile(r"[^\W_]+|#")


class TextTable:
    """Texts, by number, that can be asked which of them are near to another."""

    def __init__(self, texts: Sequence[str], like: float = LIKE) -> None:
        """Take all texts; `like` in (0, 1] is the share of runs from which on two are near."""
        self.like = like
        runs = [runs_of(text) for text in texts]
        often = Counter(run for some in runs for run in some)
        # The rarer a run the lower its rank; equally rare ones are told apart by their words.
        ordered = sorted(often, key=lambda run: (often[run], run))
        self._ranks = {run: rank for rank, run in enumerate(ordered)}
        self._runs = [frozenset(self._ranks[run] for run in some) for some in runs]
        self._by_rare: dict[int, list[int]] = defaultdict(list)
        for number, some in enumerate(self._runs):
            for rank in sorted(some)[: self._enough(len(some))]:
                self._by_rare[rank].append(number)

    def near(self, text: str) -> dict[int, float]:
        """Return the numbers of the texts that are near, with 1 - Jaccard as distance, from 0 on.

        A text without words is near to none.
        """
        runs = runs_of(text)
        known = sorted(self._ranks[run] for run in runs if run in self._ranks)
        strange = len(runs) - len(known)  # rarer than all that are known
        rare = known[: max(0, self._enough(len(runs)) - strange)]
        asked = frozenset(known)
        found: dict[int, float] = {}
        for number in {each for rank in rare for each in self._by_rare.get(rank, ())}:
            theirs = self._runs[number]
            shared = len(asked & theirs)
            like = shared / (len(runs) + len(theirs) - shared)
            if like >= self.like:
                found[number] = 1 - like
        return found

    def _enough(self, count: int) -> int:
        """Return how many of the rarest of `count` runs must hold one that a near text has too."""
        return count - math.ceil(self.like * count - 1e-9) + 1 if count else 0


def words_of(text: str) -> list[str]:
    """Return the words of a text, in lower case, without signs.

    A tag such as "[2]" or "[0, 1]" becomes "#", whatever it names, and several in a row become one;
    "do n't" and "don't" are one word, as benchmarks cut it and people do not.
    """
    plain = " ".join(" # " if isinstance(piece, Name) else piece for piece in cut(text))
    found = _WORD.findall(_CLITIC.sub(r"\1", plain.casefold()))
    pairs = zip(["", *found], found, strict=False)
    return [word for before, word in pairs if not before == word == "#"]


def runs_of(text: str) -> frozenset[tuple[str, ...]]:
    """Return the runs of RUN words of a text; all its words as one run if it has fewer."""
    words = words_of(text)
    last = max(1, len(words) - RUN + 1)
    return frozenset(tuple(words[at : at + RUN]) for at in range(last)) if words else frozenset()
