"""Confidence against accuracy: by hand, by scipy's softmax, and where it is known."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax  # type: ignore[import-untyped]

from lskd.errors import UserError
from lskd.evaluate import metrics
from lskd.evaluate.calibration import calibrate

ROWS = st.lists(st.lists(st.floats(-30, 30), min_size=1, max_size=5), max_size=20)


@given(ROWS)
def test_fifteen_bins_add_up_to_the_whole(rows: list[list[float]]) -> None:
    right = [[0]] * len(rows)
    found = calibrate(rows, right)
    assert found.items == len(rows) == sum(one.items for one in found.bins)
    edges = [(number / 15, (number + 1) / 15) for number in range(15)]
    assert [(one.low, one.high) for one in found.bins] == edges
    if not rows:
        assert found.error is found.confidence is found.accuracy is None
        return
    sure = [softmax(np.array(row)).max() for row in rows]
    assert found.confidence == pytest.approx(np.mean(sure), abs=1e-12)
    assert found.accuracy == metrics.mean(metrics.choose(rows, right)).fair
    error = 0.0
    for one in found.bins:
        if not one.items:
            assert one.confidence is one.accuracy is None
            continue
        assert one.confidence is not None and one.accuracy is not None
        assert one.low - 1e-12 <= one.confidence <= one.high + 1e-12
        error += one.items / len(rows) * abs(one.confidence - one.accuracy)
    assert found.error == pytest.approx(error, abs=1e-12)


def test_a_constant_scorer_is_perfectly_calibrated() -> None:
    found = calibrate([[3.0] * 4] * 10, [[place % 4] for place in range(10)])
    assert (found.error, found.confidence, found.accuracy) == (0, 0.25, 0.25)


def test_a_model_that_is_sure_and_wrong_is_as_far_off_as_can_be() -> None:
    found = calibrate([[1000.0, 0.0]] * 5, [[1]] * 5)
    assert found.error == 1
    assert found.bins[-1].items == 5
    assert calibrate([[1000.0, -math.inf]] * 5, [[0]] * 5).error == 0


def test_the_true_probabilities_are_calibrated_and_sharper_ones_are_not() -> None:
    source = np.random.default_rng(2)
    scores = source.normal(size=(20_000, 4))
    chances = softmax(scores, axis=1)
    right = [[int(source.choice(4, p=chance))] for chance in chances]
    told = calibrate(scores.tolist(), right)
    sharp = calibrate((scores / 0.3).tolist(), right)
    assert told.error is not None and sharp.error is not None
    assert told.error < 0.015
    assert sharp.error > 0.2


def test_bad_input_is_refused() -> None:
    with pytest.raises(UserError, match="best score of item 0 is inf"):
        calibrate([[math.inf, 0.0]], [[0]])
    with pytest.raises(UserError, match="item 0 has no right choice"):
        calibrate([[1.0]], [[]])
