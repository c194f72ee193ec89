"""In a real browser: the owner begins a comparison, a judge works by keyboard, Table 5 follows."""

import re
from collections.abc import Iterator
from pathlib import Path

import compared
import pytest
from compared import STUDENT
from playwright.sync_api import Browser, Page, expect

from lskd.human.teacher import TEACHER
from lskd.studio.desk import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = compared.desk_of(tmp_path, pictures=1)
    yield made
    made.store.close()


@pytest.fixture
def page(desk: Desk, browser: Browser) -> Iterator[Page]:
    """Give a page of the studio; a mistake in a script, or what the policy forbids, fails."""
    with compared.served(desk) as address:
        context = browser.new_context(base_url=address)
        opened = context.new_page()
        wrong: list[str] = []
        opened.on("pageerror", lambda error: wrong.append(str(error)))
        opened.on(
            "console",
            lambda line: (
                wrong.append(line.text) if "Content Security Policy" in line.text else None
            ),
        )
        yield opened
        assert wrong == []
        context.close()


def side_of_student(page: Page) -> str:
    """Return the key for the student, which these tests can tell by its words."""
    words = page.locator("#left .answer").inner_text()
    return "ArrowLeft" if words.startswith("Perhaps") else "ArrowRight"


def test_a_blind_comparison_to_its_end_by_keyboard_then_table_5(desk: Desk, page: Page) -> None:
    assert desk.run is not None
    page.goto("/compare")
    expect(page.locator("#new")).to_have_attribute("open", "")
    sheet = compared.student_file(desk.run)
    page.locator("#sheets").set_input_files(
        {"name": sheet["name"], "mimeType": "", "buffer": sheet["text"].encode()}
    )
    expect(page.locator("#systems")).to_contain_text(f"{STUDENT}: 3 answers")
    expect(page.locator("#first")).to_have_value(TEACHER)
    expect(page.locator("#second")).to_have_value(STUDENT)
    page.locator("#judges").fill("1")
    page.get_by_role("button", name="Begin", exact=True).click()
    expect(page.locator("#tiles")).to_contain_text("0 of 3")
    page.get_by_label("A judge's name").fill("ann")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Judge here").click()

    page.get_by_role("button", name="I have read this").click()
    expect(page.locator("#work")).to_be_visible()
    assert STUDENT not in page.content() and TEACHER not in page.content()
    expect(page.locator("#picture .region")).to_have_count(2)
    # The student is better but for plausibility, a tie; the third is taken back and judged anew.
    for _ in range(2):
        judge_one(page)
    judge_one(page, overall="teacher")
    expect(page.locator("#rest-title")).to_have_text("Thank you: that was all")
    page.keyboard.press("u")
    expect(page.locator("#work")).to_be_visible()
    judge_one(page)
    expect(page.locator("#rest")).to_contain_text("nothing more for you")
    kept = list(desk.store.comparisons("comparison"))
    assert [one.overall for one in kept] == ["second"] * 3
    assert [one.plausibility for one in kept] == ["tie"] * 3

    page.get_by_role("link", name="To the results").click()
    expect(page.locator("#tiles")).to_contain_text("3 of 3")
    row = page.locator("#preferences tbody tr").filter(has_text=STUDENT)
    expect(row.locator("td").last).to_contain_text("100.0")
    expect(row.locator("td").nth(2)).to_contain_text("0.0")
    expect(page.locator("#people")).to_contain_text("ann")


def judge_one(page: Page, overall: str = "student") -> None:
    """Answer the four questions of the item in view by keys, and wait for what comes then."""
    before = page.locator("#progress").inner_text()
    student = side_of_student(page)
    teacher = "ArrowRight" if student == "ArrowLeft" else "ArrowLeft"
    page.keyboard.press(student)
    page.keyboard.press(teacher)
    expect(page.locator("#aspects .now")).to_have_attribute("data-aspect", "plausibility")
    page.keyboard.press("ArrowUp")  # back: informativeness is said again
    page.keyboard.press("1" if student == "ArrowLeft" else "3")
    page.keyboard.press("ArrowDown")
    page.keyboard.press(student if overall == "student" else teacher)
    expect(page.locator("#progress")).not_to_have_text(before)


def test_skipping_flagging_and_clicking_work_too(desk: Desk, page: Page) -> None:
    assert desk.run is not None
    page.goto("/compare")
    owner = compared.visitor(page.evaluate("location.origin"))
    compared.begun(owner, desk.run)
    page.goto(compared.invited(owner, "bob"))
    page.get_by_role("button", name="I have read this").click()
    expect(page.locator("#work")).to_be_visible()
    progress = page.locator("#progress")
    expect(progress).to_have_text("0 of 3")
    page.keyboard.press("Shift+S")
    page.keyboard.press("Escape")
    expect(page.locator("#skipping")).to_be_hidden()
    page.get_by_role("button", name="Skip and say why").click()
    page.get_by_role("button", name="Cannot be told").click()
    expect(progress).to_have_text("0 of 2")
    page.keyboard.press("f")
    page.get_by_label("In your words").fill("s is a letter here")
    page.keyboard.press("Enter")
    expect(progress).to_have_text("0 of 1")
    for button in page.get_by_role("button", name="Tie").all():
        button.click()
    expect(page.locator("#rest")).to_be_visible()
    said = [(one.kind, one.reason) for one in desk.store.entries("comparison")]
    told = "It cannot be told from the picture."
    assert said == [("skip", told), ("flag", "s is a letter here"), ("label", "")]


def test_a_double_click_says_nothing_of_the_next_pair(desk: Desk, page: Page) -> None:
    assert desk.run is not None
    page.goto("/compare")
    owner = compared.visitor(page.evaluate("location.origin"))
    compared.begun(owner, desk.run)
    page.goto(compared.invited(owner, "eve"))
    page.get_by_role("button", name="I have read this").click()
    ties = page.get_by_role("button", name="Tie")
    expect(ties).to_have_count(4)
    for number in range(3):
        ties.nth(number).click()
    ties.last.click()
    expect(page.locator("#progress")).to_have_text(re.compile("^1 of 3"))
    ties.last.hover()
    page.mouse.down(click_count=2)  # the next pair was there before the second click began
    page.mouse.up(click_count=2)
    expect(page.locator("#aspects .now")).to_have_attribute("data-aspect", "correctness")
    expect(page.locator("#aspects [aria-pressed=true]")).to_have_count(0)
