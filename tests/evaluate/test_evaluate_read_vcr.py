"""VCR's files: two items for each row, tags as the release words them, regions as drawn."""

import json
from pathlib import Path

import pytest
from gold_files import (
    SCENE,
    Json,
    load_lines,
    picture,
    put_lines,
    put_scene,
    put_vcr,
    reasons,
    vcr_row,
)
from hypothesis import given
from hypothesis import strategies as st

from lskd.errors import UserError
from lskd.evaluate.benchmark import Options
from lskd.evaluate.mentions import Token, mentioned, tokens, worded
from lskd.evaluate.rows import Wrong
from lskd.evaluate.vcr import read
from lskd.marking import mark, named, renumber
from lskd.picture import decode, image_id
from lskd.types import Box, Item


def items(folder: Path, split: str = "val") -> tuple[Item, ...]:
    found = read(folder, Options(split))
    assert found.faults == ()
    return found.items


def in_order(item: Item, text: str) -> str:
    return renumber(text, {region_id: place for place, region_id in enumerate(item.pointed)})


def test_a_row_is_two_items_and_the_rationale_is_given_the_right_answer(tmp_path: Path) -> None:
    answer, rationale = items(put_vcr(tmp_path, vcr_row()))
    assert (answer.id, answer.task, answer.given) == ("val-0", "answer", None)
    assert (rationale.id, rationale.task) == ("val-0", "rationale")
    assert answer.question == rationale.question == "Why does [1] wave ?"
    assert answer.choices == ("To [0] .", "Cold .", "No .", "[3] , [0] ask .")
    assert rationale.given == "[3] , [0] ask ."
    assert rationale.choices == ("A [2] .", "B .", "C .", "D .")
    assert (answer.right, rationale.right) == ((3,), (0,))
    assert answer.ratings == () == rationale.ratings


def test_an_item_knows_its_picture_by_its_bytes(tmp_path: Path) -> None:
    item = items(put_vcr(tmp_path, vcr_row()))[0]
    data = (tmp_path / f"vcr1images/{SCENE}.jpg").read_bytes()
    assert item.image_id == image_id(data)
    assert Path(item.path).read_bytes() == data
    assert (item.width, item.height) == (40, 30)


def test_regions_are_all_boxes_by_their_place_and_clipped_to_the_picture(tmp_path: Path) -> None:
    regions = items(put_vcr(tmp_path, vcr_row()))[0].regions
    assert [region.id for region in regions] == [0, 1, 2, 3]
    assert [region.label for region in regions] == ["person", "person", "dog", "person"]
    assert [region.score for region in regions] == [0.5, 0.6, 0.7, 0.8]
    assert regions[2].box == Box(20, 10, 30, 20)
    assert regions[3].box == Box(30, 0, 40, 30)
    assert regions[0].polygons == ((1.0, 2.0, 3.0, 4.0, 5.0, 6.0),)


def test_a_list_of_objects_keeps_its_order(tmp_path: Path) -> None:
    row = vcr_row(question=[[2, 1, 0], "are", "what", "?"])
    item = items(put_vcr(tmp_path, row))[0]
    assert item.question == "[2] , [1] , [0] are what ?"
    assert item.pointed == (2, 1, 0, 3)


def test_regions_are_drawn_in_order_of_first_mention(tmp_path: Path) -> None:
    answer, rationale = items(put_vcr(tmp_path, vcr_row()))
    assert answer.pointed == (1, 0, 3)
    assert rationale.pointed == (1, 0, 3, 2)  # one numbering for both items of a row


def test_everyone_is_all_persons(tmp_path: Path) -> None:
    row = vcr_row(question=["Is", [2], "Everyone", "'s", "?"], answer_choices=[["No"]] * 4)
    item = items(put_vcr(tmp_path, row))[0]
    assert item.pointed == (2, 0, 1, 3)
    assert item.question == "Is [2] Everyone 's ?"


def test_a_row_that_names_nobody_is_about_all_persons(tmp_path: Path) -> None:
    row = vcr_row(
        question=["Where", "is", "this", "?"],
        answer_choices=[["A"], ["B"], ["C"], ["D"]],
        rationale_choices=[["A"], ["B"], ["C"], ["D"]],
    )
    answer, rationale = items(put_vcr(tmp_path, row))
    assert answer.pointed == rationale.pointed == (0, 1, 3)


def test_where_the_authors_keep_the_labels_there_is_no_right_choice(tmp_path: Path) -> None:
    row = vcr_row(split="test")
    del row["answer_label"], row["rationale_label"]
    (item,) = items(put_vcr(tmp_path, row, split="test"), "test")
    assert (item.task, item.right) == ("answer", ())


def test_a_row_of_val_without_a_label_is_a_fault(tmp_path: Path) -> None:
    row = vcr_row()
    del row["answer_label"]
    (reason,) = reasons(read(put_vcr(tmp_path, row), Options()))
    assert reason.startswith("lacks 'answer_label'")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"answer_label": 4}, "'answer_label' is 4, not 0 to 3"),
        ({"rationale_label": -1}, "'rationale_label' is -1, not 0 to 3"),
        ({"answer_label": True}, "'answer_label' is true, not 0 to 3"),
        ({"question": ["Is", [4], "?"]}, "unknown object index 4; the image has 0 to 3"),
        ({"question": ["Is", [-1], "?"]}, "unknown object index -1; the image has 0 to 3"),
        ({"question": ["Is", [], "?"]}, "a token that is neither a word nor a list of ids: []"),
        ({"question": "Is it?"}, "'question' is not a list: \"Is it?\""),
        ({"question": ["Is", "[2]", "?"]}, "words that read like a region's tag: 'Is [2] ?'"),
        ({"answer_choices": [["A"]]}, "'answer_choices' has 1 choices, not 4"),
        ({"annot_id": "train-0"}, "train-0 is of split train, not of val"),
        ({"objects": ["person"]}, "its objects are person, those of its metadata person, person,"),
        ({"img_fn": "film/none.jpg"}, "missing file vcr1images/film/none.jpg in "),
        ({"metadata_fn": "film/none.json"}, "missing file vcr1images/film/none.json in "),
        ({"img_fn": "../clip.jpg"}, "its file 'vcr1images/../clip.jpg' is not named from a folder"),
    ],
)
def test_a_row_that_cannot_be_asked_is_a_fault_with_its_reason(
    tmp_path: Path, changes: Json, reason: str
) -> None:
    row = vcr_row(0) | changes
    found = read(put_vcr(tmp_path, vcr_row(7), row), Options())
    assert [item.id for item in found.items] == ["val-7", "val-7"]
    (fault,) = found.faults
    assert fault.reason.startswith(reason)
    assert fault.source == "val.jsonl line 2"
    assert json.loads(fault.text) == row


def test_a_malformed_line_is_named_and_an_empty_one_is_passed_over(tmp_path: Path) -> None:
    folder = put_vcr(tmp_path, vcr_row(), "", '{"annot_id": ', "[1]", vcr_row(1))
    found = read(folder, Options())
    assert [item.id for item in found.items] == ["val-0", "val-0", "val-1", "val-1"]
    assert [fault.source for fault in found.faults] == ["val.jsonl line 3", "val.jsonl line 4"]
    assert reasons(found) == ["not JSON: Expecting value at column 13", "no JSON object"]
    assert found.faults[0].text == '{"annot_id":'


def test_a_second_row_of_an_id_is_a_fault(tmp_path: Path) -> None:
    found = read(put_vcr(tmp_path, vcr_row(), vcr_row()), Options())
    assert len(found.items) == 2
    assert reasons(found) == ["its id 'val-0' is that of val.jsonl line 1 too"]


def test_an_empty_file_is_a_fault(tmp_path: Path) -> None:
    found = read(put_vcr(tmp_path), Options())
    assert found.items == ()
    assert reasons(found) == ["it has no rows of this split"]


def test_a_folder_without_the_file_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"val\.jsonl is missing: the annotations of VCR"):
        read(tmp_path, Options())
    with pytest.raises(UserError, match="no folder"):
        read(tmp_path / "none", Options())
    with pytest.raises(UserError, match="no split 'dev'; splits: train, val, test"):
        read(tmp_path, Options("dev"))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"width": 80}, "boxes on 80 x 30 pixels, but the upright picture is 40 x 30"),
        ({"width": None}, "width is not a number: null"),
        ({"names": ["person"]}, "4 boxes, 4 segms and 1 names"),
        ({"boxes": [[0, 0, 10, 10]] * 4}, "box 0 is not x0, y0, x1, y1, score: [0, 0, 10, 10]"),
        ({"boxes": [[0, 0, None, 9, 1]] * 4}, "a number of box 0 is not a number: null"),
        ({"segms": [[[[1], [2, 3], [4, 5]]]] * 4}, "a polygon of box 0 has a point that is not"),
    ],
)
def test_metadata_that_do_not_fit_make_a_fault_of_each_row(
    tmp_path: Path, changes: Json, reason: str
) -> None:
    folder = put_vcr(tmp_path, vcr_row(), vcr_row(1))
    put_scene(folder, **changes)
    found = read(folder, Options())
    assert found.items == ()
    assert all(reason in fault for fault in reasons(found))
    assert len(found.faults) == 2


def test_a_pointed_box_outside_the_picture_is_a_fault_and_another_is_not(tmp_path: Path) -> None:
    boxes = [[0, 0, 10, 30, 1], [10, 0, 20, 30, 1], [50, 0, 60, 30, 1], [30, 0, 40, 30, 1]]
    folder = put_vcr(tmp_path, vcr_row(rationale_choices=[["A"], ["B"], ["C"], ["D"]]), vcr_row(1))
    put_scene(folder, boxes=boxes)
    found = read(folder, Options())
    assert [item.id for item in found.items] == ["val-0", "val-0"]
    assert reasons(found) == ["the box of object 2 covers no part of the image"]


def test_a_polygon_of_two_points_outlines_nothing_and_its_box_stands(tmp_path: Path) -> None:
    folder = put_vcr(tmp_path, vcr_row())
    put_scene(folder, segms=[[[[1, 2], [3, 4]], [[1, 2], [3, 4], [5, 6]]], [], [], []])
    regions = items(folder)[0].regions
    assert [len(region.polygons) for region in regions] == [1, 0, 0, 0]


def test_a_broken_download_is_found_before_a_model_sees_it(tmp_path: Path) -> None:
    folder = put_vcr(tmp_path, vcr_row())
    file = picture(folder / f"vcr1images/{SCENE}.jpg", 400, 300)
    file.write_bytes(file.read_bytes()[:-200])
    (reason,) = reasons(read(folder, Options()))
    assert reason.startswith("broken image ")


def test_images_may_lie_in_a_folder_of_their_own(tmp_path: Path) -> None:
    put_scene(tmp_path / "pictures")
    put_lines(tmp_path / "files/val.jsonl", [vcr_row()])
    found = read(tmp_path / "files", Options(images=tmp_path / "pictures"))
    inner = read(tmp_path / "files", Options(images=tmp_path / "pictures/vcr1images"))
    assert len(found.items) == 2
    assert found == inner


def test_a_limit_is_a_number_of_rows(tmp_path: Path) -> None:
    folder = put_vcr(tmp_path, *(vcr_row(number) for number in range(5)))
    found = read(folder, Options(limit=2))
    assert [item.id for item in found.items] == ["val-0", "val-0", "val-1", "val-1"]


def shared_folder(shared: Path, folder: Path, split: str) -> Path:
    """Lay out a sample row of VCR; its image, and metadata where there are none, are made up."""
    (row,) = load_lines(shared / f"data/vcr/{split}.sample.jsonl")
    put_lines(folder / f"{split}.jsonl", [row])
    name = str(row["img_fn"]).removesuffix(".jpg")
    if split == "val":
        sample = json.loads((shared / "data/vcr/val.sample.metadata.json").read_text())
        put_scene(folder, name, **sample)
        picture(folder / f"vcr1images/{name}.jpg", sample["width"], sample["height"])
    else:
        names = row["objects"]
        assert isinstance(names, list)
        boxes = [[place, 0, place + 5, 9, 1] for place in range(len(names))]
        put_scene(folder, name, names=names, boxes=boxes, segms=[[]] * len(names))
    return folder


@pytest.mark.parametrize(
    ("split", "golden"), [("train", "golden/lskd_texts.json"), ("val", "vcr/lskd_texts.json")]
)
def test_sample_rows_are_worded_and_numbered_as_the_release_has_them(
    tmp_path: Path, shared: Path, split: str, golden: str
) -> None:
    loaded = json.loads((shared / "data" / golden).read_text())
    (expected,) = loaded["vcr"] if isinstance(loaded, dict) else loaded
    answer, rationale = items(shared_folder(shared, tmp_path, split), split)
    assert answer.id == rationale.id == expected["annot_id"]
    assert list(rationale.pointed) == expected["region_order"]
    assert rationale.pointed[: len(answer.pointed)] == answer.pointed
    for item, key in ((answer, "answers"), (rationale, "rationales")):
        assert in_order(item, item.question) == expected["question"]
        assert [in_order(item, choice) for choice in item.choices] == expected[key]
    asked = [
        f"question: {in_order(answer, answer.question)} answer: {in_order(answer, choice)}"
        for choice in answer.choices
    ]
    assert [text.lower() for text in asked] == expected["mc_texts_qa"]


def test_the_regions_of_the_sample_lie_in_its_picture_and_can_be_drawn(
    tmp_path: Path, shared: Path
) -> None:
    item = items(shared_folder(shared, tmp_path, "val"))[1]
    assert [region.label for region in item.regions][3:] == ["car", "cellphone", "clock"]
    assert item.regions[2].box.x1 == pytest.approx(1035.288, abs=1e-3)
    regions = [item.regions[region_id] for region_id in item.pointed]
    pixels = decode(Path(item.path).read_bytes())
    marked = mark(pixels, regions, "release")
    left = round(regions[1].box.x0)
    assert marked.getpixel((left + 1, 400)) != pixels.getpixel((left + 1, 400))


words = st.text(st.characters(categories=("L", "N")), min_size=1, max_size=6)
said = st.lists(st.one_of(words, st.lists(st.integers(0, 9), min_size=1).map(tuple)))


@given(said)
def test_a_text_names_just_the_ids_of_its_tokens_in_their_order(parts: list[Token]) -> None:
    text = worded(tokens([part if isinstance(part, str) else list(part) for part in parts], 10))
    ids = [region_id for part in parts if not isinstance(part, str) for region_id in part]
    assert named(text) == tuple(dict.fromkeys(ids))


@given(st.lists(said, min_size=1), st.sets(st.integers(0, 9)).map(sorted))
def test_regions_are_pointed_at_once_and_nobody_means_all_persons(
    texts: list[list[Token]], persons: list[int]
) -> None:
    pointed = mentioned(texts, persons)
    ids = [i for text in texts for part in text if not isinstance(part, str) for i in part]
    assert pointed == (tuple(dict.fromkeys(ids)) or tuple(persons))


@given(st.lists(st.integers(-20, 20), min_size=1), st.integers(0, 10))
def test_an_id_beyond_the_objects_never_passes(ids: list[int], count: int) -> None:
    if all(0 <= region_id < count for region_id in ids):
        assert tokens([ids], count) == (tuple(ids),)
    else:
        with pytest.raises(Wrong, match="unknown object index"):
            tokens([ids], count)
