"""Files of region descriptions and narratives, as their authors ship them."""

import io
import json
import pickle
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lskd.corpora.captions import (
    localized_narratives,
    plain_pickle,
    refcoco,
    sherlock,
    visual_genome,
)
from lskd.corpora.captions.caption import Caption, Files
from lskd.errors import UserError
from lskd.types import Box, Reject

REF: dict[str, Any] = {
    "sent_ids": [0, 1, 2],
    "file_name": "COCO_train2014_000000581857_16.jpg",
    "ann_id": 1719310,
    "ref_id": 7,
    "image_id": 581857,
    "split": "train",
    "sentences": [
        {"tokens": ["blue", "shirt"], "raw": "BLUE SHIRT", "sent_id": 0, "sent": "blue shirt"},
        {"tokens": ["the", "lady"], "raw": "the  lady", "sent_id": 1, "sent": "the  lady"},
        {"tokens": ["blue", "shirt"], "raw": "blue shirt", "sent_id": 2, "sent": "blue shirt"},
    ],
    "category_id": 1,
}
INSTANCES = {
    "images": [{"id": 581857, "width": 64, "height": 48, "file_name": "x.jpg"}],
    "annotations": [{"id": 1719310, "image_id": 581857, "bbox": [10.5, 4, 20, 30]}],
    "categories": [],
}
BOX = Box(10.5, 4.0, 30.5, 34.0)


def picture(path: Path, colour: str = "red", size: tuple[int, int] = (64, 48)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.new("RGB", size, colour).save(path)
    return path


def split_up(found: Iterable[Caption | Reject]) -> tuple[list[Caption], list[str]]:
    """Return the captions, and the reasons of the rejects."""
    rows = list(found)
    captions = [row for row in rows if isinstance(row, Caption)]
    return captions, [row.reason for row in rows if isinstance(row, Reject)]


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    picture(tmp_path / "train2014" / "COCO_train2014_000000581857.jpg")
    (tmp_path / "refcoco").mkdir()
    (tmp_path / "refcoco" / "instances.json").write_text(json.dumps(INSTANCES))
    return tmp_path


def refs(coco: Path, rows: object, protocol: int = 0) -> Files:
    file = coco / "refcoco" / "refs(unc).p"
    file.write_bytes(pickle.dumps(rows, protocol))
    return Files("refcoco", (file,), (coco / "train2014",))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_of_refcoco_gives_a_caption_for_each_thing(coco: Path, protocol: int) -> None:
    captions, reasons = split_up(refcoco.captions(refs(coco, [REF], protocol)))
    assert reasons == []
    (only,) = captions
    assert (only.id, only.split, only.box) == (f"refcoco-train-581857 {tuple(BOX)}", "train", BOX)
    assert only.texts == ("blue shirt", "the lady")  # each once, without stray blanks
    assert (only.image.width, only.image.height) == (64, 48)
    assert Path(only.image.path).name == "COCO_train2014_000000581857.jpg"


def test_things_that_corpora_number_alike_stay_apart_and_all_that_is_said_of_one_is_together(
    coco: Path,
) -> None:
    picture(coco / "train2014" / "COCO_train2014_000000000009.jpg", "blue")
    other = {"sent": "a man", "raw": "a man"}
    elsewhere = REF | {"file_name": "COCO_train2014_000000000009_5.jpg", "image_id": 9, "ann_id": 5}
    more = REF | {"ref_id": 0, "sentences": [other]}
    inside = {"id": 9, "width": 64, "height": 48, "file_name": "y.jpg"}
    box = {"id": 5, "image_id": 9, "bbox": [1, 2, 3, 4]}
    (coco / "refcocog").mkdir()
    file = coco / "refcocog" / "refs(umd).p"
    file.write_bytes(pickle.dumps([elsewhere | {"sentences": [other]}, more]))
    (coco / "refcocog" / "instances.json").write_text(
        json.dumps({"images": [inside], "annotations": [box, *INSTANCES["annotations"]]})
    )
    first = refs(coco, [REF])
    both = Files("refcoco", (*first.files, file), first.images)
    captions, reasons = split_up(refcoco.captions(both))
    assert reasons == []
    assert [(Path(one.image.path).name[-6:], one.texts) for one in captions] == [
        ("57.jpg", ("blue shirt", "the lady", "a man")),
        ("09.jpg", ("a man",)),
    ]
    assert [one.box for one in captions] == [BOX, Box(1.0, 2.0, 4.0, 6.0)]


def test_a_pickle_that_python_2_wrote_is_read(coco: Path) -> None:
    # What `pickle.dump([{"raw": "caf\xe9"}], file)` of Python 2 has written.
    file = coco / "python2.p"
    file.write_bytes(b"(lp0\n(dp1\nS'raw'\np2\nS'caf\\xe9'\np3\nsa.")
    assert plain_pickle.load(file) == [{"raw": "café"}]


class Ran(Exception):
    pass


def ran(*_: object) -> None:
    raise Ran


class Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return ran, ()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_would_run_code_is_refused_before_it_runs(
    tmp_path: Path, protocol: int
) -> None:
    file = tmp_path / "refs(unc).p"
    file.write_bytes(pickle.dumps([REF, Trap()], protocol))
    with pytest.raises(UserError, match=r"refs\(unc\)\.p is refused: it names .*ran"):
        plain_pickle.load(file)


@given(st.binary(max_size=60))
def test_bytes_that_are_no_plain_pickle_are_one_clear_error(data: bytes) -> None:
    path = Path(_scratch(), "any.p")
    path.write_bytes(data)
    try:
        json.dumps(plain_pickle.load(path))
    except UserError as error:
        assert str(path) in str(error) and "\n" not in str(error)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ),
    st.integers(0, pickle.HIGHEST_PROTOCOL),
)
def test_plain_data_come_back_from_a_pickle_as_they_were(value: object, protocol: int) -> None:
    path = Path(_scratch(), "plain.p")
    path.write_bytes(pickle.dumps(value, protocol))
    assert plain_pickle.load(path) == value


def _scratch() -> str:
    folder = Path(__file__).parent / ".scratch"
    folder.mkdir(exist_ok=True)
    return str(folder)


@pytest.fixture(scope="module", autouse=True)
def tidy() -> Iterable[None]:
    yield
    shutil.rmtree(_scratch())


def test_what_cannot_be_read_of_refcoco_is_told_with_its_row(coco: Path) -> None:
    rows = [
        REF | {"ref_id": 1, "ann_id": 5},
        REF | {"ref_id": 2, "sentences": []},
        REF | {"ref_id": 3, "split": "later"},
        REF | {"ref_id": 4, "image_id": 1, "file_name": "COCO_train2014_000000000001_2.jpg"},
        ["no row"],
        {"what": "ever"},
        REF | {"ref_id": 5, "raw_image_info": "[" * 100_000},
        REF,
    ]
    captions, reasons = split_up(refcoco.captions(refs(coco, rows)))
    assert [one.id for one in captions] == [f"refcoco-train-581857 {tuple(BOX)}"]
    assert len(reasons) == 7
    for told, part in zip(
        reasons,
        [
            "no box of its ann_id 5: put instances.json beside",
            "it has no sentence",
            "no split 'later'",
            "no JSON object",
            "of no form of RefCOCO; its fields are what",
            "'raw_image_info' is not JSON",
            "missing file COCO_train2014_000000000001.jpg",
        ],
        strict=True,
    ):
        assert part in told


def test_boxes_that_are_meant_for_another_size_are_refused(coco: Path) -> None:
    picture(coco / "train2014" / "COCO_train2014_000000581857.jpg", size=(48, 64))
    captions, reasons = split_up(refcoco.captions(refs(coco, [REF])))
    assert captions == []
    assert reasons == ["its box is meant for 64 x 48 pixels, but the upright picture is 48 x 64"]


def test_rows_of_the_hub_with_corners_are_read_from_parquet_and_json(coco: Path) -> None:
    row = REF | {
        "bbox": list(BOX),
        "raw_anns": "{}",
        "raw_image_info": json.dumps({"width": 64, "height": 48}),
        "image_path": "coco/train2014/COCO_train2014_000000581857.jpg",
        "captions": ["blue shirt", "the lady"],
    }
    parquet, plain = coco / "train-00000-of-00001.parquet", coco / "train.json"
    pq.write_table(pa.Table.from_pylist([row]), parquet)
    plain.write_text(json.dumps([row]))
    for file in (parquet, plain):
        captions, reasons = split_up(refcoco.captions(Files("r", (file,), (coco / "train2014",))))
        assert reasons == [] and [one.box for one in captions] == [BOX]
        assert captions[0].texts == ("blue shirt", "the lady")


def test_pictures_inside_of_a_parquet_file_are_unpacked(tmp_path: Path) -> None:
    inner = io.BytesIO()
    PIL.Image.new("RGB", (64, 48), "blue").save(inner, "PNG")
    row = {
        "question_id": "3",
        "image": {"bytes": inner.getvalue(), "path": "3.png"},
        "question": "Please carefully observe the area circled",
        "answer": ["a cup", "blue cup"],
        "bbox": [10.5, 4.0, 20.0, 30.0],
        "file_name": "COCO_train2014_000000000003_5.jpg",
    }
    file = tmp_path / "testA-00000-of-00001.parquet"
    pq.write_table(pa.Table.from_pylist([row]), file)
    found = Files("refcoco", (file,), unpacked=tmp_path / "unpacked")
    (only,), reasons = split_up(refcoco.captions(found))
    assert reasons == []
    assert (only.split, only.box, only.texts) == ("testA", BOX, ("a cup", "blue cup"))
    assert Path(only.image.path).read_bytes() == inner.getvalue()
    assert split_up(refcoco.captions(found))[0] == [only]
    nowhere = split_up(refcoco.captions(Files("refcoco", (file,))))[1]
    assert nowhere == [
        "its picture lies inside of the file, and there is no folder to unpack it to"
    ]


def test_sentences_about_one_box_are_one_caption(tmp_path: Path) -> None:
    picture(tmp_path / "COCO_train2014_000000580957.jpg")
    row = {
        "img_id": "COCO_train2014_000000580957_4",
        "bbox": [10.5, 4, 20, 30],
        "height": 48,
        "width": 64,
    }
    file = tmp_path / "refcoco_val.json"
    rows = [row | {"sents": "bowl"}, row | {"sents": "dish"}]
    file.write_text(json.dumps(rows))
    (only,), reasons = split_up(refcoco.captions(Files("refcoco", (file,), (tmp_path,))))
    assert reasons == [] and only.texts == ("bowl", "dish") and only.split == "validation"


def test_real_rows_of_refcoco_are_read(shared: Path, tmp_path: Path) -> None:
    for name in ("refcoco_val", "refcocog_val"):
        file = shared / "data" / "refcoco" / f"{name}.minigpt4.first600.json"
        rows = json.loads(file.read_text())
        for row in rows:
            number = row["img_id"].rpartition("_")[0]
            picture(tmp_path / f"{number}.jpg", size=(row["width"], row["height"]))
        captions, reasons = split_up(refcoco.captions(Files(name, (file,), (tmp_path,))))
        assert reasons == []
        assert sum(len(one.texts) for one in captions) == len(
            {(row["img_id"], tuple(row["bbox"]), " ".join(row["sents"].split())) for row in rows}
        )
        boxed = {(tuple(row["bbox"]), row["img_id"]) for row in rows}
        assert len(captions) == len(boxed)


def test_real_clues_of_sherlock_are_read(shared: Path, tmp_path: Path) -> None:
    file = tmp_path / "sherlock_val_v1_1.json"
    rows = json.loads((shared / "data/sherlock/sherlock_val_subset_v1_1.json").read_text())[:400]
    file.write_text(json.dumps(rows))
    for row in rows:
        about = row["inputs"]["image"]
        path = tmp_path.joinpath(
            *about["url"].split("/")[-3 if "VG_" not in about["url"] else -2 :]
        )
        if not path.exists():
            picture(path, size=(about["width"], about["height"]))
    captions, reasons = split_up(sherlock.captions(Files("sherlock", (file,), (tmp_path,))))
    several = [row for row in rows if len(row["inputs"]["bboxes"]) > 1]
    assert several and len(reasons) == len(several)
    assert all("boxes at once; one place is wanted" in reason for reason in reasons)
    said = {text for one in captions for text in one.texts}
    wanted = [row["inputs"]["clue"] for row in rows if len(row["inputs"]["bboxes"]) == 1]
    assert said == {" ".join(clue.split()) for clue in wanted}
    assert {one.split for one in captions} == {"validation"}
    for one in captions:
        assert one.box is not None and one.box == one.box.within(one.image.width, one.image.height)


def test_real_regions_of_visual_genome_are_read(shared: Path, tmp_path: Path) -> None:
    file = tmp_path / "region_descriptions.json"
    shutil.copy(shared / "data/visual_genome/region_descriptions.image1.partial.json", file)
    (tmp_path / "image_data.json").write_text(
        json.dumps([{"image_id": 1, "width": 800, "height": 600, "url": "u"}])
    )
    picture(tmp_path / "VG_100K_2" / "1.jpg", size=(800, 600))
    captions, reasons = split_up(visual_genome.captions(Files("vg", (file,))))
    assert reasons == []
    assert captions[0].texts == ("the clock is green in colour",)
    assert captions[0].box == Box(421, 57, 421 + 82, 57 + 139)
    assert captions[1].texts == ("shade is along the street",)


def test_regions_of_visual_genome_that_are_wrong_are_told_one_by_one(tmp_path: Path) -> None:
    region = {"region_id": 1, "image_id": 5, "phrase": "a cup", "x": 1, "y": 1}
    sized = region | {"width": 9, "height": 9}
    rows = [
        {"id": 5, "regions": [sized, sized | {"phrase": " "}, region, sized | {"phrase": "a mug"}]},
        {"id": 5, "regions": [sized | {"x": 70}, sized | {"width": 0}, sized | {"x": 60}]},
        {"id": 6, "regions": [sized | {"image_id": 6}]},
        {"id": 7},
        {"regions": []},
    ]
    file = tmp_path / "region_descriptions.json"
    file.write_text(json.dumps(rows))
    picture(tmp_path / "5.jpg")
    captions, reasons = split_up(visual_genome.captions(Files("vg", (file,))))
    assert [one.texts for one in captions] == [("a cup", "a mug"), ("a cup",)]
    assert captions[1].box == Box(60, 1, 64, 10)  # what runs over the edge is cut
    assert len(reasons) == 7
    joined = " | ".join(reasons)
    for part in (
        "'phrase' is empty",
        "is not a number: null",
        "outside of the 64 x 48 picture",
        "has no area: width 0",
        "missing file VG_100K/6.jpg",
        "lacks 'regions'",
        "neither an id nor a region",
    ):
        assert part in joined


def narrative(dataset: str, image: str, caption: str, annotator: int = 1) -> str:
    row = {"dataset_id": dataset, "image_id": image, "annotator_id": annotator, "caption": caption}
    return json.dumps(row | {"timed_caption": [], "traces": [[{"x": -0.1, "y": 1.2, "t": 0.0}]]})


def test_shards_of_localized_narratives_are_read_together(tmp_path: Path) -> None:
    first = tmp_path / "open_images_train_v6_localized_narratives-00000-of-00002.jsonl"
    second = tmp_path / "open_images_train_v6_localized_narratives-00001-of-00002.jsonl"
    coco = tmp_path / "coco_val_localized_narratives.jsonl"
    flickr = tmp_path / "flickr30k_test_localized_narratives.jsonl"
    images = "open_images_train_v6"
    first.write_text(
        "\n".join([narrative(images, "00a", "A cup.\nOn a table."), narrative(images, "00b", "B")])
    )
    second.write_text(narrative(images, "00a", "There is a cup.", 2) + "\n\nno json\n")
    coco.write_text(narrative("mscoco_val2017", "137576", "Cows."))
    flickr.write_text(narrative("Flickr30k", "1000", "A dog.") + "\n" + narrative("Any", "2", ""))
    picture(tmp_path / "train" / "00a.jpg", "red")
    picture(tmp_path / "val2017" / "000000137576.jpg", "green")
    picture(tmp_path / "1000.jpg", "blue")
    found = Files("narratives", (first, second, coco, flickr), (tmp_path,))
    captions, reasons = split_up(localized_narratives.captions(found))
    assert {(one.split, one.texts) for one in captions} == {
        ("train", ("A cup. On a table.", "There is a cup.")),
        ("validation", ("Cows.",)),
        ("test", ("A dog.",)),
    }
    assert all(one.box is None for one in captions)
    assert sorted(reasons)[0] == "'caption' is empty"
    assert any("missing file 00b.jpg" in reason for reason in reasons)
    assert any("not JSON" in reason for reason in reasons)


def test_the_documented_row_of_localized_narratives_is_read(shared: Path, tmp_path: Path) -> None:
    row = json.loads((shared / "data/localized_narratives/row.partial.json").read_text())
    file = tmp_path / "coco_val_localized_narratives.jsonl"
    file.write_text(json.dumps(row) + "\n")
    picture(tmp_path / "000000137576.jpg")
    (only,), reasons = split_up(localized_narratives.captions(Files("ln", (file,))))
    assert reasons == [] and only.split == "validation"
    assert only.texts[0].startswith("In this image there are group of cows")


@pytest.mark.parametrize("reader", [refcoco.captions, sherlock.captions, visual_genome.captions])
def test_a_file_that_is_not_there_or_broken_is_one_clear_error(reader: Any, tmp_path: Path) -> None:
    file = tmp_path / "train.json"
    with pytest.raises(UserError, match=r"no file .*train\.json"):
        list(reader(Files("any", (file,))))
    file.write_text("[{")
    with pytest.raises(UserError, match="JSON"):
        list(reader(Files("any", (file,))))
    with pytest.raises(UserError, match="has no files"):
        list(reader(Files("any", ())))
