"""An image-text-to-text model as a module with a loss.

In: sights and lines about them. Out: the targets' negative log-likelihood, with gradients on what
is trained alone; and, without gradients, how likely targets are behind a prompt that was read once.
"""

import copy
import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lskd.writing import packing
from lskd.writing.layers import layers_of
from lskd.writing.masks import IGNORED, Row, check_learnt, means, padded, summed
from lskd.writing.pictures import Pictures
from lskd.writing.turns import Turns
from lskd.writing.writer import Line, Sight


class ChatModule(nn.Module):
    """The model and its loss; `held` is what PEFT makes of a model, or the bare model.

    If it is `packed`, lines about one view are read together, see `packing`.
    """

    def __init__(self, held: Any, turns: Turns, pictures: Pictures) -> None:
        super().__init__()
        # Any: what PEFT and transformers declare is looser than what is used here.
        self.held: Any = held
        self.adapted = hasattr(held, "get_base_model")
        self.packed = False
        self.turns = turns
        self.pictures = pictures
        self.keeps = "logits_to_keep" in inspect.signature(self.model.forward).parameters
        self.eval()

    @property
    def model(self) -> Any:
        """Return the model of transformers, its adapters in it if there are some."""
        return self.held.get_base_model() if self.adapted else self.held

    @property
    def pad(self) -> int:
        """Return the token that fills rows."""
        return self.turns.tokenizer.pad_token_id or 0

    def layers(self) -> list[nn.Module]:
        """Return the layers of the language model, for `training.sharding`."""
        return layers_of(self.model.get_decoder())

    def train(self, mode: bool = True) -> "ChatModule":
        """Set the language model to training; what looks at pictures stays as it is asked."""
        super().train(mode)
        decoder = self.model.get_decoder()
        for name, part in self.model.base_model.named_children():
            if part is not decoder and name != "lm_head":
                part.eval()
        return self

    def row(
        self, sight: Sight, line: Line, number: int = 0, new: int = 0, ended: bool = True
    ) -> Row:
        """Return a line about a sight as tokens; see `Turns.row`."""
        width, height, *_ = sight.grid
        opening = self.pictures.place((width, height)).opening
        return self.turns.row(line, opening, number, new, ended)

    def forward(self, sights: Sequence[Sight], lines: Sequence[Line]) -> tuple[Tensor, Tensor]:
        """Return the sum of the targets' negative log-likelihood, and the number of tokens."""
        seen = [sights[line.view] for line in lines]
        rows = [self.row(seen[n], line, n) for n, line in enumerate(lines)]
        check_learnt(rows)
        if self.packed:
            return summed(*self._together(sights, [line.view for line in lines], rows))
        return summed(*self.told(seen, rows))

    def _together(
        self, sights: Sequence[Sight], views: Sequence[int], rows: Sequence[Row]
    ) -> tuple[Tensor, Tensor]:
        """Return logits, (packs, learnt, vocabulary), and labels, of rows that are packed."""
        packs = packing.packs(views, rows)
        some = [[rows[number] for number in pack.rows] for pack in packs]
        ids = [
            (*few[0].before, *(n for row in few for n in (*row.after, *row.target))) for few in some
        ]
        how = packing.laid(some).to(self.model.device)
        text = self.model.config.get_text_config()
        learnt = how.learnt
        told = self.model(
            input_ids=self._placed(ids, self.pad),
            attention_mask=how.mask(text._attn_implementation, self.model.dtype),
            position_ids=how.places,
            use_cache=False,
            **({"logits_to_keep": learnt} if self.keeps else {}),
            **self.pictures.beside([sights[pack.view] for pack in packs], max(map(len, ids))),
        )
        logits: Tensor = told.logits if self.keeps else told.logits[:, learnt]
        return logits, how.labels[:, learnt]

    def told(self, sights: Sequence[Sight], rows: Sequence[Row]) -> tuple[Tensor, Tensor]:
        """Return logits, (rows, tokens, vocabulary), and labels, from the first target on.

        Padding is on the right: positions then are what they would be without it.
        """
        whole = [(*row.before, *row.after, *row.target) for row in rows]
        labels = self._placed([row.labels(0) for row in rows], IGNORED)
        first = int((labels != IGNORED).any(dim=0).nonzero()[0])
        logits = self._logits(
            {
                "input_ids": self._placed(whole, self.pad),
                "attention_mask": self._placed([[1] * len(row) for row in whole], 0),
                "use_cache": False,
                **self.pictures.beside(sights, max(map(len, whole))),
            },
            labels.shape[1] - first + 1,  # a token is told by the state before it
        )
        return logits[:, :-1], labels[:, first:]

    def asked(self, sights: Sequence[Sight], rows: Sequence[Row]) -> dict[str, Any]:
        """Return what `generate` reads of rows without targets, padded on the left."""
        given = [(*row.before, *row.after) for row in rows]
        longest = max(map(len, given))
        left = [longest - len(row) for row in given]
        mask = [[0] * many + [1] * (longest - many) for many in left]
        return {
            "input_ids": padded(given, self.pad, left=True).to(self.model.device),
            "attention_mask": self._placed(mask, 0),
            **self.pictures.beside(sights, longest, left),
        }

    def behind(self, sight: Sight, rows: Sequence[Row], most: int) -> list[float]:
        """Return the mean log-probability of a token of each target.

        All rows give the same; it is read once, and `most` targets are read behind it at a time.
        """
        if len(rows) == 1:
            return means(*self.told([sight], rows))
        given = (*rows[0].before, *rows[0].after)
        *read, last = given
        memory, position = self._remembered(sight, read)
        values: list[float] = []
        for start in range(0, len(rows), most):
            some = rows[start : start + most]
            labels = self._placed([row.target for row in some], IGNORED)
            many, width = labels.shape
            spread = copy.deepcopy(memory)  # a model writes to it what it reads
            spread.batch_repeat_interleave(many)
            ids = [(last, *row.target[:-1]) for row in some]
            mask = [[1] * (len(read) + len(row)) for row in ids]
            kinds = {
                name: torch.zeros(many, width, dtype=torch.int64, device=labels.device)
                for name, _ in self.pictures.place((sight.grid[0], sight.grid[1])).kinds
            }
            logits = self._logits(
                {
                    "input_ids": self._placed(ids, self.pad),
                    "attention_mask": self._placed(mask, 0),
                    "position_ids": self._positions(position, many, width),
                    "past_key_values": spread,
                    "use_cache": True,
                    **kinds,
                },
                width,
            )
            values += means(logits, labels)
        return values

    def _remembered(self, sight: Sight, read: Sequence[int]) -> tuple[Any, int]:
        """Return what the model remembers of a prompt, and the position of the token after it."""
        told = self.model(
            input_ids=self._placed([read], self.pad),
            attention_mask=self._placed([[1] * len(read)], 0),
            use_cache=True,
            **({"logits_to_keep": 1} if self.keeps else {}),
            **self.pictures.beside([sight], len(read)),
        )
        # Models that count rows and columns of a picture use fewer positions than tokens.
        fewer = getattr(self.model.base_model, "rope_deltas", None)
        return told.past_key_values, len(read) + (0 if fewer is None else int(fewer[0, 0]))

    def _positions(self, first: int, many: int, width: int) -> Tensor:
        """Return positions, (rows, tokens), or (axes, rows, tokens) where a model has axes."""
        places = torch.arange(first, first + width, device=self.model.device).expand(many, -1)
        axes = hasattr(self.model.base_model, "rope_deltas")
        return places.expand(3, -1, -1) if axes else places

    def _logits(self, given: dict[str, Any], keep: int) -> Tensor:
        """Return the logits of the last `keep` tokens, (rows, keep, vocabulary)."""
        told = self.model(**given, **({"logits_to_keep": keep} if self.keeps else {}))
        logits: Tensor = told.logits[:, -keep:]
        return logits

    def _placed(self, rows: Sequence[Sequence[int]], fill: int) -> Tensor:
        return padded(rows, fill).to(self.model.device)
