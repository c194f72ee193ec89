import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lskd.report.census import kind_of, measure
from lskd.report.places import HEAT, PlaceCount
from lskd.report.sketch import Count
from lskd.report.statistics import Asked, Rows, as_json
from lskd.types import Box, Example, Image, Regions, Reject, Reply, Score, Triple
from report.house import STAGES, full, photo, put, region, reply, tables


def test_every_number_of_a_small_run_is_as_counted_by_hand(tmp_path: Path) -> None:
    found = measure(STAGES, full(tmp_path))
    assert found.rows == Rows(
        images=2,
        copies=None,
        concepts=None,
        narratives=None,
        described=2,
        dialogues=None,
        replies=2,
        triples=3,
        scores=3,
        examples=2,
    )
    assert found.places.regions == 3
    assert found.places.per_image.mean == 1.5
    assert found.places.labels == (Count("ball", 1), Count("cat", 1), Count("dog", 1))
    # Areas: 1/2, 1/4 and all of the image.
    assert found.places.areas.counts == (0, 0, 0, 0, 0, 0, 1, 2)
    assert found.asked == (Asked("what", 1, 1), Asked("why", 1, 1), Asked("yes or no", 1, 0))
    every, by_id, by_description = found.writing
    assert (every.triples, by_id.triples, by_description.triples) == (3, 2, 1)
    assert (every.kept, by_id.kept, by_description.kept) == (2, 1, 1)
    # 6, 3 and 6 words; 3, 1 and 5; 7, 3 and 7.
    assert every.question.mean == 5.0
    assert every.answer.median == 3.0
    assert every.rationale.maximum == 7
    assert found.scores.mean == pytest.approx(1.6 / 3)
    assert (found.scores.lowest_kept, found.scores.kept) == (0.5, 2 / 3)
    assert [part.name for part in found.diversity] == [
        "all triples",
        "id",
        "description",
        "kept triples",
    ]
    assert [part.triples for part in found.diversity] == [3, 2, 1, 2]


def test_rejects_of_like_reason_are_counted_together(tmp_path: Path) -> None:
    found = {one.stage: one for one in measure(STAGES, full(tmp_path)).rejects}
    assert found["parse"].reasons == (Count("names unknown region #", 2),)
    assert (found["images"].count, found["score"].count) == (1, 0)


def test_a_price_that_one_reply_does_not_tell_makes_the_sum_a_lower_bound(tmp_path: Path) -> None:
    teacher = measure(STAGES, full(tmp_path)).teacher
    assert (teacher.input_tokens, teacher.output_tokens, teacher.price) == (100, 10, 0.25)
    assert (teacher.silent_tokens, teacher.silent_price) == (1, 1)
    assert (teacher.replies, teacher.failed, teacher.seconds) == (2, 0, 4.0)


def test_what_no_reply_tells_is_unknown_and_not_zero(tmp_path: Path) -> None:
    house = tables(tmp_path)
    image = Image("a", "a.png", 4, 4)
    put(house, "00000", [reply(image, "id", "said", None, None)])
    teacher = measure(STAGES, house).teacher
    assert (teacher.input_tokens, teacher.output_tokens, teacher.price) == (None, None, None)


def test_replies_of_the_dialogue_are_paid_for_too(tmp_path: Path) -> None:
    house = full(tmp_path)
    asked = reply(Image("a", "a.png", 4, 4), "id", "Who is it?", 7, 0.5)
    put(house, "00000", [asked], "dialogue")
    found = measure(STAGES, house)
    assert [(use.stage, use.replies) for use in found.models] == [("dialogue", 1), ("generate", 2)]
    assert found.teacher.price == 0.75
    assert found.rows.replies == 2


def test_before_the_corpus_nothing_is_called_kept_or_dropped(tmp_path: Path) -> None:
    house = full(tmp_path)
    for shard in house.shards(Score):
        (tmp_path / "run/corpus/example" / f"{shard}.parquet").unlink()
    found = measure(STAGES, house)
    assert found.rows.examples is None
    assert found.scores.kept is None
    assert {one.kept for one in found.asked} == {None}
    assert {one.kept for one in found.writing} == {None}


def test_the_kept_share_is_of_the_shards_that_were_filtered(tmp_path: Path) -> None:
    house = full(tmp_path)
    (tmp_path / "run/corpus/example/00001.parquet").unlink()
    found = measure(STAGES, house)
    assert (found.rows.examples, found.scores.kept) == (1, 1 / 2)


def test_a_run_without_any_table_has_no_numbers(tmp_path: Path) -> None:
    found = measure(STAGES, tables(tmp_path))
    assert set(as_dict(found.rows).values()) == {None}
    assert found.diversity == ()
    assert found.scores.mean is None


def as_dict(rows: Rows) -> dict[str, int | None]:
    return {name: getattr(rows, name) for name in Rows.__slots__}


def test_a_corpus_without_triples_is_measured_by_its_examples(tmp_path: Path) -> None:
    house = full(tmp_path)
    for stage in ("parse/triple", "score/score"):
        for file in (tmp_path / "run" / stage).iterdir():
            file.unlink()
    found = measure(STAGES, house)
    assert found.writing[0].triples == 2
    assert found.rows.triples is None


def test_statistics_are_json_without_not_a_number(tmp_path: Path) -> None:
    found = as_json(measure(STAGES, full(tmp_path), scopes=()))
    text = json.dumps(found, allow_nan=False)
    again = json.loads(text)
    assert again["rows"]["triples"] == 3
    assert again["diversity"] == []
    assert again["places"]["heat"] == [list(row) for row in again["places"]["heat"]]


def test_how_a_run_is_cut_into_shards_changes_no_number(tmp_path: Path) -> None:
    house = full(tmp_path)
    whole, turned = tables(tmp_path / "whole"), tables(tmp_path / "turned")
    records = (Image, Regions, Reply, Triple, Score, Example)
    for record, stage in (*((one, None) for one in records), *((Reject, one) for one in STAGES)):
        parts = [house.read(record, shard, stage) for shard in house.shards(record, stage)]
        put(whole, "00000", itertools.chain(*parts), stage)
        for number, rows in enumerate(reversed(parts)):
            put(turned, f"{number:05}", rows, stage)
    expected = measure(STAGES, house)
    assert measure(STAGES, whole) == expected
    assert measure(STAGES, turned) == expected


ACROSS, DOWN = st.integers(5, 315), st.integers(5, 235)


@given(st.lists(st.tuples(ACROSS, DOWN, ACROSS, DOWN), min_size=1, max_size=9))
def test_the_map_counts_the_regions_over_the_middle_of_each_cell(
    corners: list[tuple[int, int, int, int]],
) -> None:
    # Cells of 10 x 10 pixels; a region is at least as large as one.
    boxes = [
        Box(min(left, right) - 5, min(top, bottom) - 5, max(left, right) + 5, max(top, bottom) + 5)
        for left, top, right, bottom in corners
    ]
    count = PlaceCount()
    regions = tuple(region(0, box, "x", "x") for box in boxes)
    count.add([Regions("a", regions)], {"a": Image("a", "a.png", 320, 240)})
    x, y = np.arange(5, 320, 10)[None, :], np.arange(5, 240, 10)[:, None]
    expected = np.zeros((HEAT[1], HEAT[0]), dtype=int)
    for x0, y0, x1, y1 in boxes:
        covered = (x0 <= x) & (x < x1) & (y0 <= y) & (y < y1)
        expected += covered
    assert np.array_equal(np.array(count.result().heat), expected)


def test_a_region_smaller_than_a_cell_is_on_the_map_all_the_same() -> None:
    count = PlaceCount()
    boxes = [Box(0, 0, 1, 1), Box(999, 999, 1000, 1000), Box(-9, -9, -8, -8)]
    regions = tuple(region(0, box, "x", "x") for box in boxes)
    count.add([Regions("a", regions)], {"a": Image("a", "a.png", 1000, 1000)})
    heat = np.array(count.result().heat)
    assert (heat[0, 0], heat[-1, -1], heat.sum()) == (2, 1, 3)


def test_regions_of_an_image_without_a_row_are_counted_apart(tmp_path: Path) -> None:
    house = tables(tmp_path)
    put(house, "00000", [photo(tmp_path / "a.png", (8, 8), "red")])
    put(house, "00000", [Regions("gone", (region(0, Box(0, 0, 4, 4), "x", "x"),))])
    places = measure(STAGES, house).places
    assert (places.regions, places.unplaced, sum(places.areas.counts)) == (1, 1, 0)


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("What is [1] doing?", "what"),
        ("What's [1] doing?", "what"),
        ("What\u2019s [1] doing?", "what"),
        ("Whose hat is [2]?", "who"),
        ("[1] is angry because of what?", "what"),
        ("Given the rain, why does [0] smile?", "why"),
        ("Isn't [1] cold?", "yes or no"),
        ("Won't [1] fall?", "yes or no"),
        ("Can [1] see who is behind it?", "yes or no"),
        ("How many people does [1] see?", "how"),
        ("Name [1].", "other"),
        ("", "other"),
    ],
)
def test_a_question_is_of_the_kind_of_its_asking_word(question: str, kind: str) -> None:
    assert kind_of(question) == kind
