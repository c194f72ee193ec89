"""Augmentation: what is drawn, under which ids, and that text and picture agree."""

import json
import random
import re
from dataclasses import replace
from pathlib import Path

import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lskd import marking, table
from lskd.blip2.negatives import FURTHER
from lskd.blip2.pixels import view_picture
from lskd.distil import ledger
from lskd.distil.augmentation import fault, named, renumbered, show
from lskd.distil.ledger import Ledger
from lskd.distil.lessons import Lessons, Variety
from lskd.distil.swaps import Swapped, SwapsOf
from lskd.distil.wording import Wording
from lskd.errors import UserError
from lskd.types import Box, Example, Mention, Region

GREY = PIL.Image.new("RGB", (200, 200), (128, 128, 128))


def region(number: int, place: int) -> Region:
    """Return a region at one of 16 places that do not touch."""
    x, y = place % 4 * 50 + 10, place // 4 * 50 + 10
    return Region(number, Box(x, y, x + 28, y + 28), "thing", "a thing", 1.0)


@st.composite
def some_example(draw: st.DrawFn) -> Example:
    """Return an example with up to eight regions, of any ids, that names some of them."""
    ids = draw(st.lists(st.integers(0, 40), min_size=1, max_size=8, unique=True))
    regions = tuple(region(number, place) for place, number in enumerate(ids))
    told = [draw(st.lists(st.sampled_from(ids), max_size=3)) for _ in range(3)]
    forms = st.sampled_from(("[{}]", "[{}] and [{}]", "[{}, {}]"))
    texts = []
    for numbers in told:
        said = [draw(forms).format(number, draw(st.sampled_from(ids))) for number in numbers]
        texts.append("see " + " then ".join(said))
    return Example(
        id="e",
        image_id="i",
        path="nowhere.png",
        width=200,
        height=200,
        regions=regions,
        style="id",
        question=texts[0],
        answer=texts[1],
        rationale=texts[2],
        region_ids=(),
        mentions=(),
        score=None,
        source="",
        split="train",
    )


seeds = st.integers(0, 10**6)
furthers = st.none() | st.integers(0, 4)


@given(some_example(), seeds, furthers, st.booleans())
def test_named_regions_are_always_drawn_and_others_within_bounds(
    example: Example, seed: int, further: int | None, swappable: bool
) -> None:
    shown = show(example, random.Random(seed), further, swappable=swappable)
    assert named(example) <= set(shown.old) <= {r.id for r in example.regions}
    assert len(set(shown.old)) == len(shown.old)
    more = len(shown.old) - len(named(example))
    assert further is None or more <= max(further, 2 - len(named(example)) if swappable else 0)
    if swappable and len(example.regions) > 1:
        assert len(shown.old) >= 2


@given(some_example(), seeds)
def test_text_and_drawing_agree_on_every_region(example: Example, seed: int) -> None:
    shown = show(example, random.Random(seed))
    said = renumbered(example, shown)
    boxes = {region.id: region.box for region in example.regions}
    drawn = {region.id: region.box for region in shown.view.regions}
    assert list(drawn) == list(range(len(shown.old)))
    pairs = zip(
        (example.question, example.answer, example.rationale),
        (said.question, said.answer, said.rationale),
        strict=True,
    )
    for before, after in pairs:
        olds = [int(number) for number in re.findall(r"\d+", before)]
        news = [int(number) for number in re.findall(r"\d+", after)]
        assert [boxes[number] for number in olds] == [drawn[number] for number in news]


@given(some_example(), seeds)
def test_the_inverse_permutation_restores_the_text(example: Example, seed: int) -> None:
    shown = show(example, random.Random(seed))
    said = renumbered(example, shown)
    back = dict(enumerate(shown.old))
    assert marking.renumber(said.question, back) == example.question
    assert marking.renumber(said.answer, back) == example.answer
    assert marking.renumber(said.rationale, back) == example.rationale


@given(some_example(), seeds, st.sampled_from(("clear", "release")))
def test_each_region_has_the_colour_of_its_new_id(
    example: Example, seed: int, style: marking.MarkStyle
) -> None:
    shown = show(example, random.Random(seed))
    marked = view_picture(GREY, shown.view.regions, style, 200)
    for one in shown.view.regions:
        box = tuple(int(corner) for corner in one.box)
        around = marked.crop((box[0] - 6, box[1] - 6, box[2] + 6, box[3] + 6))
        colours = {colour for _, colour in around.getcolors(40 * 40) or []}
        assert marking.colour(one.id, style) in colours


@given(some_example(), seeds)
def test_the_same_generator_gives_the_same_view(example: Example, seed: int) -> None:
    assert show(example, random.Random(seed)) == show(example, random.Random(seed))


def test_every_order_and_number_of_regions_comes_up() -> None:
    example = ask_of(3, "[1]")
    shown = [show(example, random.Random(seed)) for seed in range(400)]
    assert {one.old for one in shown} == {
        order
        for order in [
            *[(1,), (0, 1), (1, 0), (1, 2), (2, 1)],
            *[(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)],
        ]
    }
    numbers = [len(one.old) for one in shown]
    assert all(100 < numbers.count(number) < 170 for number in (1, 2, 3))


def ask_of(count: int, *names: str) -> Example:
    """Return an example with regions 0 to `count` whose texts are these."""
    texts = [*names, "", "", ""]
    return Example(
        id="e",
        image_id="i",
        path="nowhere.png",
        width=200,
        height=200,
        regions=tuple(region(number, number) for number in range(count)),
        style="id",
        question=texts[0],
        answer=texts[1],
        rationale=texts[2],
        region_ids=(),
        mentions=(),
        score=None,
        source="",
        split="train",
    )


def phrase(count: int) -> Example:
    example = ask_of(count, "What of [the dog]?", "[the dog] runs", "It moves")
    mention = (Mention("the dog", 1),)
    return replace(example, style="description", region_ids=(1,), mentions=mention)


def test_an_example_by_phrase_is_shown_plain_or_drawn_and_keeps_its_words() -> None:
    example = phrase(3)
    plain = show(example, random.Random(1))
    assert plain.view.regions == () and renumbered(example, plain) == example
    for seed in range(20):
        drawn = show(example, random.Random(seed), described="drawn")
        assert 1 in drawn.old and renumbered(example, drawn) == example


def test_regions_that_cannot_be_seen_are_never_drawn() -> None:
    example = ask_of(3, "[0]")
    hidden = replace(example.regions[2], box=Box(300, 300, 320, 320))
    example = replace(example, regions=(*example.regions[:2], hidden))
    assert fault(example) is None
    assert all(2 not in show(example, random.Random(seed)).old for seed in range(50))
    assert fault(replace(example, answer="[2]")) == (
        "names region [2], which lies outside of the picture"
    )


def test_an_example_that_contradicts_itself_has_a_fault() -> None:
    example = ask_of(2, "[0]")
    assert fault(replace(example, region_ids=(5,))) == "names region [5], which it has not got"
    twice = (*example.regions, example.regions[0])
    assert fault(replace(example, regions=twice)) == "two of its regions have the id 0"


def lessons(
    folder: Path, example: Example, known: tuple[Swapped, ...] | None = None, **changes: object
) -> Lessons:
    """Return the rows of one example."""
    ledger.write(folder / "examples.jsonl", [example])
    swaps = None
    if known is not None:
        bare = tuple(replace(one, rationale="") for one in known)
        ledger.write(folder / "swaps.jsonl", [SwapsOf(example.id, known, bare)])
        swaps = Ledger(SwapsOf, folder / "swaps.jsonl")
    variety = Variety(0.5, None, "plain", 0.0, 1.0, None, 0)
    return Lessons(
        Ledger(Example, folder / "examples.jsonl"),
        replace(variety, **changes),  # type: ignore[arg-type]  # any of its fields
        Wording("Q {question} A {answer}", "Q {question} A {answer} R {rationale}"),
        swaps,
    )


def test_the_share_of_rationales_is_that_of_the_settings(tmp_path: Path) -> None:
    example = ask_of(2, "[0]?", "yes", "since")
    for share, least, most in ((0.0, 0, 0), (1.0, 300, 300), (0.3, 60, 120)):
        rows = lessons(tmp_path, example, rationales=share)
        said = [rows.take(0, seed).text for seed in range(300)]
        assert least <= sum("R since" in text for text in said) <= most
        assert all(re.match(r"Q \[[01]\]\? A yes", text) for text in said)


def test_a_swapped_text_names_other_drawn_regions_and_else_says_the_same(tmp_path: Path) -> None:
    rows = lessons(tmp_path, ask_of(3, "[0]?", "[0] and [1]", "so [2]"), swaps=1.0, rationales=0.5)
    for seed in range(100):
        lesson = rows.take(0, seed)
        (wrong,) = lesson.wrong
        assert wrong != lesson.text
        drawn = {one.id for one in lesson.view.regions}
        assert set(marking.named(wrong)) <= drawn
        assert re.sub(r"\d", "#", wrong) == re.sub(r"\d", "#", lesson.text)


def test_a_misnamed_text_calls_one_drawn_region_by_a_number_that_is_not_drawn(
    tmp_path: Path,
) -> None:
    example = ask_of(3, "[0]?", "[0] and [1]", "so [2]")
    rows = lessons(tmp_path, example, misnamed=1.0, rationales=0.5)
    for seed in range(100):
        lesson = rows.take(0, seed)
        (wrong,) = lesson.wrong
        drawn = {one.id for one in lesson.view.regions}
        assert set(marking.named(lesson.text)) <= drawn
        (foreign,) = set(marking.named(wrong)) - drawn
        assert 1 <= foreign - max(drawn) <= FURTHER
        pairs = zip(re.findall(r"\d+", lesson.text), re.findall(r"\d+", wrong), strict=True)
        assert len({pair for pair in pairs if pair[0] != pair[1]}) == 1
        assert re.sub(r"\d+", "#", wrong) == re.sub(r"\d+", "#", lesson.text)


def test_a_share_of_rows_is_misnamed_beside_the_swaps_and_none_that_names_no_number(
    tmp_path: Path,
) -> None:
    rows = lessons(tmp_path, ask_of(3, "[0]?", "yes"), swaps=1.0, misnamed=0.4)
    counts = [len(rows.take(0, seed).wrong) for seed in range(300)]
    assert set(counts) == {1, 2} and 80 <= counts.count(2) <= 160
    for example in (ask_of(3, "What?"), phrase(3)):
        none = lessons(tmp_path, example, misnamed=1.0)
        assert all(none.take(0, seed).wrong == () for seed in range(30))


def test_a_share_of_rows_has_a_swap_and_then_two_regions_are_drawn(tmp_path: Path) -> None:
    rows = lessons(tmp_path, ask_of(3, "[0]?", "yes"), swaps=0.4, rationales=0.0, further=0)
    taken = [rows.take(0, seed) for seed in range(300)]
    swapped = [lesson for lesson in taken if lesson.wrong]
    assert 80 <= len(swapped) <= 160
    assert {len(lesson.view.regions) for lesson in swapped} == {2}
    assert {len(lesson.view.regions) for lesson in taken if not lesson.wrong} == {1}


def test_a_row_has_as_many_different_swapped_texts_as_are_wanted_and_can_be(tmp_path: Path) -> None:
    for regions, most in ((4, 2), (4, 3), (2, 3)):
        rows = lessons(tmp_path, ask_of(regions, "[0]?", "yes"), swaps=1.0, swapped=most)
        taken = [rows.take(0, seed) for seed in range(60)]
        assert all(len(set(one.wrong)) == len(one.wrong) for one in taken)
        assert max(len(one.wrong) for one in taken) == min(most, regions - 1)
        for one in taken:
            drawn = {region.id for region in one.view.regions}
            named = [number for text in one.wrong for number in marking.named(text)]
            assert set(named) <= drawn and one.text not in one.wrong


def test_nothing_is_swapped_where_it_cannot_be(tmp_path: Path) -> None:
    for example in (ask_of(1, "[0]?"), ask_of(3, "What?"), phrase(3)):
        rows = lessons(tmp_path, example, swaps=1.0)
        assert all(rows.take(0, seed).wrong == () for seed in range(30))


def test_swaps_that_a_critic_rejected_are_drawn_and_are_the_only_ones(tmp_path: Path) -> None:
    example = ask_of(4, "[0]?", "yes", "so [0]")
    rows = lessons(tmp_path, example, (Swapped("[3]?", "yes", "so [3]"),), swaps=1.0, further=0)
    for seed in range(60):
        lesson = rows.take(0, seed)
        boxes = {one.id: one.box for one in lesson.view.regions}
        (text,) = lesson.wrong
        (wrong,), (right,) = marking.named(text), marking.named(lesson.text)
        assert boxes[wrong] == example.regions[3].box and boxes[right] == example.regions[0].box
    none = lessons(tmp_path, example, (), swaps=1.0)
    assert all(none.take(0, seed).wrong == () for seed in range(20))
    half = lessons(tmp_path, example, (), swaps=1.0, checked=0.5)
    assert 20 < sum(half.take(0, seed).wrong != () for seed in range(100)) < 80


@pytest.mark.parametrize("views", [None, 2])
def test_a_swap_is_drawn_only_in_the_form_that_a_critic_rejected(
    tmp_path: Path, views: int | None
) -> None:
    example = ask_of(4, "[0]?", "yes", "so [0]")
    rows = lessons(tmp_path, example, (), swaps=1.0, views=views)
    # With its rationale the third region is wrong, without it the fourth.
    full, bare = Swapped("[2]?", "yes", "so [2]"), Swapped("[3]?", "yes", "")
    ledger.write(tmp_path / "swaps.jsonl", [SwapsOf(example.id, (full,), (bare,))])
    rows.swaps = Ledger(SwapsOf, tmp_path / "swaps.jsonl")
    for said, meant in ((True, 2), (False, 3)):
        taken = [rows.take(0, seed, said) for seed in range(60)]
        assert any(lesson.wrong for lesson in taken)
        assert views is not None or all(lesson.wrong for lesson in taken)
        for lesson in taken:
            boxes = {one.id: one.box for one in lesson.view.regions}
            for text in lesson.wrong:
                (wrong,) = marking.named(text)
                assert boxes[wrong] == example.regions[meant].box
                assert (" R so " in text) is said


def test_fixed_views_are_few_and_do_not_change(tmp_path: Path) -> None:
    rows = lessons(tmp_path, ask_of(5, "[0]?", "[2]", "so [2]"), views=3, swaps=0.5)
    fixed = list(rows.fixed_views(0))
    assert len(fixed) == 3 and fixed == list(rows.fixed_views(0))
    taken = [rows.take(0, seed) for seed in range(60)]
    assert {lesson.view for lesson in taken} == set(fixed)
    assert len({lesson.text for lesson in taken}) > len(set(fixed))


def test_a_control_says_the_same_and_is_shown_nothing_to_point_at(tmp_path: Path) -> None:
    example = ask_of(4, "[0]?", "yes", "so [0]")
    rows = lessons(tmp_path, example, control="undrawn", swaps=1.0)
    for seed in range(40):
        lesson = rows.take(0, seed)
        assert lesson.view.regions == () and lesson.wrong


def test_numbers_of_a_shuffled_control_stand_for_every_region_alike(tmp_path: Path) -> None:
    example = ask_of(4, "[0]?", "yes", "so [0]")
    rows = lessons(tmp_path, example, control="shuffled", rationales=0.0)
    taken = [rows.take(0, seed) for seed in range(2000)]
    four = [lesson for lesson in taken if len(lesson.view.regions) == 4]
    meant = [
        next(one.box for one in lesson.view.regions if one.id == marking.named(lesson.text)[0])
        for lesson in four
    ]
    for region in example.regions:  # a quarter each, within five standard errors
        share = sum(box == region.box for box in meant) / len(four)
        assert abs(share - 0.25) < 5 * (0.25 * 0.75 / len(four)) ** 0.5


def test_a_text_cannot_name_what_a_view_leaves_out() -> None:
    example = ask_of(3, "[0]")
    shown = show(example, random.Random(0), further=0)
    with pytest.raises(UserError, match="names region"):
        renumbered(replace(example, answer="[2]"), shown)


@given(some_example())
def test_an_example_comes_back_from_a_ledger(example: Example) -> None:
    line = ledger.line(example)
    assert line.count(b"\n") == 1
    assert table.converter(Example)(json.loads(line)) == example
