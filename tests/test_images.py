"""Every kind of source, and every kind of bad file."""

import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import house
from lskd.errors import UserError
from lskd.execute import Selection
from lskd.images import STAGE, Settings, unread
from lskd.picture import decode, load
from lskd.run import Run
from lskd.run import load as load_run
from lskd.sources import counted, pictures_in
from lskd.types import Annotation, Box, Copy, Image, Reject


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    house.build(tmp_path, 3)
    return tmp_path


def images(*changes: str) -> Run:
    return house.run(Path("small.toml"), *changes, selection=Selection(until="images"))


def names(run: Run) -> list[str]:
    return [Path(image.path).name for image in house.rows(run, Image)]


def test_a_folder_is_searched_in_depth_and_in_order(home: Path) -> None:
    house.picture(home / "pictures" / "deep" / "er" / "000.png", 50)
    (home / "pictures" / "notes.txt").write_text("no picture")
    assert names(images()) == ["000.png", "001.png", "002.png", "000.png"]


def test_a_linked_folder_is_gone_into_once_and_circles_end(home: Path) -> None:
    house.picture(home / "elsewhere" / "far.png", 7)
    (home / "pictures" / "linked").symlink_to(home / "elsewhere")
    (home / "elsewhere" / "back").symlink_to(home / "pictures")
    found = pictures_in(home / "pictures")
    assert [one.name for one in found].count("far.png") == 1
    assert len(found) == len({one.resolve() for one in found})


def test_a_glob_names_pictures(home: Path) -> None:
    assert names(images("images.source=pictures/*[12].png")) == ["001.png", "002.png"]


def test_a_text_file_lists_pictures_beside_it(home: Path) -> None:
    (home / "pictures" / "some.txt").write_text("002.png\n\n000.png\n")
    assert names(images("images.source=pictures/some.txt")) == ["002.png", "000.png"]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("pictures/**.png", r"images.source 'pictures/\*\*.png': .*stands for folders"),
        ("pictures/latin.txt", "latin.txt is not UTF-8 text"),
        ("broken.parquet", "broken.parquet is a broken Parquet file"),
    ],
)
def test_a_source_that_cannot_be_read_is_told_in_one_line(
    home: Path, source: str, told: str
) -> None:
    (home / "pictures" / "latin.txt").write_bytes("caf\u00e9.png\n".encode("latin-1"))
    rows = [{"image": (home / "pictures" / f"00{n}.png").read_bytes() * 50} for n in range(3)]
    pq.write_table(pa.Table.from_pylist(rows), home / "broken.parquet", use_dictionary=False)
    data = bytearray((home / "broken.parquet").read_bytes())
    data[4:40] = bytes(36)
    (home / "broken.parquet").write_bytes(data)
    with pytest.raises(UserError, match=told):
        images(f"images.source={source}")


def test_a_list_of_sources_names_each_picture_once(home: Path) -> None:
    run = images('images.source=["pictures/002.png", "pictures"]')
    assert names(run) == ["002.png", "000.png", "001.png"]
    assert house.rows(run, Copy) == []


def test_a_coco_json_names_pictures_and_says_what_is_in_them(home: Path) -> None:
    coco = {
        "images": [{"id": 7, "file_name": "001.png", "width": 64, "height": 48}],
        "categories": [{"id": 3, "name": "dog"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 3, "bbox": [4, 5, 20, 30], "iscrowd": 0}
        ],
    }
    (home / "pictures" / "boxes.json").write_text(json.dumps(coco))
    run = images("images.source=pictures/boxes.json", "images.annotations=pictures/boxes.json")
    assert names(run) == ["001.png"]
    (said,) = house.rows(run, Annotation)
    assert [(p.text, p.box) for p in said.places] == [("dog", Box(4, 5, 24, 35))]


def test_annotations_that_fit_no_image_are_told(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coco = {
        "images": [{"id": 7, "file_name": "elsewhere.png", "width": 64, "height": 48}],
        "categories": [{"id": 3, "name": "dog"}],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 3, "bbox": [4, 5, 20, 30]}],
    }
    (home / "boxes.json").write_text(json.dumps(coco))
    images("images.annotations=boxes.json")
    assert "annotations of 1 images fit no image here: elsewhere.png" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["struct", "bytes"])
def test_a_parquet_column_of_images_is_read_and_kept_as_files(home: Path, form: str) -> None:
    data = [(home / "pictures" / f"{n:03d}.png").read_bytes() for n in range(3)]
    column = [{"bytes": one, "path": None} for one in data] if form == "struct" else data
    pq.write_table(pa.table({"n": [1, 2, 3], "image": column}), home / "rows.parquet")
    run = images("images.source=rows.parquet")
    found = house.rows(run, Image)
    assert [(i.source or "").rpartition("#")[2] for i in found] == ["0", "1", "2"]
    assert [Path(i.path).read_bytes() for i in found] == data
    again = images("images.source=rows.parquet")
    assert house.rows(again, Image) == found


def test_a_package_file_is_a_source(home: Path) -> None:
    pytest.importorskip("skimage", reason="scikit-image is not installed")
    run = images("images.source=package:skimage/data/coffee.png")
    assert [(i.width, i.height) for i in house.rows(run, Image)] == [(600, 400)]


def test_a_copy_is_kept_once_with_its_other_path(home: Path) -> None:
    (home / "pictures" / "zz.png").write_bytes((home / "pictures" / "000.png").read_bytes())
    run = images()
    first = house.rows(run, Image)[0]
    assert house.rows(run, Copy) == [Copy(first.id, str(home / "pictures" / "zz.png"))]
    assert names(run) == ["000.png", "001.png", "002.png"]


def boxes_of(file: Path, name: str) -> None:
    """Write a COCO json that knows a dog in the picture of one name."""
    coco = {
        "images": [{"id": 7, "file_name": name, "width": 64, "height": 48}],
        "categories": [{"id": 3, "name": "dog"}],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 3, "bbox": [4, 5, 20, 30]}],
    }
    file.write_text(json.dumps(coco))


def test_what_is_said_under_the_name_of_a_copy_is_said_of_the_image(home: Path) -> None:
    for name in ("yy.png", "zz.png"):
        (home / "pictures" / name).write_bytes((home / "pictures" / "000.png").read_bytes())
    boxes_of(home / "boxes.json", "zz.png")
    run = images("images.annotations=boxes.json", "images.shard_size=5")
    (said,) = house.rows(run, Annotation)
    assert said.image_id == house.rows(run, Image)[0].id
    assert [place.text for place in said.places] == ["dog"]
    assert not house.rows(run, Reject, "images")


@pytest.mark.parametrize(("known", "lost"), [("001.png", 1), ("000.png", 0)])
def test_what_is_said_of_a_copy_in_a_later_shard_is_a_reject_unless_the_image_has_its_own(
    home: Path, known: str, lost: int
) -> None:
    boxes_of(home / "boxes.json", known)
    first = "images.shard_size=2"
    both = 'images.annotations=["boxes.json", "more.json"]'
    copy = home / "pictures" / "zz.png"
    copy.write_bytes((home / "pictures" / "000.png").read_bytes())
    boxes_of(home / "more.json", "zz.png")
    run = images(first, both)
    assert len(house.rows(run, Annotation)) == 1
    told = Reject(str(copy), "annotated under the name of a copy, whose image is done", "dog")
    assert house.rows(run, Reject, "images") == [told] * lost


def test_what_an_annotation_file_says_by_then_counts_for_pictures_that_are_new(home: Path) -> None:
    boxes_of(home / "boxes.json", "000.png")
    with_boxes = 'images.annotations="boxes.json"'
    images(with_boxes)
    house.picture(home / "pictures" / "new.png", 99)
    boxes_of(home / "boxes.json", "new.png")
    run = images(with_boxes)
    names = {row.id: Path(row.path).name for row in house.rows(run, Image)}
    assert [names[row.image_id] for row in house.rows(run, Annotation)] == ["000.png", "new.png"]


def bmp_header(width: int, height: int) -> bytes:
    """Return a bitmap that claims to be large and holds next to nothing."""
    head = io.BytesIO()
    PIL.Image.new("RGB", (1, 1)).save(head, "BMP")
    data = bytearray(head.getvalue())
    data[18:26] = width.to_bytes(4, "little") + height.to_bytes(4, "little")
    return bytes(data)


def bad_files(folder: Path) -> dict[str, bytes]:
    whole = (folder / "000.png").read_bytes()
    jpeg = io.BytesIO()
    PIL.Image.effect_noise((200, 200), 50).save(jpeg, "JPEG")
    return {
        "cut.png": whole[: len(whole) // 2],
        "cut.jpg": jpeg.getvalue()[:3000],
        "empty.png": b"",
        "text.jpg": b"this is no picture",
        "huge.bmp": bmp_header(60_000, 60_000),
        "flat.png": png((40, 1)),
        "large.png": png((3000, 2000)),
        "half-a-header.png": whole[:20],
    }


def png(size: tuple[int, int]) -> bytes:
    data = io.BytesIO()
    PIL.Image.new("RGB", size).save(data, "PNG")
    return data.getvalue()


def test_bad_files_become_rejects_with_reasons_and_the_run_goes_on(home: Path) -> None:
    for name, data in bad_files(home / "pictures").items():
        (home / "pictures" / name).write_bytes(data)
    (home / "pictures" / "gone.png").symlink_to(home / "nowhere.png")
    run = images("images.max_pixels=5000000")
    assert names(run) == ["000.png", "001.png", "002.png"]
    reasons = {Path(r.source).name: r.reason for r in house.rows(run, Reject, "images")}
    assert reasons.keys() == {*bad_files(home / "pictures"), "gone.png"}
    assert reasons["gone.png"] == "cannot be read: No such file or directory"
    assert reasons["empty.png"] == "empty file"
    assert reasons["text.jpg"] == "not an image that Pillow knows"
    assert "too large to open safely" in reasons["huge.bmp"]
    assert reasons["large.png"] == "3000 x 2000 pixels are more than max_pixels = 5000000"
    assert reasons["flat.png"] == "40 x 1 pixels: nothing to see"
    assert "broken image" in reasons["cut.jpg"] and "broken image" in reasons["cut.png"]


def test_a_name_that_is_not_utf_8_and_a_closed_folder_become_rejects(home: Path) -> None:
    data = (home / "pictures" / "000.png").read_bytes()
    Path(os.fsdecode(bytes(home / "pictures") + b"/\xff.png")).write_bytes(data)
    closed = home / "pictures" / "closed"
    closed.mkdir(mode=0o000)
    run = images()
    reasons = {Path(r.source).name: r.reason for r in house.rows(run, Reject, "images")}
    assert reasons["\\xff.png"] == "its name is not UTF-8: rename it"
    if os.geteuid() != 0:  # nothing is closed to root
        assert reasons["closed"].startswith("cannot be read: ")
    assert names(run) == ["000.png", "001.png", "002.png"]
    assert images().tables.shards(Image) == ["00000"]


def test_a_name_with_a_nul_becomes_a_reject(home: Path) -> None:
    # As in a list that `find -print0` wrote.
    (home / "pictures" / "some.txt").write_text("000.png\n001.png\0002.png\0\n")
    run = images("images.source=pictures/some.txt")
    assert names(run) == ["000.png"]
    assert [row.reason for row in house.rows(run, Reject, "images")] == [
        "cannot be read: its name holds a NUL character"
    ]
    assert images("images.source=pictures/some.txt").tables.shards(Image) == ["00000"]


def test_a_folder_named_like_a_parquet_file_is_a_folder(home: Path) -> None:
    row = {"image": (home / "pictures" / "000.png").read_bytes()}
    (home / "rows.parquet" / "deep.parquet").mkdir(parents=True)
    pq.write_table(
        pa.Table.from_pylist([row]), home / "rows.parquet" / "deep.parquet" / "a.parquet"
    )
    run = images("images.source=rows.parquet")
    assert len(house.rows(run, Image)) == counted(["rows.parquet"]) == 1
    assert house.rows(run, Reject, "images") == []


def test_what_a_list_names_is_counted_though_it_is_no_file(home: Path) -> None:
    (home / "folder.parquet").mkdir()
    (home / "some.txt").write_text("pictures/000.png\nfolder.parquet\nmissing.parquet\n")
    assert counted(["some.txt"]) == 3
    run = images("images.source=some.txt")
    assert len(house.rows(run, Image)) == 1
    assert len(house.rows(run, Reject, "images")) == 2


def test_a_source_without_a_single_image_is_a_users_error(home: Path) -> None:
    (home / "bad").mkdir()
    (home / "bad" / "a.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"no image could be read \(1 files rejected; .*empty file"):
        images("images.source=bad")


def test_a_rejected_file_is_not_read_again(home: Path) -> None:
    (home / "pictures" / "empty.png").write_bytes(b"")
    images()
    run = images()
    assert run.tables.shards(Image) == ["00000"]


def is_new(limit: int | None = None) -> bool:
    """Return whether the stage would make a shard."""
    run = load_run(Path("small.toml"))
    settings = run.settings["images"]
    assert isinstance(settings, Settings)
    return unread(settings, replace(run.context(STAGE), limit=limit), run.tables)


def test_whether_there_are_new_images_is_told_ahead(home: Path) -> None:
    (home / "pictures" / "broken.png").write_bytes(b"no picture")
    (home / "pictures" / "copy.png").write_bytes((home / "pictures" / "000.png").read_bytes())
    assert is_new()
    run = images()
    assert len(house.rows(run, Copy)) == 1
    assert len(house.rows(run, Reject, "images")) == 1
    assert not is_new()
    house.picture(home / "pictures" / "new.png", 9)
    assert is_new() and not is_new(limit=5)
    assert not house.rows(run, Image)[3:]  # looking at it made nothing
    images()
    assert not is_new()
    run.tables.file(Image, "00000").unlink()
    assert is_new()
    images()
    assert not is_new()


def test_exif_orientation_is_honoured(home: Path) -> None:
    upright = PIL.Image.new("RGB", (40, 20), "red")
    upright.paste("blue", (0, 0, 20, 20))
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # stored on its side: turn right by 90 degrees to view
    stored = upright.transpose(PIL.Image.Transpose.ROTATE_90)
    stored.save(home / "turned.jpg", exif=exif, quality=95)
    run = images("images.source=turned.jpg")
    (row,) = house.rows(run, Image)
    assert (row.width, row.height) == (40, 20)
    pixels = load(row)
    assert pixels.size == (40, 20)
    red, _, blue = pixels.getpixel((5, 10))  # type: ignore[misc]  # an RGB pixel is a triple
    assert blue > 200 > 60 > red


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "I;16", "I;16B", "1"])
def test_pictures_of_every_mode_become_rgb(mode: str) -> None:
    data = io.BytesIO()
    deep = mode.startswith("I;16")
    picture = PIL.Image.new(mode if deep else "L", (8, 8), 200 * 256 if deep else 200)
    picture = picture if deep else picture.convert(mode)
    picture.save(data, "TIFF" if deep or mode == "CMYK" else "PNG")
    pixels = decode(data.getvalue())
    assert (pixels.mode, pixels.size) == ("RGB", (8, 8))
    value = pixels.getpixel((4, 4))
    assert isinstance(value, tuple)
    assert mode == "1" or all(abs(v - 200) < 6 for v in value)


def test_transparency_is_laid_on_white() -> None:
    data = io.BytesIO()
    PIL.Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(data, "PNG")
    assert decode(data.getvalue()).getpixel((0, 0)) == (255, 255, 255)


def test_a_file_that_changed_after_it_was_read_is_noticed(home: Path) -> None:
    run = images()
    row = house.rows(run, Image)[0]
    house.picture(Path(row.path), 123)
    with pytest.raises(UserError, match="has changed since"):
        load(row)
    Path(row.path).unlink()
    with pytest.raises(UserError, match="cannot read"):
        load(row)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere", "no such file or folder"),
        ("empty", "no images there; known endings"),
        ("none/*.png", "no images there"),
        ("package:nobody/x.png", "package 'nobody' is not installed"),
        ("package:lskd/x.png", "lskd has no file 'x.png'"),
        ("numbers.parquet", "has no column of images; its columns: n"),
        ("broken.parquet", "is not a Parquet file"),
    ],
)
def test_a_source_that_is_not_there_says_what_would_be_right(
    home: Path, source: str, message: str
) -> None:
    (home / "empty").mkdir()
    pq.write_table(pa.table({"n": [1]}), home / "numbers.parquet")
    (home / "broken.parquet").write_bytes(b"no")
    with pytest.raises(UserError) as error:
        images(f"images.source={source}")
    assert message in str(error.value)


SCARCE = """
import io, resource, sys
import PIL.Image
from lskd.images import examined
from lskd.errors import UserError
data = io.BytesIO()
PIL.Image.new("L", (12_000, 8_000)).save(data, "PNG")
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 40_000_000, resource.RLIM_INFINITY))
try:
    print("rejected:", examined(data.getvalue(), 200_000_000))
except UserError as error:
    print("told:", error)
"""


def test_a_picture_for_which_memory_is_lacking_is_no_reject(home: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-c", SCARCE], capture_output=True, text=True, check=False
    )
    assert told.stdout.startswith("told: no memory for a picture of "), told.stderr
