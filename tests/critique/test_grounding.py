"""The critic without weights: how much of a triple the descriptors support."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lskd.critique.grounding import GroundingCritic, content, stem
from lskd.picture import Picture
from lskd.protocols import Critic, Seen
from lskd.types import (
    Box,
    Concepts,
    Dialogue,
    Exchange,
    Image,
    Narratives,
    Region,
    Regions,
    Score,
    Triple,
)

BOX = Box(0, 0, 9, 9)
SEEN = Seen(
    # The file is not there: a critic of words must not open it.
    Picture(Image("i", str(Path("nowhere.jpg")), 9, 9)),
    Concepts("i", (), (), ()),
    Narratives("i", ("A man holds an umbrella in the rain.",)),
    Regions(
        "i", (Region(0, BOX, "man", "a man in blue", 1.0), Region(1, BOX, "dog", "a dog", 1.0))
    ),
    Dialogue("i", (Exchange("Is it wet?", "yes"),)),
)


def score(question: str, answer: str, rationale: str, ids: tuple[int, ...] = (0,)) -> Score:
    triple = Triple("t", "r", "i", "id", question, answer, rationale, ids)
    ((found,),) = GroundingCritic().score([SEEN], [[triple]])
    return found


def test_it_is_a_critic() -> None:
    assert isinstance(GroundingCritic(), Critic)


def test_a_triple_of_supported_words_scores_one_and_of_invented_words_zero() -> None:
    good = score("Why is [0] holding an umbrella?", "It is raining.", "The man gets wet.")
    bad = score("Why surf?", "Champagne zebras.", "Volcano.")
    assert (good.accept, good.qa, good.rationale) == (1.0, 1.0, 1.0)
    assert (bad.accept, bad.qa, bad.rationale) == (0.0, 0.0, 0.0)


def test_words_of_a_region_that_is_not_named_count_half() -> None:
    assert score("What is it?", "A dog.", "Dog.").accept == 0.5
    assert score("What is it?", "A dog.", "Dog.", (1,)).accept == 1.0


def test_pointing_counts_as_one_supported_word_in_both_styles() -> None:
    by_id = score("Does [0] surf?", "[0] surfs.", "Surfing.")
    by_phrase = score("Does [a man in blue] surf?", "[a man in blue] surfs.", "Surfing.")
    assert by_id == by_phrase
    assert (by_id.qa, by_id.rationale) == (0.5, 0.0)


def test_a_part_without_content_is_not_measured_rather_than_zero() -> None:
    found = score("What is [0]?", "A man.", "It is so because it may be.")
    assert found.rationale is None
    assert found.accept == found.qa == 1.0


@pytest.mark.parametrize(
    ("one", "other"), [("holding", "holds"), ("raining", "rain"), ("dogs", "dog")]
)
def test_forms_of_a_word_meet(one: str, other: str) -> None:
    assert stem(one) == stem(other)


def test_a_regions_number_is_no_word() -> None:
    assert content("[0] and [1, 2] umbrella") == ["[]", "[]", stem("umbrella")]


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_every_text_has_a_score_in_bounds(question: str, answer: str, rationale: str) -> None:
    found = score(question, answer, rationale)
    for part in (found.accept, found.qa, found.rationale):
        assert part is None or 0 <= part <= 1
