"""Official metrics against the plainest code for them, ties and edges; fair ones against chance."""

import itertools
import math
import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import somersd  # type: ignore[import-untyped]

from lskd.errors import UserError
from lskd.evaluate import metrics
from lskd.evaluate.metrics import Marks

FEW = st.sampled_from([0.0, 0.25, 0.5, 1.0])  # so that ties are common
TOLD = st.floats(-50, 50, allow_nan=False)
Item = tuple[list[float], list[int]]


@st.composite
def items(draw: st.DrawFn, scores: st.SearchStrategy[float] = FEW, most: int = 6) -> Item:
    """Return the scores of some choices and the places of some right ones."""
    row = draw(st.lists(scores, min_size=1, max_size=most))
    right = draw(st.sets(st.integers(0, len(row) - 1), min_size=1))
    return row, sorted(right)


@st.composite
def comparisons(draw: st.DrawFn) -> tuple[list[float], list[float], list[float]]:
    """Return scores and the ratings of two people."""
    number = draw(st.integers(0, 10))
    rows = [st.lists(one, min_size=number, max_size=number) for one in (FEW, RATING, RATING)]
    return draw(rows[0]), draw(rows[1]), draw(rows[2])


RATING = st.sampled_from([1.0, 2.0, 3.0])


def apart(rows: Sequence[Item]) -> tuple[list[list[float]], list[list[int]]]:
    return [row for row, _ in rows], [right for _, right in rows]


def shuffled(item: Item, order: Sequence[int]) -> Item:
    row, right = item
    return [row[place] for place in order], [order.index(place) for place in right]


def plain_recall(row: Sequence[float], right: Sequence[int]) -> float:
    ranked = sorted(enumerate(row), key=lambda pair: (-pair[1], pair[0]))
    return sum(place in right for place, _ in ranked[: len(right)]) / len(right)


def plain_pairwise(scores: Sequence[float], ratings: Sequence[float]) -> float:
    noise = np.random.RandomState(1).random_sample(10) / 1e9
    broken = [score + extra for score, extra in zip(scores, noise, strict=False)]
    right = told = 0
    for one, other in itertools.combinations(range(len(scores)), 2):
        if ratings[one] != ratings[other]:
            told += 1
            right += (ratings[one] < ratings[other]) == (broken[one] < broken[other])
    return 2 * (right / told - 0.5) if told else 0.0


@given(st.lists(items()))
def test_the_official_choice_is_the_first_of_the_best(rows: list[Item]) -> None:
    marks = metrics.choose(*apart(rows))
    assert marks.official.tolist() == [float(np.argmax(row) in right) for row, right in rows]


@given(st.lists(items()))
def test_official_recall_is_that_of_a_stable_sort(rows: list[Item]) -> None:
    marks = metrics.r_precision(*apart(rows))
    assert marks.official.tolist() == [plain_recall(row, right) for row, right in rows]


@pytest.mark.parametrize("metric", [metrics.choose, metrics.r_precision])
@given(item=items(most=5))
def test_fair_marks_are_official_ones_over_all_orders_of_the_choices(
    metric: object, item: Item
) -> None:
    assert callable(metric)
    orders = list(itertools.permutations(range(len(item[0]))))
    every: Marks = metric(*apart([shuffled(item, order) for order in orders]))
    fair = metric(*apart([item])).fair[0]
    assert every.official.mean() == pytest.approx(fair, abs=1e-12)
    assert every.fair == pytest.approx(fair, abs=1e-12)


@given(st.lists(items()))
def test_a_constant_scorer_gets_exactly_chance(rows: list[Item]) -> None:
    scores, right = [[0.5] * len(row) for row, _ in rows], [places for _, places in rows]
    for marks in (metrics.choose(scores, right), metrics.r_precision(scores, right)):
        assert marks.fair.tolist() == marks.chance.tolist()
        figures = metrics.mean(marks)
        assert figures.fair == figures.chance
        share = [len(places) / len(row) for row, places in zip(scores, right, strict=True)]
        assert marks.chance.tolist() == share


@given(items())
def test_chance_asks_not_for_the_scores(item: Item) -> None:
    row, right = item
    for marks in (metrics.choose([row], [right]), metrics.r_precision([row], [right])):
        assert marks.chance.tolist() == [len(right) / len(row)]


@given(st.integers(1, 30))
def test_a_constant_scorer_gets_a_sixteenth_of_vcr(number: int) -> None:
    scores, first = [[0.0] * 4] * number, [0] * number
    marks = metrics.vcr(scores, first, scores, first)
    both = metrics.mean(marks.both)
    assert (both.official, both.fair, both.chance) == (1, 1 / 16, 1 / 16)
    assert metrics.mean(marks.answer).fair == metrics.mean(marks.rationale).fair == 1 / 4


def test_a_constant_scorer_gets_a_third_of_snli_ve_whatever_the_share_of_labels() -> None:
    labels = [0] * 90 + [1] * 5 + [2] * 5
    marks = metrics.choose([[1.0] * 3] * 100, [(label,) for label in labels])
    assert marks.official.mean() == 0.9  # the order of labels alone
    assert marks.fair.tolist() == marks.chance.tolist() == [1 / 3] * 100


def test_a_constant_scorer_gets_all_of_acc_at_50_officially_and_a_tenth_fairly() -> None:
    marks = metrics.r_precision([[2.0] * 50] * 7, [range(5)] * 7)
    assert marks.official.tolist() == [1] * 7
    assert marks.fair.tolist() == marks.chance.tolist() == [0.1] * 7


@given(comparisons())
def test_a_constant_scorer_gets_nothing_of_sherlock(
    row: tuple[list[float], list[float], list[float]],
) -> None:
    scores, one, other = row
    compared = metrics.compare([[0.3] * len(scores)], [[one, other]])
    assert compared.model.fair.tolist() == compared.model.chance.tolist() == [0]


@given(st.lists(items(), min_size=1), st.randoms())
def test_the_order_of_items_does_not_matter(rows: list[Item], chance: random.Random) -> None:
    for metric in (metrics.choose, metrics.r_precision):
        before = metrics.mean(metric(*apart(rows)))
        after = metrics.mean(metric(*apart(chance.sample(rows, len(rows)))))
        assert before.official == pytest.approx(after.official)
        assert before.fair == pytest.approx(after.fair)


@given(items(), st.randoms())
def test_without_ties_the_order_of_choices_does_not_matter(
    item: Item, chance: random.Random
) -> None:
    row, right = item
    untied = chance.sample(range(100), len(row))
    moved = shuffled(([*map(float, untied)], right), chance.sample(range(len(row)), len(row)))
    for metric in (metrics.choose, metrics.r_precision):
        before, after = metric([[*map(float, untied)]], [right]), metric(*apart([moved]))
        assert before.official == after.official == before.fair == after.fair


@given(st.lists(items(TOLD)))
def test_only_the_order_of_scores_matters(rows: list[Item]) -> None:
    scores, right = apart(rows)
    ranks = [[float(sorted(set(row)).index(score)) ** 3 for score in row] for row in scores]
    for metric in (metrics.choose, metrics.r_precision):
        before, after = metric(scores, right), metric(ranks, right)
        assert before.official.tolist() == after.official.tolist()
        assert before.fair.tolist() == after.fair.tolist()


@given(items(st.sampled_from([-math.inf, 0.0, math.inf])))
def test_infinite_scores_are_scores(item: Item) -> None:
    row, right = item
    finite = [math.atan(score) for score in row]
    for metric in (metrics.choose, metrics.r_precision):
        assert metric([row], [right]).fair == metric([finite], [right]).fair
    one, other = [float(place) for place in range(len(row))], [1.0] * len(row)
    assert metrics.fair_pairwise(row, one) == metrics.fair_pairwise(finite, one)
    assert metrics.compare([row], [[one, other]]).model.fair == metrics.fair_pairwise(row, one) / 2


@given(comparisons())
def test_pairwise_is_that_of_counting_pairs(
    row: tuple[list[float], list[float], list[float]],
) -> None:
    scores, one, _ = row
    assert metrics.pairwise(scores, one) == pytest.approx(plain_pairwise(scores, one), abs=1e-12)


@given(comparisons())
def test_fair_pairwise_is_somers_d_of_scipy(
    row: tuple[list[float], list[float], list[float]],
) -> None:
    scores, one, _ = row
    assume(len(set(one)) > 1 and len(set(scores)) > 1)  # scipy knows no other tables
    with np.errstate(all="ignore"):  # scipy's p-value, which is not asked for, may be 0 / 0
        expected = somersd(one, scores).statistic
    assert metrics.fair_pairwise(scores, one) == pytest.approx(expected, abs=1e-12)


@given(comparisons(), st.randoms())
def test_without_ties_the_fair_comparison_is_the_official_one(
    row: tuple[list[float], list[float], list[float]], chance: random.Random
) -> None:
    scores, one, _ = row
    untied = [float(number) for number in chance.sample(range(100), len(scores))]
    assert metrics.pairwise(untied, one) == pytest.approx(metrics.fair_pairwise(untied, one))


@given(comparisons())
def test_the_comparison_is_the_mean_over_raters_and_people_are_judged_by_each_other(
    row: tuple[list[float], list[float], list[float]],
) -> None:
    scores, one, other = row
    compared = metrics.compare([scores], [[one, other]])
    model = (plain_pairwise(scores, one) + plain_pairwise(scores, other)) / 2
    human = (plain_pairwise(one, other) + plain_pairwise(other, one)) / 2
    mean = [(a + b) / 2 for a, b in zip(one, other, strict=True)]
    oracle = (plain_pairwise(mean, one) + plain_pairwise(mean, other)) / 2
    assert compared.model.official == pytest.approx(model, abs=1e-12)
    fair = (metrics.fair_pairwise(scores, one) + metrics.fair_pairwise(scores, other)) / 2
    assert compared.model.fair == pytest.approx(fair, abs=1e-12)
    assert compared.human == pytest.approx(human, abs=1e-12)
    assert compared.oracle == pytest.approx(oracle, abs=1e-12)


def test_the_noise_parts_scores_nearer_than_itself_but_none_that_are_large() -> None:
    assert metrics.pairwise([1e-10, 0.0], [1, 2]) == 1
    assert metrics.pairwise([1e-8, 0.0], [1, 2]) == -1
    # At 1e9 the noise is lost: equal scores count as falling.
    assert metrics.pairwise([1e9, 1e9], [1, 2]) == -1
    assert metrics.pairwise([1e9, 1e9], [2, 1]) == 1
    assert metrics.fair_pairwise([1e9, 1e9], [1, 2]) == 0


def test_more_than_ten_candidates_are_refused_officially_only() -> None:
    rising = [float(number) for number in range(11)]
    with pytest.raises(UserError, match=r"11 candidates.*at most 10"):
        metrics.pairwise(rising, rising)
    with pytest.raises(UserError, match="11 candidates"):
        metrics.compare([rising], [[rising, rising]])
    assert metrics.pairwise(rising[:10], rising[:10]) == 1
    assert metrics.fair_pairwise(rising, rising) == 1


def test_another_number_of_raters_than_two_is_refused() -> None:
    with pytest.raises(UserError, match="annotation 0 has 1 raters: expected 2"):
        metrics.compare([[1.0]], [[[1.0]]])
    with pytest.raises(UserError, match="annotation 1 has 3 raters: expected 2"):
        metrics.compare([[1.0], [1.0]], [[[1.0]] * 2, [[1.0]] * 3])


def test_both_must_be_right_for_the_joint_figure_of_vcr() -> None:
    sure, wrong, torn = [1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0]
    marks = metrics.vcr([sure, sure, torn, wrong], [0] * 4, [sure, wrong, torn, sure], [0] * 4)
    assert marks.answer.official.tolist() == [1, 1, 1, 0]
    assert marks.rationale.official.tolist() == [1, 0, 1, 1]
    assert marks.both.official.tolist() == [1, 0, 1, 0]
    assert marks.both.fair.tolist() == [1, 0, 0.25, 0]


def test_a_choice_that_repeats_the_right_words_is_right() -> None:
    choices = ["red", "blue", "red", "Red"]
    assert metrics.alike(choices, (0,)) == (0, 2)
    assert metrics.alike(choices, (0,), any_case=True) == (0, 2, 3)
    assert metrics.alike(choices, (1,)) == (1,)
    second = [[0.0, 0.0, 1.0, 0.0]]
    assert metrics.choose(second, [(0,)]).official == 0
    assert metrics.choose(second, [metrics.alike(choices, (0,))]).official == 1
    even = metrics.choose([[1.0] * 4], [metrics.alike(choices, (0,))])
    assert even.fair == even.chance == 0.5


def test_a_right_place_outside_the_choices_is_refused() -> None:
    with pytest.raises(UserError, match=r"at \[2\], but there are 2"):
        metrics.alike(["a", "b"], (2,))


def test_words_decide_in_aokvqa_and_a_missing_answer_is_wrong() -> None:
    said = ["cat", None, "Cat", "dog"]
    assert metrics.aokvqa_choice(said, ["cat", "cat", "cat", "cow"]).tolist() == [1, 0, 0, 0]


def test_three_people_who_agree_are_enough_and_difficult_questions_are_left_out() -> None:
    people = ["sea"] * 4 + ["lake"] * 2 + ["pond"] + ["Sea"] * 3
    said = ["sea", "lake", "pond", "river", None, "sea"]
    marks = metrics.aokvqa_direct(said, [people] * 6, [False] * 5 + [True])
    assert marks.tolist() == [1, 2 / 3, 1 / 3, 0, 0]


def test_visual7w_reads_any_case_and_no_candidate_is_wrong() -> None:
    said = ["A MAN.", "a man", None]
    assert metrics.visual7w_answer(said, ["a man."] * 3).tolist() == [1, 0, 0]


def test_nothing_has_no_mean() -> None:
    for marks in (metrics.choose([], []), metrics.r_precision([], [])):
        assert metrics.mean(marks) == metrics.Mean(None, None, None, 0)
    empty = metrics.compare([], [])
    assert metrics.mean(empty.model).official is None
    assert metrics.mean_of(empty.human) is None
    assert metrics.mean_of(metrics.aokvqa_choice([], [])) is None


@pytest.mark.parametrize("metric", [metrics.choose, metrics.r_precision])
@pytest.mark.parametrize(
    ("row", "right", "said"),
    [
        ([1.0, math.nan], [0], "item 1 has a score that is not a number, at place 1 of 2"),
        ([math.nan, 0.0, math.nan], [1], "at place 0 of 3"),
        ([], [0], "item 1 has no scores"),
        ([1.0, 0.0], [], "item 1 has no right choice"),
        (
            [1.0, 0.0],
            [2],
            r"item 1 has its right choices at \[2\], but scores for the places 0 to 1$",
        ),
        ([1.0, 0.0], [-1], r"item 1 has its right choices at \[-1\]"),
    ],
)
def test_what_cannot_be_judged_is_refused_by_number(
    metric: object, row: list[float], right: list[int], said: str
) -> None:
    assert callable(metric)
    with pytest.raises(UserError, match=said):
        metric([[1.0], row], [[0], right])


def test_sequences_of_other_lengths_are_refused() -> None:
    with pytest.raises(UserError, match="given 1 scores, 2 keys"):
        metrics.choose([[1.0]], [[0], [0]])
    with pytest.raises(UserError, match="given 2 scores, 1 ratings"):
        metrics.pairwise([1.0, 2.0], [1.0])
    with pytest.raises(UserError, match="item 0 has a score that is not a number"):
        metrics.compare([[math.nan]], [[[1.0], [1.0]]])
    with pytest.raises(UserError, match="1 results, 0 answers"):
        metrics.visual7w_answer(["a"], [])
