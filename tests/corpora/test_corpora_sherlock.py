"""Sherlock's corpus: clues, inferences and boxes become examples."""

import json
from pathlib import Path
from typing import Any

import PIL.Image
import pytest

from lskd.corpora.sherlock import examples
from lskd.corpora.source import Source
from lskd.distil.augmentation import fault
from lskd.errors import UserError
from lskd.picture import image_id
from lskd.types import Box, Example, Reject

VG = "https://cs.stanford.edu/people/rak248/VG_100K_2/7.jpg"
VCR = "http://s3-us-west-2.amazonaws.com/ai2-rowanz/vcr1images/film/clip@1.jpg"


def picture(file: Path, size: tuple[int, int] = (60, 40)) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.linear_gradient("L").resize(size).convert("RGB").save(file)
    return file


def box(left: float, top: float, width: float, height: float) -> dict[str, float]:
    return {"left": left, "top": top, "width": width, "height": height}


def row(**changes: Any) -> dict[str, Any]:
    given = {
        "url": VG,
        "width": 60,
        "height": 40,
        "bboxes": [box(5, 6, 20, 10)],
        "clue": "fruit cut in half",
        "inference": "people going to eat it",
        "instance_id": "abc",
    } | changes
    return {
        "inputs": {
            "image": {key: given[key] for key in ("url", "width", "height")},
            "bboxes": given["bboxes"],
            "clue": given["clue"],
            "confidence": 2.0,
            "obs_idx": 1,
        },
        "targets": {"inference": given["inference"]},
        "instance_id": given["instance_id"],
        "split_idx": 0,
    }


def read(
    folder: Path, *rows: object, name: str = "sherlock_train_v1_1.json", split: str = ""
) -> tuple[list[Example], list[Reject]]:
    (folder / name).write_text(json.dumps(rows))
    picture(folder / "vg" / "VG_100K_2" / "7.jpg")
    picture(folder / "vcr" / "vcr1images" / "film" / "clip@1.jpg")
    source = Source(folder / name, (folder / "vg", folder / "vcr"), split=split)
    made = list(examples(source))
    return (
        [one for one in made if isinstance(one, Example)],
        [one for one in made if isinstance(one, Reject)],
    )


def test_a_row_becomes_an_example_with_its_clue_as_rationale(tmp_path: Path) -> None:
    (made,), rejects = read(tmp_path, row())
    assert rejects == []
    file = tmp_path / "vg" / "VG_100K_2" / "7.jpg"
    assert (made.id, made.image_id, made.path) == ("abc", image_id(file.read_bytes()), str(file))
    assert (made.width, made.height, made.style, made.split) == (60, 40, "id", "train")
    assert made.question == "What can be inferred from [0]?"
    assert (made.answer, made.rationale) == ("people going to eat it", "fruit cut in half")
    assert [region.box for region in made.regions] == [Box(5, 6, 25, 16)]
    assert made.region_ids == (0,) and fault(made) is None
    assert json.loads(made.extra) == {"confidence": 2.0, "obs_idx": 1, "split_idx": 0}


def test_several_boxes_are_several_regions_and_all_are_asked_about(tmp_path: Path) -> None:
    boxes = [box(1, 1, 9, 9), box(20, 1, 9, 9), box(40, 1, 9, 9)]
    two, three = read(tmp_path, row(bboxes=boxes[:2]), row(bboxes=boxes))[0]
    assert two.question == "What can be inferred from [0] and [1]?"
    assert three.question == "What can be inferred from [0], [1] and [2]?"
    assert three.region_ids == (0, 1, 2) and [r.id for r in three.regions] == [0, 1, 2]


def test_a_box_over_the_edge_is_clipped_and_one_beyond_it_is_a_reject(tmp_path: Path) -> None:
    rows = (row(bboxes=[box(5, 30, 10, 30)]), row(bboxes=[box(5, 40, 10, 30)]))
    (made,), (reject,) = read(tmp_path, *rows)
    assert made.regions[0].box == Box(5, 30, 15, 40)
    assert reject.source == "sherlock_train_v1_1.json row 2"
    assert "covers no part of the picture" in reject.reason
    assert json.loads(reject.text) == rows[1]


def test_images_of_vcr_are_found_with_and_without_their_own_folder(tmp_path: Path) -> None:
    (made,), _ = read(tmp_path, row(url=VCR))
    assert made.path.endswith("vcr/vcr1images/film/clip@1.jpg")
    source = Source(tmp_path / "sherlock_train_v1_1.json", (tmp_path / "vcr" / "vcr1images",))
    (again,) = examples(source)
    assert isinstance(again, Example) and again.path == made.path


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"url": VG.replace("7.jpg", "8.jpg")}, "missing file VG_100K_2/8.jpg"),
        ({"width": 61}, "boxes on 61 x 40 pixels, but the upright picture is 60 x 40"),
        ({"bboxes": []}, "it has no box"),
        ({"bboxes": [{"left": 1}]}, "'top' of a box is not a number"),
        ({"bboxes": None}, "'bboxes' is not a list"),
        ({"clue": " \n"}, "'clue' is empty"),
        ({"inference": None}, "'inference' is not a text"),
        ({"clue": "a sign of [3]"}, "read like a region's tag"),
    ],
)
def test_a_row_that_cannot_be_read_is_a_reject_and_the_rest_goes_on(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    kept, (reject,) = read(tmp_path, row(), row(**changes), row())
    assert len(kept) == 2
    assert reject.source.endswith("row 2") and reason in reject.reason


def test_what_is_no_row_at_all_is_a_reject(tmp_path: Path) -> None:
    kept, rejects = read(tmp_path, "odd", {"inputs": 3}, row())
    assert len(kept) == 1
    assert [reject.reason for reject in rejects] == [
        "no JSON object",
        "'inputs' is no JSON object: 3",
    ]


@pytest.mark.parametrize(
    ("name", "given", "split"),
    [
        ("sherlock_train_v1_1.json", "", "train"),
        ("sherlock_val_with_split_idxs_v1_1.json", "", "validation"),
        ("interval.json", "", "train"),
        ("test.json", "", "test"),
        ("sherlock_val.json", "train", "train"),
    ],
)
def test_the_split_is_the_one_given_or_that_of_the_files_name(
    tmp_path: Path, name: str, given: str, split: str
) -> None:
    (made,), _ = read(tmp_path, row(), name=name, split=given)
    assert made.split == split


def test_an_unknown_split_and_an_unreadable_file_are_errors(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no split 'dev'"):
        read(tmp_path, row(), split="dev")
    with pytest.raises(UserError, match="cannot read"):
        list(examples(Source(tmp_path / "nowhere.json")))
    (tmp_path / "odd.json").write_text("[1, 2")
    with pytest.raises(UserError, match="not JSON"):
        list(examples(Source(tmp_path / "odd.json")))


def test_the_authors_own_rows_are_read(tmp_path: Path, shared: Path) -> None:
    every = shared / "data" / "sherlock" / "sherlock_val_subset_v1_1.json"
    rows = json.loads(every.read_text())[:60]
    file = tmp_path / every.name
    file.write_text(json.dumps(rows))
    for each in rows:
        about = each["inputs"]["image"]
        name = "/".join(about["url"].split("/")[-2:])
        if not (tmp_path / name).exists():
            picture(tmp_path / name, (about["width"], about["height"]))
    made = list(examples(Source(file, (tmp_path,))))
    kept = [one for one in made if isinstance(one, Example)]
    assert len(kept) == len(made) == len(rows)
    assert [one.id for one in kept] == [each["instance_id"] for each in rows]
    assert all(fault(one) is None and one.split == "validation" for one in kept)
    assert {len(one.regions) for one in kept} == {len(r["inputs"]["bboxes"]) for r in rows}
