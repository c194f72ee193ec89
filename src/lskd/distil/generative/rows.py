"""A row of training: an example under a view of it, what is given and what is to be written.

Everything is a function of (the row's number, a seed). With a fixed number of views, neighbouring
examples of one image share theirs, so that a picture is looked at once for all of them.
"""

import random
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from lskd.distil import augmentation
from lskd.distil.augmentation import Described, Shown, renumbered, show
from lskd.distil.generative.prompts import Prompts
from lskd.distil.ledger import Ledger
from lskd.distil.lessons import Control, controlled
from lskd.types import Example, View
from lskd.writing.pointing import Pointing


@dataclass(frozen=True, slots=True)
class Variety:
    """How rows are varied.

    A share `prefixes` of rows is a whole text cut in two at random; of the others, which ask for
    the answer, a share `rationales` asks for the rationale, too. `views` is how many views an
    example has, None for a new one each time; at most `together` neighbouring examples share them.
    `seed` decides which. `further`, `described` and `control` are as in `distil.lessons`. A share
    `rehearsed` of what a step takes is about whole pictures, if there is something to rehearse. If
    they are `packed`, all neighbours that share views are taken together, see `units`.
    """

    prefixes: float
    rationales: float
    further: int | None
    described: Described
    views: int | None
    together: int
    seed: int
    control: Control = "none"
    rehearsed: float = 0.0
    packed: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """What is given, and what is to be written after it."""

    prompt: str
    target: str


@dataclass(frozen=True, slots=True)
class Row:
    """A row of training: a view, and one text or two about it."""

    view: View
    said: tuple[Said, ...]


class Rows:
    """The rows of a training, read from disk when they are asked for."""

    def __init__(
        self, examples: Ledger[Example], variety: Variety, prompts: Prompts, pointing: Pointing
    ) -> None:
        self.examples = examples
        self.variety = variety
        self.prompts = prompts
        self.pointing = pointing
        # The first row of each group of examples that share their views.
        self._starts = _groups(examples, variety.together)

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def groups(self) -> "array[int]":
        """Return the first row of each group of neighbours that share their views."""
        return array("q", (row for row, start in enumerate(self._starts) if row == start))

    def take(self, row: int, seed: int) -> Row:
        """Return a row as this seed varies it."""
        rng, variety = random.Random(seed), self.variety
        example = self.examples[row]
        if variety.views is None:
            drawn = show(example, rng, variety.further, variety.described)
            shown = controlled(drawn, variety.control, rng)
        else:
            shown = self._shared(example, self._group(row), rng.randrange(variety.views))
        return self._row(example, shown, rng)

    def together(self, row: int, seed: int) -> list[Row]:
        """Return the rows of a group, as this seed varies it, all of one view where they can be."""
        rng, views = random.Random(seed), self.variety.views
        number = f"fresh/{seed}" if views is None else rng.randrange(views)
        group = self._group(row)
        return [self._row(one, self._shared(one, group, number), rng) for one in group]

    def fixed_views(self, row: int) -> Iterator[View]:
        """Yield the views that a row can have, where they are fixed."""
        assert self.variety.views is not None
        example, group = self.examples[row], self._group(row)
        for number in range(self.variety.views):
            yield self._looked_at(self._shared(example, group, number).view)

    def _row(self, example: Example, shown: Shown, rng: random.Random) -> Row:
        size = example.width, example.height
        said = self._said(renumbered(example, shown), rng)
        return Row(
            self._looked_at(shown.view),
            tuple(
                replace(one, prompt=self.pointing.prompt(one.prompt, shown.view.regions, size))
                for one in said
            ),
        )

    def _looked_at(self, view: View) -> View:
        """Return a view as the writer sees it: what is told by coordinates is not drawn."""
        return view if self.pointing.codec is None else replace(view, regions=())

    def _shared(self, example: Example, group: Sequence[Example], number: int | str) -> Shown:
        """Return a view that an example shares with its group; it draws what all of it name."""
        rng = random.Random(f"{self.variety.seed}/{group[0].id}/{number}")
        others = (one for one in group if drawn(one, self.variety.described))
        also = frozenset().union(*map(augmentation.named, others))
        if not drawn(example, self.variety.described):
            also = frozenset()
        shown = show(example, rng, self.variety.further, self.variety.described, also=also)
        return controlled(shown, self.variety.control, rng)

    def _group(self, row: int) -> list[Example]:
        """Return the examples that share views with a row, itself among them."""
        first = end = self._starts[row]
        while end < len(self._starts) and self._starts[end] == first:
            end += 1
        return [self.examples[number] for number in range(first, end)]

    def _said(self, example: Example, rng: random.Random) -> tuple[Said, ...]:
        if rng.random() < self.variety.prefixes:
            wording = self.prompts.wording
            text = wording.text(example.question, example.answer, example.rationale)
            return (cut(text, rng),)
        answer = Said(self.prompts.answer(example.question), example.answer)
        if rng.random() >= self.variety.rationales or not example.rationale.strip():
            return (answer,)
        before = self.prompts.rationale(example.question, example.answer)
        return (answer, Said(before, example.rationale))


def lines_of(
    example: Example, prompts: Prompts, prefixes: bool, rationales: bool
) -> tuple[Said, ...]:
    """Return the longest that can be asked of an example.

    Its answer, its rationale if `rationales` are asked for and, if there are random `prefixes`, all
    behind its first word.
    """
    asked = [Said(prompts.answer(example.question), example.answer)]
    if prefixes:
        text = prompts.wording.text(example.question, example.answer, example.rationale)
        first, _, rest = text.strip().partition(" ")
        asked.append(Said(first, rest) if rest.strip() else Said("", text.strip()))
    if rationales and example.rationale.strip():
        before = prompts.rationale(example.question, example.answer)
        asked.append(Said(before, example.rationale))
    return tuple(asked)


def cut(text: str, rng: random.Random) -> Said:
    """Return a text cut in two after its first word or later, at half of its words at most.

    So the official release does it. A tag, as "[0, 2]", is never cut.
    """
    words = text.split()
    depth, ends = 0, []
    for end, word in enumerate(words[:-1], start=1):
        for mark in word:
            if mark == "[":
                depth += 1
            elif mark == "]":
                depth = max(0, depth - 1)  # a stray one closes no tag, nor one that comes later
        if not depth:
            ends.append(end)
    near = [end for end in ends if end <= max(1, len(words) // 2)] or ends[:1]
    if not near:
        return Said("", text.strip())
    end = rng.choice(near)
    return Said(" ".join(words[:end]), " ".join(words[end:]))


def drawn(example: Example, described: Described) -> bool:
    """Return whether regions are drawn for an example."""
    return augmentation.by_id(example) or described == "drawn"


def _groups(examples: Ledger[Example], most: int) -> "array[int]":
    """Return for each example the first of its group: neighbours of one image, `most` at most."""
    starts: array[int] = array("q")
    last: Example | None = None
    for number in range(len(examples)):
        one = examples[number]
        alike = last is not None and (last.path, last.regions) == (one.path, one.regions)
        begins = not alike or number - starts[-1] >= most
        starts.append(number if begins else starts[-1])
        last = one
    return starts
