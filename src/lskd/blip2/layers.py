"""A layer of the Q-Former: queries and words are two streams that meet in the self-attention.

They have feed-forwards of their own, and only queries look at the image. transformers keeps both in
one tensor, which each layer cuts and joins again: copies were a fifth of a matching pass of the
lab's student with its gradients. Modules are those of transformers' layer and keep their names.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.modeling_layers import GradientCheckpointingLayer

from lskd.blip2.memory import Seats, Seen
from lskd.blip2.size import Attention, QFormerSize


@dataclass(frozen=True, slots=True)
class Streams:
    """States of the queries, (rows, queries, width), and of words, (rows, tokens, width).

    A pass without an image has no queries, one without a text no words.
    """

    queries: Tensor | None
    words: Tensor | None

    def both(self) -> list[Tensor]:
        """Return those that are there, queries first."""
        return [states for states in (self.queries, self.words) if states is not None]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a layer is asked for: states of all queries, and of the first `words`, None for all.

    `mask`, to be broadcast to (rows, heads, states, all), is True where one may look, or added to
    the scores where attention is eager.
    """

    mask: Tensor | None
    words: int | None = None

    def of(self, given: Streams) -> Streams:
        """Return the states of a layer's input that its output has."""
        if self.words is None or given.words is None:
            return given
        return Streams(given.queries, given.words[:, : self.words] if self.words else None)


class Projection(nn.Module):
    """Image features become the keys and values of one layer."""

    def __init__(self, vision_width: int, size: QFormerSize) -> None:
        super().__init__()
        self.key = nn.Linear(vision_width, size.width)
        self.value = nn.Linear(vision_width, size.width)
        self.heads = size.heads

    def forward(self, image: Tensor) -> Seen:
        """Return them apart by heads, copied once here instead of in each pass that looks."""
        keys, values = self.key(image), self.value(image)
        return (
            by_head(keys, self.heads).contiguous(),
            by_head(values, self.heads).contiguous(),
        )


class _Attention(nn.Module):
    """How the attentions of all layers weigh values, in heads."""

    def __init__(self, replaced: Any, size: QFormerSize, attention: Attention) -> None:
        super().__init__()
        self.heads = size.heads
        self.dropout: float = replaced.attention.attention_dropout
        self.kind = attention

    def attend(
        self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """Return what is found, all (rows, heads, n, width / heads), the mask as in `Asked`."""
        dropout = self.dropout if self.training else 0.0
        if self.kind == "sdpa":
            return functional.scaled_dot_product_attention(queries, keys, values, mask, dropout)
        # Queries are divided and not the scores, which are many more.
        scores = queries / math.sqrt(queries.shape[-1]) @ keys.transpose(2, 3)
        scores = scores if mask is None else scores + mask
        return functional.dropout(scores.softmax(dim=-1), dropout) @ values


class _SelfAttention(_Attention):
    """Stands in a layer for its self-attention, and makes no more states than are asked for."""

    def __init__(self, replaced: Any, size: QFormerSize, attention: Attention) -> None:
        super().__init__(replaced, size, attention)
        self.attention: Any = replaced.attention  # its weights keep their names
        self.output: nn.Module = replaced.output

    def forward(self, given: Streams, asked: Asked) -> Streams:
        """Return what both streams see in each other, of the states that are asked for."""
        made, wanted = self.attention, asked.of(given)
        seen = [rounded(states) for states in given.both()]
        # Rounded once for three projections, but for words of which not all are asked for.
        asking = seen if wanted is given else [rounded(states) for states in wanted.both()]
        keys, values = self._joined(made.key, seen), self._joined(made.value, seen)
        found = self.attend(self._joined(made.query, asking), keys, values, asked.mask)
        lengths = [states.shape[1] for states in wanted.both()]
        parts = iter(torch.split(found, lengths, dim=2))
        queries, words = (
            None if before is None else self.output(_flat(next(parts)), before)
            for before in (wanted.queries, wanted.words)
        )
        return Streams(queries, words)

    def _joined(self, project: nn.Module, streams: Sequence[Tensor]) -> Tensor:
        """Return projections of all streams by heads, in the one copy that a product needs."""
        parts = [by_head(project(states), self.heads) for states in streams]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)


class _CrossAttention(_Attention):
    """Stands in a layer for its cross-attention, and is given keys and values ready-made."""

    def __init__(self, replaced: Any, size: QFormerSize, attention: Attention) -> None:
        super().__init__(replaced, size, attention)
        self.query: nn.Linear = replaced.attention.query
        self.output: nn.Module = replaced.output

    def forward(self, queries: Tensor, seen: Seen, seats: Seats | None) -> Tensor:
        """Return (rows, queries, width); row r looks at view r // (rows / views), or at its seat.

        Queries do not see each other here, so those of all rows of a view may form one long row:
        (rows, queries, width) -> (views, rows / views * queries, width). Nothing is copied.
        """
        keys, values = seen
        asked: Tensor = self.query(queries)
        if seats is not None:
            empty = asked.new_zeros(len(keys) * seats.each, *asked.shape[1:])
            asked = empty.index_copy(0, seats.of, asked)
        folded = asked.reshape(len(keys), -1, asked.shape[-1])
        found = _flat(self.attend(by_head(folded, self.heads), keys, values))
        found = found.reshape(-1, *asked.shape[1:])
        if seats is not None:
            found = found.index_select(0, seats.of)
        looked: Tensor = self.output(found, queries)
        return looked


class Layer(GradientCheckpointingLayer):  # type: ignore[no-untyped-call]  # transformers' own
    """Stands in the Q-Former for one of transformers' layers, whose modules it takes over."""

    def __init__(self, replaced: Any, size: QFormerSize, attention: Attention) -> None:
        super().__init__()
        self.attention = _SelfAttention(replaced.attention, size, attention)
        self.crossattention = (
            _CrossAttention(replaced.crossattention, size, attention)
            if replaced.has_cross_attention
            else None
        )
        self.intermediate = replaced.intermediate
        self.output = replaced.output
        self.intermediate_query = replaced.intermediate_query
        self.output_query = replaced.output_query

    def forward(
        self, given: Streams, asked: Asked, seen: Seen | None = None, seats: Seats | None = None
    ) -> Streams:
        """Return both streams one layer on; queries look at what is seen of the image, if any."""
        met = self.attention(given, asked)
        queries, words = met.queries, met.words
        if queries is not None:
            if self.crossattention is not None and seen is not None:
                queries = self.crossattention(queries, seen, seats)
            queries = self.output_query(self.intermediate_query(queries), queries)
        if words is not None:
            words = self.output(self.intermediate(words), words)
        return Streams(queries, words)


def by_head(states: Tensor, heads: int) -> Tensor:
    """Return (rows, n, width) as (rows, heads, n, width / heads)."""
    rows, count, width = states.shape
    return states.reshape(rows, count, heads, width // heads).transpose(1, 2)


def rounded(states: Tensor) -> Tensor:
    """Return states as autocast gives them to a projection, which would do it anew for each."""
    return states.to(projected(states))


def projected(states: Tensor) -> torch.dtype:
    """Return the kind that projections of states have."""
    device = states.device.type
    lowered = torch.is_autocast_enabled(device)
    return torch.get_autocast_dtype(device) if lowered else states.dtype


def _flat(states: Tensor) -> Tensor:
    """Return (rows, heads, n, width / heads) as (rows, n, width)."""
    return states.transpose(1, 2).flatten(2)
