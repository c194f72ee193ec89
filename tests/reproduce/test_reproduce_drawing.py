"""Intervals over seeds and images, and the plain sentences that they end in."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lskd.bootstrap import Bootstrap
from lskd.critique import metrics
from lskd.evaluate import statistics
from lskd.reproduce import evidence
from lskd.reproduce.beyond import slope
from lskd.reproduce.drawing import contrast, difference, figure, mean, rating, summed, tallied
from lskd.reproduce.experiment import Cell, Claim, Figure
from lskd.reproduce.verdict import plain, sentence, verdict

IMAGES = [f"image {number // 3}" for number in range(90)]
RNG = np.random.default_rng(0)
SOME, OTHER = RNG.random(90), RNG.random(90)


def cell(*seeds: np.ndarray) -> Cell:
    return Cell(mean, tuple(tallied(IMAGES, values) for values in seeds))


def claim(low: float, high: float, learned: bool = True) -> Claim:
    found = Figure((low + high) / 2, low, high, ((low + high) / 2,) * 3)
    return Claim("x is above y", found, 2.0, learned)


def test_a_figure_of_one_seed_is_the_mean_with_the_interval_by_image() -> None:
    found = figure(cell(SOME), Bootstrap(4000))
    known = statistics.interval(SOME, IMAGES, Bootstrap(4000))
    assert known.value is not None and known.low is not None and known.high is not None
    assert found.value == pytest.approx(100 * known.value)
    assert found.low == pytest.approx(100 * known.low, abs=0.6)
    assert found.high == pytest.approx(100 * known.high, abs=0.6)


def test_a_figure_of_several_seeds_is_their_mean_and_tells_each() -> None:
    found = figure(cell(SOME, OTHER))
    assert found.seeds == pytest.approx((100 * SOME.mean(), 100 * OTHER.mean()))
    assert found.value == pytest.approx(sum(found.seeds) / 2)


@given(st.lists(st.sampled_from([0.0, 0.1, 0.9, 1.0]), min_size=2, max_size=4))
def test_an_interval_never_leaves_what_its_measure_can_be(shares: list[float]) -> None:
    seeds = tuple(tallied(["a", "b", "c"], [share] * 3) for share in shares)
    within = figure(Cell(mean, seeds))
    wide = figure(Cell(mean, seeds, within=(-100.0, 100.0)))
    assert 0 <= within.low <= within.value <= within.high <= 100
    assert wide.low <= within.low and wide.high == within.high
    assert wide.low >= -100


def test_seeds_that_differ_widen_the_interval_where_images_do_not() -> None:
    nothing, everything = np.zeros(90), np.ones(90)
    alike = figure(cell(everything, everything))
    assert (alike.low, alike.high) == (100, 100)
    apart = contrast([(1.0, cell(nothing, everything, everything))])
    t = 4.3027  # Student's, 0.975 on 2 degrees of freedom
    half = t * math.sqrt(1 / 3) * 100 / math.sqrt(3)
    assert apart.value == pytest.approx(200 / 3)
    assert apart.high - apart.value == pytest.approx(half, rel=0.03)
    assert apart.value - apart.low == pytest.approx(half, rel=0.03)


@pytest.mark.parametrize("spread", [0.0, 0.01, 0.05])
def test_a_difference_that_is_none_is_seldom_told_whatever_trainings_do(spread: float) -> None:
    """2.5 % on either side: of 400, 20 and 4.4 more or less."""
    source = np.random.default_rng(1)
    told = 0
    for _ in range(400):
        images = source.normal(0.5, 0.1, 90)
        one, other = (
            cell(*(images + source.normal(0, spread) + source.normal(0, 0.05, 90) for _ in "012"))
            for _ in "ab"
        )
        found = difference(one, other, Bootstrap(200))
        told += not found.low <= 0 <= found.high
    assert told <= 33  # three standard errors


def test_what_is_compared_shares_its_drawings() -> None:
    one = cell(SOME, OTHER)
    same = difference(one, one)
    assert (same.value, same.low, same.high) == (0, 0, 0)
    shifted = difference(cell(SOME + 0.1, OTHER + 0.1), one)
    assert [shifted.low, shifted.high] == pytest.approx([10, 10])


def test_a_cell_without_seeds_of_its_own_stands_beside_all_seeds_of_another() -> None:
    found = difference(cell(SOME, OTHER), cell(SOME))
    assert found.seeds == pytest.approx((0.0, 100 * (OTHER.mean() - SOME.mean())))


def test_images_that_only_one_of_two_cells_has_are_drawn_as_well() -> None:
    half = Cell(mean, (tallied(IMAGES[:45], SOME[:45]),))
    found = difference(cell(SOME), half)
    assert found.value == pytest.approx(100 * (SOME.mean() - SOME[:45].mean()))
    assert found.low < found.value < found.high


def test_a_difference_is_of_as_many_images_as_the_cell_that_has_fewest() -> None:
    best = tallied(["image 0", "image 1"], [1.0, 1.0])
    found = difference(Cell(mean, (best, best)), cell(SOME, OTHER))
    assert found.images == 2
    assert verdict(Claim("x is above y", found, 2.0, learned=True)) == "cannot be told"
    nothing = Cell(mean, (summed(IMAGES, np.zeros((90, 2))),))
    assert difference(cell(SOME), nothing).images == 0


def test_drawings_without_the_figure_are_left_out() -> None:
    # One image of thirty has all that is counted, so that many drawings have nothing of it.
    parts = np.zeros((90, 2))
    parts[:3] = [1, 1]
    found = figure(Cell(mean, (summed(IMAGES, parts),)))
    assert (found.value, found.low, found.high) == (100, 100, 100)
    none = figure(Cell(mean, (summed(IMAGES, np.zeros((90, 2))),)))
    assert math.isnan(none.value) and plain(none) == "–"


@given(st.lists(st.floats(1, 1e6), min_size=2, max_size=6, unique=True))
def test_the_weights_of_a_slope_are_those_of_least_squares(sizes: list[float]) -> None:
    steps = np.log2(sizes)
    if np.ptp(steps) < 1e-3:
        return
    heights = np.arange(len(sizes)) ** 2.0
    expected = np.polyfit(steps, heights, 1)[0]
    assert float(np.dot(slope(sizes), heights)) == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_a_contrast_is_the_weighted_sum_of_its_cells() -> None:
    found = contrast([(0.5, cell(SOME)), (-2.0, cell(OTHER))])
    assert found.value == pytest.approx(100 * (0.5 * SOME.mean() - 2 * OTHER.mean()))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_precision_recall_and_f1_are_those_of_the_critics_own_evaluation(
    said: list[tuple[bool, bool]],
) -> None:
    scores = [float(accepts) for accepts, _ in said]
    counts = metrics.confusion(scores, [true for _, true in said])
    totals = np.array(
        [counts.right_accept, counts.wrong_accept, counts.wrong_reject, counts.right_reject], float
    )
    ours = (evidence.precision(totals), evidence.recall(totals), evidence.f1(totals))
    for mine, theirs in zip(ours, metrics.macro(counts), strict=True):
        assert math.isnan(float(mine)) if theirs is None else mine == pytest.approx(100 * theirs)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.1, 2, "agrees"), (-2, -0.1, "does not agree"), (-1, 1, "cannot be told")],
)
def test_a_whole_interval_on_one_side_decides(low: float, high: float, expected: str) -> None:
    assert verdict(claim(low, high)) == expected
    said = sentence(claim(low, high))
    assert "x is above y" in said and "+2.0 in the paper" in said and said.endswith(".")


@given(st.floats(-50, 50), st.floats(0, 50))
def test_what_was_put_in_is_never_called_agreement(low: float, width: float) -> None:
    one = claim(low, low + width, learned=False)
    assert verdict(one) == "by construction"
    said = sentence(one)
    assert "grees" not in said and said.startswith("By construction, no evidence either way")


def test_what_the_paper_did_not_ask_holds_or_not_and_agrees_with_nothing() -> None:
    for low, high, begun in ((1, 2, "It holds that"), (-2, -1, "It does not hold that")):
        assert sentence(replace(claim(low, high), beyond=True, paper=None)).startswith(begun)


def test_a_handful_of_images_decides_nothing() -> None:
    one = claim(1, 2)
    few = replace(one, found=replace(one.found, images=19))
    assert verdict(few) == "cannot be told" and "19 images only" in sentence(few)
    assert verdict(replace(one, found=replace(one.found, images=20))) == "agrees"


def test_one_seed_decides_nothing() -> None:
    one = claim(1, 2)
    alone = replace(one, found=replace(one.found, seeds=(1.5,)))
    assert verdict(alone) == "cannot be told" and "one seed" in sentence(alone)


def test_ratings_are_told_with_two_digits() -> None:
    found = figure(Cell(rating, (tallied(["a", "b"], [2.0, 2.5]),), digits=2))
    assert plain(found) == "2.25 [2.00, 2.50]"
