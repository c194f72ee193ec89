"""Which tokens are given and which are learnt, told token by token."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers.processors import TemplateProcessing

from lskd.errors import UserError
from lskd.writing.masks import IGNORED, Layout, Room, Row, Speller, means, padded, summed
from lskd.writing.minigpt4 import LAYOUT
from lskd.writing.writer import Line
from tiny_writers import word_tokenizer

EOS = 2
PLAIN = Layout()
BYTES = word_tokenizer(starts=True, family="bytes")
PIECES = word_tokenizer(starts=True, family="pieces")
ENDING = word_tokenizer(ends=True, family="pieces")
WORDS = st.text("ab [0]1?.:q", min_size=1).map(str.strip).filter(bool)


def speller(tokenizer: Any, layout: Layout = PLAIN, context: int = 200) -> Speller:
    encodes = tokenizer is ENDING
    return Speller(tokenizer, layout, Room(context, picture=3), EOS, encodes)


def words(tokenizer: Any, ids: tuple[int, ...]) -> list[str]:
    return [str(tokenizer.decode([one])) for one in ids]


def test_a_decoder_learns_the_tokens_of_the_target_and_the_one_that_ends_it() -> None:
    row = speller(BYTES).row(Line(0, "question: what is [0] doing? answer:", "riding"))
    assert row.before == ()
    assert row.after[0] == BYTES.bos_token_id
    assert BYTES.decode(row.after[1:]) == "question: what is [0] doing? answer:"
    assert words(BYTES, row.target) == [" riding", "</s>"]
    labels = row.labels(picture=3)
    given_tokens = 3 + len(row.after)
    assert labels == (*[IGNORED] * given_tokens, *row.target)


def test_an_encoder_reads_the_prompt_to_its_end_and_the_decoder_learns_the_target_alone() -> None:
    row = speller(ENDING).row(Line(0, "what is [0] doing?", "riding the red bicycle."))
    assert row.after == tuple(ENDING("what is [0] doing?")["input_ids"])
    assert row.after[-1] == EOS
    assert row.target == tuple(ENDING("riding the red bicycle.")["input_ids"])


def test_the_picture_stands_in_the_middle_of_a_prompt_that_has_words_before_it() -> None:
    row = speller(PIECES, LAYOUT).row(Line(0, "what is [0] doing?", "riding"))
    assert row.before[0] == PIECES.bos_token_id
    assert PIECES.decode(row.before[1:]) == "###Human: <Img>"
    assert PIECES.decode(row.after) == "</Img> what is [0] doing? ###Assistant:"
    assert PIECES.bos_token_id not in row.after
    assert PIECES.decode(row.target) == "riding###"
    assert EOS not in row.target


def test_an_end_of_words_is_left_out_where_only_the_target_is_asked_for() -> None:
    row = speller(PIECES, LAYOUT).row(Line(0, "who?", "the woman"), ended=False)
    assert PIECES.decode(row.target) == "the woman"
    row = speller(PIECES).row(Line(0, "who?", "the woman"), ended=False)
    assert PIECES.decode(row.target) == "the woman"


@pytest.mark.parametrize("tokenizer", [BYTES, PIECES])
@given(prompt=WORDS, target=WORDS)
def test_a_prompt_is_spelt_alike_with_a_target_and_without_and_both_read_as_one_text(
    tokenizer: Any, prompt: str, target: str
) -> None:
    spell = speller(tokenizer, context=10_000)
    with_target = spell.row(Line(0, prompt, target))
    without = spell.row(Line(0, prompt))
    assert with_target.after == without.after
    assert without.target == ()
    assert with_target.target[-1] == EOS
    read = tokenizer.decode([*with_target.after[1:], *with_target.target[:-1]])
    assert read == tokenizer.decode(
        tokenizer(f"{prompt} {target}", add_special_tokens=False)["input_ids"]
    )


def test_a_blank_at_the_end_of_a_prompt_changes_nothing_and_a_new_line_stays() -> None:
    spell = speller(BYTES)
    assert spell.row(Line(0, "answer: ", "yes")) == spell.row(Line(0, "answer:", "yes"))
    row = spell.row(Line(0, "answer:\n", "yes"))
    assert BYTES.decode([*row.after[1:], *row.target]) == "answer:\nyes</s>"


def test_control_tokens_in_a_text_lose_their_brackets() -> None:
    row = speller(BYTES).row(Line(0, "is </s> or <image> there?", "<pad>"))
    assert BYTES.decode(row.after[1:]) == "is s or image there?"
    assert BYTES.decode(row.target[:-1]) == " pad"
    assert row.target.count(EOS) == 1


@pytest.mark.parametrize("tokenizer", [BYTES, PIECES, ENDING])
@pytest.mark.parametrize("layout", [Layout(), LAYOUT])
def test_a_prompt_that_is_too_long_loses_its_first_tokens_and_the_target_none(
    tokenizer: Any, layout: Layout
) -> None:
    line = Line(0, "people who ride wear a helmet. what is [0] doing?", "riding the red bicycle.")
    whole = speller(tokenizer, layout).row(line)
    given_tokens = len(whole.before) + 3 + len(whole.after)
    rest = 0 if tokenizer is ENDING else len(whole.target)
    fits = speller(tokenizer, layout, context=given_tokens + rest).row(line)
    assert fits == whole
    assert whole.cut == 0
    cut = speller(tokenizer, layout, context=given_tokens + rest - 3).row(line)
    assert cut.cut == 3
    assert cut.before == whole.before
    assert cut.target == whole.target
    assert len(cut.after) == len(whole.after) - 3
    assert tokenizer.decode(cut.after).endswith(tokenizer.decode(whole.after)[-12:])
    head = len(speller(tokenizer, layout).row(Line(0, "")).after) if layout.head else 0
    if head:  # the words of the layout are kept
        assert tokenizer.decode(cut.after).startswith("</Img>")


def test_a_target_that_does_not_fit_is_refused_by_the_number_of_its_line() -> None:
    line = Line(0, "what is [0] doing?", "riding the red bicycle of the woman in blue")
    for tokenizer in (BYTES, ENDING):
        with pytest.raises(UserError, match=r"line 7 .* does not fit: its target has \d+ tokens"):
            speller(tokenizer, context=8).row(line, number=7)


def test_room_for_new_tokens_is_taken_from_the_prompt() -> None:
    line = Line(0, "people who ride wear a helmet. what is [0] doing?")
    whole = speller(BYTES).row(line)
    tight = speller(BYTES, context=3 + len(whole.after))
    assert tight.row(line).cut == 0
    assert tight.row(line, new=4).cut == 4
    with pytest.raises(UserError, match="500 are to be new"):
        tight.row(line, new=500)


def test_a_tokenizer_that_ends_prompts_is_refused_for_a_decoder() -> None:
    with pytest.raises(UserError, match="ends a prompt with a token of its own"):
        Speller(ENDING, Layout(), Room(100, 3), EOS, encodes=False)


def test_rows_are_padded_on_either_side() -> None:
    assert padded([[1, 2, 3], [4]], 0).tolist() == [[1, 2, 3], [4, 0, 0]]
    assert padded([[1, 2, 3], [4]], 9, left=True).tolist() == [[1, 2, 3], [9, 9, 4]]


def test_sums_and_means_are_those_of_the_labels_that_count() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 4, 7, generator=generator)
    labels = torch.tensor(
        [[1, 2, IGNORED, IGNORED], [IGNORED] * 4, [IGNORED, 3, IGNORED, 6]], dtype=torch.int64
    )
    told, count = summed(logits, labels)
    shares = logits.softmax(dim=-1)
    first = [shares[0, 0, 1].log(), shares[0, 1, 2].log()]
    last = [shares[2, 1, 3].log(), shares[2, 3, 6].log()]
    assert int(count) == 4
    torch.testing.assert_close(told, -torch.stack(first + last).sum(), atol=1e-5, rtol=0)
    values = means(logits, labels)
    assert values[0] == pytest.approx(float(torch.stack(first).mean()), abs=1e-5)
    assert math.isnan(values[1])
    assert values[2] == pytest.approx(float(torch.stack(last).mean()), abs=1e-5)


def test_labels_leave_room_for_words_before_the_picture() -> None:
    assert Row((5, 6), (7,), (8, 9), 0).labels(2) == (*[IGNORED] * 5, 8, 9)


def test_a_tokenizer_whose_own_tokens_cannot_be_told_from_the_texts_is_refused() -> None:
    strange = word_tokenizer(family="bytes")
    backend = strange.backend_tokenizer
    backend.post_processor = TemplateProcessing(
        single="<s> </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    with pytest.raises(UserError, match="spells a text otherwise"):
        Speller(strange, PLAIN, Room(100, 3), EOS, encodes=False)
