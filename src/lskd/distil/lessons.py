"""A row of training: an example under a view of it, what is said, and what would be wrong to say.

Everything is a function of (the row's number, a seed): which view, whether the rationale is said,
and the swapped text. With a fixed number of views, an example's n-th view is always the same one.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from lskd.blip2.negatives import misname, swap
from lskd.distil import augmentation
from lskd.distil.augmentation import Described, Shown, renumbered, show
from lskd.distil.ledger import Ledger
from lskd.distil.rehearsal import Statement
from lskd.distil.swaps import Swapped, SwapsOf, numbers
from lskd.distil.wording import Wording
from lskd.types import Example, View

# What a control is not shown, to see that it is the pointing that is learnt: no regions are drawn
# ("undrawn"), or texts name the drawn regions by each other's numbers at random ("shuffled").
Control = Literal["none", "undrawn", "shuffled"]


@dataclass(frozen=True, slots=True)
class Variety:
    """How rows are varied.

    `rationales` is the share of texts with a rationale, `swaps` that of rows with swapped texts, at
    most `swapped` of them, `checked` the share of these whose swapped texts are of those that a
    critic has rejected, if a critic is asked; `misnamed` is the share of rows with a text that
    names a region which is not drawn. `views` is how many views an example has, None for a new one
    each time; `seed` decides which. `further` and `described` as in `augmentation.show`. A
    `control` is taught the same texts without the pointing. `rehearsed` is the share of all rows
    that are statements about whole pictures, where there are some.
    """

    rationales: float
    further: int | None
    described: Described
    swaps: float
    checked: float
    views: int | None
    seed: int
    control: Control = "none"
    misnamed: float = 0.0
    rehearsed: float = 0.0
    swapped: int = 1


@dataclass(frozen=True, slots=True)
class Lesson:
    """A row of training; `wrong` are texts that are false of its view.

    They are the same text with its ids swapped, or with one not drawn, or those of a statement.
    """

    view: View
    text: str
    wrong: tuple[str, ...]


# Which swapped texts a view has room for: those that a critic has rejected, or any.
Swap = Literal["checked", "any"]
_UNASKED = SwapsOf("", (), ())  # where there is no critic


@dataclass(frozen=True, slots=True)
class _Plan:
    """A view of an example, and which swapped texts are held against it, if any."""

    shown: Shown
    swap: Swap | None


class Lessons:
    """The rows of a training, read from disk when they are asked for.

    First each example, then as many rows as `variety.rehearsed` wants, of which each is any of the
    statements of `rehearsal` each time.
    """

    def __init__(
        self,
        examples: Ledger[Example],
        variety: Variety,
        wording: Wording,
        swaps: Ledger[SwapsOf] | None = None,
        rehearsal: Ledger[Statement] | None = None,
    ) -> None:
        self.examples = examples
        self.variety = variety
        self.wording = wording
        self.swaps = swaps
        self.rehearsal = rehearsal
        share = variety.rehearsed if rehearsal is not None else 0.0
        self._rehearsed = round(len(examples) * share / (1 - share))

    def __len__(self) -> int:
        return len(self.examples) + self._rehearsed

    def take(self, row: int, seed: int, rationale: bool | None = None) -> Lesson:
        """Return a row as this seed varies it; `rationale` decides whether that is said.

        None leaves it to the seed.
        """
        rng = random.Random(seed)
        if row >= len(self.examples):
            return self._rehearse(rng)
        example, known = self.examples[row], self._known(row)
        if self.variety.views is None:
            plan = self._plan(example, known.said(rationale), rng)
        else:
            plan = self._fixed(example, known, rng.randrange(self.variety.views))
        drawn = rng.random() < self.variety.rationales
        rationale = drawn if rationale is None else rationale
        text = self._say(renumbered(example, plan.shown), rationale)
        swapped = [] if plan.swap is None else self._wrong(example, plan, known, rationale, rng)
        misnamed = self._misnamed(example, plan, rationale, rng)
        wrong = [*swapped, *([] if misnamed is None else [misnamed])]
        told = tuple(one for one in dict.fromkeys(wrong) if one != text)
        return Lesson(plan.shown.view, text, told)

    def all_views(self) -> Iterator[View]:
        """Yield all views that rows can have, where they are fixed; some more than once."""
        for row in range(len(self.examples)):
            yield from self.fixed_views(row)
        if self.rehearsal is not None and self._rehearsed:
            statements = (self.rehearsal[number] for number in range(len(self.rehearsal)))
            yield from (View(image, ()) for image in dict.fromkeys(one.image for one in statements))

    def fixed_views(self, row: int) -> Iterator[View]:
        """Yield the views that an example can have, where they are fixed."""
        assert self.variety.views is not None
        example, known = self.examples[row], self._known(row)
        for number in range(self.variety.views):
            yield self._fixed(example, known, number).shown.view

    def _rehearse(self, rng: random.Random) -> Lesson:
        assert self.rehearsal is not None
        one = self.rehearsal[rng.randrange(len(self.rehearsal))]
        return Lesson(View(one.image, ()), one.text, one.wrong)

    def _known(self, row: int) -> SwapsOf:
        return self.swaps[row] if self.swaps is not None else _UNASKED

    def _fixed(self, example: Example, known: SwapsOf, number: int) -> "_Plan":
        # Whether the rationale is said is not yet known: it hangs on the row and not on the view.
        rng = random.Random(f"{self.variety.seed}/{example.id}/{number}")
        return self._plan(example, known.said(None), rng)

    def _plan(self, example: Example, known: tuple[Swapped, ...], rng: random.Random) -> "_Plan":
        """Draw a view, with room for a swap if there is to be one."""
        variety = self.variety
        swap: Swap | None = None
        also: frozenset[int] = frozenset()
        if augmentation.by_id(example) and rng.random() < variety.swaps:
            checked = self.swaps is not None and rng.random() < variety.checked
            swap = "checked" if checked else "any"
            if checked and known:
                also = numbers(rng.choice(known))
        shown = show(example, rng, variety.further, variety.described, swap is not None, also)
        return _Plan(controlled(shown, variety.control, rng), swap)

    def _wrong(
        self,
        example: Example,
        plan: "_Plan",
        known: SwapsOf,
        rationale: bool,
        rng: random.Random,
    ) -> list[str]:
        """Return the text with its ids swapped among the drawn regions, as often as is wanted."""
        most = self.variety.swapped
        if plan.swap == "checked":
            drawn = frozenset(plan.shown.old)
            fitting = [one for one in known.said(rationale) if numbers(one) <= drawn]
            chosen = rng.sample(fitting, min(most, len(fitting)))
            wrong = (renumbered(_with(example, one), plan.shown) for one in chosen)
            return [self._say(one, rationale) for one in wrong]
        said = self._said(example, plan, rationale)
        swapped = (swap(said, plan.shown.drawn, rng) for _ in range(most))
        return [self.wording.text(*texts) for texts in swapped if texts is not None]

    def _misnamed(
        self, example: Example, plan: "_Plan", rationale: bool, rng: random.Random
    ) -> str | None:
        """Return the text naming a region that is not drawn, if the row is to have one."""
        if not augmentation.by_id(example) or rng.random() >= self.variety.misnamed:
            return None
        texts = misname(self._said(example, plan, rationale), plan.shown.drawn, rng)
        return None if texts is None else self.wording.text(*texts)

    def _said(self, example: Example, plan: "_Plan", rationale: bool) -> list[str]:
        """Return the texts of an example by the numbers of a view."""
        right = renumbered(example, plan.shown)
        return [right.question, right.answer, *([right.rationale] if rationale else [])]

    def _say(self, example: Example, rationale: bool) -> str:
        return self.wording.text(
            example.question, example.answer, example.rationale if rationale else None
        )


def controlled(shown: Shown, control: Control, rng: random.Random) -> Shown:
    """Return what a control is shown; every number is then as likely to stand for every region."""
    match control:
        case "undrawn":
            return replace(shown, view=replace(shown.view, regions=()))
        case "shuffled":
            return replace(shown, old=tuple(rng.sample(shown.old, len(shown.old))))
        case _:
            return shown


def _with(example: Example, swapped: Swapped) -> Example:
    """Return an example with swapped texts."""
    return replace(
        example,
        question=swapped.question,
        answer=swapped.answer,
        rationale=swapped.rationale,
    )
