"""Agreement against statsmodels, scikit-learn, Krippendorff's own example and plain loops."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import fleiss_kappa  # type: ignore[import-untyped]

from lskd.bootstrap import Bootstrap
from lskd.errors import UserError
from lskd.human.agreement import (
    Given,
    Interval,
    Level,
    Table,
    Weights,
    alpha,
    alpha_with_interval,
    arranged,
    cohen,
    fleiss,
    said,
    table,
    with_interval,
)

LEVELS: tuple[Level, ...] = ("nominal", "ordinal", "interval")
N = None
# Four observers, twelve units: the example of Krippendorff's "Computing Alpha-Reliability".
OBSERVERS = (
    (1, 2, 3, 3, 2, 1, 4, 1, 2, N, N, N),
    (1, 2, 3, 3, 2, 2, 4, 1, 2, 5, N, 3),
    (N, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, N),
    (1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, N),
)
EXAMPLE = [list(unit) for unit in zip(*OBSERVERS, strict=True)]
SOME = st.one_of(st.none(), st.integers(1, 5), st.sampled_from([0.5, -2.25, 7.0]))
UNITS = st.lists(st.lists(SOME, max_size=5), max_size=12)
FULL: st.SearchStrategy[list[list[int]]] = st.integers(2, 5).flatmap(
    lambda raters: st.lists(
        st.lists(st.integers(1, 4), min_size=raters, max_size=raters), min_size=1, max_size=20
    )
)
PAIRS = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=40)


def distance(level: Level, one: float, other: float, everything: list[float]) -> float:
    """Return the difference of two values by its definition."""
    if level == "nominal":
        return float(one != other)
    if level == "interval":
        return (one - other) ** 2
    low, high = min(one, other), max(one, other)
    between = sum(low <= value <= high for value in everything)
    return (between - (everything.count(low) + everything.count(high)) / 2) ** 2


def plain_alpha(units: list[list[float | None]], level: Level) -> float | None:
    """Return alpha by its definition: all pairs within units against all pairs at all."""
    known = [[value for value in unit if value is not None] for unit in units]
    pairable = [unit for unit in known if len(unit) > 1]
    everything = [value for unit in pairable for value in unit]
    observed = expected = 0.0
    for unit in pairable:
        for one, other in itertools.permutations(unit, 2):
            observed += distance(level, one, other, everything) / (len(unit) - 1)
    for one, other in itertools.permutations(everything, 2):
        expected += distance(level, one, other, everything)
    if expected == 0:
        return None
    total = len(everything)
    return 1 - (observed / total) / (expected / (total * (total - 1)))


@pytest.mark.parametrize(
    ("level", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)]
)
def test_alpha_is_that_of_krippendorffs_example(level: Level, published: float) -> None:
    found = alpha(EXAMPLE, level)
    assert found is not None
    assert round(found, 3) == published


@pytest.mark.parametrize("level", LEVELS)
@given(UNITS)
def test_alpha_is_its_definition(level: Level, units: list[list[float | None]]) -> None:
    found, plain = alpha(units, level), plain_alpha(units, level)
    assert found == (None if plain is None else pytest.approx(plain, abs=1e-12, rel=0))


@pytest.mark.parametrize("level", LEVELS)
@given(UNITS)
def test_alpha_asks_not_who_gave_a_rating(level: Level, units: list[list[float | None]]) -> None:
    turned = [[None, *reversed(unit)] for unit in reversed(units)]
    before, after = alpha(units, level), alpha(turned, level)
    assert before == (None if after is None else pytest.approx(after, abs=1e-12, rel=0))


@given(FULL)
def test_fleiss_is_that_of_statsmodels(units: list[list[int]]) -> None:
    counts = np.array([[unit.count(value) for value in range(1, 5)] for unit in units])
    assume((counts.sum(axis=0) > 0).sum() > 1)
    assert fleiss(units) == pytest.approx(fleiss_kappa(counts), abs=1e-12, rel=0)


@pytest.mark.parametrize("weights", [None, "linear", "quadratic"])
@given(PAIRS)
def test_cohen_is_that_of_scikit_learn(weights: Weights, pairs: list[tuple[int, int]]) -> None:
    first, second = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    assume(len({*first, *second}) > 1)
    theirs = cohen_kappa_score(first, second, weights=weights)
    assert cohen(first, second, weights) == pytest.approx(theirs, abs=1e-12, rel=0)


def test_cohen_leaves_out_what_one_of_two_did_not_rate() -> None:
    whole = cohen([1, 2, 3, 1], [1, 2, 2, 3], "linear")
    assert cohen([1, None, 2, 3, 1], [1, 2, 2, 2, 3], "linear") == whole
    assert cohen(np.array([1, np.nan, 2, 3, 1]), np.array([1, 2, 2, 2, 3.0]), "linear") == whole


@pytest.mark.parametrize("level", LEVELS)
def test_without_variation_or_pairs_alpha_is_undefined(level: Level) -> None:
    empty: list[list[list[float | None]]] = [
        [],
        [[]],
        [[2, 2], [2, 2]],
        [[1, None], [None, 2]],
        [[1], [2], [3]],
    ]
    for units in empty:
        assert alpha(units, level) is None
    assert alpha([[1, 1], [2, 2]], level) == 1


def test_kappas_without_variation_or_pairs_are_undefined() -> None:
    assert fleiss([]) is None
    assert fleiss([[2, 2, 2], [2, 2, 2]]) is None
    assert fleiss([[1], [2]]) is None
    assert cohen([], []) is None
    assert cohen([1, 1], [1, 1]) is None
    assert cohen([1, None], [None, 2]) is None
    assert cohen([1, 1], [2, 2]) == 0


def test_ratings_that_cannot_be_used_are_refused() -> None:
    with pytest.raises(UserError, match="2 to 3 ratings"):
        fleiss([[1, 2, 2], [1, None, 2]])
    with pytest.raises(UserError, match="have 1 and 2 units"):
        cohen([1], [1, 2])
    with pytest.raises(UserError, match="have 2 and 1 units"):
        cohen([1, 2], [1])
    with pytest.raises(UserError, match="unit 1 is infinite"):
        alpha([[1, 2], [math.inf, 1]], "interval")
    with pytest.raises(UserError, match="unit 1 is infinite"):
        table([[1, 2], [1, -math.inf], [math.inf]])
    with pytest.raises(UserError, match="resamples = 0"):
        with_interval(nominal, EXAMPLE, Bootstrap(resamples=0))
    with pytest.raises(UserError, match="confidence = 95"):
        with_interval(nominal, EXAMPLE, Bootstrap(confidence=95))
    with pytest.raises(UserError, match="ann rates t1 twice"):
        arranged([Given("t1", "ann", 1), Given("t1", "ann", 1)])


def test_ratings_are_arranged_by_unit_and_rater() -> None:
    said = [Given("b", "eve", 3), Given("a", "ann", 1), Given("a", "eve", 2)]
    assert arranged(said) == [[3, None], [2, 1]]
    assert arranged([]) == []


def nominal(rows: Table) -> float | None:
    return alpha(rows, "nominal")


def mean(rows: Table) -> float | None:
    return float(rows.mean())


def test_a_seed_gives_the_same_interval_around_the_figure() -> None:
    once, again = (with_interval(nominal, EXAMPLE, Bootstrap(200, seed=4)) for _ in range(2))
    assert once == again != with_interval(nominal, EXAMPLE, Bootstrap(200, seed=5))
    assert once.low is not None and once.value is not None and once.high is not None
    assert once.low < once.value < once.high <= 1
    assert once.units == 12


def test_a_thousand_drawings_are_usual() -> None:
    assert with_interval(nominal, EXAMPLE) == with_interval(nominal, EXAMPLE, Bootstrap(1000))
    assert with_interval(nominal, EXAMPLE) != with_interval(nominal, EXAMPLE, Bootstrap(999))


def test_below_two_units_there_is_no_interval() -> None:
    assert with_interval(nominal, [[1, 2]]) == Interval(0.0, None, None, 1)
    assert with_interval(nominal, []) == Interval(None, None, None, 0)


def test_drawings_without_a_figure_are_counted() -> None:
    # One unit of two differs: a quarter of the drawings has the other one twice.
    found = with_interval(nominal, [[1, 1], [1, 2]], Bootstrap(2000))
    assert found.undefined / 2000 == pytest.approx(0.25, abs=0.04)
    assert found.value == 0 and found.low is not None and found.high is not None


def test_the_interval_of_a_mean_is_that_of_the_normal_law() -> None:
    values = np.random.default_rng(1).normal(5, 2, (900, 1))
    found = with_interval(mean, values, Bootstrap(4000))
    reach = 1.96 * values.std() / 30
    assert found.low == pytest.approx(values.mean() - reach, abs=0.02)
    assert found.high == pytest.approx(values.mean() + reach, abs=0.02)


@pytest.mark.parametrize("level", LEVELS)
@given(UNITS)
def test_many_drawings_at_once_are_those_of_one_after_another(
    level: Level, units: list[list[float | None]]
) -> None:
    how = Bootstrap(120)  # more than are taken at once
    found = alpha_with_interval(units, level, how)
    plain = with_interval(lambda rows: alpha(rows, level), units, how)
    assert (found.units, found.undefined) == (plain.units, plain.undefined)
    for name in ("value", "low", "high"):
        assert getattr(found, name) == pytest.approx(getattr(plain, name), abs=1e-9)


def test_intervals_of_alpha_cover_the_truth_as_often_as_they_say() -> None:
    # Two raters copy a fair coin with the chance 0.8 each, and else toss their own: 0.64 is shared.
    source = np.random.default_rng(7)
    covered = 0
    for trial in range(100):
        coin = source.integers(0, 2, (120, 1))
        own = source.integers(0, 2, (120, 2))
        rows = np.where(source.random((120, 2)) < 0.8, coin, own).astype(np.float64)
        found = with_interval(nominal, rows, Bootstrap(100, trial))
        assert found.low is not None and found.high is not None
        covered += found.low <= 0.64 <= found.high
    assert covered / 100 == pytest.approx(0.95, abs=3 * math.sqrt(0.95 * 0.05 / 100) + 0.02)


def test_shorter_rows_are_filled_with_nothing() -> None:
    made = table([[1, None], [2], []])
    assert made.shape == (3, 2)
    assert np.array_equal(np.isnan(made), [[False, True], [False, True], [True, True]])


def test_a_figure_is_said_with_as_many_digits_as_are_wished_and_what_is_unknown_with_a_dash() -> (
    None
):
    sure = Interval(0.614, 0.552, 0.678, 12)
    assert said(sure) == "0.61 [0.55, 0.68]"
    assert said(sure, digits=0, scale=100) == "61 [55, 68]"
    assert (
        said(Interval(0.05, -0.1, 0.2, 12), digits=1, scale=10, signed=True) == "+0.5 [-1.0, +2.0]"
    )
    assert said(Interval(0.5, None, None, 1)) == "0.50"
    assert said(Interval(0.5, None, None, 1), digits=0, scale=100, signed=True) == "+50"
    assert said(Interval(None, None, None, 0)) == "–"


def test_a_figure_that_no_drawing_has_has_no_interval() -> None:
    def of_all(rows: Table) -> float | None:
        return 0.5 if len({float(row[0]) for row in rows}) == 40 else None

    units = [[number] for number in range(40)]  # to draw each of them once is all but impossible
    assert with_interval(of_all, units, Bootstrap(50)) == Interval(0.5, None, None, 40, 50)
