"""The Q-Former on image features and texts: four passes over one stack of layers.

The keys and values of its cross-attention depend on the image alone. They are made once per view,
as a `Memory`, and shared by all texts about the view and by all passes of a training step; that
projection is half of the operations of a matching pass. Of the last layer, only those states are
made that a pass returns: to the others it is all the same. Under autocast states begin in its kind,
and stay so wherever its norms return what they are given, as on a processor.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import Blip2QFormerConfig, Blip2QFormerModel
from transformers.models.blip_2.modeling_blip_2 import Blip2TextEmbeddings

from lskd.blip2.layers import Asked, Layer, Projection, Streams, projected, rounded
from lskd.blip2.memory import Memory
from lskd.blip2.size import Attention, QFormerSize
from lskd.blip2.text import Texts
from lskd.errors import UserError


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
            {str(n): Projection(vision_width, size) for n in size.cross_layers}
        )
        layers = self.model.encoder.layer
        for n, layer in enumerate(layers):
            layers[n] = Layer(layer, size, attention)
        for weight in (self.query_tokens, *self.embeddings.parameters()):
            nn.init.normal_(weight, std=config.initializer_range)
        for name, weight in self.memory.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(weight)
            else:
                nn.init.normal_(weight, std=config.initializer_range)

    def remember(self, image: Tensor) -> Memory:
        """Return the memory of normed image features, (views, tokens, vision width)."""
        image = rounded(image)
        return Memory({int(n): project(image) for n, project in self.memory.items()})

    def look(self, memory: Memory) -> Tensor:
        """Return what the queries see without any text, (views, queries, width)."""
        looked = self._layers(Streams(self._asking(memory.views), None), None, memory)
        return _there(looked.queries)

    def read(self, texts: Texts) -> Tensor:
        """Return the state that tells of each text without any image, (texts, 1, width).

        It is that of [CLS].
        """
        mask = texts.mask[:, None, None, :].bool()  # (texts, 1, 1, tokens)
        return _there(self._layers(Streams(None, self._words(texts.ids)), mask, None, 1).words)

    def match(self, memory: Memory, texts: Texts) -> Tensor:
        """Return what the queries see beside a text, (texts, queries, width).

        Queries and text see each other.
        The texts are in the order of the views, equally many for each, or sit as the memory says.
        """
        seen = texts.mask.new_ones(len(texts), self.size.queries)
        mask = torch.cat([seen, texts.mask], dim=1)[:, None, None, :].bool()
        return _there(self._layers(self._both(texts), mask, memory, 0).queries)

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
        written = self._layers(self._both(texts), mask, memory)
        return _there(written.queries), _there(written.words)

    def _both(self, texts: Texts) -> Streams:
        return Streams(self._asking(len(texts)), self._words(texts.ids))

    def _asking(self, rows: int) -> Tensor:
        """Return the first states of the queries, (rows, queries, width)."""
        normed = rounded(self.model.layernorm(self.query_tokens))
        asking: Tensor = self.model.dropout(normed.expand(rows, -1, -1))
        return asking

    def _words(self, ids: Tensor) -> Tensor:
        """Return the first states of texts, (texts, tokens, width)."""
        if ids.shape[1] > self.size.positions:
            raise UserError(
                f"a text of {ids.shape[1]} tokens; this model reads at most {self.size.positions}"
            )
        normed = rounded(self.model.layernorm(self.embeddings(input_ids=ids)))
        words: Tensor = self.model.dropout(normed)
        return words

    def _layers(
        self, given: Streams, mask: Tensor | None, memory: Memory | None, words: int | None = None
    ) -> Streams:
        """Return the last layer's states, of words the first so many; the mask is True where seen.

        Where not all are wanted, the mask is the same for all.
        """
        if mask is not None and self.attention == "eager":  # which adds its mask to the scores
            # Of their kind: a mask in float32 would make float32 of scores that are bf16.
            kind = projected(given.both()[0])
            mask = torch.zeros_like(mask, dtype=kind).masked_fill(~mask, torch.finfo(kind).min)
        states, last = given, len(self.model.encoder.layer) - 1
        for n, layer in enumerate(self.model.encoder.layer):
            asked = Asked(mask, words if n == last else None)
            seen = None if memory is None else memory.layers.get(n)
            states = layer(states, asked, seen, None if memory is None else memory.seats)
        return states


def _there(states: Tensor | None) -> Tensor:
    assert states is not None, "a pass returns the streams that it was given"
    return states
