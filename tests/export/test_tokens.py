"""Texts and the corpus' tokens, to and fro."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lskd.export.tokens import Token, text_of, tokens_of

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="[]"), min_size=1).filter(
    lambda word: not any(sign.isspace() for sign in word)
)
SIGNS = st.sampled_from(["?", ",", ".", "'s", "(", ")", "and", "'", "x(", "?!", '"'])
IDS = st.lists(st.integers(0, 999_999), min_size=1, unique=True)
PIECES = st.lists(st.one_of(WORDS, SIGNS, IDS))


@given(PIECES)
def test_words_and_ids_return_from_the_text_as_they_were(tokens: list[Token]) -> None:
    assert tokens_of(text_of(tokens)) == tokens


@given(PIECES)
def test_a_text_made_of_tokens_returns_word_for_word(tokens: list[Token]) -> None:
    text = text_of(tokens)
    assert text_of(tokens_of(text)) == text


@given(st.lists(WORDS.filter(lambda word: word not in ("[", "]"))))
def test_single_blanks_between_words_are_kept(words: list[str]) -> None:
    text = " ".join(words)
    assert text_of(tokens_of(text)) == text


@given(st.text())
def test_any_text_has_tokens_that_are_words_or_ids(text: str) -> None:
    for token in tokens_of(text):
        assert token and (isinstance(token, list) or not any(map(str.isspace, token)))


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("What is [4] doing?", ["What", "is", [4], "doing?"]),
        ("Is [4]'s hat on [4]?", ["Is", [4], "'s", "hat", "on", [4], "?"]),
        ("What do [0, 2] share?", ["What", "do", [0, 2], "share?"]),
        ("[0], [2] and [3] sit.", [[0], ",", [2], "and", [3], "sit."]),
        ("He (see [1]) waits", ["He", "(see", [1], ")", "waits"]),
        ("([1])", ["(", [1], ")"]),
        ("[the woman in pink] waits", ["[the", "woman", "in", "pink]", "waits"]),
        ("[007] is no region", ["[007]", "is", "no", "region"]),
        ("", []),
    ],
)
def test_a_text_and_its_tokens_say_each_other(text: str, tokens: list[Token]) -> None:
    assert tokens_of(text) == tokens
    assert text_of(tokens) == text


@pytest.mark.parametrize("text", ["two  blanks", "[4] ?", "[4]th", "[0 and 2] sit", " before"])
def test_a_text_outside_the_rule_is_not_said_by_its_tokens(text: str) -> None:
    assert text_of(tokens_of(text)) != text
