"""Near copies of pictures: what is found under changes of size, JPEG and cuts, and what is not."""

import io
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures_to_audit import CHANGES, clouds, cut, jpeg, shapes

from lskd.audit.image_hash import SIDE, WINDOWS, Hashes, differing, grey_square, hashes, is_plain
from lskd.audit.near_image import ALL_BITS, LIMIT, REACH, CodeTable, Gallery

MADE = 50  # of each kind


def seen(data: bytes) -> Hashes:
    return hashes(grey_square(data))


@dataclass(frozen=True)
class Collection:
    """Pictures with their codes."""

    pictures: list[PIL.Image.Image]
    codes: list[Hashes]


def coded(pictures: list[PIL.Image.Image]) -> Collection:
    return Collection(pictures, [seen(jpeg(picture)) for picture in pictures])


@pytest.fixture(scope="module")
def made() -> Collection:
    return coded([draw(seed) for draw in (clouds, shapes) for seed in range(MADE)])


@pytest.fixture(scope="module")
def photos(shared: Path) -> Collection:
    found = []
    for file in sorted((shared / "data" / "photos").rglob("*.jpg")):
        with PIL.Image.open(file) as opened:
            opened.draft("RGB", (400, 400))
            picture = opened.convert("RGB")
        picture.thumbnail((400, 400))
        found.append(picture)
    return coded(found)


def measured(of: Collection, name: str) -> tuple[float, int, float]:
    """Return recall, how many others are found too, and the largest distance of a found one."""
    gallery = Gallery(of.codes)
    rng = random.Random(7)
    right, wrong, farthest = 0, 0, 0.0
    for number, picture in enumerate(of.pictures):
        found = gallery.same(seen(CHANGES[name](picture, rng)))
        right += number in found
        wrong += len(found.keys() - {number})
        farthest = max(farthest, found.get(number, 0.0))
    return right / len(of.pictures), wrong, farthest


@pytest.mark.parametrize("name", CHANGES)
def test_every_changed_photograph_is_found_and_no_other(photos: Collection, name: str) -> None:
    assert len(photos.pictures) == 38
    recall, wrong, farthest = measured(photos, name)
    assert recall == 1.0 and wrong == 0
    assert farthest <= 18 / ALL_BITS


@pytest.mark.parametrize("name", CHANGES)
def test_at_least_98_percent_of_changed_made_pictures_are_found_and_no_other(
    made: Collection, name: str
) -> None:
    recall, wrong, _ = measured(made, name)
    assert recall >= 0.98 and wrong == 0


def nearest_pair(codes: list[Hashes]) -> int:
    """Return the least bits by which two different pictures differ, over all of their windows."""
    least = ALL_BITS
    for place, one in enumerate(codes):
        for other in codes[:place]:
            for whole, cuts in ((one, other), (other, one)):
                waves = differing(whole.waves[:1], cuts.waves)
                least = min(least, int((waves + differing(whole.steps[:1], cuts.steps)).min()))
    return least


def test_different_photographs_are_far_beyond_the_limit(photos: Collection) -> None:
    assert nearest_pair(photos.codes) > LIMIT + 10


def test_different_made_pictures_are_beyond_the_limit(made: Collection) -> None:
    assert nearest_pair(made.codes[:40]) > LIMIT and nearest_pair(made.codes[-40:]) > LIMIT


def test_a_picture_is_found_whichever_of_the_two_was_cut(made: Collection) -> None:
    for picture, whole in zip(made.pictures[:10], made.codes, strict=False):
        part = seen(jpeg(cut(picture, 0.1, 0.0, 0.06, 0.08)))
        assert 0 in Gallery([whole]).same(part)
        assert 0 in Gallery([part]).same(whole)


def test_a_cut_beyond_the_windows_is_not_found(made: Collection) -> None:
    gallery = Gallery(made.codes)
    found = [gallery.same(seen(jpeg(cut(p, 0.2, 0.2, 0.2, 0.2)))) for p in made.pictures]
    assert sum(map(len, found)) <= 0.02 * len(found)


def test_other_formats_and_modes_have_the_codes_of_the_same_pixels() -> None:
    picture = clouds(1)
    gallery = Gallery([seen(jpeg(picture))])
    for mode, form in (("RGB", "PNG"), ("RGBA", "WEBP"), ("L", "PNG"), ("CMYK", "JPEG")):
        buffer = io.BytesIO()
        picture.convert(mode).save(buffer, form)
        assert gallery.same(seen(buffer.getvalue()))[0] <= 8 / ALL_BITS


def test_a_picture_stored_on_its_side_is_compared_upright() -> None:
    picture = clouds(2)
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    picture.transpose(PIL.Image.Transpose.ROTATE_90).save(buffer, "JPEG", exif=exif)
    assert Gallery([seen(jpeg(picture))]).same(seen(buffer.getvalue()))
    assert not Gallery([seen(jpeg(picture))]).same(
        seen(jpeg(picture.transpose(PIL.Image.Transpose.ROTATE_90)))
    )


def test_a_plain_picture_is_known_to_be_plain() -> None:
    assert is_plain(np.full((SIDE, SIDE), 120, dtype=np.float32))
    assert not is_plain(grey_square(jpeg(shapes(1))))


def test_an_empty_gallery_finds_nothing() -> None:
    assert Gallery([]).same(seen(jpeg(clouds(3)))) == {}


def test_brightness_and_contrast_change_no_code() -> None:
    grey = grey_square(jpeg(clouds(4)))
    one, other = hashes(grey), hashes(grey * np.float32(0.5) + np.float32(40))
    assert len(one.waves) == len(one.steps) == WINDOWS
    assert int(differing(one.waves, other.waves).max()) <= 1
    assert int(differing(one.steps, other.steps).max()) <= 1


numbers = st.integers(0, 2**64 - 1)


@given(st.lists(numbers, min_size=1, max_size=20), st.data())
def test_the_table_finds_exactly_the_codes_within_reach(
    codes: list[int], data: st.DataObject
) -> None:
    base = data.draw(st.sampled_from(codes))
    flips = data.draw(st.sets(st.integers(0, 63), max_size=REACH + 3))
    asked = [base ^ sum(1 << bit for bit in flips), data.draw(numbers)]
    rows, ours, bits = CodeTable(np.array(codes, dtype=np.uint64)).near(
        np.array(asked, dtype=np.uint64)
    )
    expected = {
        (row, own, (one ^ other).bit_count())
        for row, one in enumerate(asked)
        for own, other in enumerate(codes)
        if (one ^ other).bit_count() <= REACH
    }
    assert set(zip(rows.tolist(), ours.tolist(), bits.tolist(), strict=True)) == expected
