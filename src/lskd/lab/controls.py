"""A critic that knows nothing, for the controls of the lab."""

import random
from collections.abc import Sequence

from lskd.protocols import Seen
from lskd.types import Score, Triple


class RandomCritic:
    """Scores triples at random, so that the best share of them is any share."""

    notice = "the critic is a control: it scores triples at random"

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def score(
        self, seen: Sequence[Seen], triples: Sequence[Sequence[Triple]]
    ) -> list[tuple[Score, ...]]:
        """Return a random score for each of triples[i]; nothing is looked at."""
        return [tuple(self._one(triple) for triple in some) for some in triples]

    def _one(self, triple: Triple) -> Score:
        accept = random.Random(f"{self.seed}/{triple.id}").random()
        return Score(triple.id, triple.image_id, accept, None, None)
