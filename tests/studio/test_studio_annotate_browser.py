"""Judging in a real browser: by keyboard alone, over a lost server, and back into the critic."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from judging import desk_of, run_of, served
from playwright.sync_api import Browser, Page, Response, ViewportSize, expect

from lskd import table
from lskd.critique import judgments
from lskd.human.store import Store
from lskd.human.work import Rating
from lskd.studio import campaigns
from lskd.studio.campaigns import Gold
from lskd.studio.desk import Desk, lay
from lskd.studio.safety import Safety
from lskd.studio.terms import Consent, Prolific, Terms
from lskd.types import Judgment, Triple
from ports import free_port

TOKEN = "a token that is long enough"
VIEWPORT: ViewportSize = {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def window(browser: Browser) -> Iterator[Page]:
    """Give a page that all tests share: a new one takes as long as most of them."""
    context = browser.new_context(viewport=VIEWPORT, accept_downloads=True)
    context.set_default_timeout(15_000)
    page = context.new_page()
    page.on("pageerror", lambda error: pytest.fail(f"the page has a defect: {error}"))
    yield page
    context.close()


@pytest.fixture
def page(window: Page) -> Iterator[Page]:
    """Give that page to somebody whom no studio knows; each studio has storage of its own."""
    yield window
    window.goto("about:blank")
    window.context.clear_cookies()
    window.set_viewport_size(VIEWPORT)


def opened(page: Page, desk: Desk, address: str) -> Page:
    """Come by a link and agree to the text; whatever the page complains of fails the test."""
    page.goto(f"{address}/a/{desk.store.enrol('anna').token}/annotate?campaign=judge")
    expect(page.locator("#agree")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#question")).not_to_be_empty()
    return page


def expect_done(page: Page, number: int) -> None:
    # What was kept while the server was away is sent again after a pause, which grows.
    expect(page.locator("#progress")).to_have_text(re.compile(f"^{number} of "), timeout=30_000)


def kept(desk: Desk, number: int) -> list[Judgment]:
    """Wait until the store has so many judgments: a page is ahead of it."""
    for _ in range(200):
        found = list(desk.store.judgments("judge"))
        if len(found) == number:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{len(found)} judgments in ten seconds, not {number}")


def judge(page: Page, keys: str) -> None:
    """Press the keys for one item, and wait until another is in view."""
    before = page.locator("#question").inner_text()
    for key in keys:
        page.keyboard.press(key)
    expect(page.locator("#question")).not_to_have_text(before)


def test_items_by_keyboard_away_and_back_and_one_undone(page: Page, tmp_path: Path) -> None:
    desk = desk_of(tmp_path, run_of(tmp_path, count=9))
    with served(desk) as address:
        opened(page, desk, address)
        expect(page.locator("#reason")).to_be_hidden()
        expect(page.locator(".boxes .region")).to_have_count(2)
        page.keyboard.press("b")
        expect(page.locator(".boxes .region")).to_have_count(3)
        for number in range(3):
            if number == 0:
                page.keyboard.press("3")
                expect(page.locator("#rationale")).not_to_be_empty()
                page.keyboard.press("u")  # half an item is taken back in the page
                expect(page.locator("#reason")).to_be_hidden()
                judge(page, "32")
            else:
                judge(page, "1" if number == 1 else "23")
        expect_done(page, 3)

        page.goto("about:blank")
        page.goto(f"{address}/annotate?campaign=judge")
        here = page.locator("#question")
        expect(here).not_to_be_empty()
        item = here.inner_text()
        page.reload()
        expect(here).to_have_text(item)
        for _ in range(3):
            judge(page, "33")
        expect_done(page, 6)

        before = here.inner_text()
        page.keyboard.press("u")
        expect(here).not_to_have_text(before)
        expect_done(page, 5)
        judge(page, "1")
        expect_done(page, 6)
        rows = kept(desk, 6)
        said = [(one.qa, one.rationale) for one in rows]
        kinds = [entry.kind for entry in desk.store.entries("judge")]

        owner = page.context.new_page()
        owner.goto(f"{address}/annotate")
        expect(owner.locator("[data-part=people] tbody tr")).to_have_count(1)
        with owner.expect_download() as download:
            owner.get_by_role("link", name="judgments.parquet").click()
        file = tmp_path / "judgments.parquet"
        download.value.save_as(file)
        owner.close()
    assert said[:3] == [(3, 2), (1, None), (2, 3)]
    assert said[3:] == [(3, 3)] * 2 + [(1, None)]
    assert kinds == ["label"] * 6 + ["undo", "label"]
    given = judgments.read(file)
    assert (list(given.judgments), given.rejects) == (rows, ())
    assert table.read(Judgment, file) == rows
    assert all(one.seconds is not None and 0 < one.seconds < 60 for one in rows)


def test_who_comes_over_a_network_without_tls_judges_and_the_owner_copies_a_link(
    page: Page, tmp_path: Path
) -> None:
    run = run_of(tmp_path, count=4)
    store = Store(f"sqlite:///{tmp_path / 'people.sqlite'}")
    campaigns.opened(run, store)
    desk = lay(run, store, safety=Safety("0.0.0.0", TOKEN))
    with served(desk) as address:
        away = address.replace("127.0.0.1", "studio.test")
        owner = page.context.new_page()
        owner.on("pageerror", lambda error: pytest.fail(f"the page has a defect: {error}"))
        owner.goto(f"{away}/enter/{TOKEN}")
        owner.goto(f"{away}/annotate")
        assert owner.evaluate("isSecureContext") is False
        owner.get_by_label("Name").fill("bob")
        owner.get_by_role("button", name="Make a link").click()
        owner.get_by_role("button", name="Copy").click()
        expect(owner.locator("#notices")).to_contain_text("The link is")
        expect(owner.get_by_label("The link of bob")).to_have_value(re.compile(f"^{away}/a/"))
        opened(page, desk, away)
        judge(page, "32")
        judge(page, "1")
        expect_done(page, 2)
        said = [(one.qa, one.rationale) for one in kept(desk, 2)]
        owner.close()
    assert said == [(3, 2), (1, None)]


def test_labels_made_while_the_server_is_away_are_kept_once_it_is_back(
    page: Page, tmp_path: Path
) -> None:
    run = run_of(tmp_path, count=14)
    desk = desk_of(tmp_path, run)
    port = free_port()  # to come back to
    with served(desk, port) as address:
        opened(page, desk, address)
        with page.expect_response(lambda answer: answer.url.endswith("/queue")):
            judge(page, "33")
        expect_done(page, 1)  # and the item after the one in view is at hand
    judge(page, "1")  # the one in view
    page.keyboard.press("2")
    page.keyboard.press("2")  # and the one at hand
    expect(page.locator("#waiting")).to_have_text(re.compile("2 answers are kept here"))
    again = desk_of(tmp_path, run)
    with served(again, port):
        expect_done(page, 3)
        expect(page.locator("#waiting")).to_be_hidden(timeout=30_000)
        expect(page.locator("#work")).to_be_visible()
        said = [(one.qa, one.rationale) for one in kept(again, 3)]
        kinds = [entry.kind for entry in again.store.entries("judge")]
    assert said == [(3, 3), (1, None), (2, 2)]
    assert kinds == ["label"] * 3


def test_answers_on_their_way_wait_until_a_changed_consent_text_is_agreed_to(
    page: Page, tmp_path: Path
) -> None:
    run = run_of(tmp_path, count=14)
    desk = desk_of(tmp_path, run)
    port = free_port()  # to come back to
    with served(desk, port) as address:
        opened(page, desk, address)
        with page.expect_response(lambda answer: answer.url.endswith("/queue")):
            judge(page, "33")
        expect_done(page, 1)
    judge(page, "1")  # the studio is away
    store = Store(f"sqlite:///{tmp_path / 'people.sqlite'}")
    again = lay(run, store, terms=Terms(Consent("Another text.")))
    refused: list[int] = []

    def twice(answer: Response) -> bool:
        """Return whether it was sent again: the first time its csrf is that of the old studio."""
        refused.extend([answer.status] if answer.url.endswith("/labels") else [])
        return len(refused) == 2

    with served(again, port):
        with page.expect_response(twice, timeout=30_000):
            pass
        assert refused == [403, 403]
        expect(page.locator("#waiting")).to_have_text(re.compile("is kept here"))
        page.goto(f"{address}/annotate?campaign=judge")
        expect(page.locator("#agree")).to_be_focused()
        page.keyboard.press("Enter")
        expect_done(page, 2)
        said = [(one.qa, one.rationale) for one in kept(again, 2)]
    assert said == [(3, 3), (1, None)]


def test_skip_flag_known_answers_and_the_end(page: Page, tmp_path: Path) -> None:
    run = run_of(tmp_path, count=4, gold=3)
    every = {one.id for one in run.tables.read(Triple, "00000")}
    gold = Gold({name: Rating(1, None) for name in every - campaigns.sampled(run)}, ())
    desk = desk_of(tmp_path, run, gold)
    with served(desk) as address:
        opened(page, desk, address)
        judge(page, "s")
        page.keyboard.press("Shift+S")
        expect(page.locator("#skipping input")).to_be_focused()
        page.keyboard.press("Escape")  # the item is kept
        expect(page.locator("#skipping")).to_be_hidden()
        before = page.locator("#question").inner_text()
        page.keyboard.press("Shift+S")
        page.keyboard.type("too small to see")
        page.keyboard.press("Enter")
        expect(page.locator("#question")).not_to_have_text(before)
        page.keyboard.press("f")
        page.keyboard.type("the boxes are 1 and 2")
        page.keyboard.press("Enter")
        expect(page.locator("#flagging")).to_be_hidden()
        page.keyboard.press("?")
        expect(page.locator("#help")).to_be_visible()
        page.keyboard.press("Escape")
        settled = page.locator("#question:visible, #rest-title:has-text('Thank you'):visible")
        for _ in range(6):
            expect(settled).to_have_count(1)
            page.keyboard.press("1")
        expect(page.locator("#rest-title")).to_have_text("Thank you: that was all")
        page.keyboard.press("u")
        expect(page.locator("#work")).to_be_visible()
    entries = list(Store(desk.store.shown).entries("judge"))
    said = [(entry.kind, entry.reason) for entry in entries[:3]]
    assert said == [
        ("skip", ""),
        ("skip", "too small to see"),
        ("flag", "the boxes are 1 and 2"),
    ]
    assert entries[-1].kind == "undo"


def test_a_participant_comes_from_another_site_and_goes_back(page: Page, tmp_path: Path) -> None:
    run = run_of(tmp_path, count=5)
    ids = "PROLIFIC_PID=61aa0c0ffee0&STUDY_ID=ssssss&SESSION_ID=eeeeee"
    back = Prolific("C0DE", 2, url="https://localhost/none?cc={code}")
    desk = desk_of(tmp_path, run, prolific=back)
    with served(desk) as address:
        # Another name of this machine is another site to a browser.
        page.goto(address.replace("127.0.0.1", "localhost") + "/static/studio.css")
        page.evaluate(f"location.href = '{address}/study/judge?{ids}'")
        page.get_by_role("button", name="I have read this and agree").click()
        expect(page.locator("#question")).not_to_be_empty()
        judge(page, "1")
        page.keyboard.press("1")
        expect(page.locator("#code")).to_have_text("Your completion code is C0DE")
        finish = page.locator("#finish")
        expect(finish).to_have_text("Finish on Prolific")
        answer = page.context.request.get(f"{address}/study/judge/complete", max_redirects=0)
        assert answer.headers["location"].endswith("/none?cc=C0DE")


def test_the_boxes_lie_on_a_tall_picture_on_a_phone_too(page: Page, tmp_path: Path) -> None:
    desk = desk_of(tmp_path, run_of(tmp_path, count=3, size=(480, 960)))
    with served(desk) as address:
        opened(page, desk, address)
        for width, height, share in ((390, 844, 0.52), (1280, 900, 0.72)):
            page.set_viewport_size({"width": width, "height": height})
            expect(page.locator(".boxes img")).to_have_js_property("complete", True)
            holder, picture, marks = (
                page.locator(place).bounding_box() for place in (".boxes", ".boxes img", "svg")
            )
            assert holder == picture == marks
            assert picture is not None and picture["height"] == pytest.approx(share * height, abs=1)
            assert picture["height"] == pytest.approx(2 * picture["width"], abs=1)


def test_a_double_click_rates_one_item(page: Page, tmp_path: Path) -> None:
    desk = desk_of(tmp_path, run_of(tmp_path, count=6))
    with served(desk) as address:
        opened(page, desk, address)
        expect(page.locator("#progress")).to_have_text("0 of 6")
        page.locator("#qa [data-rate='1']").dblclick()
        expect_done(page, 1)
        page.locator("#skip").dblclick()
        expect(page.locator("#progress")).to_have_text(re.compile("^1 of 5"))
        page.locator("#qa [data-rate='3']").dblclick()
        page.locator("#reason [data-rate='2']").dblclick()
        expect_done(page, 2)
        judge(page, "1")
        page.locator("#qa [data-rate='1']").click()  # a slow one after a key
        expect_done(page, 4)
        said = [(one.qa, one.rationale) for one in kept(desk, 4)]
    assert said == [(1, None), (3, 2), (1, None), (1, None)]
    assert sum(one.kind == "skip" for one in Store(desk.store.shown).entries("judge")) == 1


def test_what_a_browser_keeps_for_another_campaign_is_not_sent_by_this_one(
    page: Page, tmp_path: Path
) -> None:
    desk = desk_of(tmp_path, run_of(tmp_path, count=3))
    with served(desk) as address:
        opened(page, desk, address)
        person = page.locator("#work").get_attribute("data-person")
        # Of the campaign "judge 2" or so, whose name begins as this campaign's and this person do.
        other = f"lskd outbox annotate judge {person} 3 1700000000000.000000 {'a' * 32}"
        mine = f"lskd outbox annotate judge {person} 1700000000000.000001 {'b' * 32}"
        for place, key in ((other, "a" * 32), (mine, "b" * 32)):
            page.evaluate(
                "([place, kept]) => localStorage.setItem(place, JSON.stringify(kept))",
                [place, {"path": "/api/annotate/judge/undo", "body": {"key": key}}],
            )
        with page.expect_response(lambda answer: answer.url.endswith("/undo")) as sent:
            page.reload()
        assert sent.value.request.post_data_json == {"key": "b" * 32}
        expect(page.locator("#question")).not_to_be_empty()
        page.wait_for_load_state("networkidle")
        left = page.evaluate("Object.keys(localStorage)")
    assert left == [other]


def test_a_participant_who_passed_items_on_is_told_how_to_go_on(page: Page, tmp_path: Path) -> None:
    run = run_of(tmp_path, count=3)
    ids = "PROLIFIC_PID=61aa0c0ffee0&STUDY_ID=ssssss&SESSION_ID=eeeeee"
    desk = desk_of(tmp_path, run, prolific=Prolific("C0DE", 3))
    with served(desk) as address:
        page.goto(f"{address}/study/judge?{ids}")
        page.get_by_role("button", name="I have read this and agree").click()
        expect(page.locator("#question")).not_to_be_empty()
        judge(page, "1")
        judge(page, "1")
        page.keyboard.press("s")
        expect(page.locator("#rest-title")).to_have_text("There is nothing more for you")
        expect(page.locator("#rest-text")).to_contain_text("2 of 3 items")
        expect(page.locator("#finish")).to_be_hidden()
        page.locator("#rest-undo").click()
        expect(page.locator("#question")).to_be_visible()
        page.keyboard.press("1")
        expect(page.locator("#code")).to_have_text("Your completion code is C0DE")
