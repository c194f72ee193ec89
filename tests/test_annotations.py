"""Owners' annotation files: each format, each trap, and which picture an entry belongs to."""

import json
from pathlib import Path

import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lskd import table
from lskd.annotations import Annotations, Content, files_named, read
from lskd.annotations.stream import members
from lskd.errors import UserError
from lskd.types import Box, Labelled, Reject

Json = dict[str, object]


def annotation(image: int, **more: object) -> Json:
    return {"image_id": image, "category_id": 1, "bbox": [10, 20, 30, 40], "iscrowd": 0, **more}


def coco(*annotations: Json, names: tuple[str, ...] = ("a.jpg",), sized: bool = True) -> Json:
    size = {"width": 100, "height": 80} if sized else {}
    return {
        "images": [{"id": k + 1, "file_name": name, **size} for k, name in enumerate(names)],
        "annotations": list(annotations),
        "categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}],
    }


def written(folder: Path, value: object, name: str = "file.json") -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return file


def asked(folder: Path, *values: object, picture: str = "a.jpg") -> tuple[Content, list[Reject]]:
    files = [written(folder, value, f"{k}.json") for k, value in enumerate(values)]
    content, rejects = read(files).of(folder / picture, 100, 80)
    return content, list(rejects)


def reasons(rejects: list[Reject]) -> list[str]:
    return [reject.reason for reject in rejects]


def test_a_coco_box_is_x_y_width_height_and_its_category_has_a_name(tmp_path: Path) -> None:
    triangle = [10, 20, 40, 20, 40, 60]
    content, rejects = asked(tmp_path, coco(annotation(1, segmentation=[triangle])))
    polygon = (10.0, 20.0, 40.0, 20.0, 40.0, 60.0)
    assert content == Content((Labelled(Box(10, 20, 40, 60), "dog", (polygon,)),), ())
    assert rejects == []


def test_the_lists_of_a_coco_file_may_stand_in_any_order(tmp_path: Path) -> None:
    whole = coco(annotation(1), annotation(1, caption="A dog."))
    content, _ = asked(tmp_path, whole)
    for order in (("categories", "annotations", "images"), ("annotations", "images", "categories")):
        assert asked(tmp_path, {key: whole[key] for key in order})[0] == content


def test_captions_and_boxes_of_several_files_come_together(tmp_path: Path) -> None:
    captions: Json = {
        "images": [{"id": 77, "file_name": "a.jpg"}],
        "annotations": [
            {"image_id": 77, "caption": " A dog\nruns. \n"},
            {"image_id": 77, "caption": ""},
        ],
    }
    content, rejects = asked(tmp_path, coco(annotation(1)), captions)
    assert [place.text for place in content.places] == ["dog"]
    assert content.captions == ("A dog runs.",)
    assert reasons(rejects) == ["empty caption"]


def test_what_two_files_say_alike_is_kept_once_with_its_polygons(tmp_path: Path) -> None:
    triangle = [10, 20, 40, 20, 40, 60]
    outlined = coco(annotation(1, segmentation=[triangle]))
    for first, second in ((coco(annotation(1)), outlined), (outlined, coco(annotation(1)))):
        content, rejects = asked(tmp_path, first, second)
        assert len(content.places) == 1
        assert len(content.places[0].polygons) == 1
        assert rejects == []
    content, _ = asked(tmp_path, outlined, coco(annotation(1, category_id=2)))
    assert [place.text for place in content.places] == ["dog", "cat"]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"iscrowd": 1}, "a crowd (iscrowd), not one object"),
        (
            {"segmentation": {"counts": "abc", "size": [80, 100]}},
            "its segmentation is run-length encoded (RLE), which is not read",
        ),
        ({"bbox": [1, 2, 3]}, "its bbox is not four numbers"),
        ({"bbox": [1, 2, 3, "4"]}, "its bbox is not four numbers"),
        ({"bbox": [1, 2, 3, 10**400]}, "its bbox is not four numbers"),
        ({"bbox": [1, 2, 3, float("nan")]}, "its bbox is not four numbers"),
        ({"bbox": [10, 20, 0, 40]}, "its box has no area"),
        ({"bbox": [10, 20, -5, -5]}, "its box has no area"),
        ({"bbox": [100, 20, 10, 10]}, "its box is outside the picture"),
        ({"category_id": 9}, "its category_id is not among the categories"),
        ({"category_id": None}, "its category_id is not among the categories"),
    ],
)
def test_a_box_that_cannot_be_used_is_a_reject_with_its_reason(
    tmp_path: Path, more: Json, reason: str
) -> None:
    content, rejects = asked(tmp_path, coco(annotation(1, **more), annotation(1, category_id=2)))
    assert [place.text for place in content.places] == ["cat"]
    assert reasons(rejects) == [reason]
    assert rejects[0].source == str(tmp_path / "a.jpg")
    assert rejects[0].text


def test_an_annotation_of_another_task_is_a_reject(tmp_path: Path) -> None:
    _, rejects = asked(tmp_path, coco({"image_id": 1, "segments_info": []}))
    assert reasons(rejects) == ["neither a bbox nor a caption"]
    assert json.loads(rejects[0].text) == {"image_id": 1, "segments_info": []}


@pytest.mark.parametrize("polygon", [[1, 2, 3, 4], [1, 2, 3, 4, 5, 6, 7], 5, ["x"] * 6])
def test_a_broken_polygon_is_a_reject_and_its_box_stays(tmp_path: Path, polygon: object) -> None:
    content, rejects = asked(tmp_path, coco(annotation(1, segmentation=[polygon])))
    assert content.places[0].polygons == ()
    assert reasons(rejects) == ["a polygon that is not three or more points; its box is kept"]


def test_boxes_of_a_picture_of_another_size_are_rejects_and_captions_stay(tmp_path: Path) -> None:
    file = written(tmp_path, coco(annotation(1), annotation(1, caption="A dog.")))
    content, rejects = read([file]).of(tmp_path / "a.jpg", 80, 100)
    assert content == Content((), ("A dog.",))
    assert reasons(list(rejects)) == [
        "annotated on 100 x 80 pixels, but the upright picture is 80 x 100"
    ]
    unsized = written(tmp_path, coco(annotation(1), sized=False))
    assert read([unsized]).of(tmp_path / "a.jpg", 80, 100)[0].places


def test_visual_genome_gives_phrases_and_object_names(tmp_path: Path) -> None:
    regions = [
        {
            "id": 7,
            "regions": [
                {"phrase": " a  red kite ", "x": 1, "y": 2, "width": 30, "height": 40},
                {"phrase": "", "x": 1, "y": 2, "width": 30, "height": 40},
                {"phrase": "no size", "x": 1, "y": 2},
            ],
        }
    ]
    objects = [
        {"image_id": 7, "objects": [{"names": ["kite", "toy"], "x": -4, "y": 2, "w": 30, "h": 400}]}
    ]
    content, rejects = asked(tmp_path, regions, objects, picture="VG_100K_2/7.jpg")
    assert content.places == (
        Labelled(Box(1, 2, 31, 42), "a red kite", ()),
        Labelled(Box(0, 2, 26, 80), "kite", ()),
    )
    assert reasons(rejects) == ["empty phrase", "x, y, width, height are not four numbers"]


def test_visual_genome_image_data_tell_the_size_and_count_as_no_annotation(tmp_path: Path) -> None:
    data = [
        {"image_id": 7, "url": "https://host/VG_100K/7.jpg", "width": 50, "height": 40},
        {"image_id": 8, "url": "https://host/VG_100K/8.jpg", "width": 50, "height": 40},
    ]
    regions = [{"id": 7, "regions": [{"phrase": "kite", "x": 1, "y": 2, "width": 3, "height": 4}]}]
    content, rejects = asked(tmp_path, data, regions, picture="VG_100K/7.jpg")
    assert content.places == ()
    assert reasons(rejects) == ["annotated on 50 x 40 pixels, but the upright picture is 100 x 80"]
    both = read([written(tmp_path, data, "data.json"), written(tmp_path, regions, "regions.json")])
    assert both.unmatched([]) == ("7.jpg",)
    assert both.unmatched([tmp_path / "VG_100K" / "7.jpg"]) == ()


METADATA = {
    "boxes": [[10.5, 20, 40, 70, 0.99], [0, 0, 120, 81.5, 0.9]],
    "segms": [[[[10, 20], [40, 20], [40, 70]], [[1, 2]]], []],
    "names": ["trafficlight", "person"],
    "width": 100,
    "height": 80,
}


def test_vcr_metadata_are_corners_and_names_get_their_blanks_back(tmp_path: Path) -> None:
    file = written(tmp_path, METADATA, "movie/clip.00.1@0.json")
    content, rejects = read([file]).of(tmp_path / "movie" / "clip.00.1@0.jpg", 100, 80)
    polygon = (10.0, 20.0, 40.0, 20.0, 40.0, 70.0)
    assert content.places == (
        Labelled(Box(10.5, 20, 40, 70), "traffic light", (polygon,)),
        Labelled(Box(0, 0, 100, 80), "person", ()),
    )
    assert reasons(list(rejects)) == ["a polygon that is not three or more points; its box is kept"]


def test_a_folder_stands_for_metadata_beside_pictures_and_for_other_files(tmp_path: Path) -> None:
    for clip in ("one/clip@0", "two/clip@0", "two/clip@1"):
        written(tmp_path, METADATA, f"{clip}.json")
        PIL.Image.new("RGB", (100, 80)).save(tmp_path / f"{clip}.jpg")
    written(tmp_path, "{broken", "two/clip@1.json")
    written(tmp_path, coco(annotation(1, caption="A dog."), names=("one/clip@0.jpg",)))
    written(tmp_path, {"colour": "red"}, "settings.json")
    said = read([tmp_path])
    content, rejects = said.of(tmp_path / "one" / "clip@0.jpg", 100, 80)
    assert len(content.places) == 2
    assert content.captions == ("A dog.",)
    assert len(rejects) == 1
    content, rejects = said.of(tmp_path / "two" / "clip@1.jpg", 100, 80)
    assert content == Content((), ())
    assert reasons(list(rejects)) == ["unreadable metadata"]
    left = said.unmatched([tmp_path / "one" / "clip@0.jpg", tmp_path / "two" / "clip@1.jpg"])
    assert [name.endswith("two/clip@0") for name in left] == [True, False]
    assert "settings.json is no annotation file: its keys are 'colour'" in left[1]


def test_a_folder_without_json_files_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no json file in the annotation folder"):
        read([tmp_path])


def boxes_of(said: Annotations, picture: Path) -> tuple[int, list[str]]:
    content, rejects = said.of(picture, 100, 80)
    return len(content.places), reasons(list(rejects))


def test_a_picture_is_found_by_its_path_before_its_name(tmp_path: Path) -> None:
    names = ("one/a.jpg", "two/a.jpg")
    said = read(
        [
            written(
                tmp_path,
                coco(annotation(1), annotation(2), annotation(2, category_id=2), names=names),
            )
        ]
    )
    assert boxes_of(said, tmp_path / "one" / "a.jpg") == (1, [])
    assert boxes_of(said, tmp_path / "two" / "a.jpg") == (2, [])
    assert boxes_of(said, tmp_path / "three" / "a.jpg") == (
        0,
        ["annotated under 2 names, none of them its own: one/a.jpg, two/a.jpg"],
    )
    assert said.unmatched([tmp_path / "three" / "a.jpg"]) == names


def test_a_moved_picture_is_found_by_its_name_unless_the_named_file_is_there(
    tmp_path: Path,
) -> None:
    said = read([written(tmp_path, coco(annotation(1), names=(".\\train\\a.jpg",)))])
    assert boxes_of(said, tmp_path / "train" / "a.jpg") == (1, [])
    assert boxes_of(said, tmp_path / "flat" / "a.jpg") == (1, [])
    assert said.unmatched([tmp_path / "flat" / "a.jpg"]) == ()
    (tmp_path / "train").mkdir()
    PIL.Image.new("RGB", (100, 80)).save(tmp_path / "train" / "a.jpg")
    assert boxes_of(said, tmp_path / "flat" / "a.jpg") == (0, [])
    assert said.unmatched([tmp_path / "flat" / "a.jpg"]) == ("train/a.jpg",)


def test_a_picture_whose_name_has_no_ending_is_found_by_its_name(tmp_path: Path) -> None:
    said = read([written(tmp_path, coco(annotation(1), names=("train/a",)))])
    assert boxes_of(said, tmp_path / "flat" / "a") == (1, [])
    assert said.unmatched([tmp_path / "flat" / "a"]) == ()


def test_half_a_surrogate_pair_in_a_file_becomes_text_that_a_table_can_hold(
    tmp_path: Path,
) -> None:
    whole = coco(
        annotation(1),
        annotation(1, caption="a \ud83d\ude00 and \udc00g"),
        annotation(1, caption="", source="\ud83d"),
    )
    whole["categories"] = [{"id": 1, "name": "do\ud800g"}]
    content, rejects = asked(tmp_path, whole)
    assert [place.text for place in content.places] == ["do\ufffdg"]
    assert content.captions == ("a \U0001f600 and \ufffdg",)
    assert reasons(rejects) == ["empty caption"]
    table.write(Reject, tmp_path / "00000.parquet", rejects)


def test_names_with_half_a_surrogate_pair_are_told_in_text_that_a_table_can_hold(
    tmp_path: Path,
) -> None:
    names = ("\ud800/a.jpg", "\ud801/a.jpg")
    _, rejects = asked(tmp_path, coco(annotation(1), names=names))
    assert "annotated under 2 names" in rejects[0].reason
    table.write(Reject, tmp_path / "00000.parquet", rejects)


def test_what_matches_no_picture_can_be_counted(tmp_path: Path) -> None:
    whole = coco(annotation(1), annotation(2), annotation(99), names=("a.jpg", "b.jpg", "c.jpg"))
    file = written(tmp_path, whole)
    assert read([file]).unmatched([tmp_path / "a.jpg"]) == (
        "b.jpg",
        f"{file}: image_id 99 is not among its images",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not whole JSON"),
        ('{"images": [', "is not whole JSON"),
        ('{"images": [], "annotations": []} tail', "is not whole JSON"),
        ('{"images": [{"id": 1,}], "annotations": []}', "is not whole JSON"),
        ("[" * 100_000, "is not whole JSON"),
        ("[]", "its keys are ''"),
        ("{}", "its keys are none"),
        ('{"colour": 1}', "its keys are 'colour'"),
        ("[1]", "element 0 is not a JSON object"),
        ('[{"image_id": 1, "qas": []}]', "element 0 has neither regions nor objects"),
        ('{"images": [{"id": 1}], "annotations": []}', r"images\[0\] has no id and file_name"),
        (json.dumps(coco({"bbox": [1, 2, 3, 4]})), r"annotations\[0\] has no image_id"),
        ('{"boxes": [[1,2,3,4,1]], "names": []}', "1 boxes, 1 segms and 0 names"),
        (
            '{"images": [{"id": 1, "file_name": "a"}, {"id": 1, "file_name": "b"}]}',
            r"images\[1\] has the id of an earlier one, 1",
        ),
    ],
)
def test_a_broken_or_unknown_file_is_an_error_of_one_line_that_says_what_is_known(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read([written(tmp_path, text)])
    assert "known are COCO instances" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_missing_file_and_bytes_that_are_no_text_are_errors(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read annotations .*none\.json"):
        read([tmp_path / "none.json"])
    (tmp_path / "image.json").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(UserError, match="is not whole JSON"):
        read([tmp_path / "image.json"])


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    file = tmp_path / "file.json"
    file.write_text(json.dumps(coco(annotation(1))), encoding="utf-8-sig")
    assert read([file]).of(tmp_path / "a.jpg", 100, 80)[0].places


def test_the_images_of_a_coco_file_are_looked_for_where_they_usually_lie(tmp_path: Path) -> None:
    names = ("beside.jpg", "in_images.jpg", "in_split.jpg", "nowhere.jpg", "beside.jpg")
    file = written(tmp_path, coco(names=names), "annotations/instances_val2017.json")
    wanted = ["annotations/beside.jpg", "annotations/images/in_images.jpg", "val2017/in_split.jpg"]
    for name in (*wanted, "other/nowhere.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [str(path.relative_to(tmp_path)) for path in files_named(file)]
    assert found == [*wanted, "annotations/nowhere.jpg"]
    with pytest.raises(UserError, match="no COCO json: it has no list 'images'"):
        files_named(written(tmp_path, METADATA))


SIDE = st.floats(-1e6, 1e6, allow_nan=False).map(lambda side: round(side, 2))


@given(st.lists(st.tuples(SIDE, SIDE, SIDE, SIDE), max_size=6))
def test_every_box_is_kept_inside_the_picture_or_rejected(
    tmp_path_factory: pytest.TempPathFactory, boxes: list[tuple[float, float, float, float]]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    labels = [{"id": k, "name": f"thing {k}"} for k in range(len(boxes))]
    whole = coco(*(annotation(1, bbox=list(box), category_id=k) for k, box in enumerate(boxes)))
    content, rejects = asked(folder, {**whole, "categories": labels})
    assert len(content.places) + len(rejects) == len(boxes)
    for place in content.places:
        x, y, width, height = boxes[int(place.text.removeprefix("thing "))]
        assert place.box == Box(max(x, 0), max(y, 0), min(x + width, 100), min(y + height, 80))
        assert place.box.area > 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)


@given(st.lists(JSON) | st.dictionaries(st.text(max_size=5), JSON), st.sampled_from([None, 1]))
def test_reading_element_by_element_gives_what_reading_at_once_gives(
    value: list[object] | Json, indent: int | None
) -> None:
    found = {key: list(values) for key, values in members(json.dumps(value, indent=indent))}
    wanted = {"": value} if isinstance(value, list) else value
    assert found == {
        key: inner if isinstance(inner, list) else [inner] for key, inner in wanted.items()
    }


@given(JSON, st.sampled_from(["images", "annotations", "categories", "boxes", "names", "segms"]))
def test_a_file_of_odd_content_is_read_or_refused_but_never_crashes(
    tmp_path_factory: pytest.TempPathFactory, value: object, key: str
) -> None:
    folder = tmp_path_factory.getbasetemp()
    for odd in ({**coco(annotation(1)), key: value}, {**METADATA, key: value}, [value], value):
        try:
            said = read([written(folder, odd)])
        except UserError:
            continue
        said.of(folder / "a.jpg", 100, 80)
        said.unmatched([folder / "file.jpg"])


def test_the_photographs_have_their_boxes_and_captions(shared: Path) -> None:
    folder = shared / "data" / "photos"
    files = [folder / name for name in ("instances.json", "captions.json", "person_keypoints.json")]
    said = read([*files, folder / "dali" / "instances.json"])
    pictures = [*files_named(files[0]), *files_named(folder / "dali" / "instances.json")]
    assert len(pictures) == 33
    answers = []
    for path in pictures:
        with PIL.Image.open(path) as photo:
            answers.append(said.of(path, *photo.size))
    assert sum(len(content.places) for content, _ in answers) == 370 - 6 + 3  # 6 are crowds
    assert sum(len(content.captions) for content, _ in answers) == 85
    assert {reject.reason for _, rejects in answers for reject in rejects} == {
        "a crowd (iscrowd), not one object"
    }
    assert said.unmatched(pictures) == ()


def test_the_sample_of_visual_genome_and_of_vcr_is_read(shared: Path) -> None:
    data = shared / "data"
    phrases = read([data / "visual_genome" / "region_descriptions.image1.partial.json"])
    content, rejects = phrases.of(Path("VG_100K/1.jpg"), 800, 600)
    assert content.places[0] == Labelled(Box(421, 57, 503, 196), "the clock is green in colour", ())
    assert not rejects
    metadata = data / "vcr" / "val.sample.metadata.json"
    content, rejects = read([metadata]).of(metadata.with_suffix(".jpg"), 1920, 797)
    assert [place.text for place in content.places] == [
        *["person"] * 3,
        "car",
        "cell phone",
        "clock",
    ]
    assert all(place.polygons for place in content.places)
    assert not rejects
