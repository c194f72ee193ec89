"""Token ids, padding and what a text to be written looks like."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lskd.blip2.text import Tokenizer, collate, to_write
from lskd.errors import UserError

VOCABULARY = Path(__file__).parents[1] / "golden" / "blip2" / "vocab.txt"


def test_dec_is_the_last_entry_of_the_vocabulary() -> None:
    tokenizer = Tokenizer(VOCABULARY)
    assert tokenizer.decode_id == len(tokenizer) - 1 == 63


def test_a_long_text_is_cut_to_the_limit_and_still_ends() -> None:
    tokenizer = Tokenizer(VOCABULARY)
    text = "what is [0] holding? a red hat."
    (cut,) = tokenizer.encode([text], 6)
    assert len(cut) == 6 and cut[0] == 2 and cut[-1] == 3
    assert tokenizer.lengths([text]) == [len(tokenizer.encode([text], 99)[0])]
    assert tokenizer.encode([], 6) == [] and tokenizer.lengths([]) == []


def test_a_missing_or_foreign_vocabulary_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no vocabulary"):
        Tokenizer(tmp_path / "vocab.txt")
    (tmp_path / "vocab.txt").write_text("hello\nworld\n[UNK]\n[CLS]\n[SEP]\n[PAD]\n[MASK]\n")
    with pytest.raises(UserError, match=r"does not begin with \[PAD\]"):
        Tokenizer(tmp_path / "vocab.txt")


@given(
    st.lists(st.lists(st.integers(1, 63), min_size=1, max_size=9), min_size=1, max_size=6),
    st.integers(0, 4),
)
def test_a_batch_gives_back_its_texts(encoded: list[list[int]], more: int) -> None:
    texts = collate(encoded)
    longer = texts.padded(texts.ids.shape[1] + more)
    assert len(texts) == len(encoded)
    assert texts.ids.shape[1] == max(map(len, encoded))
    for ids, mask, tokens in zip(longer.ids, longer.mask, encoded, strict=True):
        assert ids[mask.bool()].tolist() == tokens
        assert int(mask.sum()) == len(tokens)


def test_a_text_to_be_written_begins_with_dec() -> None:
    texts = collate([(2, 7, 3)])
    assert to_write(texts, 63).tolist() == [[63, 7, 3]]
    assert torch.equal(texts.ids[0], torch.tensor([2, 7, 3]))
