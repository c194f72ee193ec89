"""Lessons as token ids, made ahead by many processes, so that a batch is nothing but looked up.

In: seeds of scenes. Out: two views of each, one as it is and one with rectangles drawn into it, and
what is asked about each view and what each token of it shows.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from lskd.lab.pretrain import speaker_words
from lskd.lab.pretrain.frames import GRID, TINTS
from lskd.lab.pretrain.gallery import NONE, PAINTS, THINGS, USES, Still, still
from lskd.lab.pretrain.speaker_lessons import ask
from lskd.lab.pretrain.statements import Drawn, frames
from lskd.lab.workers import workers
from lskd.training.order import seed_of

QUESTIONS = 24  # about each view
LINE = 56  # the most tokens of a question with its answer
SIDE = GRID // 2  # tokens of a view, across and down
AT_ONCE = 64  # views that are looked at
SHARED = {"free": "nobody", "used": "somebody"}  # what a use is called in sentences
# What a token can show, in words: things, paints and uses.
SHOWN = (
    *THINGS,
    *(paint for paint in PAINTS if paint != NONE),
    *(SHARED.get(use, use) for use in USES if use != NONE),
)

Look = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Page:
    """What is told of a view.

    `ids` is (questions, LINE) uint16; of each line the first `given` tokens are given, and those
    that follow, up to `ends`, are learnt. `kinds` are places in KINDS. `shows` is (tokens, SHOWN
    and TINTS) bool.
    """

    ids: NDArray[np.uint16]
    given: NDArray[np.int64]
    ends: NDArray[np.int64]
    kinds: NDArray[np.int64]
    shows: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Bank:
    """Pages with an axis of views before, on the processor.

    `seen`, (views, tokens, width), is what a tower sees.
    """

    seen: Tensor
    ids: NDArray[np.uint16]
    given: NDArray[np.int64]
    ends: NDArray[np.int64]
    kinds: NDArray[np.int64]
    shows: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ids)

    def cut(self, count: int) -> tuple["Bank", "Bank"]:
        """Return the first `count` views of this bank, and the others."""
        parts = [getattr(self, one.name) for one in fields(self)]
        return Bank(*(part[:count] for part in parts)), Bank(*(part[count:] for part in parts))


def bank(numbers: Sequence[int], look: Look, processes: int) -> Bank:
    """Return two views of each scene; `look` is given pixels, (views, 3, side, side) uint8."""
    pages: list[Page] = []
    seen: list[Tensor] = []
    waiting: list[NDArray[np.uint8]] = []

    def flush() -> None:
        if waiting:
            pixels = torch.from_numpy(np.stack(waiting)).permute(0, 3, 1, 2)
            seen.append(look(pixels).half().cpu())
            waiting.clear()

    with workers(processes) as pool:
        for two in pool.map(two_views, numbers, chunksize=16):
            for pixels, page in two:
                waiting.append(pixels)
                pages.append(page)
            if len(waiting) >= AT_ONCE:
                flush()
    flush()
    names = ("ids", "given", "ends", "kinds", "shows")
    return Bank(torch.cat(seen), *(np.stack([getattr(one, n) for one in pages]) for n in names))


def two_views(number: int) -> list[tuple[NDArray[np.uint8], Page]]:
    """Return a scene as it is and with rectangles: (side, side, 3) uint8, and what is told."""
    rng = random.Random(seed_of("seen", number))
    one, bare = still(number), np.zeros((GRID * GRID, len(TINTS)), dtype=bool)
    frame = one.frames[0]
    return [
        (one.pixels, _page(one, bare, [], rng)),
        (frame.pixels, _page(one, frame.tints, frames(frame.tints), rng)),
    ]


def _page(one: Still, tints: NDArray[np.bool_], drawn: Sequence[Drawn], rng: random.Random) -> Page:
    ids = np.zeros((QUESTIONS, LINE), dtype=np.uint16)
    given, ends, kinds = (np.zeros(QUESTIONS, dtype=np.int64) for _ in range(3))
    for row in range(QUESTIONS):
        asked = ask(one.scene, drawn, rng)
        before = [*_spelt(asked.prompt), _number(speaker_words.SAY)]
        line = [*before, *_spelt(asked.target), _number(speaker_words.END)]
        assert len(line) <= LINE, f"{asked} has {len(line)} tokens"
        ids[row, : len(line)] = line
        given[row], ends[row], kinds[row] = len(before), len(line), asked.kind
    patches = np.concatenate([_labels(one), tints], axis=1)
    cells = patches.reshape(SIDE, 2, SIDE, 2, -1).any(axis=(1, 3))
    return Page(ids, given, ends, kinds, cells.reshape(SIDE * SIDE, -1))


def _labels(one: Still) -> NDArray[np.bool_]:
    """Return which of SHOWN each patch shows, (patches, SHOWN) bool."""
    found = [
        values[:, None] == np.array([place for place, name in enumerate(names) if name != NONE])
        for values, names in ((one.things, THINGS), (one.paints, PAINTS), (one.uses, USES))
    ]
    labels: NDArray[Any] = np.concatenate(found, axis=1)
    return labels


def _spelt(text: str) -> list[int]:
    ids: list[int] = _tokenizer().encode(text).ids
    return ids


@cache
def _number(token: str) -> int:
    number = _tokenizer().token_to_id(token)
    assert number is not None
    return int(number)


@cache
def _tokenizer() -> Tokenizer:
    return speaker_words.plain()
