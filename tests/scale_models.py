"""Models for the tests of scale: one that cannot be built."""

from collections.abc import Sequence

from lskd.errors import UserError
from lskd.protocols import Seen
from lskd.types import Score, Triple


class Unbuilt:
    """A critic whose weights are gone."""

    def __init__(self) -> None:
        raise UserError("the weights are gone")

    def score(
        self, seen: Sequence[Seen], triples: Sequence[Sequence[Triple]]
    ) -> list[tuple[Score, ...]]:
        raise AssertionError("it was never built")
