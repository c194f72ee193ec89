"""A critic that says again what another has said, for Figure 4: which triples, at an equal number.

In: the scores of another run. Out: a score for each triple by which a share to keep is a draw from
those that the other critic likes enough.
"""

import random
from collections.abc import Sequence
from pathlib import Path

from lskd import table
from lskd.errors import UserError
from lskd.protocols import Seen
from lskd.types import Score, Triple

HALF = 0.5


class AtLeast:
    """Draws at random from the triples that a run's critic has given a score or more.

    With `[corpus] keep` as many examples come of each threshold. Where fewer than that are liked
    enough, the others are a draw from the rest.
    """

    notice = "triples are drawn at random from those that another run's critic likes enough"

    def __init__(
        self,
        scores: str,
        threshold: float | None = None,
        best: float | None = None,
        seed: int = 0,
    ) -> None:
        """Read the scores of a run: `scores` is the folder of its stage `score`.

        Enough is `threshold`, or what the `best` share of all triples has, both in [0, 1]. Raises
        UserError unless one of them is given, and for a folder without scores.
        """
        if (threshold is None) == (best is None):
            raise UserError("AtLeast: give either threshold, a score, or best, a share of triples")
        given = threshold if best is None else best
        if given is None or not 0 <= given <= 1:
            raise UserError(f"AtLeast: {given} is not from 0 to 1")
        files = sorted((Path(scores) / "score").glob("*.parquet"))
        if not files:
            raise UserError(f"AtLeast: {scores} has no scores: run that run up to its stage score")
        self.accept = {
            row.triple_id: row.accept for file in files for row in table.read(Score, file)
        }
        if not self.accept:
            raise UserError(f"AtLeast: no triple was scored in {scores}: nothing can be chosen")
        self.seed = seed
        self.threshold = given if best is None else _lowest(list(self.accept.values()), given)

    def score(
        self, seen: Sequence[Seen], triples: Sequence[Sequence[Triple]]
    ) -> list[tuple[Score, ...]]:
        """Return, for each of triples[i], a draw from [0.5, 1) if it is liked enough, else below.

        Raises UserError for a triple that the other run has not scored.
        """
        return [tuple(self._one(triple) for triple in some) for some in triples]

    def _one(self, triple: Triple) -> Score:
        said = self.accept.get(triple.id)
        if said is None:
            raise UserError(
                f"AtLeast: triple {triple.id} was not scored in that run: it needs the same triples"
            )
        drawn = HALF * random.Random(f"{self.seed}/{triple.id}").random()
        accept = drawn + HALF if said >= self.threshold else drawn
        return Score(triple.id, triple.image_id, accept, None, None)


def _lowest(scores: list[float], best: float) -> float:
    """Return the lowest score of the best share of scores; none is lower than all where it is 1."""
    ranked = sorted(scores, reverse=True)
    return ranked[max(1, round(best * len(ranked))) - 1]
