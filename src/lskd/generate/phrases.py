"""A phrase of a teacher finds the region that it stands for.

Teachers shorten and bend the phrases that they were given: "[the woman in pink]" for "a woman in a
pink shirt on the left". A phrase is linked where it is a region's description in other small words,
or where it fits one region clearly better than all others.
"""

import re
from collections.abc import Sequence

from lskd.types import Region

SMALL_WORDS = frozenset(
    "a an the of in on at to with and is are his her their its this that".split()
)
# Well over half of the words of a phrase must be those of the description. On the safe side: an
# unlinked phrase becomes a reject that can be parsed again, a wrong link would teach a wrong place.
LEAST = 0.6


def words(text: str) -> tuple[str, ...]:
    """Return the words of a phrase that carry meaning, in order, plurals cut."""
    found = re.findall(r"\w+", text.lower())
    kept = [word for word in found if word not in SMALL_WORDS] or found
    return tuple(word[:-1] if len(word) > 3 and word.endswith("s") else word for word in kept)


class Links:
    """The regions of one image, by the words of their descriptions."""

    def __init__(self, regions: Sequence[Region]) -> None:
        self.described = [(region.id, words(region.description)) for region in regions]

    def find(self, phrase: str) -> list[int]:
        """Return the ids of the regions that a phrase fits equally well: one, none or several."""
        given = words(phrase)
        if not given:
            return []
        same = [name for name, described in self.described if described == given]
        if same:
            return same
        fits = [(self.fit(given, described), name) for name, described in self.described]
        best = max((fit for fit, _ in fits), default=0.0)
        return [name for fit, name in fits if fit == best] if best >= LEAST else []

    @staticmethod
    def fit(given: tuple[str, ...], described: tuple[str, ...]) -> float:
        """Return the share of a phrase's words that the description has, in [0, 1]."""
        return len(set(given) & set(described)) / len(set(given))
