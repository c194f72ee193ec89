"""Lessons as token ids, made ahead by many processes, so that a batch is nothing but looked up.

In: seeds of scenes. Out: a bank of texts about scenes that nobody draws, and stills with a bank of
their own, each scene once as it is and once with rectangles drawn into it.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import cache, partial

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from lskd.lab.combinations import shown
from lskd.lab.pretrain import speaker_words
from lskd.lab.pretrain.gallery import still
from lskd.lab.pretrain.speaker_lessons import Lesson, Said, lesson, rectangles_told
from lskd.lab.pretrain.statements import rectangles
from lskd.lab.scene import draw
from lskd.lab.world import PRETRAINING
from lskd.training.order import seed_of

QUESTIONS = 12  # of each kind, for each scene
SENTENCE, LINE = 48, 44  # the most tokens of a sentence with its tag, and of a prompt or a target
TEXTS = 500_000_000  # from here on scenes are told and never drawn
PAD = 0

Tick = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Page:
    """A lesson as ids, uint16, padded with PAD.

    `sentences` is (sentences, SENTENCE), the first column having tags; `prompts` and `targets` are
    (questions, LINE), `kinds` (questions,).
    """

    sentences: NDArray[np.uint16]
    prompts: NDArray[np.uint16]
    targets: NDArray[np.uint16]
    kinds: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Bank:
    """Pages as tensors, int32: those of `Page` with an axis of scenes before.

    `lengths`, (scenes, questions, 2), says how long prompts and targets are, `longest`, (scenes,),
    how long the longest sentence is; both stay on the processor.
    """

    sentences: Tensor
    prompts: Tensor
    targets: Tensor
    kinds: Tensor
    lengths: Tensor
    longest: Tensor

    def __len__(self) -> int:
        return len(self.sentences)

    def to(self, device: torch.device) -> "Bank":
        """Return this bank on a device, all but the lengths."""
        return replace(
            self,
            sentences=self.sentences.to(device),
            prompts=self.prompts.to(device),
            targets=self.targets.to(device),
            kinds=self.kinds.to(device),
        )

    def cut(self, count: int) -> tuple["Bank", "Bank"]:
        """Return the first `count` scenes of this bank, and the others."""
        parts = [getattr(self, one.name).split([count, len(self) - count]) for one in fields(self)]
        return Bank(*(first for first, _ in parts)), Bank(*(rest for _, rest in parts))


@dataclass(frozen=True, slots=True)
class Views:
    """Pictures, (views, side, side, 3) uint8, and what is told of each and asked about it."""

    pixels: Tensor
    bank: Bank


def texts(numbers: Sequence[int], slots: int, processes: int) -> Bank:
    """Return a bank of scenes that are told: questions by place and by number."""
    with ProcessPoolExecutor(processes) as pool:
        work = partial(text_page, slots=slots)
        return bank_of(pool.map(work, numbers, chunksize=256))


def views(numbers: Sequence[int], slots: int, processes: int) -> Views:
    """Return two views of each scene, and what is asked by place."""
    pixels: list[NDArray[np.uint8]] = []
    pages: list[Page] = []
    with ProcessPoolExecutor(processes) as pool:
        for seen in pool.map(partial(two_views, slots=slots), numbers, chunksize=32):
            for picture, page in seen:
                pixels.append(picture)
                pages.append(page)
    return Views(torch.from_numpy(np.stack(pixels)), bank_of(pages))


def text_page(number: int, slots: int) -> Page:
    """Return what is told of a scene that is not drawn."""
    rng = random.Random(seed_of("told", number))
    scene = draw(PRETRAINING + TEXTS + number, allowed=shown)
    made = lesson(scene, rectangles_told(rng), slots, QUESTIONS, rng, some=True)
    return page_of(made, (*made.by_place, *made.by_number), tagged=True)


def two_views(number: int, slots: int) -> list[tuple[NDArray[np.uint8], Page]]:
    """Return a scene as it is, and with rectangles, each with its page: nothing has a number."""
    rng = random.Random(seed_of("seen", number))
    one = still(number)
    frame = one.frames[0]
    plain = lesson(one.scene, [], slots, QUESTIONS, rng)
    framed = lesson(one.scene, rectangles(frame.tints), slots, QUESTIONS, rng)
    pairs = ((one.pixels, plain), (frame.pixels, framed))
    return [(pixels, page_of(made, made.by_place, tagged=False)) for pixels, made in pairs]


def page_of(made: Lesson, said: Sequence[Said], tagged: bool) -> Page:
    """Return a lesson as ids, with some of its questions, and its tags if it is to be `tagged`."""
    sentences = rows_of(made.sentences, SENTENCE - 1)
    tags = [_spelt(tag)[:1] if tagged and tag else (PAD,) for tag in made.tags]
    return Page(
        np.concatenate([np.array(tags, dtype=np.uint16), sentences], axis=1),
        rows_of([one.prompt for one in said], LINE),
        rows_of([one.target for one in said], LINE),
        np.array([one.kind for one in said], dtype=np.uint8),
    )


def rows_of(some: Sequence[str], width: int) -> NDArray[np.uint16]:
    """Return the ids of texts, their ends included, (texts, width), padded."""
    rows = np.full((len(some), width), PAD, dtype=np.uint16)
    for row, text in zip(rows, some, strict=True):
        ids = _spelt(text)
        assert len(ids) <= width, f"{text!r} has {len(ids)} tokens"
        row[: len(ids)] = ids
    return rows


def bank_of(pages: Iterable[Page]) -> Bank:
    """Return pages as one bank."""
    every = list(pages)
    sentences, prompts, targets = (
        torch.from_numpy(np.stack([getattr(page, name) for page in every]).astype(np.int32))
        for name in ("sentences", "prompts", "targets")
    )
    kinds = torch.from_numpy(np.stack([page.kinds for page in every]))
    lengths = torch.stack([(x != PAD).sum(dim=-1) for x in (prompts, targets)], dim=-1)
    # The first column has tags, which most sentences lack.
    longest = 1 + (sentences[..., 1:] != PAD).sum(dim=-1).amax(dim=1)
    return Bank(sentences, prompts, targets, kinds, lengths, longest)


def _spelt(text: str) -> tuple[int, ...]:
    return tuple(_tokenizer().encode(text).ids)


@cache
def _tokenizer() -> Tokenizer:
    return speaker_words.plain()
