"""Intervals and tests against scipy, a gather of the plainest kind and known coverage."""

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest  # type: ignore[import-untyped]

from lskd.bootstrap import Bootstrap
from lskd.errors import UserError
from lskd.evaluate.statistics import FEW as FEW_IMAGES
from lskd.evaluate.statistics import Interval, by, by_kind, by_number, interval, mcnemar, paired

FEW = Bootstrap(resamples=200)
ROWS = st.lists(st.tuples(st.floats(-1, 1), st.sampled_from("abcdefg")))
HITS = st.lists(st.tuples(st.booleans(), st.booleans(), st.sampled_from("abcdefg")), min_size=1)


def columns(rows: list[tuple[float, str]]) -> tuple[list[float], list[str]]:
    return [value for value, _ in rows], [image for _, image in rows]


@given(ROWS)
def test_an_interval_contains_its_mean(rows: list[tuple[float, str]]) -> None:
    values, images = columns(rows)
    found = interval(values, images, FEW)
    assert (found.items, found.images) == (len(rows), len(set(images)))
    if not rows:
        assert found == Interval(None, None, None, 0, 0)
        return
    assert found.value == pytest.approx(np.mean(values), abs=1e-12)
    if found.images < 2:
        assert found.low is found.high is None
        return
    assert found.value is not None and found.low is not None and found.high is not None
    assert min(values) - 1e-12 <= found.low <= found.value <= found.high <= max(values) + 1e-12


@given(ROWS, st.randoms())
def test_the_order_of_items_does_not_matter(
    rows: list[tuple[float, str]], chance: random.Random
) -> None:
    before = interval(*columns(rows), FEW)
    after = interval(*columns(chance.sample(rows, len(rows))), FEW)
    for one, other in zip(
        (before.value, before.low, before.high), (after.value, after.low, after.high), strict=True
    ):
        assert one == (other if other is None else pytest.approx(other, abs=1e-12))


def test_whole_images_are_drawn_again() -> None:
    # Fifty images with a hundred equal items each tell no more than fifty items.
    source = np.random.default_rng(3)
    one = (source.random(50) < 0.5).astype(np.float64)
    single = interval(one, [str(number) for number in range(50)])
    many = interval(np.repeat(one, 100), [str(number) for number in range(50) for _ in range(100)])
    assert (single.value, single.low, single.high) == (many.value, many.low, many.high)
    apart = interval(np.repeat(one, 100), [str(number) for number in range(5000)])
    assert single.low is not None and apart.low is not None and apart.value is not None
    assert apart.value - apart.low < (apart.value - single.low) / 5


def test_the_interval_is_that_of_drawing_items_image_by_image() -> None:
    source = np.random.default_rng(5)
    owner = np.sort(source.integers(0, 40, 300))
    values = source.random(300) + 0.02 * owner
    groups = [values[owner == image] for image in np.unique(owner)]
    means = [
        np.concatenate([groups[i] for i in source.integers(0, len(groups), len(groups))]).mean()
        for _ in range(4000)
    ]
    low, high = np.quantile(means, (0.025, 0.975))
    found = interval(values, [str(image) for image in owner], Bootstrap(resamples=4000))
    assert found.low == pytest.approx(low, abs=0.02 * (high - low) + 0.01)
    assert found.high == pytest.approx(high, abs=0.02 * (high - low) + 0.01)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_intervals_cover_the_truth_as_often_as_they_say(confidence: float) -> None:
    source = np.random.default_rng(7)
    covered = 0
    for trial in range(300):
        share = source.beta(4, 2, 80)  # of each image; the mean is 2/3
        number = source.integers(1, 5, 80)
        values = np.concatenate(
            [source.random(n) < p for p, n in zip(share, number, strict=True)]
        ).astype(np.float64)
        images = [str(image) for image, n in enumerate(number) for _ in range(n)]
        found = interval(values, images, Bootstrap(300, trial, confidence))
        assert found.low is not None and found.high is not None
        covered += found.low <= 2 / 3 <= found.high
    # Three standard deviations of 300 trials, and a little for a percentile's own bias.
    reach = 3 * math.sqrt(confidence * (1 - confidence) / 300) + 0.01
    assert covered / 300 == pytest.approx(confidence, abs=reach)


def test_a_seed_gives_the_same_interval_whatever_the_size_of_chunks() -> None:
    values = np.random.default_rng(0).random(400_000)
    images = [str(number) for number in range(400_000)]  # one resample at a time
    once, again = (interval(values, images, Bootstrap(resamples=20, seed=4)) for _ in range(2))
    assert once == again != interval(values, images, Bootstrap(resamples=20, seed=5))


@pytest.mark.parametrize("images", [2, 3, 5, 19])
def test_of_few_images_p_is_that_of_a_fair_coin_for_each(images: int) -> None:
    names = [str(number) for number in range(images)]
    found = paired([1.0] * images, [0.0] * images, names)
    assert found.p == found.mcnemar == pytest.approx(2 * 0.5**images)


def test_p_of_few_images_is_seldom_small_where_there_is_no_difference() -> None:
    source = np.random.default_rng(0)
    names = [str(number) for number in range(6)]
    several = (source.random((2, 6)) for _ in range(400))
    small = [p for one, other in several if (p := paired(one, other, names).p) and p < 0.05]
    assert len(small) / 400 < 0.07


@given(HITS)
def test_a_model_against_itself_differs_in_nothing(rows: list[tuple[bool, bool, str]]) -> None:
    one, images = [float(row[0]) for row in rows], [row[2] for row in rows]
    found = paired(one, one, images, FEW)
    assert found.difference.value == 0
    assert (found.only_first, found.only_second, found.mcnemar) == (0, 0, 1)
    assert found.p == (None if len(set(images)) < 2 else 1)


@given(HITS)
def test_a_paired_test_turns_with_its_models(rows: list[tuple[bool, bool, str]]) -> None:
    one, other = [float(row[0]) for row in rows], [float(row[1]) for row in rows]
    images = [row[2] for row in rows]
    found, turned = paired(one, other, images, FEW), paired(other, one, images, FEW)
    assert found.p == turned.p and found.mcnemar == turned.mcnemar
    assert (found.only_first, found.only_second) == (turned.only_second, turned.only_first)
    assert (found.first, found.second) == (float(np.mean(one)), float(np.mean(other)))
    if found.difference.low is not None and turned.difference.high is not None:
        assert found.difference.low == pytest.approx(-turned.difference.high, abs=1e-12)


@given(HITS)
def test_p_is_small_just_where_the_interval_leaves_zero_out(
    rows: list[tuple[bool, bool, str]],
) -> None:
    rows = [
        (one, other, f"{name} {copy}") for copy in range(FEW_IMAGES) for one, other, name in rows
    ]
    images = [row[2] for row in rows]
    found = paired([float(r[0]) for r in rows], [float(r[1]) for r in rows], images)
    low, high = found.difference.low, found.difference.high
    assert low is not None and high is not None and found.p is not None
    assert 0 < found.p <= 1
    if found.p < 0.045:
        assert low > -1e-12 or high < 1e-12
    if low > 0 or high < 0:
        assert found.p < 0.06


def test_the_paired_p_is_uniform_where_models_do_not_differ() -> None:
    source = np.random.default_rng(11)
    images = [str(number // 3) for number in range(240)]
    small = 0
    for trial in range(300):
        skill = np.repeat(source.normal(size=80), 3)  # what both find hard in an image
        one, other = ((skill + source.normal(size=240) > 0).astype(np.float64) for _ in range(2))
        found = paired(one, other, images, Bootstrap(300, trial))
        assert found.p is not None
        small += found.p < 0.1
    assert small / 300 == pytest.approx(0.1, abs=3 * math.sqrt(0.09 / 300) + 0.01)


def test_the_smallest_p_is_two_of_one_more_than_the_drawings() -> None:
    images = [f"{number:02d}" for number in range(30)]
    for one, other in ((1.0, 0.0), (0.0, 1.0)):
        assert paired([one] * 30, [other] * 30, images, Bootstrap(199)).p == 0.01
    # A difference of two images of thirty that cannot turn, but is left out of some drawings.
    source = np.random.default_rng(0)
    without = (source.integers(0, 30, (199, 30)) > 1).all(axis=1).sum()
    found = paired([1.0] * 2 + [0.0] * 28, [0.0] * 30, images, Bootstrap(199))
    assert found.p == min(1.0, 2 * (without + 1) / 200)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_binomial_test_of_scipy(first: int, second: int) -> None:
    expected = binomtest(first, first + second).pvalue if first + second else 1.0
    assert mcnemar(first, second) == pytest.approx(expected, abs=1e-12)


def test_mcnemar_is_exact_for_many_items() -> None:
    assert mcnemar(15000, 15000) == 1
    assert mcnemar(14800, 15200) == pytest.approx(binomtest(14800, 30000).pvalue, rel=1e-9)


def test_shares_have_no_mcnemar() -> None:
    found = paired([0.5, 1.0], [0.25, 1.0], ["a", "b"], FEW)
    assert found.only_first is found.only_second is found.mcnemar is None
    assert found.difference.value == 0.125


def test_no_items_have_no_figures() -> None:
    found = paired([], [], [])
    assert found.first is found.second is found.p is found.mcnemar is None
    assert found.difference == Interval(None, None, None, 0, 0)


def test_kinds_are_slices_in_order_and_the_unknown_ones_come_last() -> None:
    slicing = by_kind("regions", [10, 2, None, 2])
    assert (slicing.names, slicing.places) == (("2", "10"), (1, 0, None, 0))
    values, images = [1.0, 0.0, 1.0, 1.0], ["a", "a", "b", "c"]
    found = by(slicing, values, images, FEW)
    assert [(one.name, one.result.value, one.result.items) for one in found] == [
        ("2", 0.5, 2),
        ("10", 1.0, 1),
        (None, 1.0, 1),
    ]
    assert found[0].result == interval([0.0, 1.0], ["a", "c"], FEW)
    assert by_kind("type", ["who", "", "how"]).places == (1, None, 0)


def test_numbers_are_slices_between_edges_and_empty_ones_are_shown() -> None:
    slicing = by_number("size", [0.0, 0.01, 0.3, math.nan, None], [0.01, 0.1, 0.2])
    assert slicing.names == ("under 0.01", "0.01 to under 0.1", "0.1 to under 0.2", "0.2 and over")
    assert slicing.places == (0, 1, 3, None, None)
    found = by(slicing, [1.0] * 5, list("abcde"), FEW)
    assert [one.result.items for one in found] == [1, 1, 0, 1, 2]
    assert found[2].result == Interval(None, None, None, 0, 0)


@given(ROWS, st.lists(st.floats(-1, 1), min_size=1, max_size=4, unique=True))
@settings(max_examples=40)
def test_slices_part_all_items(rows: list[tuple[float, str]], edges: list[float]) -> None:
    values, images = columns(rows)
    found = by(by_number("value", values, sorted(edges)), values, images, FEW)
    assert sum(one.result.items for one in found) == len(rows)
    total = sum((one.result.value or 0.0) * one.result.items for one in found)
    assert total == pytest.approx(sum(values), abs=1e-9)


def test_bad_input_is_refused() -> None:
    with pytest.raises(UserError, match="value of item 1 is not a number"):
        interval([0.0, math.nan], ["a", "b"])
    with pytest.raises(UserError, match="2 values for the images of 1 items"):
        interval([0.0, 1.0], ["a"])
    with pytest.raises(UserError, match="have 1 and 2 items"):
        paired([0.0], [0.0, 1.0], ["a"])
    with pytest.raises(UserError, match="have 2 and 1 items"):
        paired([0.0, 1.0], [0.0], ["a"])
    with pytest.raises(UserError, match="1 values for the images of 2 items"):
        interval([0.0], ["a", "b"])
    for edges in ([2.0, 1.0], [1.0, 1.0], []):
        with pytest.raises(UserError, match="edges of slices"):
            by_number("size", [1.0], edges)
    with pytest.raises(UserError, match="kind parts 1 items, given 2 values and 2 images"):
        by(by_kind("kind", ["who"]), [0.0, 1.0], ["a", "b"])
    with pytest.raises(UserError, match="resamples = 0"):
        interval([0.0, 1.0], ["a", "b"], Bootstrap(resamples=0))
    for confidence in (0, 1, 95):
        with pytest.raises(UserError, match=f"confidence = {confidence}: expected"):
            interval([0.0, 1.0], ["a", "b"], Bootstrap(confidence=confidence))


def test_one_drawing_makes_an_interval_and_two_thousand_are_usual() -> None:
    values, images = [0.0, 1.0, 1.0, 0.0, 1.0], list("abcde")
    once = interval(values, images, Bootstrap(resamples=1))
    assert once.low is not None and once.high is not None
    assert once.value in (once.low, once.high)  # what was drawn is the other end
    assert interval(values, images) == interval(values, images, Bootstrap(2000, 0, 0.95))
    assert paired(values, [0.0] * 5, images) == paired(
        values, [0.0] * 5, images, Bootstrap(2000, 0, 0.95)
    )
