"""Sherlock's leaderboard files: one item for each annotation of the key, ratings apart."""

import json
from pathlib import Path

import pytest
from gold_files import Json, only, picture, put, reasons

from lskd.errors import UserError
from lskd.evaluate.benchmark import Options
from lskd.evaluate.sherlock import image_names, read
from lskd.marking import mark
from lskd.picture import decode
from lskd.types import Box

GENOME = "https://cs.stanford.edu/people/rak248/VG_100K/7.jpg"
GENOME_2 = "https://cs.stanford.edu/people/rak248/VG_100K_2/7.jpg"
FILM = "http://s3-us-west-2.amazonaws.com/ai2-rowanz/vcr1images/film/clip@3.jpg"
BOX = {"left": 5, "top": 6, "width": 20, "height": 10}


def instance(test_id: str, **changes: object) -> Json:
    made: Json = {
        "image": {"url": GENOME, "width": 40, "height": 30},
        "region": [BOX],
        "inference": f"text of {test_id}",
        "test_id": test_id,
        "extra_info": {"task": "comparison"},
    }
    return made | changes


def candidate(source: str, one: object, two: object) -> Json:
    return {"source_iid": source, "annot1": one, "annot2": two}


def annotation(iid: str, *candidates: Json) -> Json:
    return {"Input_iid": iid, "candidates": list(candidates)}


def put_sherlock(folder: Path, instances: list[object], *annotations: Json) -> Path:
    """Write both files; the test id of a candidate is its own id after its annotation's."""
    uses = {
        f"{a['Input_iid']}{c['source_iid']}": {
            "Input_iid": a["Input_iid"],
            "candidate": c["source_iid"],
        }
        for a in annotations
        for c in a["candidates"]  # type: ignore[attr-defined]
    }
    key = {"annotations": list(annotations), "test_id_map": uses}
    put(folder / "val_comparison/val_comparison_instances.json", instances)
    put(folder / "val_comparison/val_comparison_answer_key.json", key)
    picture(folder / "VG_100K/7.jpg")
    return folder


def put_pair(folder: Path, **changes: object) -> Path:
    """Write one annotation with two candidates; `changes` are made to both instances."""
    return put_sherlock(
        folder,
        [instance("ab", **changes), instance("aa", **changes)],
        annotation("a", candidate("a", "1.0", 3.0), candidate("b", 2, "2")),
    )


def test_choices_stand_in_the_keys_order_not_in_that_of_the_instances(tmp_path: Path) -> None:
    item = only(read(put_pair(tmp_path), Options()))
    assert (item.id, item.benchmark, item.task, item.split) == ("a", "sherlock", "", "val")
    assert item.choices == ("text of aa", "text of ab")
    assert item.question == ""


def test_the_raters_stay_apart_and_there_is_no_right_choice(tmp_path: Path) -> None:
    item = only(read(put_pair(tmp_path), Options()))
    assert item.ratings == ((1.0, 2.0), (3.0, 2.0))
    assert item.right == ()


def test_a_box_is_left_top_width_height_and_clipped_at_the_lower_edge(tmp_path: Path) -> None:
    over = {"left": 0, "top": 20, "width": 40, "height": 53}
    item = only(read(put_pair(tmp_path, region=[BOX, over]), Options()))
    assert [region.id for region in item.regions] == [0, 1]
    assert [region.box for region in item.regions] == [Box(5, 6, 25, 16), Box(0, 20, 40, 30)]
    assert [region.label for region in item.regions] == ["", ""]
    assert item.pointed == (0, 1)


@pytest.mark.parametrize(
    ("url", "file"),
    [
        (GENOME, "VG_100K/7.jpg"),
        (GENOME_2, "VG_100K_2/7.jpg"),
        (FILM, "vcr1images/film/clip@3.jpg"),
        (FILM, "film/clip@3.jpg"),
    ],
)
def test_an_address_becomes_a_file_by_its_last_parts(tmp_path: Path, url: str, file: str) -> None:
    picture(tmp_path / "pictures" / file)
    folder = put_pair(tmp_path, image={"url": url, "width": 40, "height": 30})
    (folder / "VG_100K/7.jpg").unlink()
    item = only(read(folder, Options(images=tmp_path / "pictures")))
    assert item.path.endswith(file)


def test_the_parts_of_visual_genome_do_not_mix() -> None:
    assert "VG_100K/7.jpg" not in image_names(GENOME_2)
    assert "VG_100K_2/7.jpg" not in image_names(GENOME)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"region": []}, "row 2: it has no region"),
        ({"region": [{**BOX, "left": 40}]}, "row 2: a region covers no part of the image"),
        ({"region": [{**BOX, "width": 0}]}, "row 2: a region covers no part of the image"),
        ({"region": [{"left": 1}]}, "row 2: 'top' of a region is not a number: null"),
        ({"region": [[1, 2, 3, 4]]}, "row 2: a region is no JSON object"),
        ({"image": {"url": GENOME, "width": 41, "height": 30}}, "row 2: boxes on 41 x 30 pixels"),
        ({"image": {"url": GENOME_2, "width": 1, "height": 1}}, "row 2: missing file VG_100K_2/7"),
        ({"inference": None}, "row 2: 'inference' is not a text: null"),
        ({"inference": "as [0] and [1]"}, "row 2: its inference names region [1]; it has [0]"),
        ({"extra_info": {"task": "retrieval"}}, "row 2: it is of the task 'retrieval'"),
    ],
)
def test_an_instance_that_cannot_be_scored_is_a_fault_of_its_annotation(
    tmp_path: Path, changes: Json, reason: str
) -> None:
    found = read(put_pair(tmp_path, **changes), Options())
    assert found.items == ()
    (fault,) = found.faults
    assert fault.source == "val_comparison_answer_key.json annotation 1"
    assert fault.reason.startswith(f"val_comparison_instances.json {reason}")


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        ("good", 'annot1 is not a number: "good"'),
        (None, "annot1 is not a number: null"),
        ("nan", 'annot1 is not a number: "nan"'),
    ],
)
def test_a_rating_that_is_no_number_is_a_fault(tmp_path: Path, one: object, reason: str) -> None:
    key = annotation("a", candidate("a", one, 1), candidate("b", 1, 2))
    folder = put_sherlock(tmp_path, [instance("aa"), instance("ab")], key)
    assert reasons(read(folder, Options())) == [reason]


def test_candidates_of_other_regions_are_a_fault(tmp_path: Path) -> None:
    other = instance("ab", region=[{**BOX, "left": 6}])
    key = annotation("a", candidate("a", 1, 1), candidate("b", 1, 2))
    folder = put_sherlock(tmp_path, [instance("aa"), other], key)
    assert reasons(read(folder, Options())) == ["its candidates are of several images or regions"]


def test_a_candidate_without_an_instance_and_one_without_use_are_faults(tmp_path: Path) -> None:
    key = annotation("a", candidate("a", 1, 1), candidate("b", 1, 2))
    folder = put_sherlock(tmp_path, [instance("aa"), instance("zz"), instance("aa"), 5], key)
    assert reasons(read(folder, Options())) == [
        "its test_id is not in the answer key",
        "its test_id stands for what val_comparison_instances.json row 1 is",
        "no JSON object",
        "no instance has the test_id of its candidate b",
    ]


def test_more_candidates_than_the_official_score_knows_are_a_fault(tmp_path: Path) -> None:
    names = "abcdefghijk"
    key = annotation("a", *(candidate(name, 1, 2) for name in names))
    folder = put_sherlock(tmp_path, [instance(f"a{name}") for name in names], key)
    assert reasons(read(folder, Options())) == ["11 candidates, not 2 to 10"]


def test_an_annotation_that_comes_twice_is_a_fault(tmp_path: Path) -> None:
    key = annotation("a", candidate("a", 1, 1), candidate("b", 1, 2))
    folder = put_sherlock(tmp_path, [instance("aa"), instance("ab")], key, key)
    found = read(folder, Options())
    assert len(found.items) == 1
    assert reasons(found)[0].startswith("its id 'a' is that of val_comparison_answer_key.json")


def test_a_missing_key_is_named_and_files_may_lie_in_the_folder_itself(tmp_path: Path) -> None:
    folder = put_pair(tmp_path)
    inner = folder / "val_comparison"
    (inner / "val_comparison_instances.json").rename(folder / "val_comparison_instances.json")
    only(read(folder, Options()))
    (inner / "val_comparison_answer_key.json").unlink()
    with pytest.raises(UserError, match=r"val_comparison_answer_key\.json is missing"):
        read(folder, Options())


def test_the_golden_key_is_read_whole(tmp_path: Path, shared: Path) -> None:
    golden = shared / "data/golden/sherlock_comparison_answer_key.json"
    key = json.loads(golden.read_text())
    rows = [instance(test_id) for test_id in key["test_id_map"]]
    put(tmp_path / "val_comparison_instances.json", rows)
    put(tmp_path / "val_comparison_answer_key.json", key)
    picture(tmp_path / "VG_100K/7.jpg")
    found = read(tmp_path, Options())
    assert found.faults == ()
    assert [item.id for item in found.items] == [a["Input_iid"] for a in key["annotations"]]
    for item, expected in zip(found.items, key["annotations"], strict=True):
        rated = [(float(c["annot1"]), float(c["annot2"])) for c in expected["candidates"]]
        assert list(zip(*item.ratings, strict=True)) == rated


def test_the_sample_instance_is_read_with_a_picture_of_its_size(
    tmp_path: Path, shared: Path
) -> None:
    (sample,) = json.loads((shared / "data/sherlock/leaderboard_instance.sample.json").read_text())
    other = {**sample, "inference": "another", "test_id": "aa"}
    key = annotation("a", candidate("a", 1, 2), candidate("b", 2, 1))
    put_sherlock(tmp_path, [{**sample, "test_id": "ab"}, other], key)
    picture(tmp_path / "VG_100K/2371713.jpg", 500, 333)
    item = only(read(tmp_path, Options()))
    assert item.choices == ("another", "this is a preferred posture")
    (region,) = item.regions
    assert region.box == Box(201, 154, 371, 240)
    pixels = decode(Path(item.path).read_bytes())
    marked = mark(pixels, item.regions, "release")
    assert marked.getpixel((202, 200)) != pixels.getpixel((202, 200))
    assert marked.getpixel((195, 200)) == pixels.getpixel((195, 200))
