import base64
import hashlib
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from lskd.marking import colour
from lskd.picture import image_id
from lskd.report.amounts import duration, moment, money, number, percent
from lskd.report.gallery import Size
from lskd.report.page import render
from lskd.report.statistics import Usage
from lskd.table import Tables
from lskd.types import Box, Image, Regions, Reject, Reply, Score, Triple
from report.house import example, facts, full, photo, put, region, reply, tables, triple

VOID = {"meta", "img", "br", "hr", "input", "link"}
EVIL = '</script></style></pre><script>alert("x")</script><img src=x onerror=alert(1)>&amp;\'"'
STAGE_SENTENCES = (
    "The regions stage has finished no shard yet.",
    "No teacher has replied yet, so there are no tokens and no price.",
    "There are no triples yet.",
    "No triple has a score yet.",
    "There are no triples yet, so there is no diversity to measure.",
    "There is nothing to show yet: no triple and no reject.",
)


class Page(HTMLParser):
    """Reads a page strictly: every tag that opens must close in turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def values(self, tag: str, name: str) -> list[str]:
        return [value for t, n, value in self.attributes if (t, n) == (tag, name)]


def test_the_page_of_a_run_tells_its_way_in_numbers(tmp_path: Path) -> None:
    page = Page(render(facts(), full(tmp_path)))
    assert "2 images → 3 regions → 3 triples → 2 kept" in page.text
    assert "Kept: 66.7 % of the triples." in page.text
    assert "at least 0.2500" in page.text
    assert "at least 100" in page.text
    assert "names unknown region # 2" in page.text
    assert f"{tmp_path}/note.txt" in page.text


def test_the_page_is_well_formed_and_asks_nothing_of_any_server(tmp_path: Path) -> None:
    text = render(facts(), full(tmp_path))
    page = Page(text)
    links = [
        value
        for _, name, value in page.attributes
        if name in ("src", "href", "srcset", "action", "data", "poster", "xlink:href")
    ]
    assert links
    assert all(link.startswith(("data:image/jpeg;base64,", "#")) for link in links)
    assert not re.search(r"url\(|@import|https?://", text)
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)


def test_only_our_own_script_may_run(tmp_path: Path) -> None:
    text = render(facts(), full(tmp_path))
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert len(scripts) == 1
    admitted = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    policy = next(value for value in Page(text).values("meta", "content") if "default-src" in value)
    assert policy.startswith("default-src 'none'")
    assert f"script-src 'sha256-{admitted}'" in policy


def hostile(folder: Path) -> Tables:
    """Write a run in which every text that comes from outside is markup."""
    house = tables(folder / "run")
    image = replace(photo(folder / "a.png", (40, 30), "green"), source=EVIL)
    places = (region(0, Box(0, 0, 20, 20), EVIL, EVIL),)
    said = replace(reply(image, "id", EVIL, 1, 0.1), model=EVIL, finish=EVIL)
    said = replace(said, messages=tuple(replace(m, text=EVIL) for m in said.messages))
    rows = [triple(said, 0, (f"What [0] {EVIL}", EVIL, EVIL)), triple(said, 1, (EVIL, "", ""))]
    put(house, "00000", [image, Regions(image.id, places), said, *rows])
    put(house, "00000", [Score(rows[0].id, image.id, 0.9, None, None)])
    put(house, "00000", [example(rows[0], image, places, 0.9)])
    for stage in ("images", "parse", "generate", "corpus"):
        put(house, "00000", [Reject(said.id, f"{stage} {EVIL}", EVIL)], stage)
    return house


def test_markup_from_outside_is_shown_as_text(tmp_path: Path) -> None:
    run = replace(facts(notices=(EVIL,)), name=EVIL, settings=EVIL, version=EVIL)
    text = render(run, hostile(tmp_path))
    page = Page(text)
    assert page.tags.count("script") == 1
    assert "onerror" not in {name for _, name, _ in page.attributes}
    assert set(page.values("img", "alt")) == {f"Image with marked regions: [0] {EVIL}"}
    assert page.text.count('<script>alert("x")</script>') > 20
    assert "x" not in page.values("img", "src")


def test_every_section_of_an_empty_run_says_that_it_is_empty(tmp_path: Path) -> None:
    page = Page(render(facts(done=0), tables(tmp_path)))
    for sentence in STAGE_SENTENCES:
        assert sentence in page.text
    assert page.text.count("not made yet") == 6
    assert "unknown" in page.text


@pytest.mark.parametrize("made", range(1, 6))
def test_a_run_that_stopped_after_any_stage_has_a_page(tmp_path: Path, made: int) -> None:
    order = ("images/image", "regions/regions", "generate/reply", "parse/triple", "score/score")
    house = full(tmp_path)
    for table in (*order[made:], "corpus/example", "corpus/reject"):
        for file in (tmp_path / "run" / table).glob("*.parquet"):
            file.unlink()
    page = Page(render(facts(), house))
    assert page.text.count("not made yet") == 6 - made
    if made >= 4:
        assert "Not filtered yet" in page.text


def test_images_without_any_region_say_so(tmp_path: Path) -> None:
    house = tables(tmp_path / "run")
    image = photo(tmp_path / "a.png", (8, 8), "red")
    put(house, "00000", [image, Regions(image.id, ())])
    assert "No region was found in any of 1 image." in Page(render(facts(), house)).text


def pictures(page: Page) -> list[PIL.Image.Image]:
    return [
        PIL.Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2])))
        for source in page.values("img", "src")
    ]


def test_marks_and_chips_have_the_colour_of_the_region(tmp_path: Path) -> None:
    house = tables(tmp_path / "run")
    image = photo(tmp_path / "a.png", (300, 200), "white")
    places = (region(0, Box(20, 20, 120, 150), "cat", "a cat"),)
    said = reply(image, "id", "said", 1, 0.1)
    put(house, "00000", [image, Regions(image.id, places), said])
    put(house, "00000", [triple(said, 0, ("What is [0]?", "A cat.", "See [0] and [9]."))])
    page = Page(render(facts(), house))
    red, green, blue = colour(0, "clear")
    chips = [v for v in page.values("span", "style") if f"#{red:02x}{green:02x}{blue:02x}" in v]
    assert len(chips) >= 3
    assert page.values("span", "title").count("no such region") == 2
    (shown,) = pictures(page)
    edge = np.asarray(shown.convert("RGB"), dtype=int)[60:120, 14:27]  # the left side of the box
    assert (np.abs(edge - (red, green, blue)).sum(axis=2).min(axis=1) < 90).all()


def test_large_pictures_are_shrunk_and_then_marked(tmp_path: Path) -> None:
    house = tables(tmp_path / "run")
    for place, size in enumerate([(1600, 1200), (300, 1500), (100, 50)]):
        image = photo(tmp_path / f"{place}.png", size, "white")
        said = reply(image, "id", "said", 1, 0.1)
        places = (region(0, Box(0, 0, size[0] / 2, size[1]), "half", "a half"),)
        rows = [image, Regions(image.id, places), said, triple(said, 0, ("[0]?", "", ""))]
        put(house, f"{place:05d}", rows)
    sizes = {shown.size for shown in pictures(Page(render(facts(), house)))}
    assert sizes == {(480, 360), (128, 640), (100, 50)}


def test_a_picture_that_cannot_be_shown_says_why_and_spoils_nothing(tmp_path: Path) -> None:
    house = full(tmp_path)
    (tmp_path / "red.png").unlink()
    PIL.Image.new("RGB", (100, 200), "pink").save(tmp_path / "blue.png")
    page = Page(render(facts(), house))
    assert page.values("img", "src") == []
    assert f"cannot read {tmp_path / 'red.png'}" in page.text
    assert f"{tmp_path / 'blue.png'} has changed" in page.text
    assert "What is 0 about to do?" in page.text


def test_a_broken_file_is_told_too(tmp_path: Path) -> None:
    house = tables(tmp_path / "run")
    file = tmp_path / "cut.png"
    photo(file, (200, 200), "red")
    file.write_bytes(file.read_bytes()[:-40])
    image = Image(image_id(file.read_bytes()), str(file), 200, 200)
    said = reply(image, "id", "said", 1, 0.1)
    put(house, "00000", [image, said, triple(said, 0, ("What?", "", ""))])
    assert "The picture cannot be shown:" in Page(render(facts(), house)).text


def test_the_page_does_not_grow_with_the_run_or_with_a_text(tmp_path: Path) -> None:
    house = tables(tmp_path / "run")
    rng = np.random.default_rng(0)
    for shard in range(8):
        file = tmp_path / f"{shard}.png"
        noise = rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)
        PIL.Image.fromarray(noise).resize((640, 480)).save(file)
        image = Image(image_id(file.read_bytes()), str(file), 640, 480)
        said = reply(image, "id", "x" * 100_000, 1, 0.1)
        rows = [triple(said, place, ("w " * 3_000, "", "")) for place in range(3)]
        put(house, f"{shard:05d}", [image, said, *rows])
        put(house, f"{shard:05d}", [Reject(said.id, "r" * 5_000, "t" * 100_000)], "parse")
    text = render(facts(), house, Size(kept=4, rejected=2, examples=1))
    assert Page(text).tags.count("article") == 6
    assert len(text) < 100_000 * 7


def test_a_script_less_reader_sees_every_card(tmp_path: Path) -> None:
    page = Page(render(facts(), full(tmp_path)))
    hidden = [(tag, name) for tag, name, _ in page.attributes if name == "hidden"]
    assert ("article", "hidden") not in hidden
    assert hidden.count(("div", "hidden")) == 2


def test_every_chart_has_a_name_and_its_numbers_in_words(tmp_path: Path) -> None:
    text = render(facts(), full(tmp_path))
    charts = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(charts) == 10
    for chart in charts:
        assert 'role="img"' in chart
        assert re.search(r"<title id=[^>]+>[^<]{5,}</title><desc id=[^>]+>[^<]{5,}</desc>", chart)


def test_notices_stand_at_the_top(tmp_path: Path) -> None:
    page = Page(render(facts(notices=("Made without any language model.",)), full(tmp_path)))
    assert page.text.index("Made without any") < page.text.index("Stages")


def test_the_shared_photographs_are_shown(shared: Path, tmp_path: Path) -> None:
    house = tables(tmp_path / "run")
    for shard, file in enumerate(sorted((shared / "data/photos/images").glob("*.jpg"))[:12]):
        with PIL.Image.open(file) as opened:
            width, height = opened.size
        image = Image(image_id(file.read_bytes()), str(file), width, height)
        places = (region(0, Box(0, 0, width / 2, height / 2), "corner", "a corner"),)
        said = reply(image, "id", "said", 1, 0.1)
        rows = [image, Regions(image.id, places), said, triple(said, 0, ("[0]?", "", ""))]
        put(house, f"{shard:05d}", rows)
    page = Page(render(facts(), house))
    assert len(pictures(page)) == 12
    assert "cannot be shown" not in page.text


def test_amounts_are_written_for_people() -> None:
    assert (number(None), number(12345), number(6.078)) == ("unknown", "12,345", "6.08")
    assert (percent(None), percent(0.0), percent(2 / 3)) == ("unknown", "0.0 %", "66.7 %")
    assert [duration(s) for s in (None, 4.06, 59.99, 200, 7500)] == [
        "unknown",
        "4.1 s",
        "60.0 s",
        "3 min 20 s",
        "2 h 05 min",
    ]
    assert moment("2026-11-23T18:40:12+00:00") == "2026-11-23 18:40 UTC"


def test_an_unknown_price_is_never_written_as_zero() -> None:
    use = Usage("generate", "tiny", 2, 0, 1.0, None, None, None, 2, 2)
    assert money(use) == "unknown"
    assert money(replace(use, price=0.0, silent_price=0)) == "0.00"
    assert money(replace(use, price=0.0021, silent_price=1)) == "at least 0.0021"
    assert money(replace(use, price=1234.5, silent_price=0)) == "1,234.50"


def test_a_reply_that_failed_shows_in_the_numbers(tmp_path: Path) -> None:
    house = full(tmp_path)
    image = house.read(Image, "00000")[0]
    failed: Reply = replace(reply(image, "id", "", None, None), id="x", error="timed out")
    put(house, "00002", [failed])
    page = Page(render(facts(), house))
    assert "1 failed" in page.text
    assert "no reply (1)" in page.text
    assert len(house.read(Triple, "00002")) == 0
