"""What a step of training takes one of: a row, or all rows of a view, or something to rehearse.

In: the rows of examples, and questions about whole pictures. Out: numbered units, each a function
of (its number, a seed): first those of the examples, then as many as the share that is rehearsed
wants, of which each is any of the questions each time.
"""

import random
from array import array
from collections.abc import Iterator

from lskd.distil.generative.rows import Row, Rows, Said, cut
from lskd.distil.ledger import Ledger
from lskd.distil.rehearsal import Question
from lskd.types import View


class Units:
    """The units of a training.

    Where rows are packed, a unit is all rows of a group of neighbours, or so many questions about a
    picture as such a group has at most.
    """

    def __init__(self, rows: Rows, rehearsal: Ledger[Question] | None = None) -> None:
        self.rows = rows
        self.rehearsal = rehearsal
        variety = rows.variety
        self._firsts = rows.groups if variety.packed else array("q", range(len(rows)))
        share = variety.rehearsed if rehearsal is not None else 0.0
        self._rehearsed = round(len(self._firsts) * share / (1 - share))
        # Where the questions about each picture begin, and where the last ones end.
        self._pictures = array("q")
        if rehearsal is not None and self._rehearsed:
            self._pictures.extend(_pictures(rehearsal))

    def __len__(self) -> int:
        return len(self._firsts) + self._rehearsed

    def take(self, unit: int, seed: int) -> list[Row]:
        """Return the rows of a unit as this seed varies it."""
        if unit >= len(self._firsts):
            return self._rehearse(random.Random(seed))
        first = self._firsts[unit]
        if self.rows.variety.packed:
            return self.rows.together(first, seed)
        return [self.rows.take(first, seed)]

    def all_views(self) -> Iterator[View]:
        """Yield all views that units can have, where they are fixed; some more than once."""
        for row in range(len(self.rows)):
            yield from self.rows.fixed_views(row)
        if self.rehearsal is not None:
            for start in self._pictures[:-1]:
                yield View(self.rehearsal[start].image, ())

    def _rehearse(self, rng: random.Random) -> list[Row]:
        assert self.rehearsal is not None
        variety = self.rows.variety
        if not variety.packed:
            some = [rng.randrange(len(self.rehearsal))]
        else:
            picture = rng.randrange(len(self._pictures) - 1)
            every = range(self._pictures[picture], self._pictures[picture + 1])
            some = rng.sample(every, min(variety.together, len(every)))
        asked = [self.rehearsal[number] for number in some]
        return [Row(View(one.image, ()), (_said(one, rng),)) for one in asked]


def longest(question: Question) -> Said:
    """Return the longest that can be asked of a question: a whole text behind its first word."""
    if question.prompt:
        return Said(question.prompt, question.answer)
    first, _, rest = question.answer.partition(" ")
    return Said(first, rest) if rest.strip() else Said("", question.answer)


def _said(question: Question, rng: random.Random) -> Said:
    if question.prompt:
        return Said(question.prompt, question.answer)
    return cut(question.answer, rng)


def _pictures(rehearsal: Ledger[Question]) -> Iterator[int]:
    """Yield where each run of questions about one picture begins, and where the last one ends."""
    last = None
    for number in range(len(rehearsal)):
        image = rehearsal[number].image
        if image != last:
            yield number
        last = image
    yield len(rehearsal)
