"""From a run that waits for people, through the browser, to the critic that learned from them."""

import hashlib
from contextlib import closing
from pathlib import Path

import pytest
from judging import served
from playwright.sync_api import Browser, Page, expect

import house
from checkpoints import write_stage1
from lskd.errors import JudgmentsNeeded
from lskd.execute import Selection, execute
from lskd.human.store import Store
from lskd.progress import Lines
from lskd.run import Run, load
from lskd.studio import campaigns
from lskd.studio.desk import Desk, lay
from lskd.types import Example, Fit, Sample, Score

PEOPLE = """
[sample]
train = 6
evaluate = 2

[critic]
judgments = "{folder}/judgments.parquet"
weights = "{folder}/base"
image = 28
tokens = 48
epochs = 2
batch = 4
precision = "float32"
workers = 1
"""


@pytest.fixture
def waiting(tmp_path: Path) -> Run:
    """Return a run that has come as far as it can without people."""
    file = house.build(tmp_path)
    write_stage1(tmp_path / "base")
    trained = 'use = "lskd.critique.trained:TrainedCritic", folder = '
    text = file.read_text().replace('source = "pictures"', f'source = "{tmp_path}/pictures"')
    text = text.replace('use = "models:Judge"', f'{trained}"{tmp_path}/out/critic/model"')
    text = text.replace("threshold = 0.8", "keep = 0.5")
    file.write_text(text + PEOPLE.format(folder=tmp_path))
    run = load(file, (), tmp_path / "out")
    with pytest.raises(JudgmentsNeeded):
        execute(run, Selection(), Lines("plain"))
    return run


def good(question: str, image: str) -> bool:
    """Return what both people think of an item, by nothing but what they see."""
    return hashlib.sha256(f"{question} {image}".encode()).digest()[0] % 2 == 0


def labelled(page: Page, desk: Desk, address: str, name: str) -> int:
    """Come by a link, agree, judge all that there is by keyboard, and return how much that was."""
    page.goto(f"{address}/a/{desk.store.enrol(name).token}/annotate?campaign=judge")
    expect(page.locator("#agree")).to_be_focused()
    page.keyboard.press("Enter")
    # Between two items the page may have none for a moment.
    settled = page.locator("#question:visible, #rest-title:has-text('Thank you'):visible")
    for done in range(100):
        expect(settled).to_have_count(1)
        if settled.get_attribute("id") == "rest-title":
            return done
        image = page.locator("#work img").first.get_attribute("src")
        assert image is not None
        for key in "32" if good(settled.inner_text(), image) else "1":
            page.keyboard.press(key)
    raise AssertionError("a hundred items, and no end")


def test_labels_made_in_the_browser_train_the_critic_that_the_run_waits_for(
    browser: Browser, waiting: Run, tmp_path: Path
) -> None:
    wanted = house.rows(waiting, Sample)
    with closing(Store(f"sqlite:///{tmp_path / 'people.sqlite'}")) as store:
        campaigns.opened(waiting, store)
        desk = lay(waiting, store)
        with served(desk) as address:
            for name in ("anna", "ben"):
                context = browser.new_context(viewport={"width": 1280, "height": 900})
                assert labelled(context.new_page(), desk, address, name) == len(wanted)
                context.close()
            context = browser.new_context(accept_downloads=True)
            owner = context.new_page()
            owner.goto(f"{address}/annotate")
            with owner.expect_download() as download:
                owner.get_by_role("link", name="judgments.parquet").click()
            download.value.save_as(tmp_path / "judgments.parquet")
            context.close()
    execute(waiting, Selection(), Lines("plain"))
    (fit,) = house.rows(waiting, Fit)
    assert fit.judged == len(wanted)
    assert 0 < fit.accepted < 1
    scores = house.rows(waiting, Score)
    assert len(scores) >= len(wanted)
    assert all(0 <= one.accept <= 1 for one in scores)
    assert len(house.rows(waiting, Example)) >= len(scores) / 2
