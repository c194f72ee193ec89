"""The list of benchmarks, and what a check says of a folder."""

from pathlib import Path

import pytest
from gold_files import picture, put, put_vcr, vcr_row

from lskd.errors import UserError
from lskd.evaluate.benchmark import Options
from lskd.evaluate.benchmarks import BENCHMARKS, check, named
from lskd.evaluate.pictures import Pictures
from lskd.evaluate.rows import Wrong


def test_there_are_six_benchmarks_and_a_wrong_name_lists_them() -> None:
    names = ["vcr", "sherlock", "visualcomet", "aokvqa", "snli_ve", "visual7w"]
    assert [benchmark.name for benchmark in BENCHMARKS] == names
    assert all(named(name).name == name for name in names)
    with pytest.raises(UserError, match="no benchmark 'gqa'; benchmarks: vcr, sherlock"):
        named("gqa")


def test_each_benchmark_tells_what_to_get_from_where_and_under_which_licence() -> None:
    for benchmark in BENCHMARKS:
        assert benchmark.files
        assert benchmark.source.startswith("https://")
        assert all((benchmark.licence, benchmark.images, benchmark.metric, benchmark.title))


def test_a_check_counts_items_images_and_faults(tmp_path: Path) -> None:
    folder = put_vcr(tmp_path, vcr_row(), vcr_row(1), vcr_row(2, answer_label=9))
    checked = check("vcr", folder)
    assert (checked.items, checked.images, len(checked.faults)) == (4, 1, 1)
    assert checked.tasks == (("answer", 2), ("rationale", 2))
    assert checked.problem is None
    assert not checked.ready
    assert checked.places[0].pattern == "val.jsonl"
    assert all(place.path is not None and place.path.is_file() for place in checked.places)


def test_a_check_of_a_whole_folder_is_ready(tmp_path: Path) -> None:
    assert check("vcr", put_vcr(tmp_path, vcr_row())).ready


@pytest.mark.parametrize("name", [benchmark.name for benchmark in BENCHMARKS])
def test_a_check_of_an_empty_folder_says_which_file_is_missing(tmp_path: Path, name: str) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        checked = check(name, folder)
        assert checked.problem is not None
        assert not checked.ready
        assert all(place.path is None for place in checked.places)
    assert "is missing" in str(check(name, tmp_path).problem)


def test_a_check_looks_for_images_in_their_own_folder(tmp_path: Path) -> None:
    put(tmp_path / "files/aokvqa_v1p0_val.json", [])
    file = picture(tmp_path / "coco/val2017/000000000001.jpg")
    for images in (tmp_path / "coco", tmp_path / "coco/val2017"):
        checked = check("aokvqa", tmp_path / "files", Options(images=images))
        assert checked.places[1].path == file
    assert [fault.reason for fault in checked.faults] == ["it has no rows of this split"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [("", "not an image that Pillow knows"), ("text", "not an image that Pillow knows")],
)
def test_what_is_no_image_is_said_again_for_each_row(
    tmp_path: Path, content: str, reason: str
) -> None:
    put(tmp_path / "a.jpg", content)
    pictures = Pictures(tmp_path)
    for _ in range(2):
        with pytest.raises(Wrong, match=reason):
            pictures.find(("a.jpg",))


def test_an_image_is_read_once(tmp_path: Path) -> None:
    file = picture(tmp_path / "a.jpg")
    pictures = Pictures(None, tmp_path)
    seen = pictures.find(("a.jpg",))
    file.unlink()
    assert pictures.find(("a.jpg",)) == seen


@pytest.mark.parametrize("name", ["/etc/hostname", "../a.jpg", "b/../../a.jpg", "..\\a.jpg"])
def test_a_name_does_not_lead_out_of_the_folder(tmp_path: Path, name: str) -> None:
    picture(tmp_path / "a.jpg")
    with pytest.raises(Wrong, match="is not named from a folder of the benchmark"):
        Pictures(tmp_path / "inner").find((name,))
