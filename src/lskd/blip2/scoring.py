"""Texts about views are judged: the one way to ask a critic or a student.

Each distinct view passes the vision tower once, its memory is made once for all of its texts, and
texts of similar length go together. Answers come in the order of the questions, and do not depend
on what they were batched with.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

from lskd.blip2.memory import Memory
from lskd.blip2.stage1 import Critic, Stage1, Verdict
from lskd.blip2.text import Texts, collate
from lskd.errors import UserError

View = TypeVar("View")  # anything that can be a key: an image with its regions and their order

# A batch of texts ends where one is this much shorter than the first, unless it is a small batch.
SHORTER, SMALL = 0.75, 8


@dataclass(frozen=True, slots=True)
class Ask(Generic[View]):
    """A question: how well do these token ids (`Tokenizer.encode`) fit this view?"""

    view: View
    text: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Answers:
    """One answer for each question, in float32 on the processor.

    `similarity`, (texts,), is that of ITC without temperature; None where it was not asked for.
    LAVIS ranks by `match[:, 1] + similarity`.
    """

    verdict: Verdict
    similarity: Tensor | None


@dataclass(frozen=True, slots=True)
class Batching:
    """How much is done at once: views in the vision tower, texts in the Q-Former."""

    views: int = 16
    texts: int = 128

    def __post_init__(self) -> None:
        if min(self.views, self.texts) < 1:
            raise UserError(f"batches of {self.views} views and {self.texts} texts: 1 is the least")


def see(
    model: Stage1 | Critic, pixels: Callable[[Sequence[View]], Tensor]
) -> Callable[[Sequence[View]], Tensor]:
    """Return what `score` needs to know views by: the tower's features of their pixels.

    `pixels` returns (views, 3, side, side), normalised, for some views.
    """
    place = model.backbone.ln_vision.weight

    def features(views: Sequence[View]) -> Tensor:
        return model.backbone.features(pixels(views).to(place.device))

    return features


def score(
    model: Stage1 | Critic,
    asks: Sequence[Ask[View]],
    features: Callable[[Sequence[View]], Tensor],
    batching: Batching | None = None,
    similarities: bool = False,
) -> Answers:
    """Return what a model says of each text about its view.

    `features` returns (views, tokens, width), before `ln_vision`, for some views, which are asked
    for once each: `see(model, pixels)`, or a cache of what that returned. `similarities` asks for
    those as well; raises UserError if the model has no head for them.
    """
    if similarities and not isinstance(model, Stage1):
        raise UserError("a critic has no similarities: it lacks the contrast head of a student")
    batching = batching or Batching()
    answered: list[tuple[list[int], Verdict]] = []
    near = torch.full((len(asks),), torch.nan)
    with _asking(model):
        for views, rows in _chunks(asks, batching.views):
            memory = model.backbone.remember(features(views))
            looks = _looks(model, memory) if similarities else None
            for some in _batches(asks, rows, batching.texts):
                texts = collate([asks[n].text for n in some]).to(memory.device)
                answered.append((some, _on_processor(model.judge(memory, texts))))
                if looks is not None and isinstance(model, Stage1):
                    near[some] = _similarities(model, looks, texts)
    return Answers(_in_order(answered, len(asks), model), near if similarities else None)


def _chunks(asks: Sequence[Ask[View]], size: int) -> Iterator[tuple[list[View], list[list[int]]]]:
    """Yield some distinct views and, for each, its questions, longest text first.

    The views that come together have equally many questions.
    """
    of_view: dict[View, list[int]] = {}
    for number, ask in enumerate(asks):
        of_view.setdefault(ask.view, []).append(number)
    by_count: dict[int, list[View]] = {}
    for view, numbers in of_view.items():
        numbers.sort(key=lambda n: -len(asks[n].text))
        by_count.setdefault(len(numbers), []).append(view)
    for views in by_count.values():
        for start in range(0, len(views), size):
            some = views[start : start + size]
            yield some, [of_view[view] for view in some]


def _batches(asks: Sequence[Ask[View]], rows: list[list[int]], size: int) -> Iterator[list[int]]:
    """Yield questions that are put together: equally many of each view, of similar length."""
    count = len(rows[0])
    longest = [max(len(asks[of_view[rank]].text) for of_view in rows) for rank in range(count)]
    start = 0
    for end in range(1, count + 1):
        many = (end - start) * len(rows)
        full = many + len(rows) > size
        shorter = end < count and longest[end] < SHORTER * longest[start] and many >= SMALL
        if end == count or full or shorter:
            yield [number for of_view in rows for number in of_view[start:end]]
            start = end


def _looks(model: Stage1 | Critic, memory: Memory) -> Tensor | None:
    """Return unit features of views, (views, queries, embedding), if the model has such."""
    if not isinstance(model, Stage1):
        return None
    return model.contrast.of_views(model.backbone.qformer.look(memory))


def _similarities(model: Stage1, looks: Tensor, texts: Texts) -> Tensor:
    """Return the similarity of texts, equally many for each view in turn, to it: (texts,)."""
    words = model.contrast.of_texts(model.backbone.qformer.read(texts))  # (texts, embedding)
    of_view = words.reshape(len(looks), -1, words.shape[1])  # (views, texts of each, embedding)
    products = torch.einsum("vqe,vte->vtq", looks, of_view)
    return products.amax(dim=2).flatten().float().cpu()


def _in_order(
    answered: list[tuple[list[int], Verdict]], count: int, model: Stage1 | Critic
) -> Verdict:
    match = torch.full((count, 2), torch.nan)
    ratings = [torch.full((count,), torch.nan) for _ in range(2)]
    for numbers, verdict in answered:
        match[numbers] = verdict.match
        for kept, given in zip(ratings, (verdict.qa, verdict.rationale), strict=True):
            if given is not None:
                kept[numbers] = given
    return Verdict(match, *ratings) if isinstance(model, Critic) else Verdict(match)


def _on_processor(verdict: Verdict) -> Verdict:
    given = (verdict.match, verdict.qa, verdict.rationale)
    match, qa, rationale = (None if t is None else t.float().cpu() for t in given)
    assert match is not None
    return Verdict(match, qa, rationale)


@contextmanager
def _asking(model: Stage1 | Critic) -> Iterator[None]:
    """Ask without dropout and gradients; afterwards the model is as it was."""
    before = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in before:
            module.training = training
