"""The picture of the losses is well-formed, whatever they are."""

import math
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lskd.training.history import Measured, line, read
from lskd.training.plot import HEIGHT, POINTS, WIDTH, svg, ticks, write

NUMBER = st.one_of(st.floats(-1e6, 1e6), st.sampled_from([math.nan, math.inf, 0.0]))


def measured(step: int, loss: float, parts: dict[str, float]) -> Measured:
    return Measured(step, loss, tuple(parts.items()), 1e-5, 1.0)


@given(st.lists(st.tuples(NUMBER, NUMBER, NUMBER), max_size=30))
def test_all_lines_lie_within_the_picture(losses: list[tuple[float, float, float]]) -> None:
    history = [
        measured(step, total, {"itc <1>": itc, "itm & itg": itm})
        for step, (total, itc, itm) in enumerate(losses, start=1)
    ]
    root = ElementTree.fromstring(svg(history))
    for drawn in root.iter("{http://www.w3.org/2000/svg}polyline"):
        for point in drawn.attrib["points"].split():
            x, y = (float(part) for part in point.split(","))
            assert 0 <= x <= WIDTH and 0 <= y <= HEIGHT


def test_each_loss_is_drawn_named_and_told_in_words() -> None:
    history = [measured(s, 9 / s + 1, {"itc": 6 / s, "itm": 3 / s + 1}) for s in range(1, 5001)]
    drawn = svg(history)
    root = ElementTree.fromstring(drawn)
    texts = [text.text or "" for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert all(any(text.startswith(name) for text in texts) for name in ("loss", "itc", "itm"))
    assert "loss: 3.202 at step 7, 1.002 at step 4996.5." in drawn
    lines = list(root.iter("{http://www.w3.org/2000/svg}polyline"))
    assert len(lines) == 6
    assert all(len(line.attrib["points"].split()) <= POINTS for line in lines)


def test_a_loss_of_one_part_is_drawn_once() -> None:
    drawn = svg([measured(step, 1 / step, {"match": 1 / step}) for step in range(1, 9)])
    assert "match" not in drawn and drawn.count("<polyline") == 2


@given(st.floats(-100, 100), st.floats(0.001, 1e4), st.integers(2, 8))
@example(1.53125, 0.4375, 2)  # which has no multiple of a half
def test_ticks_are_few_round_and_within(low: float, span: float, most: int) -> None:
    found = ticks(low, low + span, most)
    assert 0 < len(found) <= most + 1 or span < 1e-3
    assert all(low - 1e-6 * span <= tick <= low + span * (1 + 1e-6) for tick in found)


def test_a_history_is_read_as_it_was_written(tmp_path: Path) -> None:
    history = [measured(1, 2.5, {"itc": 0.1}), measured(2, math.nan, {"itc": math.inf})]
    file = tmp_path / "losses.jsonl"
    text = "".join(line(m) for m in history)
    file.write_text(text + '{"step": 3, "lo', encoding="utf-8")
    first, second = read(file)
    assert first == history[0]
    assert second.step == 2 and math.isnan(second.loss) and math.isnan(second.parts[0][1])


def test_the_picture_is_written_whole(tmp_path: Path) -> None:
    write(tmp_path / "losses.svg", [measured(1, 2.5, {})])
    assert [path.name for path in tmp_path.iterdir()] == ["losses.svg"]
    ElementTree.parse(tmp_path / "losses.svg")


@pytest.mark.parametrize("text", ["", "[]\n", "null\n", '{"step": 1}\n', "\x00\x00"])
def test_a_broken_history_holds_nothing(tmp_path: Path, text: str) -> None:
    file = tmp_path / "losses.jsonl"
    file.write_text(text, encoding="utf-8")
    assert read(file) == []
