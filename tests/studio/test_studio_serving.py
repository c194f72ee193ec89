"""Pictures: what is served, and what is refused of what strangers send."""

import io
import struct
import threading
import zlib
from pathlib import Path

import PIL.Image
import pytest
from house_of_studio import SIZE, Served, paint

from lskd.errors import UserError
from lskd.picture import image_id
from lskd.studio.serving import Photographs, Shelf
from lskd.types import Image


def encoded(pixels: PIL.Image.Image, kind: str = "PNG", **options: object) -> bytes:
    data = io.BytesIO()
    pixels.save(data, kind, **options)
    return data.getvalue()


def plain(kind: str = "PNG", size: tuple[int, int] = (40, 30)) -> bytes:
    return encoded(PIL.Image.new("RGB", size, "teal"), kind)


def bomb(width: int, height: int) -> bytes:
    """Return a PNG of a few hundred bytes that says it is huge."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + head + body + chunk(b"IEND", b"")


@pytest.fixture
def photographs() -> Photographs:
    return Photographs(lambda name: None, upload=100_000, pixels=1_000_000)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_common_formats_are_taken(photographs: Photographs, kind: str) -> None:
    data = plain(kind)
    taken = photographs.take(data)
    assert (taken.width, taken.height) == (40, 30)
    assert taken.id == image_id(data)
    pixels = photographs.pixels(taken.id)
    assert pixels is not None and pixels.mode == "RGB" and pixels.size == (40, 30)


@pytest.mark.parametrize("kind", ["TIFF", "PPM", "EPS", "PDF", "ICO"])
def test_other_formats_are_not_even_tried(photographs: Photographs, kind: str) -> None:
    with pytest.raises(UserError, match="no picture; formats"):
        photographs.take(encoded(PIL.Image.new("RGB", (32, 32)), kind))


def test_too_many_bytes_are_refused(photographs: Photographs) -> None:
    with pytest.raises(UserError, match=r"100,001 bytes: at most 100,000"):
        photographs.take(bytes(100_001))


@pytest.mark.parametrize("size", [(1001, 1000), (30_000, 30_000), (2**31 - 1, 2**31 - 1)])
def test_too_many_pixels_are_refused_unread(
    photographs: Photographs, size: tuple[int, int]
) -> None:
    with pytest.raises(UserError, match=r"pixels|read"):
        photographs.take(bomb(*size))
    assert photographs.uploads.size == 0


def test_broken_files_are_told_in_one_line(photographs: Photographs) -> None:
    whole = plain("JPEG", (400, 300))
    samples = [b"", b"\0", b"GIF89a", whole[: len(whole) // 2], whole[:20], bomb(100, 100)]
    samples += [plain()[:40], b"\x89PNG\r\n\x1a\n" + bytes(60), b"%!PS-Adobe-3.0 EPSF-3.0\n"]
    for data in samples:
        with pytest.raises(UserError) as told:
            photographs.take(data)
        assert "\n" not in str(told.value)
    assert photographs.uploads.size == 0


def test_an_upload_stands_upright_as_its_exif_says(photographs: Photographs) -> None:
    pixels = PIL.Image.new("RGB", (60, 20), "white")
    pixels.paste("red", (0, 0, 10, 20))
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # turned: the left side is up
    taken = photographs.take(encoded(pixels, "JPEG", exif=exif, quality=95))
    assert (taken.width, taken.height) == (20, 60)
    upright = photographs.pixels(taken.id)
    assert upright is not None
    red, green, _ = upright.getpixel((10, 3))  # type: ignore[misc]
    assert red > 200 and green < 60


def test_uploads_are_kept_up_to_a_size() -> None:
    shelf = Shelf(100)
    for number in range(20):
        shelf.put(str(number), bytes(30))
    assert shelf.get("19") is not None and shelf.get("16") is None
    assert shelf.size == 90
    shelf.get("17")
    shelf.put("new", bytes(30))
    assert shelf.get("17") is not None and shelf.get("18") is None
    shelf.put("new", bytes(10))
    assert shelf.size == 70


def test_threads_share_a_shelf() -> None:
    shelf = Shelf(20)  # less than all that is put there, so that some is let go of

    def work(number: int) -> None:
        for turn in range(300):
            shelf.put(f"{turn % 7}", bytes(number + 1))
            shelf.get(f"{turn % 5}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shelf.size == sum(len(data) for data in shelf.kept.values()) <= 20


def test_an_image_is_served_by_its_id_small_and_to_be_kept(studio: Served) -> None:
    with studio.client(signed=False) as client:
        row = client.get("/api/explore/images?size=1").json()["rows"][0]
        answer = client.get(f"/images/{row['id']}?side=64")
        assert answer.headers["content-type"] == "image/jpeg"
        assert "max-age" in answer.headers["cache-control"]
        assert PIL.Image.open(io.BytesIO(answer.content)).size == (64, 48)
        whole = client.get(f"/images/{row['id']}?side=2048")
        assert PIL.Image.open(io.BytesIO(whole.content)).size == SIZE  # never enlarged
        assert client.get("/images/0123456789abcdef").status_code == 404
        for wrong in ("0", "63", "2049", "x", "1e9", "-1"):
            assert client.get(f"/images/{row['id']}?side={wrong}").status_code == 422


def test_a_file_that_has_gone_or_changed_is_told(tmp_path: Path) -> None:
    image = paint(tmp_path / "one.png", 1)
    photographs = Photographs({image.id: image}.get, 1000, 1000)
    assert photographs.jpeg(image.id, 64)
    paint(tmp_path / "one.png", 2)
    with pytest.raises(UserError, match="has changed"):
        photographs.jpeg(image.id, 128)
    Path(image.path).unlink()
    with pytest.raises(UserError, match="cannot read"):
        photographs.jpeg(image.id, 128)
    assert photographs.jpeg(image.id, 64)  # what was made already stays


def test_a_picture_that_is_no_row_of_the_run_can_be_served_by_its_row(
    photographs: Photographs, tmp_path: Path
) -> None:
    image: Image = paint(tmp_path / "other.png", 3)
    assert photographs.jpeg(image.id, 64) is None
    assert photographs.jpeg_of(image, 64).startswith(b"\xff\xd8")
