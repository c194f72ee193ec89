"""Marks and tags: the release's pixels, legible colours, and texts that follow their regions."""

import colorsys
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageDraw
import pytest
from hypothesis import assume, example, given
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
        (-9, 0, 0, 30),
        (0, -9, 30, 0),
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
@pytest.mark.parametrize(
    "corners",
    [
        (-9, -9, 20, 20),
        (50, 30, 1e300, 1e9),
        (-5, -5, 70, 50),
        (-9, 20, 1, 30),
        (20, -9, 30, 1),
        (20.25, 20.25, 20.75, 20.75),
    ],
)
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


@pytest.mark.parametrize("region_id", [100, 300, 512, 700, 1023 + 300])
def test_later_colours_of_the_release_go_once_around_the_circle_and_towards_white(
    region_id: int,
) -> None:
    red, green, blue = (value / 255 for value in colour(region_id, "release"))
    hue, lightness, saturation = colorsys.rgb_to_hls(red, green, blue)
    assert hue == pytest.approx(region_id % 1024 / 1024, abs=0.02)
    assert saturation == pytest.approx(region_id % 1023 / 1023, abs=0.04)
    assert lightness == pytest.approx(0.4 + 0.6 * (region_id % 1025 / 1025), abs=0.004)


def test_the_lightest_colour_of_the_release_is_just_not_white() -> None:
    assert colour(1024, "release") == (254, 254, 254)


def test_clear_colours_can_be_written_with_three_digits() -> None:
    assert all(value % 0x11 == 0 for ink in COLOURS for value in ink)


@pytest.mark.parametrize("ground", [(0, 0, 0), (255, 255, 255), (128, 128, 128)])
@pytest.mark.parametrize("region_id", range(24))
def test_a_clear_line_stands_out_on_dark_and_on_light_ground(
    ground: tuple[int, int, int], region_id: int
) -> None:
    drawn = np.array([colour(region_id, "clear"), casing(colour(region_id, "clear"))])
    weights = (0.2126, 0.7152, 0.0722)
    below = float(np.dot(ground, weights))
    assert max(abs(float(np.dot(ink, weights)) - below) for ink in drawn) > 80


def contrasts(ink: tuple[int, int, int]) -> tuple[float, float]:
    """Return a colour's contrast ratios with black and with white, as WCAG 2 defines them."""
    shares = np.array(ink) / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    light = float(linear @ (0.2126, 0.7152, 0.0722))
    return (light + 0.05) / 0.05, 1.05 / (light + 0.05)


@given(st.tuples(*[st.sampled_from([*range(0, 30), *range(30, 256, 9), 255])] * 3))
def test_the_casing_has_the_higher_contrast_of_black_and_white(ink: tuple[int, int, int]) -> None:
    black, white = contrasts(ink)
    assume(abs(black - white) > 1e-3)
    assert casing(ink) == ((0, 0, 0) if black > white else (255, 255, 255))


@pytest.mark.parametrize(
    "ink", [(0, 0, 255), (255, 0, 0), (0, 255, 0), (0, 124, 0), (0, 119, 122), (119, 119, 0)]
)
def test_each_part_of_a_colour_counts_for_its_casing(ink: tuple[int, int, int]) -> None:
    black, white = contrasts(ink)
    assert casing(ink) == ((0, 0, 0) if black > white else (255, 255, 255))


@pytest.mark.parametrize("part", [0.25, 0.5, 0.999])
def test_clear_goes_around_every_pixel_that_a_box_touches(part: float) -> None:
    pixels = noise(320, 240)
    whole = mark(pixels, [region(1, 100, 80, 220, 200)], "clear")
    touched = region(1, 100 + part, 80 + part, 219 + part, 199 + part)
    assert mark(pixels, [touched], "clear").tobytes() == whole.tobytes()
    at_border = region(1, part, part, 319 + part, 239 + part)
    assert badges([at_border], (320, 240)) == badges([region(1, 0, 0, 320, 240)], (320, 240))


SQUARE = (100.0, 80.0, 220.0, 80.0, 220.0, 200.0, 100.0, 200.0)


@pytest.mark.parametrize(("size", "wide"), [((320, 240), 2), ((960, 720), 4)])
def test_a_clear_line_is_its_colour_between_two_casings(size: tuple[int, int], wide: int) -> None:
    ground, line, around = (90, 120, 60), colour(1, "clear"), casing(colour(1, "clear"))
    plain = PIL.Image.new("RGB", size, ground)
    wanted = [ground, around, *[line] * wide, around, ground]
    frame = mark(plain, [region(1, 100, 80, 220, 200)], "clear")
    outwards = range(-wide - 3, 1)  # from its box
    assert [frame.getpixel((100 + step, 150)) for step in outwards] == wanted
    assert [frame.getpixel((219 - step, 150)) for step in outwards] == wanted
    assert [frame.getpixel((180, 80 + step)) for step in outwards] == wanted
    assert [frame.getpixel((180, 199 - step)) for step in outwards] == wanted
    contour = mark(plain, [region(1, 100, 80, 220, 200, polygons=(SQUARE,))], "clear")
    across = range(-wide // 2 - 2, wide // 2 + 2)  # it lies upon its polygon's sides
    assert [contour.getpixel((100 + step, 150)) for step in across] == wanted
    assert [contour.getpixel((180, 200 + step)) for step in across] == wanted


@pytest.mark.parametrize("size", [(320, 240), (960, 720)])
@pytest.mark.parametrize("number", [0, 7, 12, 345])
def test_a_clear_number_stands_in_the_middle_of_a_plate_with_a_rim(
    size: tuple[int, int], number: int
) -> None:
    one = region(number, 100, 80, 220, 200)
    ((_, place),) = badges([one], size)
    plain = PIL.Image.new("RGB", size, (90, 120, 60))
    corners = int(place.x0), int(place.y0), int(place.x1), int(place.y1)
    plate = np.asarray(mark(plain, [one], "clear").crop(corners)).astype(int)
    high, wide = plate.shape[:2]
    ink = np.array(casing(colour(number, "clear")))
    for side in (plate[0], plate[-1], plate[:, 0], plate[:, -1]):
        assert (side[len(side) // 2] == ink).all()
    assert (plate[high // 2, 1] == colour(number, "clear")).all()
    written = np.abs(plate[2:-2, 2:-2] - ink).sum(axis=2) < 200
    down, across = np.nonzero(written)
    assert abs((down.min() + down.max()) - (high - 5)) <= 1
    assert abs((across.min() + across.max()) - (wide - 5)) <= 2
    assert 0.4 * high < down.max() - down.min() < 0.8 * high


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


def alike(count: int, *corners: float) -> tuple[tuple[int, int], list[Region]]:
    """Return a small picture with regions of one box, so that numbers get into each other's way."""
    return (120, 100), [region(number, *corners) for number in range(count)]


@given(scenes())
@example(alike(15, 40, 40, 80, 70))
@example(alike(15, 0, 0, 30, 30))
@example(alike(15, 90, 70, 120, 100))
@example(alike(18, 50, 0, 54, 100))
@example(alike(12, 0, 50, 120, 54))
@example(alike(14, 0, 60, 120, 90))
@example(alike(11, 30, 40, 90, 44))
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


def test_clear_places_the_numbers_of_equal_contours_apart_and_all_upon_the_line() -> None:
    diamond = (160.0, 60.0, 220.0, 120.0, 160.0, 180.0, 100.0, 120.0)
    equal = [region(k, 100, 60, 220, 180, polygons=(diamond,)) for k in range(25)]
    places = [place for _, place in badges(equal, (320, 240))]
    assert not any(meets(one, two) for k, one in enumerate(places) for two in places[:k])
    around = np.linspace(-60, 60, 481)
    line = {(160 + x, 120 + side * (60 - abs(x))) for x in around for side in (-1, 1)}
    for x0, y0, x1, y1 in places:
        assert any(x0 <= x <= x1 and y0 <= y <= y1 for x, y in line)


@pytest.mark.parametrize(
    ("count", "corners"),
    [
        (12, (0, 50, 120, 54)),
        (14, (0, 60, 120, 90)),
        (18, (50, 0, 54, 100)),
        (18, (40, 0, 90, 100)),
    ],
)
def test_clear_finds_room_for_the_numbers_of_equal_boxes_upon_all_four_sides(
    count: int, corners: tuple[float, float, float, float]
) -> None:
    size, equal = alike(count, *corners)
    places = [place for _, place in badges(equal, size)]
    assert not any(meets(one, two) for k, one in enumerate(places) for two in places[:k])


def test_clear_places_the_numbers_of_nested_regions_apart() -> None:
    nested = [region(k, 10 * k, 10 * k, 400 - 10 * k, 300 - 10 * k) for k in range(12)]
    places = [place for _, place in badges(nested, (400, 300))]
    assert not any(meets(one, two) for k, one in enumerate(places) for two in places[:k])


# Where a number of 11 x 11 pixels goes in a picture of 320 x 240, whose outlines are 4 thick: its
# left and upper edge, if all places before it are taken by the regions beside them.
AROUND_A_BOX = [
    ((100 - 4, 80 - 11), (92, 60, 112, 76)),
    ((220 + 4 - 11, 80 - 11), (208, 60, 228, 76)),
    ((100 - 4, 200), (92, 204, 112, 220)),
    ((220 + 4 - 11, 200), (208, 204, 228, 220)),
    (((96 + 213) // 2, 80 - 11), (0, 0, 1, 1)),
]
AROUND_A_CONTOUR = [
    ((160 - 6, 60 + 4 - 11), (140, 40, 180, 57)),
    ((160 - 6, 180 - 4), (140, 185, 180, 205)),
    ((220 - 4, 120 - 6), (224, 100, 250, 140)),
    ((100 + 4 - 11, 120 - 6), (70, 100, 96, 140)),
    ((175 - 6, 75 - 6), (0, 0, 1, 1)),  # upon the line, a little further than its first point
]


@pytest.mark.parametrize("taken", range(5))
def test_clear_puts_a_number_at_the_first_free_corner_of_a_box_then_at_its_side(taken: int) -> None:
    others = [region(k + 1, *blocks) for k, (_, blocks) in enumerate(AROUND_A_BOX[:taken])]
    placed = dict(badges([region(0, 100, 80, 220, 200), *others], (320, 240)))
    assert placed[0][:2] == AROUND_A_BOX[taken][0]


@pytest.mark.parametrize(
    ("taken", "at"),
    [
        (((90, 66, 230, 74), (90, 206, 230, 214)), (100 - 11, 134)),
        (((90, 66, 230, 74), (90, 206, 230, 214), (85, 84, 93, 196)), (220, 134)),
    ],
)
def test_clear_puts_a_number_beside_a_box_that_is_shut_in_above_and_below(
    taken: tuple[tuple[float, ...], ...], at: tuple[int, int]
) -> None:
    others = [region(k + 1, *blocks) for k, blocks in enumerate(taken)]
    placed = dict(badges([region(0, 100, 80, 220, 200), *others], (320, 240)))
    assert placed[0][:2] == at


@pytest.mark.parametrize("taken", range(5))
def test_clear_puts_a_number_at_the_first_free_end_of_a_contour(taken: int) -> None:
    diamond = (160.0, 60.0, 220.0, 120.0, 160.0, 180.0, 100.0, 120.0)
    others = [region(k + 1, *blocks) for k, (_, blocks) in enumerate(AROUND_A_CONTOUR[:taken])]
    one = region(0, 100, 60, 220, 180, polygons=(diamond,))
    assert dict(badges([one, *others], (320, 240)))[0][:2] == AROUND_A_CONTOUR[taken][0]


@pytest.mark.parametrize(
    ("corners", "at"),
    [
        ((100, 0, 140, 20), (96, 20)),  # below it
        ((100, 220, 140, 240), (96, 209)),  # above it
        ((0, 0, 320, 10), (0, 10)),
        ((100, 0, 220, 60), (96, 0)),  # so large that a corner of it is no loss
    ],
)
def test_clear_hides_no_small_region_at_the_edge_by_its_number(
    corners: tuple[float, float, float, float], at: tuple[int, int]
) -> None:
    ((_, place),) = badges([region(0, *corners)], (320, 240))
    assert place[:2] == at


@pytest.mark.parametrize(
    ("size", "thick", "high"),
    [
        ((10, 10), 4, 11),
        ((320, 240), 4, 11),
        ((640, 480), 3 + 2 * 1, 18),
        ((480, 640), 3 + 2 * 1, 18),
        ((3000, 1800), 10 + 2 * 3, 67),
    ],
)
def test_clear_lines_and_numbers_grow_with_the_shorter_side(
    size: tuple[int, int], thick: int, high: int
) -> None:
    assert thickness(size) == thick
    for number, wider in ((0, 0), (123, high // 2)):
        ((_, place),) = badges([region(number, 2, 2, 9, 9)], size)
        assert place.height == high
        assert place.width > wider + high - 1


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
        (-90.0, 40.0, -50.0, 40.0, -70.0, 60.0),
        (40.0, -90.0, 60.0, -50.0, 50.0, -60.0),
        (40.0, 190.0, 60.0, 150.0, 50.0, 160.0),
        (1.0, 2.0, 50.0, 60.0),
        (110.0, 0.0, 110.0, 0.0, 110.0, 90.0, 0.0),  # a number without its pair is no corner
        (0.0, -110.0, 50.0, -110.0, 90.0, -120.0, 0.0),
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
    larger = resized(before, (100, 80), (150, 100))
    assert larger.box == Box(15, 25, 45, 75)
    assert larger.polygons == ((15.0, 25.0, 45.0, 75.0, 15.0, 75.0),)


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
    with pytest.raises(UserError, match=r"names region \[5\]"):
        renumber("[5] and [7]", {0: 0})
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
