"""Near texts: what counts as the same words, and that the search leaves nothing out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lskd.audit.near_text import LIKE, TextTable, runs_of, words_of


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Does [0] feel comfortable ?", "does [2] feel comfortable?"),
        ("[0] , [1] smile", "[3, 4] smile"),
        ("He does n't know .", "He doesn't know."),
        ("the man 's hat", "The man’s hat!"),
        ("It is 10:30", "it is 10 30"),
    ],
)
def test_tags_case_signs_and_cut_words_make_no_difference(one: str, other: str) -> None:
    assert words_of(one) == words_of(other)
    assert TextTable([one]).near(other) == {0: 0.0}


def test_words_that_are_no_tag_stay() -> None:
    assert words_of("[the woman in pink] sees 3 dogs") == "the woman in pink sees 3 dogs".split()
    assert words_of("said 'hello' to [0]") == ["said", "hello", "to", "#"]


def test_a_changed_word_is_found_in_a_long_text_and_not_in_a_short_one() -> None:
    long = [f"word{number}" for number in range(14)]
    assert TextTable([" ".join(long)]).near(" ".join([*long[:6], "other", *long[7:]]))
    assert not TextTable([" ".join(long[:13])]).near(" ".join([*long[:6], "other", *long[7:13]]))


def test_a_short_text_is_near_only_to_itself() -> None:
    table = TextTable(["Yes.", "a dog", "", "?!"])
    assert table.near("yes") == {0: 0.0}
    assert table.near("a cat") == {} and table.near("") == {} and table.near("...") == {}


def test_like_decides_what_is_near() -> None:
    one, other = "a b c d e f", "a b c d x y"
    assert TextTable([one], 1.0).near(other) == {}
    assert TextTable([one], 0.3).near(other) == {0: pytest.approx(1 - 2 / 6)}


texts = st.lists(st.sampled_from("abcdef"), max_size=12).map(" ".join)


@given(st.lists(texts, max_size=12), texts, st.sampled_from((0.2, 0.5, LIKE, 0.75, 1.0)))
def test_the_search_finds_exactly_what_comparing_all_finds(
    known: list[str], asked: str, like: float
) -> None:
    runs = runs_of(asked)
    expected = {}
    for number, text in enumerate(known):
        theirs = runs_of(text)
        if runs and theirs and len(runs & theirs) / len(runs | theirs) >= like:
            expected[number] = 1 - len(runs & theirs) / len(runs | theirs)
    assert TextTable(known, like).near(asked) == pytest.approx(expected)
