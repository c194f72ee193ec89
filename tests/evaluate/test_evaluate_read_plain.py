"""A-OKVQA and Visual7W: benchmarks of questions without regions."""

import json
from pathlib import Path

import pytest
from gold_files import Json, only, picture, put, reasons
from hypothesis import given
from hypothesis import strategies as st

from lskd.errors import UserError
from lskd.evaluate import aokvqa, visual7w
from lskd.evaluate.benchmark import Options


def question(**changes: object) -> Json:
    row: Json = {
        "split": "val",
        "image_id": 563603,
        "question_id": "a",
        "question": "What is it?",
        "choices": ["frozen", "fresh", "dirty", "boiling"],
        "correct_choice_idx": 2,
        "direct_answers": ["muddy"] * 10,
        "difficult_direct_answer": False,
        "rationales": ["It is."] * 3,
    }
    return row | changes


def put_aokvqa(folder: Path, *rows: object, split: str = "val") -> Path:
    put(folder / f"aokvqa_v1p0_{split}.json", list(rows))
    picture(folder / f"{split}2017/000000563603.jpg")
    return folder


def test_a_row_of_aokvqa_is_an_item_with_its_image_of_coco_2017(tmp_path: Path) -> None:
    item = only(aokvqa.read(put_aokvqa(tmp_path, question()), Options()))
    assert (item.id, item.benchmark, item.task, item.split) == ("a", "aokvqa", "", "val")
    assert item.question == "What is it?"
    assert item.choices == ("frozen", "fresh", "dirty", "boiling")
    assert item.right == (2,)
    assert item.regions == () == item.pointed
    assert item.path.endswith("val2017/000000563603.jpg")


def test_the_size_is_that_of_the_upright_picture(tmp_path: Path) -> None:
    folder = put_aokvqa(tmp_path, question())
    picture(folder / "val2017/000000563603.jpg", 40, 30, turned=True)
    item = only(aokvqa.read(folder, Options()))
    assert (item.width, item.height) == (30, 40)


def test_a_repeated_choice_stays_and_the_right_place_is_the_authors(tmp_path: Path) -> None:
    row = question(choices=["cat", "dog", "cat", "cow"])
    item = only(aokvqa.read(put_aokvqa(tmp_path, row), Options()))
    assert item.choices == ("cat", "dog", "cat", "cow")
    assert item.right == (2,)


def test_aokvqa_of_test_has_no_right_choice(tmp_path: Path) -> None:
    row = question(split="test")
    del row["correct_choice_idx"]
    item = only(aokvqa.read(put_aokvqa(tmp_path, row, split="test"), Options("test")))
    assert item.right == ()
    assert item.path.endswith("test2017/000000563603.jpg")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"split": "train"}, "it is of split train, not of val"),
        ({"correct_choice_idx": 4}, "'correct_choice_idx' is 4, not 0 to 3"),
        ({"correct_choice_idx": "2"}, "'correct_choice_idx' is \"2\", not 0 to 3"),
        ({"correct_choice_idx": None}, "'correct_choice_idx' is null, not 0 to 3"),
        ({"choices": ["a", 2]}, "'choices' holds something other than texts: 2"),
        ({"choices": []}, "0 choices"),
        ({"image_id": 7}, "missing file val2017/000000000007.jpg in "),
        ({"image_id": "x"}, "'image_id' is not a number: x"),
        ({"question_id": "first"}, "its id 'first' is that of aokvqa_v1p0_val.json row 1 too"),
    ],
)
def test_a_row_of_aokvqa_that_cannot_be_asked_is_a_fault(
    tmp_path: Path, changes: Json, reason: str
) -> None:
    row = question() | changes
    found = aokvqa.read(put_aokvqa(tmp_path, question(question_id="first"), row), Options())
    assert len(found.items) == 1
    (fault,) = found.faults
    assert fault.reason.startswith(reason)
    assert fault.source == "aokvqa_v1p0_val.json row 2"
    assert json.loads(fault.text) == row


def test_a_file_that_is_no_json_is_an_error_with_its_line(tmp_path: Path) -> None:
    put(tmp_path / "aokvqa_v1p0_val.json", '[{"split": "val"},\n {"split": }]')
    with pytest.raises(UserError, match=r"aokvqa_v1p0_val\.json line 2 is not JSON"):
        aokvqa.read(tmp_path, Options())


@pytest.mark.parametrize("content", ["", "[]"])
def test_a_file_without_rows_is_a_fault(tmp_path: Path, content: str) -> None:
    put(tmp_path / "aokvqa_v1p0_val.json", content)
    assert reasons(aokvqa.read(tmp_path, Options())) == ["it has no rows of this split"]


def test_sample_rows_of_aokvqa_are_worded_as_the_release_has_them(
    tmp_path: Path, shared: Path
) -> None:
    rows = json.loads((shared / "data/aokvqa/aokvqa_v1p0_val.json").read_text())
    folder = put_aokvqa(tmp_path, *rows)
    for row in rows:
        picture(folder / f"val2017/{row['image_id']:012}.jpg", 4, 3)
    found = aokvqa.read(folder, Options())
    assert found.faults == ()
    assert [item.id for item in found.items] == [row["question_id"] for row in rows]
    by_id = {item.id: item for item in found.items}
    for expected in json.loads((shared / "data/golden/lskd_texts.json").read_text())["aokvqa"]:
        item = by_id[expected["question_id"]]
        asked = [f"question: {item.question} Answer: {choice}" for choice in item.choices]
        assert [text.lower() for text in asked] == expected["texts"]
        assert item.right == (expected["label"],)


def pair(qa_id: int = 1, **changes: object) -> Json:
    made: Json = {
        "qa_id": qa_id,
        "image_id": 10,
        "question": "What is it?",
        "answer": "Wood.",
        "multiple_choices": ["Tile.", "Carpet.", "Cement."],
        "type": "what",
    }
    return made | changes


def record(*pairs: object, split: str = "val", image: int = 10) -> Json:
    name = f"v7w_{image}.jpg"
    return {"image_id": image, "split": split, "filename": name, "qa_pairs": list(pairs)}


def put_visual7w(folder: Path, *images: object) -> Path:
    value = {"dataset": "visual7w-telling", "images": list(images)}
    put(folder / "dataset_v7w_telling.json", value)
    picture(folder / "images/v7w_10.jpg")
    return folder


def test_visual7w_takes_the_split_from_the_images_record(tmp_path: Path) -> None:
    folder = put_visual7w(tmp_path, record(pair(1), split="train"), record(pair(2), pair(3)))
    found = visual7w.read(folder, Options())
    assert [item.id for item in found.items] == ["2", "3"]
    assert {item.split for item in found.items} == {"val"}
    assert [item.id for item in visual7w.read(folder, Options("train")).items] == ["1"]


def test_the_right_answer_joins_the_wrong_ones_and_its_place_is_known(tmp_path: Path) -> None:
    item = only(visual7w.read(put_visual7w(tmp_path, record(pair())), Options()))
    assert sorted(item.choices) == ["Carpet.", "Cement.", "Tile.", "Wood."]
    assert [item.choices[place] for place in item.right] == ["Wood."]
    assert item.kind == "what"


def test_the_right_answer_stands_anywhere_so_that_equal_scores_win_a_quarter(
    tmp_path: Path,
) -> None:
    folder = put_visual7w(tmp_path, record(*(pair(number) for number in range(2000))))
    items = visual7w.read(folder, Options()).items
    shares = [sum(item.right == (place,) for item in items) / 2000 for place in range(4)]
    assert all(abs(share - 0.25) < 0.04 for share in shares)  # 4 standard deviations


def test_the_order_follows_the_seed_and_the_question_not_its_neighbours(tmp_path: Path) -> None:
    many = put_visual7w(tmp_path / "many", record(*(pair(number) for number in range(40))))
    one = put_visual7w(tmp_path / "one", record(pair(39)))
    items = visual7w.read(many, Options(seed=3)).items
    assert only(visual7w.read(one, Options(seed=3))).choices == items[39].choices
    others = visual7w.read(many, Options(seed=4)).items
    assert [item.choices for item in items] != [item.choices for item in others]


def test_a_wrong_choice_that_repeats_the_answer_stays(tmp_path: Path) -> None:
    row = pair(multiple_choices=["Tile.", "Wood.", "Cement."])
    item = only(visual7w.read(put_visual7w(tmp_path, record(row)), Options()))
    assert item.choices.count("Wood.") == 2


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"multiple_choices": ["a"]}, "1 wrong choices, not 3"),
        ({"qa_id": None}, "'qa_id' is no name: null"),
        ({"answer": None}, "'answer' is not a text: null"),
        ({"split": "test"}, "it is of split test, its image of val"),
        ({"filename": "v7w_11.jpg"}, "missing file images/v7w_11.jpg in "),
        ({"qa_id": 5}, "its id '5' is that of dataset_v7w_telling.json image 1 question 1 too"),
    ],
)
def test_a_pair_that_cannot_be_asked_is_a_fault(tmp_path: Path, changes: Json, reason: str) -> None:
    found = visual7w.read(put_visual7w(tmp_path, record(pair(5), pair() | changes)), Options())
    assert len(found.items) == 1
    (fault,) = found.faults
    assert fault.reason.startswith(reason)
    assert fault.source == "dataset_v7w_telling.json image 1 question 2"


def test_an_image_of_an_unknown_split_is_a_fault(tmp_path: Path) -> None:
    found = visual7w.read(put_visual7w(tmp_path, record(split="dev"), record(pair())), Options())
    assert reasons(found) == ["its split is 'dev', not one of train, val, test"]
    assert len(found.items) == 1


@pytest.mark.parametrize("file", ["dataset.json", "visual7w-telling/dataset.json"])
def test_the_toolkits_names_and_a_bare_list_of_images_are_read_too(
    tmp_path: Path, file: str
) -> None:
    put(tmp_path / file, [record(pair())])
    picture(tmp_path / "images/v7w_10.jpg")
    only(visual7w.read(tmp_path, Options()))


def test_a_folder_without_visual7w_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"dataset_v7w_telling\.json is missing.*dataset\.json"):
        visual7w.read(tmp_path, Options())


def test_sample_rows_of_visual7w_are_read(tmp_path: Path, shared: Path) -> None:
    sample = json.loads((shared / "data/visual7w/dataset_v7w_telling.one-row.json").read_text())
    put(tmp_path / "one/dataset_v7w_telling.json", sample)
    picture(tmp_path / "one/images/v7w_2323054.jpg")
    item = only(visual7w.read(tmp_path / "one", Options("train")))
    assert (item.id, item.kind) == ("871917", "what")
    rebuilt = json.loads((shared / "data/visual7w/v7w_telling_rows.rebuilt.json").read_text())
    numbers = iter(range(10_000))
    for image in rebuilt["images"]:  # this sample came without splits and ids
        picture(tmp_path / f"many/images/{image['filename']}", 4, 3)
        image["split"] = "val"
        for row in image["qa_pairs"]:
            row["qa_id"] = next(numbers)
    put(tmp_path / "many/dataset_v7w_telling.json", rebuilt)
    found = visual7w.read(tmp_path / "many", Options())
    assert found.faults == ()
    assert len(found.items) == next(numbers)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("visual7w")


wrong = st.lists(st.text(max_size=5), min_size=3, max_size=3)


@given(st.lists(st.tuples(wrong, st.text(max_size=5)), min_size=1, max_size=9), st.integers())
def test_a_shuffle_keeps_every_choice_and_finds_the_right_one(
    folder: Path, drawn: list[tuple[list[str], str]], seed: int
) -> None:
    asked = [
        pair(number, multiple_choices=wrong, answer=right)
        for number, (wrong, right) in enumerate(drawn)
    ]
    found = visual7w.read(put_visual7w(folder, record(*asked)), Options(seed=seed))
    assert found.faults == () and len(found.items) == len(drawn)
    for item, (wrong, right) in zip(found.items, drawn, strict=True):
        assert sorted(item.choices) == sorted([*wrong, right])
        assert [item.choices[place] for place in item.right] == [right]
