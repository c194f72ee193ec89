"""The COCO export, read by lskd's own reader of annotations."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from export.examples import REGIONS, distance, seen, some
from lskd import annotations
from lskd.errors import UserError
from lskd.export import coco
from lskd.types import Box


def test_regions_return_through_the_reader_of_annotations(tmp_path: Path) -> None:
    examples = some(tmp_path / "photos")
    written = coco.write(examples, tmp_path / "out")
    file = tmp_path / "out/instances.json"
    said = annotations.read([file])
    pictures = annotations.files_named(file)
    assert written.rows == 4
    assert len(pictures) == 2
    for picture, example in zip(pictures, examples[::2], strict=True):
        assert distance(seen(picture), seen(example.path)) < 2
        content, rejects = said.of(picture, example.width, example.height)
        assert not rejects
        assert [(place.box, place.polygons) for place in content.places] == [
            (region.box, region.polygons) for region in REGIONS
        ]
        assert [place.text for place in content.places] == ["dog", "object", "cup"]


def test_the_json_is_as_annotation_tools_want_it(tmp_path: Path) -> None:
    coco.write(some(tmp_path / "photos"), tmp_path / "out")
    said = json.loads((tmp_path / "out/instances.json").read_text())
    images = {image["id"] for image in said["images"]}
    categories = {category["id"]: category["name"] for category in said["categories"]}
    assert len(said["annotations"]) == len({each["id"] for each in said["annotations"]}) == 6
    for annotation in said["annotations"]:
        assert annotation["image_id"] in images
        assert annotation["category_id"] in categories
        assert annotation["iscrowd"] == 0
    first = said["annotations"][0]
    assert first["bbox"] == [4, 6, 36, 44]
    assert first["area"] == 36 * 44
    assert first["lskd"] == {"id": 0, "description": "a brown dog", "score": 0.9}
    assert said["annotations"][2]["area"] == 50 * 40 / 2
    assert (tmp_path / "out" / said["images"][0]["file_name"]).is_file()


def test_triples_know_the_annotations_that_they_name(tmp_path: Path) -> None:
    first, second, *_ = some(tmp_path / "photos")
    moved = replace(REGIONS[0], box=Box(1, 1, 9, 9))
    other = replace(second, regions=(moved, *REGIONS[1:]))
    coco.write([first, other], tmp_path / "out")
    said = json.loads((tmp_path / "out/instances.json").read_text())
    boxes = {each["id"]: each["bbox"] for each in said["annotations"]}
    one, two = said["lskd"]["triples"]
    assert one["question"] == first.question
    assert boxes[one["regions"][0]["annotation_id"]] == [4, 6, 36, 44]
    assert boxes[two["regions"][0]["annotation_id"]] == [1, 1, 8, 8]
    assert one["regions"][1] == two["regions"][1]


def test_only_the_styles_that_are_asked_for_are_written(tmp_path: Path) -> None:
    written = coco.write(some(tmp_path / "photos"), tmp_path / "out", styles=("id",))
    said = json.loads((tmp_path / "out/instances.json").read_text())
    assert (written.rows, written.left_out) == (2, 2)
    assert {triple["style"] for triple in said["lskd"]["triples"]} == {"id"}


def test_marked_pictures_are_not_offered_for_annotation(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'plain' or 'none'"):
        coco.write([], tmp_path / "out", pictures="marked")  # type: ignore[arg-type]  # a user's slip
