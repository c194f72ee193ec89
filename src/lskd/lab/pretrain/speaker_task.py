"""The sides of the training loop of a speaker: views of a bank in, losses out.

First the projector learns to say in words what a token shows: to come near to the embeddings of
these words. Then it and the language model learn to answer. Lines about one view are read behind it
side by side, each as if it stood there alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lskd.lab.pretrain import speaker_words
from lskd.lab.pretrain.speaker_bank import SHOWN, SIDE, Bank
from lskd.lab.pretrain.speaker_lessons import KINDS, TINTS
from lskd.training.task import StepLosses
from lskd.writing.masks import IGNORED

THIRDS = ("left", "middle", "right")
NOBODYS = -1  # a line's number where there is none
LOUD = 10.0  # how much a label weighs: most of them are absent from most tokens
APART = 2.5  # the length of what tells tokens apart that no line has; others are about as long
ALIKE, UNLIKE = 11.0, -4.0  # with which labels begin: the scale and the offset of their logits


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines about views, (views, tokens) int64, side by side.

    `owners` says which line a token is of, NOBODYS for padding; `places` where it stands in it;
    `wanted` what is to be told after it, or IGNORED.
    """

    ids: Tensor
    owners: Tensor
    places: Tensor
    wanted: Tensor

    def to(self, device: torch.device) -> "Lines":
        """Return these lines on a device."""
        return Lines(*(one.to(device) for one in (self.ids, self.owners, self.places, self.wanted)))


def lines(bank: Bank, rows: Sequence[int], order: Sequence[Sequence[int]], width: int) -> Lines:
    """Return lines about the views `rows`, in `order`, as many as `width` tokens have room for."""
    shape = len(rows), width
    ids, places = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    owners, wanted = np.full(shape, NOBODYS), np.full(shape, IGNORED)
    for at, (row, columns) in enumerate(zip(rows, order, strict=True)):
        start = 0
        for column in columns:
            given, ends = int(bank.given[row, column]), int(bank.ends[row, column])
            if start + ends > width:
                continue
            line = bank.ids[row, column, :ends]
            ids[at, start : start + ends] = line
            owners[at, start : start + ends] = column
            places[at, start : start + ends] = np.arange(ends)
            wanted[at, start + given - 1 : start + ends - 1] = line[given:]
            start += ends
    return Lines(*map(torch.from_numpy, (ids, owners, places, wanted)))


class Speaker(nn.Module):
    """An InternVL whose projector and language model are trained, with what reads its tokens."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        # Any: what transformers declares of its models is looser than what is used here.
        self.model: Any = model
        tokenizer = speaker_words.whole()
        self.language.requires_grad_(True)
        self.projector.requires_grad_(True)
        self.opening, self.closing = tokenizer.convert_tokens_to_ids(
            [speaker_words.OPEN, speaker_words.CLOSE]
        )
        spelt = [tokenizer(word)["input_ids"][-1] for word in (*SHOWN, *THIRDS, *TINTS)]
        self.words: Tensor
        self.register_buffer("words", torch.tensor(spelt), persistent=False)
        self.scale = nn.Parameter(torch.tensor([ALIKE, UNLIKE]))
        _alike(self.language)

    @property
    def language(self) -> Any:
        """Return the language model."""
        return self.model.model.language_model

    @property
    def projector(self) -> Any:
        """Return what makes tokens of a tower's features."""
        return self.model.model.multi_modal_projector

    def forward(self, seen: Tensor, some: Lines | None) -> tuple[Tensor, Tensor | None]:
        """Return logits of labels, (views, tokens, labels), and of what is wanted, (wanted, words).

        `seen` is (views, tokens, width); without lines there are none of the latter.
        """
        tokens = self.projector(seen)
        return self._near(tokens), None if some is None else self._told(tokens, some)

    def _near(self, tokens: Tensor) -> Tensor:
        """Return how near tokens are to words, as logits."""
        words = self.language.get_input_embeddings().weight[self.words]
        cosines = functional.normalize(tokens, dim=-1) @ functional.normalize(words, dim=-1).T
        return cosines * self.scale[0] + self.scale[1]

    def _told(self, tokens: Tensor, some: Lines) -> Tensor:
        words = self.language.get_input_embeddings()
        views, first = len(tokens), tokens.shape[1] + 2
        ends = words.weight[[self.opening, self.closing]].expand(views, 2, -1)
        whole = torch.cat([ends[:, :1], tokens, ends[:, 1:], words(some.ids)], dim=1)
        places = torch.arange(first, device=tokens.device).expand(views, -1)
        states = self.language(
            inputs_embeds=whole,
            attention_mask=_mask(some.owners, first, whole.dtype),
            position_ids=torch.cat([places, some.places + first], dim=1),
            use_cache=False,
        ).last_hidden_state[:, first:]
        logits: Tensor = self.model.lm_head(states[some.wanted != IGNORED])
        return logits


def _alike(language: Any) -> None:
    """Have a new language model attend to what is alike, and pass on what it attends to.

    So lookups were learnt in fewer lines than from the weights that it is given.
    """
    with torch.no_grad():
        for layer in language.layers:
            attention = layer.self_attn
            attention.q_proj.weight.normal_(std=0.9 / math.sqrt(attention.q_proj.in_features))
            attention.k_proj.weight.copy_(attention.q_proj.weight)
            attention.o_proj.weight.copy_(attention.v_proj.weight.T)


def told_apart(model: Speaker, bank: Bank, seed: int) -> None:
    """Give each token that no line of a bank has a direction of its own.

    Embeddings are the head's weights, too, and training pushes all that is never said the same way:
    "[0]" and "[1]" would be one word to whoever goes on from here. Half of that push is left, so
    that they are as little said as before.
    """
    weight = model.language.get_input_embeddings().weight
    taught = torch.from_numpy(np.unique(bank.ids.astype(np.int64)))
    unsaid = torch.ones(len(weight), dtype=torch.bool)
    unsaid[taught] = False
    unsaid[[model.opening, model.closing]] = False
    generator = torch.Generator().manual_seed(seed)
    own = torch.randn(int(unsaid.sum()), weight.shape[1], generator=generator).to(weight.device)
    with torch.no_grad():
        common = weight[unsaid].mean(dim=0)
        along = functional.normalize(common, dim=0)
        own -= (own @ along)[:, None] * along
        weight[unsaid] = common / 2 + APART * functional.normalize(own, dim=1)


def _mask(owners: Tensor, first: int, dtype: torch.dtype) -> Tensor:
    """Return what is added to attention, (views, 1, tokens, tokens): a line sees no other line."""
    views, width = owners.shape
    ours = torch.cat([owners.new_full((views, first), NOBODYS - 1), owners], dim=1)
    seen = (ours[:, None, :] == ours[:, :, None]) | (ours[:, None, :] < NOBODYS)
    total = first + width
    before = torch.ones(total, total, dtype=torch.bool, device=owners.device).tril()
    added = torch.zeros(views, 1, total, total, dtype=dtype, device=owners.device)
    return added.masked_fill_(~(seen & before)[:, None], torch.finfo(dtype).min)


class LabelTask:
    """Views by number: the projector learns to say in words what a token shows."""

    def __init__(self, model: Speaker, bank: Bank) -> None:
        self.model = model
        self.bank = bank

    def losses(
        self, model: nn.Module, rows: Sequence[int], generator: torch.Generator
    ) -> StepLosses:
        """Return the loss of the labels."""
        seen = _seen(self.bank, rows, self.model)
        labels, _ = model(seen, None)
        loss = _labelled(labels, self.bank, rows)
        return StepLosses(loss, (("labels", loss),))


class SpeakTask:
    """Views by number, each time with other questions, of `width` tokens in all."""

    def __init__(self, model: Speaker, bank: Bank, width: int) -> None:
        self.model = model
        self.bank = bank
        self.width = width

    def losses(
        self, model: nn.Module, rows: Sequence[int], generator: torch.Generator
    ) -> StepLosses:
        """Return how unlikely the answers are, and the loss of the labels."""
        questions = self.bank.ids.shape[1]
        order = [torch.randperm(questions, generator=generator).tolist() for _ in rows]
        seen = _seen(self.bank, rows, self.model)
        some = lines(self.bank, rows, order, self.width).to(seen.device)
        labels, told = model(seen, some)
        spoken = functional.cross_entropy(told.float(), some.wanted[some.wanted != IGNORED])
        loss = _labelled(labels, self.bank, rows)
        return StepLosses(spoken + loss, (("spoken", spoken), ("labels", loss)))


@torch.no_grad()
def right(model: Speaker, bank: Bank) -> dict[str, float]:
    """Return the share of questions, by kind, whose answer greedy writing would give in full."""
    marks: dict[int, list[bool]] = {kind: [] for kind in range(len(KINDS))}
    every = range(bank.ids.shape[1])
    for row in range(len(bank)):
        some = lines(bank, [row], [every], int(bank.ends[row].sum()))
        seen = _seen(bank, [row], model)
        _, told = model.eval()(seen, some.to(seen.device))
        assert told is not None
        wanted = some.wanted[some.wanted != IGNORED]
        good = told.argmax(dim=-1).cpu() == wanted
        of = some.owners[some.wanted != IGNORED]
        for column in every:
            marks[int(bank.kinds[row, column])].append(bool(good[of == column].all()))
    named = zip(KINDS, marks.values(), strict=True)
    return {name: round(sum(found) / len(found), 4) for name, found in named if found}


def _seen(bank: Bank, rows: Sequence[int], model: Speaker) -> Tensor:
    device = model.scale.device
    return bank.seen[torch.tensor(rows)].to(device).float()


def _labelled(labels: Tensor, bank: Bank, rows: Sequence[int]) -> Tensor:
    """Return the loss of labels: what tokens show, where they stand, what covers them."""
    shows = torch.from_numpy(bank.shows[list(rows)]).float()
    columns = torch.arange(SIDE * SIDE) % SIDE * len(THIRDS) // SIDE
    thirds = functional.one_hot(columns, len(THIRDS)).float().expand(len(rows), -1, -1)
    known = torch.cat([shows[..., : len(SHOWN)], thirds, shows[..., len(SHOWN) :]], dim=-1)
    loss = functional.binary_cross_entropy_with_logits(labels.float(), known.to(labels.device))
    return loss * LOUD
