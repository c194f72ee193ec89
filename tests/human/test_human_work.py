import pytest
from hypothesis import given
from hypothesis import strategies as st

from lskd.errors import UserError
from lskd.human import codec
from lskd.human.work import (
    Annotator,
    Choice,
    Claim,
    Duel,
    Posed,
    Rating,
    Said,
    Verdict,
    agrees,
    left,
)
from lskd.types import Box, Mention, Preference, Region, Triple

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
numbers = st.floats(allow_nan=False, allow_infinity=False)
regions = st.builds(
    Region,
    st.integers(0, 99),
    st.builds(Box, numbers, numbers, numbers, numbers),
    texts,
    texts,
    numbers,
    st.lists(st.lists(numbers, max_size=4).map(tuple), max_size=2).map(tuple),
)
mentions = st.lists(st.builds(Mention, texts, st.integers(0, 9)), max_size=2).map(tuple)
triples = st.builds(
    Triple, texts, texts, texts, st.just("description"), texts, texts, texts, st.just((0, 2)),
    mentions,
)  # fmt: skip
shown = st.lists(regions, max_size=2).map(tuple)
claims = st.builds(Claim, triples, texts, st.integers(1), st.integers(1), shown)
saids = st.builds(Said, texts, texts, texts)
duels = st.builds(Duel, texts, texts, st.integers(1), st.integers(1), shown, saids, saids)
preferences = st.sampled_from(["first", "second", "tie"])
choices = st.builds(Choice, preferences, preferences, preferences, preferences)
ratings = st.one_of(
    st.just(Rating(1, None)), st.builds(Rating, st.integers(2, 3), st.integers(1, 3))
)


@pytest.mark.parametrize(
    ("qa", "rationale", "told"),
    [
        (0, None, "qa = 0: ratings are 1 reject, 2 maybe, 3 accept"),
        (4, 3, "qa = 4"),
        (3, 0, "rationale = 0"),
        (2, None, "wants a rating of the rationale too"),
        (1, 1, "takes no rating of the rationale"),
    ],
)
def test_a_rating_is_one_of_the_paper_s(qa: int, rationale: int | None, told: str) -> None:
    with pytest.raises(UserError, match=told):
        Rating(qa, rationale)


def test_a_choice_knows_three_words() -> None:
    left_word: Preference = "left"  # type: ignore[assignment]
    with pytest.raises(UserError, match="plausibility = 'left': preferences are first, second, ti"):
        Choice("first", "tie", left_word, "second")


def test_sides_are_even_the_same_each_time_and_another_for_each_person_and_seed() -> None:
    def sides(seed: int, who: int) -> list[str]:
        return [left(seed, f"q{n}", Annotator(who, "", "")) for n in range(2000)]

    mine = sides(1, 1)
    assert mine == sides(1, 1)
    assert 0.45 < mine.count("first") / 2000 < 0.55
    for other in (sides(1, 2), sides(2, 1)):
        assert 0.45 < sum(a == b for a, b in zip(mine, other, strict=True)) / 2000 < 0.55


def test_the_side_does_not_follow_from_a_new_token() -> None:
    assert {left(3, "q", Annotator(5, "Ann", token)) for token in "abcdefgh"} == {
        left(3, "q", Annotator(5, "Ann", ""))
    }


def test_gold_is_met_by_the_same_rating_or_the_same_overall_choice() -> None:
    assert agrees(Rating(3, 2), Rating(3, 2))
    assert not agrees(Rating(3, 2), Rating(3, 3))
    assert not agrees(Rating(1, None), Rating(2, 1))
    assert agrees(Choice("tie", "tie", "tie", "first"), Choice("first", "second", "first", "first"))
    assert not agrees(Choice("tie", "tie", "tie", "tie"), Choice("tie", "tie", "tie", "first"))


@given(claims)
def test_claims_come_back_from_ascii_text(what: Claim) -> None:
    text = codec.text(what)
    assert text.isascii()
    assert codec.what("judge", text) == what


@given(duels)
def test_duels_come_back_from_ascii_text(what: Duel) -> None:
    text = codec.text(what)
    assert text.isascii()
    assert codec.what("compare", text) == what


@given(ratings, choices)
def test_verdicts_come_back(rating: Verdict, choice: Verdict) -> None:
    assert codec.verdict("judge", codec.text(rating)) == rating
    assert codec.verdict("compare", codec.text(choice)) == choice
    assert codec.verdict("judge", None) is None


@given(claims, ratings, texts)
def test_the_hash_of_an_item_is_of_all_but_the_place_of_its_file(
    what: Claim, gold: Rating, path: str
) -> None:
    posed = Posed("t", "i", what, None)
    elsewhere = Claim(what.triple, path, what.width, what.height, what.regions)
    assert codec.digest(Posed("t", "i", elsewhere, None)) == codec.digest(posed)
    wider = Claim(what.triple, what.path, what.width + 1, what.height, what.regions)
    others = [
        Posed("t", "i", what, gold),
        Posed("t", "j", what, None),
        Posed("t", "i", wider, None),
    ]
    assert len({codec.digest(one) for one in [posed, *others]}) == 4
