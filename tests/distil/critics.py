"""Critics for the tests of swaps: run files name them as `use = "critics:Class"`."""

from collections.abc import Sequence
from pathlib import Path

from lskd.protocols import Seen
from lskd.types import Score, Triple


class ColourBlind:
    """Sees the labels of regions, and accepts a colour that the one it is said of has.

    Writes a line for each picture that it looks at to `diary`, and gives up after `patience`.
    """

    def __init__(self, diary: str, patience: int = 10**6) -> None:
        self.diary = Path(diary)
        self.patience = patience

    def score(
        self, seen: Sequence[Seen], triples: Sequence[Sequence[Triple]]
    ) -> list[tuple[Score, ...]]:
        """Return 0.9 for what is true and 0.1 for what is not."""
        answers = []
        for one, several in zip(seen, triples, strict=True):
            if self.patience == 0:
                raise RuntimeError("the critic has lost its patience")
            self.patience -= 1
            with self.diary.open("a") as opened:
                opened.write(f"{one.picture.image.id} {one.picture.pixels.size} {len(several)}\n")
            said = {region.id: region.description for region in one.regions.regions}
            answers.append(
                tuple(
                    Score(t.id, t.image_id, 0.9 if self.true(t, said) else 0.1, None, None)
                    for t in several
                )
            )
        return answers

    def true(self, triple: Triple, said: dict[int, str]) -> bool:
        """Return whether each named region has the colour that the answer ends with."""
        colour = triple.answer.rstrip(".").split()[-1]
        return all(colour in said[number] for number in triple.region_ids)


class Pedant(ColourBlind):
    """Accepts only texts of one form: those that have no rationale, or those that have one."""

    def __init__(self, diary: str, rationale: bool) -> None:
        super().__init__(diary)
        self.rationale = rationale

    def true(self, triple: Triple, said: dict[int, str]) -> bool:
        """Return whether a triple has a rationale, or has none, as is wanted."""
        return bool(triple.rationale) is self.rationale
