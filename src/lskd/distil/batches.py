"""Rows of training become tensors: each distinct view once, texts padded to their longest."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lskd.blip2.negatives import keys
from lskd.blip2.text import Texts, Tokenizer, collate
from lskd.distil.lessons import Lesson
from lskd.types import View

Ids = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """Rows of training on the processor; `sights` are pixels of views, or features of theirs.

    The rest is as in `lskd.blip2.objectives.Batch`.
    """

    sights: Tensor
    texts: Texts
    images: Tensor
    wordings: Tensor
    view: Tensor | None
    swapped: Texts | None
    swapped_rows: Tensor | None


def sheet(
    lessons: Sequence[Lesson],
    sights: Callable[[Sequence[View]], Tensor],
    tokenizer: Tokenizer,
    limit: int,
) -> Sheet:
    """Return rows as tensors; texts have at most `limit` tokens.

    A swapped text that is no other once both are cut is left out.
    """
    encoded = tokenizer.encode([lesson.text for lesson in lessons], limit)
    swapped = _swapped(lessons, encoded, tokenizer, limit)
    views = list(dict.fromkeys(lesson.view for lesson in lessons))
    place = {view: number for number, view in enumerate(views)}
    alone = len(views) == len(lessons)
    return Sheet(
        sights=sights(views),
        texts=collate(encoded),
        images=keys(lesson.view.image.id for lesson in lessons),
        wordings=keys(repr(ids) for ids in encoded),
        view=None if alone else torch.tensor([place[lesson.view] for lesson in lessons]),
        swapped=collate([ids for _, ids in swapped]) if swapped else None,
        swapped_rows=torch.tensor([row for row, _ in swapped]) if swapped else None,
    )


def _swapped(
    lessons: Sequence[Lesson], encoded: Sequence[Ids], tokenizer: Tokenizer, limit: int
) -> list[tuple[int, Ids]]:
    """Return the rows that have wrong texts, each with the ids of one."""
    rows = [(row, text) for row, lesson in enumerate(lessons) for text in lesson.wrong]
    wrong = tokenizer.encode([text for _, text in rows], limit)
    both = zip(rows, wrong, strict=True)
    return [(row, ids) for (row, _), ids in both if ids != encoded[row]]
