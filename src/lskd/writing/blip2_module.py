"""BLIP-2 as a module with a loss: what is trained in it, and how prompt and picture are joined.

In: features of views and lines about them. Out: the targets' negative log-likelihood, with
gradients on Q-Former, queries and projection alone. Picture tokens are made once for all lines of a
view, and where an encoder reads the prompt, equal prompts are read once.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lskd.writing import packing, prefix
from lskd.writing.layers import layers_of, recomputed
from lskd.writing.masks import IGNORED, Row, Speller, check_learnt, padded, summed
from lskd.writing.writer import Line, Sight

TRAINED = re.compile(r"query_tokens|qformer\.|language_projection\.")
LN_VISION = re.compile(r"vision_model\.post_layernorm\.")
# The Q-Former's side for text, which some files have: it is not used in writing.
UNUSED = re.compile(r"qformer\.encoder\.layer\.\d+\.(intermediate|output)\.")


class Blip2Module(nn.Module):
    """The model and its loss. Vision tower and language model never drop out.

    If it is `packed`, lines about one view are read together, see `packing`.
    """

    def __init__(self, model: Any, speller: Speller, ln_vision: bool) -> None:
        """Freeze all but what is trained, and that in float32."""
        super().__init__()
        # Any: what transformers declares of its models is looser than what is used here.
        self.model: Any = model
        self.speller = speller
        self.packed = False
        model.requires_grad_(False)
        for name, weight in model.named_parameters():
            wanted = TRAINED.match(name) or (ln_vision and LN_VISION.match(name))
            if wanted and not UNUSED.match(name):
                weight.data = weight.data.float()
                weight.requires_grad_(True)
        # A mixture of both kinds within the Q-Former would not run.
        model.qformer.float()
        self.eval()

    @property
    def encodes(self) -> bool:
        """Return whether an encoder reads the prompt, as in T5."""
        return not self.model.config.use_decoder_only_language_model

    def layers(self) -> list[nn.Module]:
        """Return the layers of the language model, for `training.sharding`."""
        return layers_of(self.model.language_model)

    def train(self, mode: bool = True) -> "Blip2Module":
        """Set what is trained to training; what is frozen stays as it is asked."""
        super().train(mode)
        self.model.vision_model.eval()
        self.model.language_model.eval()
        for layer in recomputed(self.model.language_model):
            layer.training = mode  # it recomputes only if it takes itself to be trained
        return self

    def forward(self, sights: Sequence[Sight], lines: Sequence[Line]) -> tuple[Tensor, Tensor]:
        """Return the sum of the targets' negative log-likelihood, and the number of tokens."""
        rows = [self.speller.row(line, number) for number, line in enumerate(lines)]
        check_learnt(rows)
        used = sorted({line.view for line in lines})
        seen = self.pictures([sights[view] for view in used])
        place = {view: number for number, view in enumerate(used)}
        views = [place[line.view] for line in lines]
        if self.encodes:
            return summed(*self._decoded(seen, views, rows))
        return summed(*(self._together if self.packed else self._continued)(seen, views, rows))

    def pictures(self, sights: Sequence[Sight]) -> Tensor:
        """Return picture tokens as the language model reads them, (views, queries, width)."""
        model = self.model
        norm, words = model.vision_model.post_layernorm, self._words
        features = torch.stack([sight.features for sight in sights]).to(norm.weight)
        seen = norm(features)  # (views, patches, width)
        queries = model.qformer(
            query_embeds=model.query_tokens.expand(len(sights), -1, -1),
            encoder_hidden_states=seen,
        ).last_hidden_state
        told: Tensor = model.language_projection(queries.to(model.language_projection.weight.dtype))
        return told.to(words.weight.dtype)

    def given(self, seen: Tensor, row: Row) -> Tensor:
        """Return embeddings, (tokens, width), of what stands before a target about a view."""
        return torch.cat([self.embedded(row.before), seen, self.embedded(row.after)])

    def embedded(self, ids: Sequence[int]) -> Tensor:
        """Return embeddings of tokens, (tokens, width)."""
        words = self._words
        told: Tensor = words(torch.tensor(ids, dtype=torch.int64, device=words.weight.device))
        return told

    @property
    def _words(self) -> Any:
        return self.model.language_model.get_input_embeddings()

    def _continued(
        self, seen: Tensor, views: Sequence[int], rows: Sequence[Row]
    ) -> tuple[Tensor, Tensor]:
        """Return logits and labels of a decoder, at the places from the first target on."""
        pairs = list(zip(views, rows, strict=True))
        texts = prefix.stacked(
            [torch.cat([self.given(seen[v], row), self.embedded(row.target)]) for v, row in pairs]
        )
        labels = padded([row.labels(seen.shape[1]) for row in rows], IGNORED).to(seen.device)
        first = int((labels != IGNORED).any(dim=0).nonzero()[0])
        keep = labels.shape[1] - first + 1  # a token is told by the state before it
        logits: Tensor = self.model.language_model(
            inputs_embeds=texts.embeds,
            attention_mask=texts.mask,
            logits_to_keep=keep,
            use_cache=False,
        ).logits
        return logits[:, :-1], labels[:, first:]

    def _together(
        self, seen: Tensor, views: Sequence[int], rows: Sequence[Row]
    ) -> tuple[Tensor, Tensor]:
        """Return logits, (packs, learnt, vocabulary), and labels, of rows that are packed."""
        packs = packing.packs(views, rows)
        some = [[rows[number] for number in pack.rows] for pack in packs]
        both = list(zip(packs, some, strict=True))
        texts = [[n for row in few for n in (*row.after, *row.target)] for few in some]
        before = [[self.embedded(few[0].before), seen[pack.view]] for pack, few in both]
        embeds = prefix.stacked(
            [
                torch.cat([*given, self.embedded(text)])
                for given, text in zip(before, texts, strict=True)
            ]
        ).embeds
        language = self.model.language_model
        how = packing.laid(some, seen.shape[1]).to(embeds.device)
        learnt = how.learnt
        logits: Tensor = language(
            inputs_embeds=embeds,
            attention_mask=how.mask(language.config._attn_implementation, embeds.dtype),
            position_ids=how.places,
            logits_to_keep=learnt,
            use_cache=False,
        ).logits
        return logits, how.labels[:, learnt]

    def _decoded(
        self, seen: Tensor, views: Sequence[int], rows: Sequence[Row]
    ) -> tuple[Tensor, Tensor]:
        """Return logits and labels of a decoder behind an encoder; equal prompts are read once."""
        asked = Asks.of(views, rows)
        language = self.model.language_model
        read = prefix.encoded(language, [self.given(seen[v], rows[n]) for v, n in asked.first])
        labels = padded([row.target for row in rows], IGNORED).to(seen.device)
        return prefix.written_behind(
            language, read, asked.which, shifted(language, labels), labels != IGNORED
        ), labels


@dataclass(frozen=True, slots=True)
class Asks:
    """Distinct prompts of some rows: view and row of the `first` of each, and `which` a row has."""

    first: tuple[tuple[int, int], ...]
    which: tuple[int, ...]

    @classmethod
    def of(cls, views: Sequence[int], rows: Sequence[Row]) -> "Asks":
        """Return what is asked by rows about views."""
        places: dict[tuple[int, tuple[int, ...]], int] = {}
        first: list[tuple[int, int]] = []
        which: list[int] = []
        for number, (view, row) in enumerate(zip(views, rows, strict=True)):
            key = view, row.after
            if key not in places:
                places[key] = len(first)
                first.append((view, number))
            which.append(places[key])
        return cls(tuple(first), tuple(which))


def shifted(language: Any, labels: Tensor) -> Tensor:
    """Return what a decoder behind an encoder reads to tell its labels, (rows, tokens)."""
    config = language.config
    ids = labels.where(labels != IGNORED, torch.full_like(labels, config.pad_token_id or 0))
    start = torch.full_like(ids[:, :1], config.decoder_start_token_id)
    return torch.cat([start, ids[:, :-1]], dim=1)
