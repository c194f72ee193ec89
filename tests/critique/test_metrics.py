"""Metrics against references, with ties, one class only and nothing at all."""

import math
import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import metrics as reference

from lskd.critique.metrics import (
    average_precision,
    calibration_error,
    confusion,
    curve,
    in_digits,
    interval,
    macro,
    probability,
    temperature,
    threshold_for,
)
from lskd.errors import UserError

# Few distinct scores, so that ties are common.
ROWS = st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.7, 1.0]), st.booleans()))


def apart(rows: list[tuple[float, bool]]) -> tuple[list[float], list[bool]]:
    return [score for score, _ in rows], [label for _, label in rows]


@given(ROWS)
def test_average_precision_is_that_of_scikit_learn(rows: list[tuple[float, bool]]) -> None:
    scores, labels = apart(rows)
    if not any(labels):
        assert average_precision(scores, labels) is None
        return
    expected = reference.average_precision_score(labels, scores)
    assert average_precision(scores, labels) == pytest.approx(expected, abs=1e-12)


@given(ROWS, st.sampled_from([0.0, 0.3, 0.5, 0.6, 1.1]))
def test_precision_recall_and_f1_are_those_of_scikit_learn(
    rows: list[tuple[float, bool]], threshold: float
) -> None:
    scores, labels = apart(rows)
    counts = confusion(scores, labels, threshold)
    if not rows:
        assert counts.precision is counts.recall is counts.f1 is None
        return
    said = [score >= threshold for score in scores]
    theirs = reference.precision_recall_fscore_support(
        labels, said, average="binary", zero_division=math.nan
    )
    for ours, other in zip((counts.precision, counts.recall, counts.f1), theirs[:3], strict=True):
        assert ours == pytest.approx(other) if ours is not None else math.isnan(other)
    both = reference.precision_recall_fscore_support(
        labels, said, average=None, labels=[False, True], zero_division=math.nan
    )
    for ours, each in zip(macro(counts), both[:3], strict=True):
        if ours is None:
            assert np.isnan(each).any()
        else:
            assert ours == pytest.approx(each.mean())


@given(ROWS)
def test_the_curve_is_the_precision_of_every_threshold(rows: list[tuple[float, bool]]) -> None:
    scores, labels = apart(rows)
    points = curve(scores, labels)
    assert [point.value for point in points] == sorted(set(scores), reverse=True)
    for point in points:
        counts = confusion(scores, labels, point.value)
        kept = counts.right_accept + counts.wrong_accept
        assert point.precision == counts.precision
        assert point.kept == kept / len(rows)
        assert 0 <= point.low <= point.precision <= point.high <= 1
    assert all(one.kept < other.kept for one, other in pairwise(points))
    assert not points or points[-1].kept == 1


@given(ROWS, st.floats(0, 1))
def test_a_threshold_reaches_its_precision_and_keeps_the_most(
    rows: list[tuple[float, bool]], wished: float
) -> None:
    scores, labels = apart(rows)
    reached = [point for point in curve(scores, labels) if point.precision >= wished]
    if not reached:
        best = max((point.precision for point in curve(scores, labels)), default=math.nan)
        with pytest.raises(UserError, match=f"no threshold gives a precision .* is {best:.3f}"):
            threshold_for(wished, scores, labels)
        return
    found = threshold_for(wished, scores, labels)
    assert found.kept == max(point.kept for point in reached)
    # What the corpus stage does with the number keeps the same triples.
    assert sum(score >= found.value for score in scores) / len(rows) == found.kept


@given(st.lists(st.floats(0, 1), min_size=1), st.data())
def test_a_threshold_in_few_digits_keeps_the_same_triples(
    scores: list[float], data: st.DataObject
) -> None:
    points = curve(scores, [True] * len(scores))
    point = data.draw(st.sampled_from(points))
    said = in_digits(point, points)
    assert sum(score >= float(said) for score in scores) / len(scores) == point.kept
    assert 0 <= float(said) <= 1


def test_a_threshold_has_three_digits_and_more_only_where_scores_lie_close() -> None:
    points = curve([0.87654, 0.8712, 0.8711], [True] * 3)
    assert [in_digits(point, points) for point in points] == ["0.876", "0.8712", "0.871"]


@pytest.mark.parametrize(
    ("right", "number", "low", "high"),
    # Published values of Wilson's interval at 95 %.
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (81, 263, 0.2553, 0.3662)],
)
def test_intervals_are_wilsons(right: int, number: int, low: float, high: float) -> None:
    assert interval(right, number, 0.95) == pytest.approx((low, high), abs=1e-4)


def test_a_share_of_none_may_be_anything() -> None:
    assert interval(0, 0, 0.95) == (0.0, 1.0)


def test_an_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = random.Random(0)
    draws = [sum(rng.random() < 0.7 for _ in range(50)) for _ in range(2000)]
    covered = sum(low <= 0.7 <= high for low, high in (interval(k, 50, 0.9) for k in draws))
    assert 0.87 < covered / 2000 < 0.94


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0, math.nan])
def test_a_confidence_that_is_none_is_refused(confidence: float) -> None:
    with pytest.raises(UserError, match="expected more than 0 and less than 1"):
        interval(1, 2, confidence)


def test_calibration_error_of_known_cases() -> None:
    assert calibration_error([], []) is None
    assert calibration_error([1.0, 0.0], [True, False]) == 0
    assert calibration_error([0.9] * 10, [True] * 5 + [False] * 5) == pytest.approx(0.4)
    # Two bins, one too sure and one too careful, do not make up for each other.
    assert calibration_error([0.9, 0.9, 0.1, 0.1], [True, False, True, False]) == pytest.approx(0.4)


def test_one_lies_in_the_last_bin() -> None:
    # Apart they would be wrong by 1 and by 0.05.
    assert calibration_error([1.0, 0.95], [False, True], 10) == pytest.approx(0.475)


def test_fifteen_bins_are_usual() -> None:
    said = [number / 97 for number in range(98)]
    labels = [number % 3 == 0 for number in range(98)]
    assert calibration_error(said, labels) == calibration_error(said, labels, 15)
    assert len({calibration_error(said, labels, bins) for bins in (14, 15, 16)}) == 3


@given(ROWS)
def test_calibration_error_is_that_of_the_definition(rows: list[tuple[float, bool]]) -> None:
    assume(rows)
    scores, labels = apart(rows)
    expected = 0.0
    for place in range(10):
        inside = [
            (score, label) for score, label in rows if min(9, math.floor(score * 10)) == place
        ]
        if inside:
            said = sum(score for score, _ in inside) / len(inside)
            true = sum(label for _, label in inside) / len(inside)
            expected += len(inside) / len(rows) * abs(said - true)
    assert calibration_error(scores, labels, 10) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("true", [0.2, 1.0, 5.0])
def test_a_temperature_undoes_what_made_logits_too_large_or_too_small(true: float) -> None:
    rng = np.random.default_rng(0)
    honest = rng.normal(size=20_000) * 2
    labels = list(rng.random(20_000) < probability(honest))
    found = temperature(list(honest * true), labels)
    assert found is not None and found == pytest.approx(true, rel=0.05)
    before = calibration_error(list(probability(honest * true)), labels)
    after = calibration_error(list(probability(honest * true / found)), labels)
    assert before is not None and after is not None and after < 0.02
    assert true == 1.0 or after < before


def test_a_temperature_of_labels_all_alike_is_unknown_and_of_separated_ones_finite() -> None:
    assert temperature([], []) is None
    assert temperature([1.0, 2.0], [True, True]) is None
    found = temperature([-3.0, -2.0, 2.0, 3.0], [False, False, True, True])
    assert found is not None and 0.5 < found < 5
    turned = temperature([3.0, 2.0, -2.0, -3.0], [False, False, True, True])
    assert turned is not None and turned == pytest.approx(1000)
    faint = temperature([-1e-9, 1e-9], [False, True])
    assert faint is not None and faint == pytest.approx(0.001)
    # Platt's targets for two of each: 3/4 and 1/4, so the sigmoid of 2 over it is to be 3/4.
    even = temperature([-2.0, -2.0, 2.0, 2.0], [False, False, True, True])
    assert even is not None and even == pytest.approx(2 / math.log(3), rel=1e-9)
    # One of three accepted: its target is 2/3, that of the others 1/4.
    uneven = temperature([5.0, 0.0, 0.0], [True, False, False])
    assert uneven is not None and uneven == pytest.approx(5 / math.log(2), rel=1e-9)
    other = temperature([0.0, -5.0, -5.0], [True, False, False])
    assert other is not None and other == pytest.approx(5 / math.log(3), rel=1e-9)


@given(st.lists(st.floats(-1000, 1000), max_size=20))
def test_a_probability_never_overflows(logits: list[float]) -> None:
    given_logits = np.asarray(logits, dtype=np.float64)
    assert np.allclose(probability(given_logits) + probability(-given_logits), 1)
