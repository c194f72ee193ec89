"""Marks and tags: the release's pixels, legible colours, and texts that follow their regions."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageDraw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lskd.errors import UserError
from lskd.marking import MarkStyle, colour, mark, named, renumber, resized, visible
from lskd.marking.clear import COLOURS, badges, casing, thickness
from lskd.types import Box, Region

GOLDEN = Path(__file__).parent / "golden" / "marking"
CASES = json.loads((GOLDEN / "cases.json").read_text())["cases"]
STYLES: list[MarkStyle] = ["release", "clear"]


def region(region_id: int, *corners: float, polygons: tuple[tuple[float, ...], ...] = ()) -> Region:
    return Region(region_id, Box(*corners), "", "", 1.0, polygons)


def noise(width: int, height: int) -> PIL.Image.Image:
    data = random.Random(width * height).randbytes(width * height * 3)
    return PIL.Image.frombytes("RGB", (width, height), data)


def layered(pixels: PIL.Image.Image, regions: list[Region], fills: dict[int, str]) -> bytes:
    """Return pixels marked as the release does it: a full-size composite for each region."""
    for one in regions:
        layer = PIL.Image.new("RGBA", pixels.size, (0, 0, 0, 0))
        PIL.ImageDraw.Draw(layer).rectangle(
            one.box, fill=fills[one.id], outline=colour(one.id, "release"), width=2
        )
        pixels = PIL.Image.alpha_composite(pixels.convert("RGBA"), layer).convert("RGB")
    return pixels.tobytes()


def inks(picture: PIL.Image.Image) -> dict[object, int]:
    """Return how many pixels of each colour a picture has."""
    return {ink: count for count, ink in picture.getcolors(picture.width * picture.height) or []}


def changed(before: PIL.Image.Image, after: PIL.Image.Image) -> np.ndarray:
    different: np.ndarray = (np.asarray(before) != np.asarray(after)).any(axis=2)
    return different  # (height, width), bool


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["image"])
def test_release_style_equals_the_official_release_bit_for_bit(case: dict[str, object]) -> None:
    boxes = case["boxes"]
    assert isinstance(boxes, list)
    with (
        PIL.Image.open(GOLDEN / str(case["image"])) as pixels,
        PIL.Image.open(GOLDEN / str(case["marked"])) as wanted,
    ):
        regions = [region(number, *corners) for number, corners in enumerate(boxes)]
        assert mark(pixels, regions, "release").tobytes() == wanted.convert("RGB").tobytes()


@given(
    st.lists(
        st.tuples(
            st.integers(0, 4),
            st.floats(-20, 60),
            st.floats(-20, 60),
            st.floats(0.1, 60),
            st.floats(0.1, 60),
        ),
        max_size=4,
    )
)
def test_release_style_equals_full_size_composites_wherever_the_boxes_lie(
    drawn: list[tuple[int, float, float, float, float]],
) -> None:
    pixels = noise(48, 40)
    regions = [region(k, x, y, x + width, y + height) for k, x, y, width, height in drawn]
    regions = [one for one in regions if visible(one, pixels.size)]
    fills = {0: "#ff05cd20", 1: "#ff800020", 2: "#862d2d20", 3: "#ff800020", 4: "#862d2d20"}
    assert mark(pixels, regions, "release").tobytes() == layered(pixels, regions, fills)


@pytest.mark.parametrize("style", STYLES)
def test_a_colour_follows_the_id_and_not_the_place_in_the_sequence(style: MarkStyle) -> None:
    pixels = PIL.Image.new("RGB", (300, 200))
    here, there = region(7, 30, 60, 100, 150), region(2, 160, 60, 250, 150)
    both = mark(pixels, [here, there], style)
    assert both.tobytes() == mark(pixels, [there, here], style).tobytes()
    assert colour(7, style) in inks(both.crop((0, 0, 130, 200)))
    assert colour(2, style) in inks(both.crop((130, 0, 300, 200)))


@pytest.mark.parametrize("style", STYLES)
def test_the_picture_given_is_never_changed(style: MarkStyle) -> None:
    pixels = noise(64, 48)
    before = pixels.tobytes()
    assert mark(pixels, [region(0, 5, 20, 40, 40)], style).tobytes() != before
    assert pixels.tobytes() == before
    assert mark(pixels, [], style).tobytes() == before


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_a_picture_of_any_mode_becomes_rgb(style: MarkStyle, mode: str) -> None:
    pixels = PIL.Image.new(mode, (64, 48))
    assert mark(pixels, [region(0, 5, 20, 40, 40)], style).mode == "RGB"


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    "corners",
    [
        (10, 10, 10, 30),
        (30, 10, 10, 30),
        (-40, 0, -1, 30),
        (64, 0, 90, 30),
        (0, 48, 10, 90),
        (float("nan"), 0, 10, 30),
        (0, 0, float("inf"), 30),
    ],
)
def test_a_box_without_area_in_the_picture_is_an_error_that_names_it(
    style: MarkStyle, corners: tuple[float, float, float, float]
) -> None:
    unseen = region(3, *corners)
    assert not visible(unseen, (64, 48))
    with pytest.raises(UserError, match=r"region \[3\] cannot be drawn: .* 64 x 48 picture"):
        mark(noise(64, 48), [unseen], style)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("corners", [(-9, -9, 20, 20), (50, 30, 1e300, 1e9), (-5, -5, 70, 50)])
def test_a_box_partly_outside_is_drawn_as_far_as_it_is_inside(
    style: MarkStyle, corners: tuple[float, float, float, float]
) -> None:
    pixels = noise(64, 48)
    assert changed(pixels, mark(pixels, [region(0, *corners)], style)).any()


@pytest.mark.parametrize("style", STYLES)
def test_regions_that_share_an_id_are_all_drawn(style: MarkStyle) -> None:
    pixels = PIL.Image.new("RGB", (200, 100))
    marked = mark(pixels, [region(0, 20, 40, 60, 80), region(0, 120, 40, 180, 80)], style)
    for left in (0, 100):
        assert colour(0, style) in inks(marked.crop((left, 0, left + 100, 100)))


def test_an_unknown_style_and_a_negative_id_are_errors() -> None:
    with pytest.raises(UserError, match="no marking style 'neon'; styles: release, clear"):
        mark(noise(8, 8), [], "neon")  # type: ignore[arg-type]  # the error under test
    for style in STYLES:
        with pytest.raises(UserError, match="region -1"):
            colour(-1, style)


def test_clear_colours_can_be_told_apart_and_those_of_the_release_cannot() -> None:
    from skimage.color import deltaE_ciede2000, rgb2lab

    distance: Any = deltaE_ciede2000  # scikit-image has no types

    def least(style: MarkStyle) -> float:
        colours = np.array([[colour(k, style) for k in range(24)]]) / 255
        lab = rgb2lab(colours)[0]  # (24, 3)
        distances = np.array([[distance(one, two) for two in lab] for one in lab])
        return float(distances[~np.eye(24, dtype=bool)].min())

    assert least("clear") > 18
    assert least("release") < 1
    assert [colour(24 + k, "clear") for k in range(24)] == list(COLOURS)


@pytest.mark.parametrize("ground", [(0, 0, 0), (255, 255, 255), (128, 128, 128)])
@pytest.mark.parametrize("region_id", range(24))
def test_a_clear_line_stands_out_on_dark_and_on_light_ground(
    ground: tuple[int, int, int], region_id: int
) -> None:
    drawn = np.array([colour(region_id, "clear"), casing(colour(region_id, "clear"))])
    weights = (0.2126, 0.7152, 0.0722)
    below = float(np.dot(ground, weights))
    assert max(abs(float(np.dot(ink, weights)) - below) for ink in drawn) > 80


def test_clear_leaves_the_inside_of_a_box_untouched() -> None:
    pixels = noise(320, 240)
    difference = changed(pixels, mark(pixels, [region(1, 100, 80, 220, 200)], "clear"))
    assert not difference[80:200, 100:220].any()
    assert difference[70:80, 100:220].any()


def test_clear_numbers_stay_in_the_picture_and_off_each_other() -> None:
    plain = PIL.Image.new("RGB", (320, 240), (90, 120, 60))
    everywhere = [region(k, 0, 0, 320, 240) for k in range(12)]  # one outline hides the others
    ink = inks(mark(plain, everywhere, "clear"))
    assert all(ink.get(colour(k, "clear"), 0) > 30 for k in range(12))


@st.composite
def scenes(draw: st.DrawFn) -> tuple[tuple[int, int], list[Region]]:
    """Return a picture's size and up to 15 boxes in it, of 3 pixels or more, often crowded."""
    size = draw(st.integers(64, 800)), draw(st.integers(64, 800))
    largest = draw(st.sampled_from([12, 60, 800]))
    regions = []
    for number in range(draw(st.integers(1, 15))):
        width, height = (draw(st.integers(3, min(side, largest))) for side in size)
        x0, y0 = draw(st.integers(0, size[0] - width)), draw(st.integers(0, size[1] - height))
        regions.append(region(number, x0, y0, x0 + width, y0 + height))
    return size, regions


def sides(box: Box, size: tuple[int, int]) -> list[Box]:
    """Return the four lines of the outline of a box."""
    thick = thickness(size)
    x0, y0 = max(0, box.x0 - thick), max(0, box.y0 - thick)
    x1, y1 = min(size[0], box.x1 + thick), min(size[1], box.y1 + thick)
    return [
        Box(x0, y0, x1, y0 + thick),
        Box(x0, y1 - thick, x1, y1),
        Box(x0, y0, x0 + thick, y1),
        Box(x1 - thick, y0, x1, y1),
    ]


def meets(one: Box, other: Box, by: int = 1) -> bool:
    """Return whether two boxes share at least `by` pixels across and down."""
    across = min(one.x1, other.x1) - max(one.x0, other.x0)
    return min(across, min(one.y1, other.y1) - max(one.y0, other.y0)) >= by


def free_places(
    box: Box, badge: Box, size: tuple[int, int], taken: list[Box]
) -> np.ndarray[Any, Any]:
    """Return, for every pixel, whether a badge with its corner there joins a box and no badge."""
    wide, high, thick = int(badge.width), int(badge.height), thickness(size)
    joined = np.zeros((size[1] - high + 1, size[0] - wide + 1), dtype=bool)
    for side in sides(box, size):
        x0, y0 = max(0, int(side.x0) + thick - wide), max(0, int(side.y0) + thick - high)
        joined[y0 : int(side.y1) - thick + 1, x0 : int(side.x1) - thick + 1] = True
    for other in taken:
        x0, y0 = max(0, int(other.x0) - wide + 1), max(0, int(other.y0) - high + 1)
        joined[y0 : int(other.y1), x0 : int(other.x1)] = False
    return joined


@given(scenes())
def test_clear_joins_every_number_to_its_own_outline_and_hides_none_if_it_can_be_helped(
    scene: tuple[tuple[int, int], list[Region]],
) -> None:
    size, regions = scene
    boxes = {one.id: one.box for one in regions}
    placed = badges(regions, size)
    assert sorted(number for number, _ in placed) == sorted(boxes)
    taken: list[Box] = []
    for number, place in placed:
        assert place.x0 >= 0 and place.y0 >= 0 and place.x1 <= size[0] and place.y1 <= size[1]
        assert any(meets(place, side, thickness(size)) for side in sides(boxes[number], size))
        if any(meets(place, other) for other in taken):
            assert not free_places(boxes[number], place, size, taken).any()
        taken.append(place)


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 300)), min_size=3, max_size=9))
def test_clear_joins_the_number_to_a_polygon(corners: list[tuple[int, int]]) -> None:
    across, down = zip(*corners, strict=True)
    polygon = tuple(float(value) for corner in corners for value in corner)
    one = region(0, min(across), min(down), max(across) + 1, max(down) + 1, polygons=(polygon,))
    ((_, place),) = badges([one], (401, 301))
    way = np.linspace(0, 1, 801)[:, None]
    line = np.concatenate(
        [
            (1 - way) * start + way * end
            for start, end in zip(
                np.array(corners), np.roll(np.array(corners), -1, axis=0), strict=True
            )
        ]
    )  # (801 x corners, 2)
    beyond = np.maximum(np.array(place[:2]) - line, line - np.array(place[2:])).max(axis=1)
    assert beyond.min() <= 1


def test_clear_places_the_numbers_of_nested_regions_apart() -> None:
    nested = [region(k, 10 * k, 10 * k, 400 - 10 * k, 300 - 10 * k) for k in range(12)]
    places = [place for _, place in badges(nested, (400, 300))]
    assert not any(meets(one, two) for k, one in enumerate(places) for two in places[:k])


def test_clear_draws_the_polygon_and_not_the_box_around_it() -> None:
    pixels = noise(200, 200)
    triangle = (100.0, 40.0, 160.0, 160.0, 40.0, 160.0)
    difference = changed(
        pixels, mark(pixels, [region(0, 40, 40, 160, 160, polygons=(triangle,))], "clear")
    )
    assert difference[159:162, 60:140].all()
    assert not difference[50:100, 36:60].any()
    assert not difference[120:150, 90:110].any()


def test_a_polygon_that_cannot_be_drawn_leaves_the_box_to_be_drawn() -> None:
    pixels = noise(100, 100)
    boxed = mark(pixels, [region(0, 30, 30, 80, 80)], "clear").tobytes()
    for polygon in [
        (),
        (1.0, 2.0),
        (float("nan"),) * 6,
        (900.0, 900.0, 950.0, 900.0, 920.0, 990.0),
    ]:
        odd = region(0, 30, 30, 80, 80, polygons=(polygon,))
        assert mark(pixels, [odd], "clear").tobytes() == boxed


@given(
    st.lists(
        st.builds(
            region,
            st.integers(0, 2000),
            st.floats(-50, 90),
            st.floats(-50, 90),
            st.floats(-50, 1e6),
            st.floats(-50, 1e6),
            polygons=st.lists(
                st.lists(st.floats(-1e9, 1e9), max_size=12).map(tuple), max_size=2
            ).map(tuple),
        ),
        max_size=5,
    ),
    st.sampled_from(STYLES),
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
)
def test_whatever_is_visible_can_be_drawn(
    regions: list[Region], style: MarkStyle, size: tuple[int, int]
) -> None:
    seen = [one for one in regions if visible(one, size)]
    assert mark(PIL.Image.new("RGB", size), seen, style).size == size


def test_a_region_resized_with_its_picture_is_at_the_same_place() -> None:
    before = region(4, 10, 20, 30, 60, polygons=((10.0, 20.0, 30.0, 60.0, 10.0, 60.0),))
    after = resized(before, (100, 80), (50, 160))
    assert after.box == Box(5, 40, 15, 120)
    assert after.polygons == ((5.0, 40.0, 15.0, 120.0, 5.0, 120.0),)
    assert after.id == before.id
    assert resized(before, (100, 80), (100, 80)) == before


def test_ids_are_named_in_the_order_in_which_a_text_mentions_them() -> None:
    assert named("[3] hands [0, 1] a cup; [0] thanks [3] and [12].") == (3, 0, 1, 12)
    assert named("[0 and 2], [4,5 & 6], [7, and 8], [ 9 ]") == (0, 2, 4, 5, 6, 7, 8, 9)
    assert named("[the woman in pink] has 2 cups [] [a1] [1.5] [-1] [007] [1234567]") == ()


def test_renumbering_swaps_ids_at_once_and_leaves_the_rest_alone() -> None:
    text = "Why does [0] look at [1, 2]? [2], [1] and 0 cups [a]."
    swapped = renumber(text, {0: 1, 1: 0, 2: 12})
    assert swapped == "Why does [1] look at [0, 12]? [12], [0] and 0 cups [a]."
    assert renumber("[0]'s [0 ,1] [0 and 1]", {0: 10, 1: 0}) == "[10]'s [10 ,0] [10 and 0]"


def test_an_id_without_a_new_number_is_an_error_that_names_it() -> None:
    with pytest.raises(UserError, match=r"region \[5\], which is unknown; known: 0, 3"):
        renumber("[0] and [5]", {3: 1, 0: 0})
    with pytest.raises(UserError, match="known: none"):
        renumber("[0]", {})


TAG = st.lists(st.integers(0, 30), min_size=1, max_size=3).flatmap(
    lambda ids: st.sampled_from([", ", ",", " and ", " & ", "; "]).map(
        lambda between: "[" + between.join(map(str, ids)) + "]"
    )
)
TEXT = st.lists(st.one_of(TAG, st.text(max_size=8)), max_size=12).map("".join)


@given(TEXT, st.permutations(range(31)))
def test_a_permutation_and_its_inverse_give_the_text_back(text: str, order: list[int]) -> None:
    known = {k: k for k in named(text)} | dict(enumerate(order))
    inverse = {new: old for old, new in known.items()}
    once = renumber(text, known)
    assert renumber(once, inverse) == text
    assert named(once) == tuple(known[k] for k in named(text))


@given(st.text(alphabet="[]0123456789 ,;&and\n٣²", max_size=60))
def test_no_text_is_too_odd_to_be_read(text: str) -> None:
    ids = named(text)
    assert renumber(text, {k: k for k in ids}) == text
    assert len(set(ids)) == len(ids)


def test_a_tag_of_absurd_length_is_no_region_and_takes_no_time() -> None:
    assert named("[" + "9" * 100_000 + "]") == ()
    assert named("[0" + ", 0" * 50_000) == ()
    assert named("[ " * 50_000 + " " * 50_000) == ()


@pytest.mark.parametrize("style", STYLES)
def test_photographs_are_marked(shared: Path, style: MarkStyle) -> None:
    folder = shared / "data" / "photos"
    coco = json.loads((folder / "instances.json").read_text())
    for image in coco["images"][:5]:
        boxes = [a["bbox"] for a in coco["annotations"] if a["image_id"] == image["id"]][:12]
        regions = [region(k, x, y, x + w, y + h) for k, (x, y, w, h) in enumerate(boxes)]
        with PIL.Image.open(folder / "images" / image["file_name"]) as photo:
            pixels = photo.convert("RGB")
        share = changed(pixels, mark(pixels, regions, style)).mean()
        assert 0 < share < (1 if style == "release" else 0.35)
