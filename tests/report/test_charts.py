import pytest
from hypothesis import given
from hypothesis import strategies as st

from lskd.report.charts import Tick, columns, heat, lines, nice
from lskd.report.sketch import Bins


@given(st.floats(1e-3, 1e9), st.integers(2, 6))
def test_ticks_are_round_few_and_within_the_axis(limit: float, steps: int) -> None:
    ticks = nice(limit, steps)
    assert ticks[0] == 0
    assert len(ticks) <= steps + 1
    assert ticks[-1] <= limit * (1 + 1e-6)


def test_bars_are_as_high_as_their_counts() -> None:
    chart = columns("Words", Bins((0.0, 1.0, 2.0, 3.0), (5, 0, 10)), "words")
    low, high = chart.bars
    assert high.height == pytest.approx(2 * low.height)
    assert low.y + low.height == pytest.approx(high.y + high.height)
    assert chart.text == "0: 5. 1: 0. 2: 10."


def test_a_threshold_within_a_bin_cuts_its_bar() -> None:
    chart = columns("Scores", Bins((0.0, 0.5, 1.0), (4, 4)), "score", Tick(0.75, "threshold"))
    assert [bar.kind for bar in chart.bars] == ["pale", "pale", "strong"]
    assert chart.line is not None
    assert chart.bars[2].x == pytest.approx(chart.line.at)


def test_an_open_bin_says_so() -> None:
    chart = columns("Words", Bins((0.0, 10.0, 20.0), (3, 1), open=True), "words")
    assert chart.text == "0 to 9: 3. 10 or more: 1."


def test_charts_of_nothing_can_be_drawn() -> None:
    assert columns("Words", Bins((), ()), "words").bars == ()
    assert lines("Labels", [], str).lines == ()
    assert heat("Map", (), 0).shades == ()
    assert heat("Map", ((0, 0), (0, 0)), 0).shades == ()


def test_the_map_in_words_tells_where_regions_lie() -> None:
    corner = [[2 if x < 2 and y < 2 else 0 for x in range(6)] for y in range(6)]
    chart = heat("Map", corner, 2)
    assert "top left: 100% of regions" in chart.text
    assert "bottom right: 0% of regions" in chart.text
    assert [shade.opacity for shade in chart.shades] == [1.0]


def test_a_bar_chart_tells_the_part_that_was_kept() -> None:
    chart = lines("Asked", [("what", 4, 1), ("why", 0, 0)], str)
    assert chart.text == "what: 4, 1 of them kept. why: 0, 0 of them kept."
    pale, strong = chart.lines[0].bars
    assert strong.width == pytest.approx(pale.width / 4)
