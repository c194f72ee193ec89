"""The Ask page in a real browser: drop a picture, draw two boxes, ask, share link and picture."""

import base64
from collections.abc import Iterator
from pathlib import Path

import asking
import PIL.Image
import pytest
from playwright.sync_api import Browser, Page, expect

from lskd.picture import image_id

CHOICES = "a person\na dog\n[1] is red"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("ask")
    desk = asking.desk_of(folder, asking.students_in(folder, ["one", "two"]))
    with asking.served(desk) as found:
        yield found


@pytest.fixture(scope="module")
def opened(browser: Browser, address: str) -> Iterator[tuple[Page, list[str]]]:
    """Give a page that all tests share, and what it says went wrong or was asked of other hosts."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    told: list[str] = []
    one = context.new_page()
    one.on("pageerror", lambda error: told.append(str(error)))
    one.on(
        "console",
        # That a picture is not here (any more) is an answer, though the browser calls it an error.
        lambda said: (
            told.append(said.text)
            if said.type == "error" and "404" not in said.text and "400" not in said.text
            else None
        ),
    )
    one.on(
        "request",
        lambda asked: (
            None if asked.url.startswith((address, "data:", "blob:")) else told.append(asked.url)
        ),
    )
    yield one, told
    context.close()


@pytest.fixture
def page(opened: tuple[Page, list[str]], address: str) -> Iterator[Page]:
    """Give a page on which nothing may go wrong unseen, and which may reach no other host."""
    one, told = opened
    told.clear()
    one.goto("about:blank")  # else a link to the page that is open already loads nothing
    one.goto(f"{address}/ask")
    yield one
    assert told == []


def drop(page: Page, file: Path) -> None:
    """Drop a file on the page, as from a file manager."""
    data = base64.b64encode(file.read_bytes()).decode()
    script = """([data, name]) => {
        const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
        const carried = new DataTransfer();
        carried.items.add(new File([bytes], name, { type: "image/png" }));
        for (const kind of ["dragover", "drop"]) {
            const how = { dataTransfer: carried, bubbles: true, cancelable: true };
            document.querySelector("main").dispatchEvent(new DragEvent(kind, how));
        }
    }"""
    page.evaluate(script, [data, file.name])
    expect(page.locator("#stage")).to_be_visible()


def draw(page: Page, x0: float, y0: float, x1: float, y1: float) -> None:
    """Draw a box with the mouse; corners are shares of the picture."""
    page.locator("#stage").scroll_into_view_if_needed()
    frame = page.locator("#stage svg").bounding_box()
    assert frame is not None
    page.mouse.move(frame["x"] + x0 * frame["width"], frame["y"] + y0 * frame["height"])
    page.mouse.down()
    page.mouse.move(frame["x"] + x1 * frame["width"], frame["y"] + y1 * frame["height"], steps=4)
    page.mouse.up()


def ask(page: Page, question: str, choices: str) -> None:
    page.fill("#question", question)
    page.fill("#choices", choices)
    page.click("#ask")


def ranking(page: Page, student: str) -> list[str]:
    """Return what a student said, in the order of the page."""
    place = page.locator(f'[data-student="{student}"] .ranking li')
    expect(place.first).to_be_visible(timeout=60_000)
    return place.all_inner_texts()


def test_a_dropped_picture_two_boxes_and_a_question_give_each_students_ranking(
    page: Page, tmp_path: Path
) -> None:
    file = asking.photo(tmp_path / "mine.png", "pink")
    drop(page, file)
    draw(page, 0.5, 0.2, 0.94, 0.8)
    draw(page, 0.06, 0.1, 0.38, 0.9)
    # The right one was drawn first, so it is [0].
    labels = page.locator("#stage .region").evaluate_all(
        "all => all.map((one) => [one.dataset.id, one.getAttribute('aria-label')])"
    )
    assert sorted(labels)[0][1].startswith("Region 0") and len(labels) == 2
    ask(page, "what is [0] ?", CHOICES)
    for student in ("one", "two"):
        said = ranking(page, student)
        assert len(said) == 3 and all("match" in line and "%" in line for line in said)
        shares = [float(line.split("match")[1].split("%")[0]) for line in said]
        assert shares == sorted(shares, reverse=True) and all("similarity" in s for s in said)
    boxes = page.evaluate("new URLSearchParams(location.hash.slice(1)).get('boxes')").split(";")
    first = [float(corner) for corner in boxes[0].split(",")]
    assert first == pytest.approx([160, 40, 300.8, 160], abs=2.5)

    page.click("#link")
    expect(page.locator("#shared")).to_contain_text("is not kept")
    link = page.input_value("#address")
    assert "unkept=" in link and "mine.png" not in link


def test_a_link_to_a_forgotten_upload_waits_for_the_same_file(
    page: Page, address: str, tmp_path: Path
) -> None:
    file = asking.photo(tmp_path / "late.png", "khaki")
    other = asking.photo(tmp_path / "other.png", "plum")
    name = image_id(file.read_bytes())
    page.goto(
        f"{address}/ask#unkept={name}&boxes=20,20,120,180&question=what+is+[0]+?&choice=a+dog"
    )
    expect(page.locator("#awaited")).to_contain_text("is not kept")
    assert page.input_value("#question") == "what is [0] ?"
    page.set_input_files("#file", str(file))
    expect(page.locator("#stage .region")).to_have_count(1)
    expect(page.locator("#awaited")).to_be_hidden()
    page.set_input_files("#file", str(other))
    expect(page.locator("#stage .region")).to_have_count(0)


def test_the_runs_picture_brings_questions_and_a_link_shows_the_same_again(
    page: Page, browser: Browser, tmp_path: Path
) -> None:
    page.click('#thumbs button[aria-label="beige.png"]')
    expect(page.locator("#stage .region")).to_have_count(2)
    page.select_option("#triples", label="what is [1] ?")
    assert page.input_value("#choices").split("\n") == ["a dog", "a person", "yes"]
    page.click("#ask")
    said = {student: ranking(page, student) for student in ("one", "two")}

    context = browser.new_context()
    again = context.new_page()
    again.goto(page.url)
    assert {student: ranking(again, student) for student in said} == said
    expect(again.locator("#stage .region")).to_have_count(2)
    context.close()

    with page.expect_download() as download:
        page.click("#save")
    assert download.value.suggested_filename == "asked.png"
    download.value.save_as(tmp_path / "asked.png")
    with PIL.Image.open(tmp_path / "asked.png") as card:
        assert card.format == "PNG" and card.width == 1200 and card.height > 700
        colours = card.convert("RGB").getcolors(card.width * card.height)
    assert colours is not None and len(colours) > 50  # a picture, not an empty sheet


def test_a_link_of_a_picture_alone_brings_the_runs_regions(page: Page, address: str) -> None:
    first = page.locator('#thumbs button[aria-label="beige.png"]').get_attribute("data-id")
    page.goto(f"{address}/explore/{first}")
    page.click("text=Ask about it")
    expect(page.locator("#stage .region")).to_have_count(2)


def test_what_cannot_be_asked_is_told_beside_the_button(page: Page) -> None:
    page.click("#ask")
    expect(page.locator("#wrong")).to_contain_text("There is no picture yet")
    page.click('#thumbs button[aria-label="linen.png"]')
    expect(page.locator("#stage")).to_be_visible()
    ask(page, "what is [0] ?", CHOICES)
    expect(page.locator("#wrong")).to_contain_text("no region is drawn")
    draw(page, 0.1, 0.1, 0.4, 0.8)
    ask(page, "what is [0] ?", CHOICES)
    expect(page.locator("#wrong")).to_contain_text("names [1], but drawn are: [0]")
    ask(page, "what is [0] ?", "a dog\na person")
    assert len(ranking(page, "one")) == 2
    expect(page.locator("#wrong")).to_be_hidden()


def test_a_link_is_text_and_never_markup(page: Page, address: str) -> None:
    evil = "%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E"
    page.goto(
        f"{address}/ask#image=..%2F..&boxes=1,2,x;NaN,1,2,3;9,9,1,1&question={evil}&choice={evil}"
    )
    expect(page.locator("#question")).to_have_value("<img src=x onerror=alert(1)>")
    assert page.locator("main img[src=x]").count() == 0
