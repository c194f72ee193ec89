"""The Q-Former on image features and texts: four passes over one stack of layers.

The keys and values of its cross-attention depend on the image alone. They are made once per view,
as a `Memory`, and shared by all texts about the view and by all passes of a training step; that
projection is half of the operations of a matching pass. Of the last layer, only those states are
made that a pass returns: to the others it is all the same.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Blip2QFormerConfig, Blip2QFormerModel
from transformers.models.blip_2.modeling_blip_2 import Blip2TextEmbeddings

from lskd.blip2.size import Attention, QFormerSize
from lskd.blip2.text import Texts
from lskd.errors import UserError

Seen = tuple[Tensor, Tensor]  # keys and values, both (views, tokens, width)


@dataclass(frozen=True, slots=True)
class Seats:
    """Which view each row looks at, where not all views have equally many rows.

    Row r sits at `of`[r], (rows,) int64, of views * `each` seats; seats of one view follow each
    other, and some stay empty. So keys and values need not be repeated for each row: only queries
    are moved, which are few.
    """

    of: Tensor
    each: int


@dataclass(frozen=True, slots=True)
class Memory:
    """What the cross-attention of each layer that has one knows of some views.

    Rows look at it in the order of the views, equally many at each, or as `seats` tells.
    """

    layers: Mapping[int, Seen]
    seats: Seats | None = None

    @property
    def views(self) -> int:
        """Return the number of views."""
        return next(iter(self.layers.values()))[0].shape[0]

    @property
    def device(self) -> torch.device:
        """Return where the memory lies."""
        return next(iter(self.layers.values()))[0].device

    def seen_by(self, rows: Tensor) -> "Memory":
        """Return the memory for rows of which each looks at a view, (rows,) int64."""
        counts = torch.bincount(rows, minlength=self.views)
        order = rows.argsort(stable=True)
        first = counts.cumsum(0) - counts  # where the rows of each view begin in that order
        place = torch.empty_like(rows)
        place[order] = torch.arange(len(rows), device=rows.device) - first[rows[order]]
        each = int(counts.max())
        return replace(self, seats=Seats(rows * each + place, each))

    def join(self, other: "Memory") -> "Memory":
        """Return these views, and then those of another memory; nobody looks at them yet."""
        return Memory(
            {
                n: (torch.cat([keys, other.layers[n][0]]), torch.cat([values, other.layers[n][1]]))
                for n, (keys, values) in self.layers.items()
            }
        )


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a layer's self-attention is asked for: the first `states`, None for all of them.

    `mask`, to be broadcast to (rows, heads, states, all), is True where one may look, or added to
    the scores where attention is eager.
    """

    mask: Tensor | None
    states: int | None


class _Projection(nn.Module):
    """Image features become the keys and values of one layer."""

    def __init__(self, vision_width: int, width: int) -> None:
        super().__init__()
        self.key = nn.Linear(vision_width, width)
        self.value = nn.Linear(vision_width, width)

    def forward(self, image: Tensor) -> Seen:
        return self.key(image), self.value(image)


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
        """Return (rows, queries, width) from states of that width, the mask as in `_Asked`."""
        queries, keys, values = (self._by_head(states) for states in (queries, keys, values))
        dropout = self.dropout if self.training else 0.0
        if self.kind == "sdpa":
            found = functional.scaled_dot_product_attention(queries, keys, values, mask, dropout)
        else:
            # Queries are divided and not the scores, which are many more.
            scores = queries / math.sqrt(queries.shape[-1]) @ keys.transpose(2, 3)
            scores = scores if mask is None else scores + mask
            found = functional.dropout(scores.softmax(dim=-1), dropout) @ values
        return found.transpose(1, 2).flatten(2)  # (rows, heads, n, width / heads) -> (.., width)

    def _by_head(self, states: Tensor) -> Tensor:
        """Return (rows, n, width) as (rows, heads, n, width / heads)."""
        return states.reshape(*states.shape[:2], self.heads, -1).transpose(1, 2)


class _SelfAttention(_Attention):
    """Stands in a layer for its self-attention, and makes no more states than are asked for."""

    def __init__(self, replaced: Any, size: QFormerSize, attention: Attention) -> None:
        super().__init__(replaced, size, attention)
        self.attention: Any = replaced.attention  # its weights keep their names
        self.output: nn.Module = replaced.output

    def forward(self, hidden_states: Tensor, attention_mask: _Asked, **_: object) -> Tensor:
        """Return (rows, states, width) of hidden states, (rows, all, width)."""
        made, wanted = self.attention, hidden_states[:, : attention_mask.states]
        keys, values = made.key(hidden_states), made.value(hidden_states)
        found = self.attend(made.query(wanted), keys, values, attention_mask.mask)
        looked: Tensor = self.output(found, wanted)
        return looked


class _CrossAttention(_Attention):
    """Stands in a layer for its cross-attention, and is given keys and values ready-made."""

    def __init__(self, replaced: Any, size: QFormerSize, attention: Attention) -> None:
        super().__init__(replaced, size, attention)
        self.query: nn.Linear = replaced.attention.query
        self.output: nn.Module = replaced.output

    def forward(
        self,
        hidden_states: Tensor,
        encoder_hidden_states: tuple[Seen, Seats | None],
        **_: object,
    ) -> Tensor:
        """Return (rows, queries, width); row r looks at view r // (rows / views), or at its seat.

        Queries do not see each other here, so those of all rows of a view may form one long row:
        (rows, queries, width) -> (views, rows / views * queries, width). Nothing is copied.
        """
        (keys, values), seats = encoder_hidden_states
        asked: Tensor = self.query(hidden_states)
        if seats is not None:
            empty = asked.new_zeros(len(keys) * seats.each, *asked.shape[1:])
            asked = empty.index_copy(0, seats.of, asked)
        folded = asked.reshape(len(keys), -1, asked.shape[-1])
        found = self.attend(folded, keys, values).reshape(-1, *asked.shape[1:])
        if seats is not None:
            found = found.index_select(0, seats.of)
        looked: Tensor = self.output(found, hidden_states)
        return looked


class QFormer(nn.Module):
    """Query tokens, text embeddings and the layers of transformers' Blip2QFormerModel."""

    def __init__(
        self,
        size: QFormerSize,
        vision_width: int,
        attention: Attention = "sdpa",
        dropout: float = 0.1,  # as BERT's
    ) -> None:
        super().__init__()
        config = Blip2QFormerConfig(
            vocab_size=size.vocabulary,
            hidden_size=size.width,
            num_hidden_layers=size.depth,
            num_attention_heads=size.heads,
            intermediate_size=size.mlp,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
            max_position_embeddings=size.positions,
            cross_attention_frequency=size.cross_every,
            encoder_hidden_size=vision_width,
            use_qformer_text_input=True,
        )
        self.size = size
        self.attention = attention
        self.query_tokens = nn.Parameter(torch.empty(1, size.queries, size.width))
        # Any: what transformers declares of its models is looser than what is used here.
        embeddings: Any = Blip2TextEmbeddings
        model: Any = Blip2QFormerModel
        self.embeddings: Any = embeddings(config)
        self.model: Any = model._from_config(config, attn_implementation=attention)
        self.memory = nn.ModuleDict(
            {str(n): _Projection(vision_width, size.width) for n in size.cross_layers}
        )
        for n, layer in enumerate(self.model.encoder.layer):
            layer.attention = _SelfAttention(layer.attention, size, attention)
            if n in size.cross_layers:
                layer.crossattention = _CrossAttention(layer.crossattention, size, attention)
        for weight in (self.query_tokens, *self.embeddings.parameters()):
            nn.init.normal_(weight, std=config.initializer_range)
        for name, weight in self.memory.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(weight)
            else:
                nn.init.normal_(weight, std=config.initializer_range)

    def remember(self, image: Tensor) -> Memory:
        """Return the memory of normed image features, (views, tokens, vision width)."""
        return Memory({int(n): project(image) for n, project in self.memory.items()})

    def look(self, memory: Memory) -> Tensor:
        """Return what the queries see without any text, (views, queries, width)."""
        hidden = self.query_tokens.expand(memory.views, -1, -1)
        return self._layers(hidden, None, memory, self.size.queries)

    def read(self, texts: Texts) -> Tensor:
        """Return the state that tells of each text without any image, (texts, 1, width).

        It is that of [CLS].
        """
        mask = texts.mask[:, None, None, :].bool()  # (texts, 1, 1, tokens)
        return self._layers(self._embedded(texts.ids), mask, None, 0, states=1)

    def match(self, memory: Memory, texts: Texts) -> Tensor:
        """Return what the queries see beside a text, (texts, queries, width).

        Queries and text see each other.
        The texts are in the order of the views, equally many for each, or sit as the memory says.
        """
        queries = self.size.queries
        seen = texts.mask.new_ones(len(texts), queries)
        mask = torch.cat([seen, texts.mask], dim=1)[:, None, None, :].bool()
        embedded = self._embedded(texts.ids, self.query_tokens)
        return self._layers(embedded, mask, memory, queries, states=queries)

    def write(self, memory: Memory, texts: Texts) -> tuple[Tensor, Tensor]:
        """Return (views, queries, width) as `look` does, and (texts, tokens, width) to write from.

        One pass under the mask of UniLM: queries see queries, and a text sees the queries and its
        own past. There is one text for each view or seat, whose first id is [DEC].
        """
        queries, tokens = self.size.queries, texts.ids.shape[1]
        rows = torch.arange(queries + tokens, device=texts.ids.device)
        past = (rows[None, :] <= rows[:, None]) | (rows[None, :] < queries)
        seen = texts.mask.new_ones(len(texts), queries)
        known = torch.cat([seen, texts.mask], dim=1).bool()
        mask = (past[None] & known[:, None, :])[:, None]  # (texts, 1, all, all)
        hidden = self._layers(self._embedded(texts.ids, self.query_tokens), mask, memory, queries)
        return hidden[:, :queries], hidden[:, queries:]

    def _embedded(self, ids: Tensor, queries: Tensor | None = None) -> Tensor:
        """Return embeddings of the queries, if any, then of the text: (texts, all, width)."""
        if ids.shape[1] > self.size.positions:
            raise UserError(
                f"a text of {ids.shape[1]} tokens; this model reads at most {self.size.positions}"
            )
        before = None if queries is None else queries.expand(ids.shape[0], -1, -1)
        embedded: Tensor = self.embeddings(input_ids=ids, query_embeds=before)
        return embedded

    def _layers(
        self,
        embedded: Tensor,
        mask: Tensor | None,
        memory: Memory | None,
        queries: int,
        states: int | None = None,
    ) -> Tensor:
        """Return the first `states` of the last layer, or all; the mask is True where one may look.

        Where not all are wanted, the mask is the same for all.
        """
        hidden: Tensor = self.model.dropout(self.model.layernorm(embedded))
        if mask is not None and self.attention == "eager":  # which adds its mask to the scores
            mask = torch.zeros_like(mask, dtype=hidden.dtype).masked_fill(
                ~mask, torch.finfo(hidden.dtype).min
            )
        last = len(self.model.encoder.layer) - 1
        for n, layer in enumerate(self.model.encoder.layer):
            asked = _Asked(mask, states if n == last else None)
            known = memory is not None and n in memory.layers
            seen = (memory.layers[n], memory.seats) if memory is not None and known else None
            hidden = layer(hidden, asked, seen, query_length=queries)
        return hidden
