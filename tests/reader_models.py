"""A critic for tests of runs side by side: it waits until it is let go on."""

import time
from collections.abc import Sequence
from pathlib import Path

from lskd.protocols import Seen
from lskd.types import Score, Triple
from models import Judge


class Gated(Judge):
    """Waits, once it is to judge, until a file `<gate>.open` is there; `<gate>.reached` says so."""

    without_effect = frozenset({"gate"})

    def __init__(self, gate: str) -> None:
        self.gate = gate

    def score(
        self, seen: Sequence[Seen], triples: Sequence[Sequence[Triple]]
    ) -> list[tuple[Score, ...]]:
        Path(f"{self.gate}.reached").touch()
        while not Path(f"{self.gate}.open").exists():
            time.sleep(0.02)
        return super().score(seen, triples)
