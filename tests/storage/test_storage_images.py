"""Images and exports at places."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import house
from buckets import fsspec, lskd, machine
from clouds import KINDS, Place
from lskd.errors import UserError
from lskd.picture import image_id, read
from lskd.run import load
from lskd.storage.address import on
from lskd.storage.cache import Cache
from lskd.storage.listing import files_at
from lskd.types import Example, Image, Reject, Triple


@pytest.fixture(scope="module", params=KINDS)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with request.param() as place:
        yield place


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with pictures, one of them broken, and a run on the disk."""
    folder = tmp_path_factory.mktemp("pictures")
    house.build(folder, 5)
    (folder / "pictures" / "broken.png").write_bytes(b"no picture")
    said = lskd("run", "small.toml", "--out", "here", "--until", "corpus", folder=folder)
    assert said[0] == 0, said[2]
    return folder


def test_images_in_a_bucket_give_the_tables_of_the_same_images_on_the_disk(
    place: Place, folder: Path, tmp_path: Path
) -> None:
    photos, out = f"{place.bucket('photos')}/2024", tmp_path / "away"
    with machine(place.environment(tmp_path)):
        system, root = on(photos)
        for file in (folder / "pictures").iterdir():
            system.put_file(str(file), f"{root}/{file.name}")
        said = lskd(
            "run", "small.toml", "--out", str(out), "--set", f"images.source={photos}",
            "--until", "parse", folder=folder,
        )  # fmt: skip
        assert said[0] == 0, said[2]
        away, here = load(out), load(folder / "here")
        images = house.rows(away, Image)
        assert {image.path for image in images} == {f"{photos}/{n:03d}.png" for n in range(5)}
        assert [replace(image, path="") for image in images] == [
            replace(image, path="") for image in house.rows(here, Image)
        ]
        assert house.rows(away, Triple) == house.rows(here, Triple)
        (reject,) = house.rows(away, Reject, "images")
        assert reject.source == f"{photos}/broken.png" and "not an image" in reject.reason
        # Each was read from there once.
        assert len(list((tmp_path / "cache").rglob("*.*")) or images) == 5


def test_an_export_can_go_to_a_bucket_and_be_loaded_from_there(
    place: Place, folder: Path, tmp_path: Path
) -> None:
    out = f"{place.bucket('exports')}/hf"
    with machine(place.environment(tmp_path)):
        code, told, said = lskd("export", "here", "--to", "hf", "--out", out, folder=folder)
        assert code == 0 and f"{out}/data" in told, said
        system, root = on(out)
        (file,) = system.glob(f"{root}/data/*.parquet")
        with system.open(file) as opened:
            rows = pq.read_table(opened).num_rows
    assert rows == len(house.rows(load(folder / "here"), Example))


def test_a_url_is_a_folder_a_pattern_a_file_or_a_list(tmp_path: Path) -> None:
    system = fsspec.filesystem("memory")
    for name in ("b.JPG", "deep/a.png", "note.md"):
        system.pipe_file(f"/listing/{name}", b"x")
    system.pipe_file("/listing/some.txt", "\ufeffb.JPG\n\ndeep/a.png\n".encode())
    system.pipe_file("/listing/latin.txt", "façade.png".encode("latin-1"))
    both = ["memory://listing/b.JPG", "memory://listing/deep/a.png"]
    assert files_at("memory://listing", {".jpg", ".png"}) == both
    assert files_at("memory://listing/*.JPG", {".jpg"}) == both[:1]
    assert files_at("memory://listing/deep/a.png", {".jpg"}) == both[1:]
    assert files_at("memory://listing/some.txt", {".jpg"}) == both
    with pytest.raises(UserError, match=r"latin.txt is not UTF-8 text"):
        files_at("memory://listing/latin.txt", {".jpg"})
    with pytest.raises(UserError, match=r"memory://nowhere: no such file or folder"):
        files_at("memory://nowhere", {".jpg"})


def test_a_parquet_file_of_images_at_a_place_is_read(folder: Path, tmp_path: Path) -> None:
    pictures = sorted((folder / "pictures").glob("0*.png"))
    table = pa.table({"image": [{"bytes": one.read_bytes(), "path": None} for one in pictures]})
    with fsspec.open("memory://tables/some.parquet", "wb") as opened:
        pq.write_table(table, opened)
    source = "images.source=memory://tables/some.parquet"
    with machine({"LSKD_WORK": str(tmp_path / "work"), "XDG_CACHE_HOME": str(tmp_path / "cache")}):
        code, _, said = lskd(
            "run", "small.toml", "--out", "memory://runs/one", "--set", source,
            "--until", "regions", folder=folder,
        )  # fmt: skip
        assert code == 0, said
        found = house.rows(load(Path("memory://runs/one")), Image)
        assert [image.source for image in found] == [
            f"memory://tables/some.parquet#{number}" for number in range(5)
        ]
        assert all(image.path.startswith("memory://runs/one/images/files/") for image in found)
        assert [read(one.path, one.id) for one in found] == [one.read_bytes() for one in pictures]


def test_the_cache_stays_below_its_size_and_keeps_what_was_used_last(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 1000)
    pictures = {image_id(bytes([n])): bytes([n]) * 80 for n in range(40)}
    first = next(iter(pictures))
    for name, data in pictures.items():
        cache.put(name, data)
        assert cache.get(first) is not None
        assert sum(file.stat().st_size for file in tmp_path.rglob("*/*")) <= 1000
    assert cache.get(list(pictures)[-1]) is not None and cache.get(list(pictures)[1]) is None


def test_an_image_that_has_changed_at_its_place_is_told_of_and_not_kept(tmp_path: Path) -> None:
    system = fsspec.filesystem("memory")
    system.pipe_file("/changed/a.png", b"first")
    name = image_id(b"first")
    with machine({"XDG_CACHE_HOME": str(tmp_path)}):
        system.pipe_file("/changed/a.png", b"second")
        assert read("memory://changed/a.png", name) == b"second"
        system.pipe_file("/changed/a.png", b"first")
        assert read("memory://changed/a.png", name) == b"first"
        system.rm_file("/changed/a.png")
        assert read("memory://changed/a.png", name) == b"first"
