"""What the teacher is asked for, and what it is shown."""

import io
from pathlib import Path

import PIL.Image
import pytest

import house
from lskd.errors import UserError
from lskd.generate.replies import Settings, marked
from lskd.marking import mark
from lskd.picture import Picture, image_id
from lskd.prompt import Descriptors
from lskd.run import load
from lskd.stage import Model
from lskd.types import Box, Concepts, Dialogue, Image, Narratives, Region, Regions

SHOWN = Settings(teacher=Model(use="models:Parrot"), show_image=True)


def seen(file: Path, size: tuple[int, int], box: Box) -> Descriptors:
    """Write a grey picture, and return what is said of it: one region."""
    PIL.Image.new("RGB", size, "grey").save(file)
    image = Image(image_id(file.read_bytes()), str(file), *size)
    region = Region(0, box, "cup", "a cup", 1.0)
    return Descriptors(
        image,
        Concepts(image.id, (), (), ()),
        Narratives(image.id, ()),
        Regions(image.id, (region,)),
        Dialogue(image.id, ()),
    )


def test_a_picture_is_shown_at_its_own_size(tmp_path: Path) -> None:
    # A request is the key to its paid reply: not a byte of it may change.
    one = seen(tmp_path / "a.png", (3000, 200), Box(10, 20, 120, 120))
    expected = io.BytesIO()
    mark(Picture(one.image).pixels, one.regions.regions, "clear").save(expected, "JPEG", quality=90)
    assert marked(one, SHOWN) == expected.getvalue()


def test_a_picture_longer_than_jpeg_can_hold_is_shown_smaller(tmp_path: Path) -> None:
    one = seen(tmp_path / "a.png", (131_000, 60), Box(60_000, 0, 130_000, 60))
    with PIL.Image.open(io.BytesIO(marked(one, SHOWN))) as sent:
        assert sent.size == (65_500, 30)
        coloured = sent.convert("HSV").getchannel("S")
        box = coloured.point(lambda value: 255 * (value > 60)).getbbox()
    assert box is not None
    assert abs(box[0] - 30_000) < 20
    assert abs(box[2] - 65_000) < 60


@pytest.mark.parametrize(
    ("styles", "told"),
    [
        ("[]", "styles: none is named: give 'id', 'description' or both"),
        ('["id", "description", "id"]', "styles: 'id' is named more than once: give it once"),
    ],
)
def test_styles_that_cannot_be_asked_for_are_told(tmp_path: Path, styles: str, told: str) -> None:
    file = house.build(tmp_path)
    with pytest.raises(UserError) as error:
        load(file, [f"generate.styles={styles}"])
    assert f"[generate] {told}" in str(error.value)
