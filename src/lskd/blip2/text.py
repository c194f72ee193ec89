"""Texts become token ids, and token ids a batch that is padded to its longest."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor
from transformers import BertTokenizer

from lskd.errors import UserError

PAD = 0


@dataclass(frozen=True, slots=True)
class Texts:
    """A batch of texts: `ids` and `mask`, both (texts, tokens), int64; the mask is 1 or 0."""

    ids: Tensor
    mask: Tensor

    def __len__(self) -> int:
        return self.ids.shape[0]

    def to(self, device: torch.device) -> "Texts":
        """Return the same texts on a device."""
        return Texts(self.ids.to(device), self.mask.to(device))

    def take(self, rows: Tensor) -> "Texts":
        """Return the texts of some rows, (rows,) int64."""
        return Texts(self.ids[rows], self.mask[rows])

    def padded(self, tokens: int) -> "Texts":
        """Return the same texts in a longer batch."""
        short = tokens - self.ids.shape[1]
        pad = torch.nn.functional.pad
        return self if short == 0 else Texts(pad(self.ids, (0, short)), pad(self.mask, (0, short)))


class Tokenizer:
    """BERT's WordPiece with [DEC] as its last entry, which starts a text that is to be written."""

    def __init__(self, vocabulary: Path) -> None:
        if not vocabulary.is_file():
            raise UserError(f"no vocabulary at {vocabulary}: a vocab.txt of BERT is needed")
        self._bert = BertTokenizer(str(vocabulary), do_lower_case=True)
        self._bert.add_special_tokens({"bos_token": "[DEC]"})
        if self._bert.pad_token_id != PAD:
            raise UserError(f"{vocabulary} does not begin with [PAD]: it is no vocab.txt of BERT")

    def __len__(self) -> int:
        return len(self._bert)

    @property
    def decode_id(self) -> int:
        """Return the id of [DEC]."""
        return int(self._bert.bos_token_id)

    def encode(self, texts: Sequence[str], limit: int) -> list[tuple[int, ...]]:
        """Return the ids of each text, [CLS] ... [SEP], at most `limit` of them."""
        if not texts:
            return []
        encoded = self._bert(list(texts), truncation=True, max_length=limit)
        return [tuple(ids) for ids in encoded["input_ids"]]

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Return how many ids each text has when nothing is cut off."""
        return [len(ids) for ids in self._bert(list(texts))["input_ids"]] if texts else []


def collate(encoded: Sequence[Sequence[int]]) -> Texts:
    """Return the texts as one batch, padded to the longest of them."""
    lengths = torch.tensor([len(ids) for ids in encoded])
    mask = torch.arange(int(lengths.max())) < lengths[:, None]
    ids = torch.full(mask.shape, PAD, dtype=torch.int64)
    ids[mask] = torch.tensor(list(chain.from_iterable(encoded)))
    return Texts(ids, mask.long())


def to_write(texts: Texts, decode_id: int) -> Tensor:
    """Return the ids that the language head reads: [DEC] in place of [CLS]; (texts, tokens)."""
    ids = texts.ids.clone()
    ids[:, 0] = decode_id
    return ids
