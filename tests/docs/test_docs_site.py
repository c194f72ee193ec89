"""The site builds without a warning, asks no other host for anything, and fits a phone."""

import contextlib
import functools
import http.server
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).parents[2]
CHROMIUM = Path("/usr/bin/chromium")
LOADING = {"img": "src", "script": "src", "link": "href", "iframe": "src", "source": "src"}
LINKS = ("canonical", "next", "prev")  # a link that only points, and loads nothing
PHONE, DESKTOP = {"width": 390, "height": 800}, {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the built site; a warning fails the build."""
    folder = tmp_path_factory.mktemp("site") / "site"
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


class Assets(HTMLParser):
    """Collects the addresses that a page loads by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        if tag == "link" and said.get("rel") in LINKS:
            return
        if (address := said.get(LOADING.get(tag, ""))) is not None:
            self.found.append(address)


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and says nothing of it."""

    def log_message(self, *args: object) -> None:
        pass


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine, and give its address."""
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Give a browser, or skip."""
    if not CHROMIUM.exists():
        pytest.skip(f"no browser at {CHROMIUM}")
    with sync_playwright() as started:
        opened = started.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.mark.timeout(900)
def test_the_site_builds_with_warnings_as_errors(site: Path) -> None:
    for name in ("index", "quickstart", "differences", "limits", "reference/command-line"):
        assert (site / f"{name}.html").is_file()


def test_every_page_that_was_written_can_be_reached(site: Path) -> None:
    written = {f"{page.stem}.html" for page in (ROOT / "docs").glob("*.md")}
    start = (site / "index.html").read_text(encoding="utf-8")
    assert written <= {*re.findall(r'href="([\w-]+\.html)"', start), "index.html"}


def test_no_page_and_no_style_loads_anything_from_another_host(site: Path) -> None:
    for page in site.rglob("*.html"):
        assets = Assets()
        assets.feed(page.read_text(encoding="utf-8"))
        far = [one for one in assets.found if re.match(r"(?:[a-z]+:)?//", one)]
        assert not far, page
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        assert not re.search(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", text), style


def test_the_reference_has_docstrings_commands_and_settings(site: Path) -> None:
    records = (site / "reference" / "house.html").read_text(encoding="utf-8")
    assert "One place in an image." in records
    commands = (site / "reference" / "command-line.html").read_text(encoding="utf-8")
    for words in ("lskd run", "lskd lab bars", "--until", "STAGE.KEY=VALUE"):
        assert words in commands
    settings = (site / "reference" / "run-files.html").read_text(encoding="utf-8")
    for name in ("[images]", "shard_size", "[generative]", "target_precision"):
        assert name in settings


@pytest.mark.timeout(300)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_ask_no_other_host_and_fit_a_phone_and_a_desktop(
    site: Path, browser: Browser, scheme: str
) -> None:
    asked: list[str] = []
    with serving(site) as address:
        context = browser.new_context(color_scheme="dark" if scheme == "dark" else "light")
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        failed: list[str] = []
        page.on("pageerror", lambda error: failed.append(str(error)))
        others = ("evaluate", "differences", "reference/run-files")
        # Colours change neither a width nor what is asked for.
        for name in ("index", *(others if scheme == "light" else ())):
            for size in (PHONE, DESKTOP):
                page.set_viewport_size({"width": size["width"], "height": size["height"]})
                page.goto(f"{address}{name}.html")
                wide = page.evaluate("document.documentElement.scrollWidth")
                assert wide <= size["width"], f"{name} is {wide} wide on {size['width']}"
        body = page.evaluate("getComputedStyle(document.body).backgroundColor")
        context.close()
    light = sum(int(number) for number in re.findall(r"\d+", body)[:3]) > 3 * 128
    assert light is (scheme == "light")
    assert asked and all(url.startswith((address, "data:", "blob:")) for url in asked)
    assert not failed
