import bisect
import statistics as plain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lskd.report.sketch import CAP, Count, Distinct, Histogram, Smallest, Tally, Wholes, lot

EDGES = tuple(place / 20 for place in range(21))


@given(st.lists(st.floats(0, 1)))
def test_a_histogram_counts_as_a_plain_loop_does(values: list[float]) -> None:
    expected = [0] * 20
    for value in values:
        expected[min(bisect.bisect_right(EDGES, value) - 1, 19)] += 1
    counted = Histogram(EDGES)
    half = len(values) // 2
    counted.add(values[:half])
    counted.add(values[half:])
    assert counted.bins().counts == tuple(expected)
    assert counted.mean == (pytest.approx(plain.fmean(values)) if values else None)


def test_a_value_on_an_edge_belongs_to_the_bin_above_and_the_last_edge_to_the_last() -> None:
    counted = Histogram((0, 0.5, 1))
    counted.add([0.5, 1.0, 0.0])
    assert counted.bins().counts == (1, 2)


def test_not_a_number_is_missing_and_never_counted_as_zero() -> None:
    counted = Histogram(EDGES)
    counted.add([float("nan"), 0.5])
    assert (counted.missing, counted.count, counted.mean) == (1, 1, 0.5)


@given(st.lists(st.integers(0, CAP), min_size=1))
def test_the_spread_of_whole_numbers_is_exact(values: list[int]) -> None:
    counted = Wholes()
    counted.add(values)
    spread = counted.spread()
    assert spread.mean == pytest.approx(plain.fmean(values))
    assert spread.median == plain.median(values)
    assert spread.maximum == max(values)
    assert sum(spread.bins.counts) == spread.count == len(values)
    assert len(spread.bins.counts) <= 24
    for low, high, count in zip(
        spread.bins.edges[:-1], spread.bins.edges[1:-1], spread.bins.counts[:-1], strict=False
    ):
        assert count == sum(low <= value < high for value in values)


def test_of_no_numbers_nothing_is_said() -> None:
    spread = Wholes().spread()
    assert (spread.count, spread.mean, spread.median, spread.maximum) == (0, None, None, None)


def test_one_long_text_opens_the_last_bin_and_leaves_the_others_narrow() -> None:
    counted = Wholes()
    counted.add([*range(10)] * 100 + [5_000])
    bins = counted.spread().bins
    assert bins.open
    assert bins.edges[1] == 1
    assert bins.counts[-1] == 101
    assert counted.spread().maximum == 5_000


@given(st.lists(st.integers(0, 2**64 - 1)))
def test_few_distinct_hashes_are_counted_exactly(values: list[int]) -> None:
    counted = Distinct(limit=200)
    for start in range(0, len(values), 7):
        counted.add(np.array(values[start : start + 7], dtype=np.uint64))
    assert counted.exact
    assert counted.count == len(set(values))
    assert counted.share == (len(set(values)) / len(values) if values else None)


def test_many_distinct_hashes_are_estimated_within_four_standard_errors() -> None:
    counted = Distinct(limit=4096)
    rng = np.random.default_rng(5)
    different = rng.integers(0, 2**64, size=100_000, dtype=np.uint64)
    for _ in range(3):
        counted.add(rng.permutation(different))
    assert not counted.exact
    assert counted.count == pytest.approx(100_000, rel=4 / 4096**0.5)
    assert counted.share == pytest.approx(1 / 3, rel=4 / 4096**0.5)


def test_a_full_tally_still_counts_what_it_knows_and_how_much_else_there_is() -> None:
    tally = Tally(limit=2)
    for name in ("b", "a", "c", "a", "d"):
        tally.add(name)
    assert tally.most(9) == (Count("a", 2), Count("b", 1))
    assert (tally.others, tally.total) == (2, 5)


@given(st.lists(st.integers(0, 1000), unique=True), st.integers(0, 9))
def test_the_smallest_keys_win_in_whatever_order_they_come(keys: list[int], limit: int) -> None:
    held: Smallest[str] = Smallest(limit)
    for key in keys:
        held.add((key, 0), str(key))
    assert held.items == [str(key) for key in sorted(keys)[:limit]]


def test_a_lot_is_the_same_in_every_process_and_another_for_another_seed() -> None:
    assert lot(0, "a") == 0x15D8D767D2A6EBD3 >> 1  # b2sum -l 64
    assert lot(1, "a") != lot(0, "a")
