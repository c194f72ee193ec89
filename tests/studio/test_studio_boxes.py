"""boxes.js in a browser: draw, move, resize, delete, number; by mouse, keys and touch."""

from collections.abc import Iterator

import pytest
from house_of_studio import Served
from playwright.sync_api import Browser, CDPSession, Page, expect

from lskd.marking import colour

WIDTH, HEIGHT = 160, 120  # of the original; it is shown much larger
Box = tuple[float, float, float, float]
MOUNT = """async ([image, options]) => {
  const { Boxes } = await import("/static/boxes.js");
  const holder = document.createElement("div");
  holder.id = "holder";
  document.querySelector("main").replaceChildren(holder);
  window.boxes = new Boxes(holder, options);
  window.events = [];
  for (const kind of ["change", "choose"]) {
    boxes.addEventListener(kind, (event) => events.push([kind, { ...event.detail }]));
  }
  boxes.show(`/images/${image}`, 160, 120);
  await boxes.image.decode();
}"""


@pytest.fixture(scope="module")
def image(studio: Served) -> str:
    """Return the id of a picture."""
    with studio.client(signed=False) as client:
        found: str = client.get("/api/explore/images?size=1").json()["rows"][0]["id"]
    return found


def mounted(page: Page, image: str, **options: object) -> Page:
    """Put boxes on a page of the studio, in place of what was there."""
    page.evaluate(MOUNT, [image, {"editable": True, **options}])
    return page


@pytest.fixture(scope="module")
def opened(browser: Browser, studio: Served, image: str) -> Iterator[tuple[Page, list[str]]]:
    """Give a page of the studio, which all tests share, and what goes wrong in it."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)
    page.goto(f"{studio.url}/explore/{image}")
    yield page, wrong
    context.close()


@pytest.fixture
def sheet(opened: tuple[Page, list[str]]) -> Iterator[Page]:
    """Give that page; whatever goes wrong in it fails the test."""
    page, wrong = opened
    wrong.clear()
    yield page
    assert not wrong


@pytest.fixture
def pad(sheet: Page, image: str) -> Page:
    return mounted(sheet, image)


def regions(page: Page) -> list[tuple[int, Box]]:
    found = page.evaluate("boxes.regions")
    return [(one["id"], tuple(one["box"][k] for k in ("x0", "y0", "x1", "y1"))) for one in found]


def at(page: Page, x: float, y: float) -> tuple[float, float]:
    """Return the place on the screen of a pixel of the original."""
    frame = page.locator("#holder svg").bounding_box()
    assert frame is not None
    return frame["x"] + x / WIDTH * frame["width"], frame["y"] + y / HEIGHT * frame["height"]


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    page.mouse.move(*at(page, *start))
    page.mouse.down()
    page.mouse.move(*at(page, (start[0] + end[0]) / 2, (start[1] + end[1]) / 2))
    page.mouse.move(*at(page, *end))
    page.mouse.up()


def near(found: Box, expected: Box, by: float = 1) -> bool:
    return all(abs(one - other) <= by for one, other in zip(found, expected, strict=True))


def test_the_order_of_drawing_is_the_order_of_ids(pad: Page) -> None:
    drag(pad, (100, 80), (140, 110))
    drag(pad, (60, 60), (10, 10))  # towards the upper left
    drag(pad, (70, 20), (90, 40))
    found = regions(pad)
    assert [number for number, _ in found] == [0, 1, 2]
    expected: list[Box] = [(100, 80, 140, 110), (10, 10, 60, 60), (70, 20, 90, 40)]
    assert all(near(box, right) for (_, box), right in zip(found, expected, strict=True))
    assert all(number == int(number) for _, box in found for number in box)
    assert pad.locator("#holder .badge text").all_text_contents() == ["1", "0", "2"]  # by size
    assert pad.evaluate("boxes.chosen") == 2


def test_those_after_a_deleted_box_move_up(pad: Page) -> None:
    for left in (10, 60, 110):
        drag(pad, (left, 10), (left + 30, 40))
    second = regions(pad)[2][1]
    pad.evaluate("boxes.choose(1, true)")
    pad.keyboard.press("Delete")
    assert [number for number, _ in regions(pad)] == [0, 1]
    assert regions(pad)[1][1] == second
    assert pad.evaluate("events.filter(([kind]) => kind === 'change').at(-1)[1]") == {"deleted": 1}
    drag(pad, (20, 60), (50, 90))
    assert [number for number, _ in regions(pad)] == [0, 1, 2]
    pad.keyboard.press("Backspace")
    assert len(regions(pad)) == 2


def test_a_chosen_box_is_moved_and_stays_in_the_picture(pad: Page) -> None:
    drag(pad, (20, 20), (60, 50))
    drag(pad, (40, 35), (60, 55))
    (box,) = (box for _, box in regions(pad))
    assert near(box, (40, 40, 80, 70))
    drag(pad, (60, 55), (159, 119))
    (box,) = (box for _, box in regions(pad))
    assert near(box, (120, 90, 160, 120)) and box[2:] == (160, 120)


def test_handles_resize_and_may_be_drawn_past_the_other_side(pad: Page) -> None:
    drag(pad, (40, 40), (80, 70))
    drag(pad, (80, 70), (120, 100))
    assert near(regions(pad)[0][1], (40, 40, 120, 100))
    drag(pad, (40, 70), (20, 70))  # the middle of the left side
    assert near(regions(pad)[0][1], (20, 40, 120, 100))
    drag(pad, (120, 100), (10, 30))
    assert near(regions(pad)[0][1], (10, 30, 20, 40))


def test_a_box_can_be_drawn_within_another_that_is_not_chosen(pad: Page) -> None:
    drag(pad, (10, 10), (150, 110))
    pad.keyboard.press("Escape")
    drag(pad, (50, 40), (90, 80))
    assert len(regions(pad)) == 2
    pad.mouse.click(*at(pad, 70, 60))
    assert pad.evaluate("boxes.chosen") == 1  # the smaller one lies above
    pad.mouse.click(*at(pad, 20, 100))
    assert pad.evaluate("boxes.chosen") == 0


def test_a_click_draws_nothing(pad: Page) -> None:
    pad.mouse.click(*at(pad, 50, 50))
    assert regions(pad) == []
    assert pad.evaluate("events") == []


def test_keys_choose_nudge_resize_and_delete(pad: Page) -> None:
    drag(pad, (20, 20), (60, 50))
    drag(pad, (80, 60), (120, 100))
    first = regions(pad)[0][1]
    pad.keyboard.press("0")
    assert pad.evaluate("boxes.chosen") == 0
    for key in ("ArrowRight", "Shift+ArrowDown", "ArrowDown", "ArrowLeft", "ArrowLeft"):
        pad.keyboard.press(key)
    x0, y0, x1, y1 = first
    assert regions(pad)[0][1] == (x0 - 1, y0 + 11, x1 - 1, y1 + 11)
    pad.keyboard.press("Alt+ArrowRight")
    assert regions(pad)[0][1] == (x0 - 1, y0 + 11, x1, y1 + 11)
    for _ in range(9):
        pad.keyboard.press("Shift+ArrowLeft")
    assert regions(pad)[0][1][0] == 0
    pad.keyboard.press("Escape")
    assert pad.evaluate("boxes.chosen") is None
    pad.keyboard.press("ArrowRight")
    pad.keyboard.press("Delete")
    assert len(regions(pad)) == 2
    pad.keyboard.press("1")
    pad.keyboard.press("Delete")
    assert [number for number, _ in regions(pad)] == [0]


def test_two_digits_choose_a_box_beyond_nine(pad: Page) -> None:
    for _ in range(12):
        pad.evaluate("boxes.svg.focus()")
        pad.keyboard.press("n")
    assert len(regions(pad)) == 12
    pad.keyboard.type("11")
    assert pad.evaluate("boxes.chosen") == 11


def test_all_can_be_done_without_a_pointer(pad: Page) -> None:
    pad.evaluate("boxes.svg.focus()")
    pad.keyboard.press("n")
    pad.keyboard.press("Shift+ArrowLeft")
    pad.keyboard.press("n")
    assert regions(pad) == [(0, (50, 45, 90, 75)), (1, (60, 45, 100, 75))]
    pad.evaluate("boxes.svg.focus()")
    pad.keyboard.press("Tab")
    assert pad.evaluate("boxes.chosen") == 0
    pad.keyboard.press("Tab")
    assert pad.evaluate("boxes.chosen") == 1
    spoken = pad.locator("#holder .region").first.get_attribute("aria-label") or ""
    assert spoken.startswith("Region 0") and "40 by 30" in spoken
    assert "drawn" in (pad.locator("#holder [aria-live]").text_content() or "")


def test_no_more_boxes_than_allowed(sheet: Page, image: str) -> None:
    pad = mounted(sheet, image, most=2)
    for left in (10, 60, 110):
        drag(pad, (left, 10), (left + 30, 40))
    assert len(regions(pad)) == 2


def test_shown_regions_keep_their_ids_and_cannot_be_changed(sheet: Page, image: str) -> None:
    page = mounted(sheet, image, editable=False)
    page.evaluate(
        """() => boxes.show(boxes.image.src, 160, 120, [
          { id: 7, box: [10, 10, 60, 60], label: "a", description: "<b>x</b>" },
          { id: 3, box: { x0: 70, y0: 20, x1: 90, y1: 40 },
            polygons: [[70, 20, 90, 20, 80, 40]] }])"""
    )
    drag(page, (100, 80), (140, 110))
    assert [number for number, _ in regions(page)] == [7, 3]
    assert page.locator("#holder polygon").count() == 2
    assert page.locator("#holder title").text_content() == "<b>x</b>"
    page.mouse.click(*at(page, 30, 30))
    assert page.evaluate("events.at(-1)") == ["choose", {"id": 7}]
    page.keyboard.press("Delete")
    assert len(regions(page)) == 2
    page.evaluate("boxes.light([3])")
    expect(page.locator("#holder .region.faint")).to_have_attribute("data-id", "7")


def test_colours_are_those_of_marked_pictures(pad: Page) -> None:
    drag(pad, (10, 10), (40, 40))
    line = pad.locator("#holder .line").get_attribute("stroke")
    assert line == "#{:02x}{:02x}{:02x}".format(*colour(0, "clear"))
    count = pad.evaluate("import('/static/colours.js').then((m) => m.COLOURS.length)")
    for number in (1, 23):
        pair = pad.evaluate(f"import('/static/colours.js').then((m) => m.COLOURS[{number}])")
        assert pair[0] == "#{:02x}{:02x}{:02x}".format(*colour(number, "clear"))
    assert colour(count, "clear") == colour(0, "clear")


@pytest.fixture
def phone(browser: Browser, studio: Served, image: str) -> Iterator[Page]:
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    page = context.new_page()
    page.goto(f"{studio.url}/explore/{image}")
    yield mounted(page, image)
    context.close()


def touch(wire: CDPSession, kind: str, *points: tuple[float, float]) -> None:
    spots = [{"x": x, "y": y, "id": place} for place, (x, y) in enumerate(points)]
    wire.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": spots})


def test_a_finger_draws_and_moves_and_a_second_one_does_not_disturb(phone: Page) -> None:
    wire = phone.context.new_cdp_session(phone)
    before = phone.evaluate("scrollY")

    def stroke(start: tuple[float, float], end: tuple[float, float]) -> None:
        touch(wire, "touchStart", at(phone, *start))
        touch(wire, "touchMove", at(phone, (start[0] + end[0]) / 2, (start[1] + end[1]) / 2))
        touch(wire, "touchMove", at(phone, *end))
        touch(wire, "touchEnd")

    stroke((20, 20), (80, 90))
    assert near(regions(phone)[0][1], (20, 20, 80, 90), by=2)
    stroke((50, 55), (70, 65))
    assert near(regions(phone)[0][1], (40, 30, 100, 100), by=2)
    touch(wire, "touchStart", at(phone, 110, 10))
    touch(wire, "touchStart", at(phone, 110, 10), at(phone, 20, 110))
    touch(wire, "touchMove", at(phone, 150, 50), at(phone, 25, 115))
    touch(wire, "touchEnd")
    assert [number for number, _ in regions(phone)] == [0, 1]
    assert phone.evaluate("scrollY") == before


def test_words_show_numbers_as_chips_and_nothing_else(pad: Page) -> None:
    shown = pad.evaluate(
        """async () => {
      const { worded, named } = await import("/static/studio.js");
      const html = (...given) => {
        const box = document.createElement("p");
        box.append(...worded(...given));
        return [box.textContent, [...box.querySelectorAll(".chip")].map((c) => c.className)];
      };
      const some = [{ id: 0 }, { id: 2 }];
      return [html("[0] and [2, 9] of [007] <b>", some),
        html("[a cat] sees [a dog]", some, [{ phrase: "a cat", region_id: 2 }]),
        named("[3], [1 and 3] & [12] [01]")];
    }"""
    )
    assert shown == [
        ["0 and 29 of [007] <b>", ["chip", "chip", "chip stray"]],
        ["a cat\u00a02 sees [a dog]", ["chip"]],
        [3, 1, 12],
    ]
