"""Figure 3 from judgments whose means are known."""

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lskd import table
from lskd.bootstrap import Bootstrap
from lskd.human.agreement import Interval
from lskd.human.likert import HEIGHT, WIDTH, Likert, likert, markdown, of_run, svg, write
from lskd.table import Tables
from lskd.types import Example, Judgment, Sample

FEW = Bootstrap(resamples=200)
SVG = "{http://www.w3.org/2000/svg}"
RATED = st.tuples(st.integers(1, 3), st.integers(1, 3))


def said(triple: str, annotator: str, qa: int, rationale: int | None, image: str = "") -> Judgment:
    return Judgment(triple, image or f"i-{triple}", annotator, qa, rationale)


JUDGMENTS = [
    said("a", "ann", 3, 3),
    said("a", "eve", 2, 3),
    said("b", "ann", 1, None),
    said("c", "ann", 2, 1),
    said("c", "eve", 2, 2),
]


def heights(found: Likert) -> list[float]:
    drawn = ElementTree.fromstring(svg(found)).iter(f"{SVG}rect")
    return [float(rect.get("height", 0)) for rect in drawn if len(rect)]


def test_each_triple_counts_once_and_a_rejected_qa_rejects_the_rationale() -> None:
    found = likert(JUDGMENTS, {"a", "c", "never judged"}, FEW)
    qa, rationale = found.questions
    assert (found.triples, found.kept, found.judgments) == (3, 2, 5)
    assert qa.without.value == pytest.approx((2.5 + 1 + 2) / 3)
    assert qa.kept.value == pytest.approx((2.5 + 2) / 2)
    assert qa.gain.value == pytest.approx(2.25 - 5.5 / 3)
    assert rationale.without.value == pytest.approx((3 + 1 + 1.5) / 3)
    assert rationale.kept.value == pytest.approx(2.25)


def test_what_one_image_alone_has_kept_has_no_interval() -> None:
    found = likert([said(one, "ann", 2, 2) for one in "abcdefgh"], {"a"}, FEW)
    for one in found.questions:
        assert one.without.low is not None
        for of_kept in (one.kept, one.gain):
            assert of_kept.value is not None and of_kept.units == 1
            assert (of_kept.low, of_kept.high) == (None, None)
    both = likert([said(one, "ann", 2, 2) for one in "abcdefgh"], {"a", "b"}, FEW)
    assert all(one.kept.low is not None and one.kept.units == 2 for one in both.questions)


def test_triples_that_the_critic_learnt_from_do_not_count(tmp_path: Path) -> None:
    tables = Tables({"sample": tmp_path, "corpus": tmp_path}, {Sample: "sample", Example: "corpus"})
    drawn = [Sample("a", "i-a", "train"), Sample("b", "i-b", "evaluate")]
    table.write(Sample, tables.file(Sample, "00000"), drawn)
    table.write(Sample, tables.file(Sample, "00001"), [Sample("c", "i-c", "evaluate")])
    # Of an image apart, though drawn no more; and of one that is on no side, so that it trains.
    more = [said("d", "ann", 3, 2, "i-b"), said("e", "ann", 1, None)]
    found = of_run([*JUDGMENTS, *more], tables, FEW)
    assert (found.triples, found.judgments, found.left_out) == (3, 4, 2)
    assert found.questions[0].without.value == pytest.approx((1 + 2 + 3) / 3)
    assert "2 judged triples are left out" in markdown(found)
    assert "left out" not in markdown(of_run(JUDGMENTS[2:], tables, FEW))


@given(
    st.lists(st.tuples(RATED, st.sampled_from("abcdefgh"), st.sampled_from("xyz")), max_size=20),
    st.sets(st.sampled_from("abcdefgh")),
)
def test_means_lie_in_their_intervals_and_on_the_scale(
    rows: Sequence[tuple[tuple[int, int], str, str]], kept: set[str]
) -> None:
    given = [
        said(triple, who, qa, None if qa == 1 else rationale)
        for (qa, rationale), triple, who in rows
    ]
    found = likert(given, kept, Bootstrap(40))
    assert found.judgments + len(found.rejects) <= len(given)
    for one in found.questions:
        for mean in (one.without, one.kept):
            if mean.value is not None and mean.low is not None and mean.high is not None:
                assert 1 <= mean.low <= mean.value <= mean.high <= 3
        if found.kept == found.triples and found.triples:
            assert one.gain.value == 0
    ElementTree.fromstring(svg(found))


def test_whole_images_are_drawn_again() -> None:
    source = np.random.default_rng(2)
    ratings = [int(rating) for rating in source.integers(1, 4, 40)]
    alone = [said(f"t{n}", "ann", r, None if r == 1 else 2, f"i{n}") for n, r in enumerate(ratings)]
    often = [
        said(f"t{n}-{copy}", "ann", r, None if r == 1 else 2, f"i{n}")
        for n, r in enumerate(ratings)
        for copy in range(8)
    ]
    few, many = (likert(some, set(), FEW).questions[0].without for some in (alone, often))
    assert many.units == few.units == 40
    assert (many.low, many.high) == pytest.approx((few.low, few.high))


def test_a_mean_of_many_triples_has_the_interval_of_the_normal_law() -> None:
    given = [said(f"t{n}", "ann", 1 + n % 3, None if n % 3 == 0 else 3) for n in range(900)]
    qa = likert(given, set(), Bootstrap(2000)).questions[0].without
    reach = 1.96 * math.sqrt(2 / 3 / 900)
    assert qa.value == 2
    assert (qa.low, qa.high) == pytest.approx((2 - reach, 2 + reach), abs=0.006)


def test_the_gain_is_surer_than_the_means_it_is_of() -> None:
    # Kept and all are of the same images: what is common to both cancels.
    source = np.random.default_rng(5)
    given = [said(f"t{n}", "ann", int(r), 2) for n, r in enumerate(source.integers(2, 4, 200))]
    qa = likert(given, {f"t{n}" for n in range(190)}, FEW).questions[0]
    widths = [high - low for low, high in ((i.low or 0, i.high or 0) for i in (qa.gain, qa.kept))]
    assert widths[0] < widths[1] / 2


def test_who_says_two_things_is_not_counted_and_who_repeats_counts_once() -> None:
    doubtful = [said("a", "bob", 3, 3), said("a", "bob", 2, 3)]
    found = likert([*JUDGMENTS, JUDGMENTS[0], *doubtful], {"a"}, FEW)
    assert found.questions == likert(JUDGMENTS, {"a"}, FEW).questions
    assert [one.reason for one in found.rejects] == ["bob contradicts it"] * 2
    assert "2 judgments contradict" in markdown(found)


def test_agreement_is_ordinal_alpha_over_triples() -> None:
    exact = [said(t, who, r, 3) for t, r in (("a", 2), ("b", 3)) for who in ("ann", "eve")]
    found = likert(exact, set(), FEW)
    assert found.questions[0].agreement.value == 1
    assert found.questions[0].agreement.units == 2
    assert found.questions[1].agreement.value is None  # nobody ever says anything else


def test_nothing_is_known_of_no_judgments_and_no_kept_triples() -> None:
    nothing = likert([], set())
    assert nothing.questions[0].without == Interval(None, None, None, 0)
    assert heights(nothing) == []
    unkept = likert(JUDGMENTS, set(), FEW)
    assert unkept.questions[0].kept.value is unkept.questions[0].gain.value is None
    assert len(heights(unkept)) == 2
    assert "| QA | 1.83 [" in markdown(unkept) and "| – | – |" in markdown(unkept)


def test_bars_are_as_high_as_their_means_above_the_lowest_rating() -> None:
    found = likert(JUDGMENTS, {"a"}, FEW)
    means = [mean.value or 0 for one in found.questions for mean in (one.without, one.kept)]
    tall = [height / (mean - 1) for height, mean in zip(heights(found), means, strict=True)]
    assert tall == pytest.approx([tall[0]] * 4, rel=0.01)


def test_everything_drawn_lies_in_the_picture_even_at_the_top_of_the_scale() -> None:
    best = likert([said(t, "ann", 3, 3) for t in "abc"], {"a"}, FEW)
    for one in ElementTree.fromstring(svg(best)).iter(f"{SVG}text"):
        assert 10 < float(one.get("y", 0)) < HEIGHT
        assert 0 < float(one.get("x", 0)) < WIDTH


def test_the_picture_says_its_numbers_in_words(tmp_path: Path) -> None:
    found = likert(JUDGMENTS, {"a", "c"}, FEW)
    write(found, tmp_path / "figure3.svg", tmp_path / "figure3.md")
    drawn = ElementTree.parse(tmp_path / "figure3.svg").getroot()
    said = drawn.findtext(f"{SVG}desc") or ""
    assert said.startswith("QA: 1.83 [") and "QA → R: 1.83 [" in said
    text = (tmp_path / "figure3.md").read_text(encoding="utf-8")
    assert "5 judgments of 3 triples; filtering keeps 2, of 2 images." in text
    assert "| gain |" in text and "+0.42 [" in text
