"""What tests of the studio share: a small run, the studio on a free port, a browser."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import asking
import httpx
import pytest
from house_of_studio import Served, run_of, serve
from playwright.sync_api import Browser, Page, sync_playwright

from lskd.human.store import Store
from lskd.run import Run
from lskd.studio.desk import Desk, lay
from lskd.studio.safety import Safety

CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a run of 30 images with 90 triples in 4 shards."""
    return run_of(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Give a store of people's work, in SQLite."""
    kept = Store(f"sqlite:///{tmp_path_factory.mktemp('store') / 'people.sqlite'}")
    yield kept
    kept.close()


@pytest.fixture(scope="module")
def studio(run: Run, store: Store) -> Iterator[Served]:
    """Give a studio about the small run, open to this machine only."""
    with serve(lay(run, store)) as served:
        yield served


@pytest.fixture(scope="module")
def studio_for(run: Run, store: Store) -> Callable[[Safety], AbstractContextManager[Served]]:
    """Return a function that opens another studio about the same run."""
    return lambda safety: serve(lay(run, store, (), safety))


@pytest.fixture(scope="module")
def address(desk: Desk) -> Iterator[str]:
    """Give the address of a studio with the test module's own `desk`."""
    with asking.served(desk) as found:
        yield found


@pytest.fixture(scope="module")
def visitor(address: str) -> Iterator[httpx.Client]:
    """Give a client of that studio."""
    with asking.client(address) as one:
        yield one


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Give a headless Chromium, or skip where there is none."""
    if not CHROMIUM.exists():
        pytest.skip("no Chromium at /usr/bin/chromium")
    with sync_playwright() as player:
        opened = player.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                *("--no-sandbox", "--disable-gpu", "--disable-background-networking"),
                # This machine by a name that a browser does not know as such: no secure context.
                "--host-resolver-rules=MAP studio.test 127.0.0.1",
            ],
        )
        yield opened
        opened.close()


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    """Give a fresh tab; whatever goes wrong in the page fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)
    yield page
    context.close()
    assert not wrong
