"""The Parquet export, read by `datasets` as users read it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq

from export.examples import (
    REGIONS,
    about,
    distance,
    lines,
    loaded,
    painted,
    pixels,
    saved,
    seen,
    some,
)
from lskd.export import hf
from lskd.export.pictures import Look
from lskd.marking import colour, mark
from lskd.picture import image_id
from lskd.types import Box, Region


def test_datasets_shows_the_original_pictures_upright_and_in_their_splits(tmp_path: Path) -> None:
    examples = some(tmp_path / "photos")
    written = hf.write(examples, tmp_path / "out", readme="# A card\n")
    train = loaded(tmp_path / "out", tmp_path / "cache")
    validation = loaded(tmp_path / "out", tmp_path / "cache", "validation")
    assert (written.rows, written.rejected, written.left_out) == (4, 0, 0)
    assert [row["id"] for row in [*train, *validation]] == [example.id for example in examples]
    original = seen(examples[0].path)
    assert distance(train[0]["image"], original) == 0
    turned = seen(examples[2].path)
    assert validation[0]["image"].size == turned.size == (96, 120)
    assert distance(validation[0]["image"], turned) < 2
    assert (tmp_path / "out" / "README.md").read_text() == "# A card\n"


def test_the_second_picture_has_the_named_regions_drawn_where_they_are(tmp_path: Path) -> None:
    example = some(tmp_path / "photos")[0]
    hf.write([example], tmp_path / "out", Look(marks="release"))
    row = loaded(tmp_path / "out", tmp_path / "cache")[0]
    expected = mark(row["image"].convert("RGB"), (REGIONS[0], REGIONS[2]), "release")
    assert distance(row["marked"], expected) < 2
    outline = pixels(row["marked"])[6, 10:34]  # the upper edge of [0]
    assert np.abs(outline - np.array(colour(0, "release"))).mean() < 40
    unnamed = pixels(row["marked"])[10:44, 75:89] - pixels(row["image"])[10:44, 75:89]
    assert np.abs(unnamed).max() < 20


def test_nothing_is_drawn_where_phrases_say_where_to_look(tmp_path: Path) -> None:
    hf.write(some(tmp_path / "photos")[1:2], tmp_path / "out", Look(drawn="all"))
    row = loaded(tmp_path / "out", tmp_path / "cache")[0]
    assert distance(row["image"], row["marked"]) == 0


def test_every_field_of_an_example_returns(tmp_path: Path) -> None:
    examples = some(tmp_path / "photos")[:2]
    hf.write(examples, tmp_path / "out")
    for example, row in zip(examples, loaded(tmp_path / "out", tmp_path / "cache"), strict=True):
        for name in "id image_id question answer rationale style score source split".split():
            assert row[name] == getattr(example, name), name
        assert (row["width"], row["height"]) == (example.width, example.height)
        assert tuple(row["region_ids"]) == example.region_ids
        assert [(m["phrase"], m["region_id"]) for m in row["mentions"]] == [
            (mention.phrase, mention.region_id) for mention in example.mentions
        ]
        back = tuple(
            Region(
                r["id"],
                Box(*r["bbox"]),
                r["label"],
                r["description"],
                r["score"],
                tuple(map(tuple, r["polygons"])),
            )
            for r in row["regions"]
        )
        assert back == example.regions


def test_a_row_may_be_an_image_with_all_its_triples(tmp_path: Path) -> None:
    examples = some(tmp_path / "photos")[:2]
    written = hf.write(examples, tmp_path / "out", rows="image")
    (row,) = loaded(tmp_path / "out", tmp_path / "cache")
    assert written.rows == 1
    assert [triple["id"] for triple in row["triples"]] == [example.id for example in examples]
    expected = mark(row["image"].convert("RGB"), (REGIONS[0], REGIONS[2]), "clear")
    assert distance(row["marked"], expected) < 2


def test_paths_alone_are_enough_for_datasets_to_show_the_pictures(tmp_path: Path) -> None:
    example = some(tmp_path / "photos")[0]
    hf.write([example], tmp_path / "out", Look("none"))
    row = loaded(tmp_path / "out", tmp_path / "cache")[0]
    assert distance(row["image"], seen(example.path)) == 0
    assert (tmp_path / "out/data/train-00000-of-00001.parquet").stat().st_size < 20_000


def test_the_card_alone_tells_datasets_which_columns_are_pictures(tmp_path: Path) -> None:
    out = tmp_path / "out"
    card = f"---\n{hf.features_yaml()}---\n# A card\n"
    hf.write(some(tmp_path / "photos")[:1], out, readme=card)
    file = out / "data/train-00000-of-00001.parquet"
    bare: pa.Table = pq.read_table(file).replace_schema_metadata(None)
    pq.write_table(bare, file)
    told = loaded(out, tmp_path / "cache")
    (out / "README.md").unlink()
    untold = loaded(out, tmp_path / "other_cache")
    assert told[0]["image"].size == (100, 80)
    assert isinstance(untold[0]["image"], dict)


def test_the_card_and_the_files_name_the_same_columns(tmp_path: Path) -> None:
    out = tmp_path / "out"
    card = f"---\n{hf.features_yaml(rows='image')}---\n"
    hf.write(some(tmp_path / "photos")[:2], out, rows="image", readme=card)
    with_card = loaded(out, tmp_path / "cache").features
    (out / "README.md").unlink()
    assert loaded(out, tmp_path / "other_cache").features == with_card


def test_a_picture_is_stored_about_once_however_many_rows_show_it(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    file = saved(tmp_path, "noise.png", PIL.Image.fromarray(noise))
    example = about(file)[0]
    examples = [replace(example, id=str(number)) for number in range(50)]
    hf.write(examples, tmp_path / "out", Look("plain"))
    stored = (tmp_path / "out/data/train-00000-of-00001.parquet").stat().st_size
    assert stored < 1.1 * file.stat().st_size
    assert len(loaded(tmp_path / "out", tmp_path / "cache")) == 50


def test_shards_are_numbered_once_all_are_there(tmp_path: Path) -> None:
    file = saved(tmp_path, "a.png", painted(100, 80, 1))
    examples = [replace(about(file)[0], id=str(number)) for number in range(250)]
    hf.write(examples, tmp_path / "out", shard_bytes=1)
    assert sorted(each.name for each in (tmp_path / "out/data").iterdir()) == [
        f"train-{number:05d}-of-00003.parquet" for number in range(3)
    ]
    rows = loaded(tmp_path / "out", tmp_path / "cache")
    assert [row["id"] for row in rows.remove_columns(["image", "marked"])] == [
        example.id for example in examples
    ]


def test_rows_without_pictures_make_few_groups_and_those_with_them_small_ones(
    tmp_path: Path,
) -> None:
    example = some(tmp_path / "photos")[0]
    many = [replace(example, id=f"e{number}") for number in range(250)]
    groups = {}
    for kind in ("none", "marked"):
        hf.write(many, tmp_path / kind, Look(pictures=kind))
        (file,) = (tmp_path / kind / "data").glob("*.parquet")
        found = pq.ParquetFile(file)
        groups[kind] = [found.metadata.row_group(n).num_rows for n in range(found.num_row_groups)]
        assert found.read(["id"])["id"].to_pylist() == [row.id for row in many]
    assert groups == {"none": [250], "marked": [100, 100, 50]}


def test_no_folder_of_the_maker_is_given_away(tmp_path: Path) -> None:
    hf.write(some(tmp_path / "secret_place")[:2], tmp_path / "out", readme=hf.features_yaml())
    for file in (tmp_path / "out").rglob("*"):
        assert file.is_dir() or b"secret_place" not in file.read_bytes()


def test_what_cannot_be_shown_is_a_reject_with_its_reason_and_the_rest_is_written(
    tmp_path: Path,
) -> None:
    good, *_ = some(tmp_path / "photos")
    gone = replace(good, id="gone", path=str(tmp_path / "gone.png"))
    other = replace(good, id="other", image_id="0" * 16)
    small = replace(good, id="small", width=50)
    outside = replace(
        good, id="outside", regions=(replace(REGIONS[0], box=Box(200, 200, 300, 300)),)
    )
    for rows in ("triple", "image"):
        out = tmp_path / rows
        bad = [gone, other, small, outside]
        written = hf.write([*bad, good], out, rows="image" if rows == "image" else "triple")
        assert (written.rows, written.rejected) == (1, 4)
        rejects = lines(out / "rejects.jsonl")
        assert [reject["source"] for reject in rejects] == ["gone", "other", "small", "outside"]
        reasons = ["cannot read", "no longer the image", "100 x 80", "outside of the picture"]
        for reject, reason in zip(rejects, reasons, strict=True):
            assert reason in reject["reason"]
            assert good.rationale in reject["text"]
        assert len(loaded(out, tmp_path / f"cache_{rows}")) == 1


def test_a_picture_that_is_cut_short_is_a_reject_and_the_rest_is_written(tmp_path: Path) -> None:
    whole = saved(tmp_path, "whole.jpg", painted(100, 80, 3))
    good, file = about(whole)[0], tmp_path / "cut.jpg"
    file.write_bytes(whole.read_bytes()[:-200])
    cut = replace(good, id="cut", path=str(file), image_id=image_id(file.read_bytes()))
    for rows in ("triple", "image"):
        out = tmp_path / rows
        written = hf.write([cut, good], out, rows="image" if rows == "image" else "triple")
        assert (written.rows, written.rejected) == (1, 1)
        (reject,) = lines(out / "rejects.jsonl")
        assert reject["source"] == "cut" and "broken image" in reject["reason"]


def test_only_the_styles_that_are_asked_for_are_written(tmp_path: Path) -> None:
    written = hf.write(some(tmp_path / "photos"), tmp_path / "out", styles=("description",))
    assert (written.rows, written.left_out) == (2, 2)
