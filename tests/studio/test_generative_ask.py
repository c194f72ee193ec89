"""The Ask page with a student that writes: its own answer stands beside rankings of all."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asking
import httpx
import PIL.Image
import pytest
from playwright.sync_api import Browser, Page, expect

import checkpoints
import generative_students
from lskd.distil import note
from lskd.distil.ask import Manner, Told
from lskd.distil.generative.student import GenerativeStudent
from lskd.errors import UserError
from lskd.studio import duels
from lskd.studio.desk import Desk
from lskd.studio.students import Examiner, enrol
from lskd.types import Box, Region
from lskd.writing.pointing import Pictured

QUESTION = "what is [0] ?"
CHOICES = ["a person", "a dog", "[1] is red"]
BOXES = [list(box) for box in asking.BOXES]
PIXELS = PIL.Image.new("RGB", (60, 40), "grey")
REGIONS = [Region(0, Box(4, 4, 24, 30), "", "", 1.0), Region(1, Box(30, 8, 50, 36), "", "", 1.0)]


class Talker:
    """Somebody's own student: it writes and ranks nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def answer(
        self,
        pixels: PIL.Image.Image,
        regions: Sequence[Region],
        question: str,
        manner: Manner | None = None,
    ) -> Told:
        return Told("[0] waits <b>.", "[7] is late.", 0.5, None, (7,), unfinished=True)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return a student that ranks, one that writes, and somebody's own that writes."""
    root = tmp_path_factory.mktemp("students")
    base = generative_students.write_base(root / "base")
    ranks = checkpoints.write_student(root / "ranks")
    writes = generative_students.write_generative_student(root / "writes", base)
    (root / "talks").mkdir()
    text = (ranks / note.FILE).read_text()
    own = text.replace("lskd.distil.student:Student", f"{__name__}:Talker")
    (root / "talks" / note.FILE).write_text(own)
    return [ranks, writes, root / "talks"]


@pytest.fixture(scope="module")
def desk(folders: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return asking.desk_of(tmp_path_factory.mktemp("ask"), folders)


def body(visitor: httpx.Client, **changes: Any) -> dict[str, Any]:
    first = visitor.get("/api/explore/images").json()["rows"][0]["id"]
    asked = {"image_id": first, "boxes": BOXES, "question": QUESTION, "choices": []}
    return asked | changes


def test_a_student_that_writes_answers_and_ranks_as_it_does_from_python(
    folders: list[Path],
) -> None:
    examiner, student = Examiner(enrol(folders)), GenerativeStudent(folders[1])
    said = examiner.ask("writes", PIXELS, REGIONS, QUESTION, CHOICES)
    assert said.wrote == student.answer(PIXELS, REGIONS, QUESTION)
    scores = student.rank(PIXELS, REGIONS, QUESTION, CHOICES)
    assert {one.choice: one.match for one in said.ranked} == pytest.approx(
        dict(zip(CHOICES, scores, strict=True)), abs=1e-6
    )
    assert all(one.similarity is None for one in said.ranked)
    expected = student.pointing.picture(Pictured(PIXELS, tuple(REGIONS)))
    assert said.view is not None and said.view.tobytes() == expected.tobytes()
    alone = examiner.ask("writes", PIXELS, REGIONS, QUESTION, [])
    assert alone.ranked == () and alone.wrote == said.wrote
    talked = examiner.ask("talks", PIXELS, REGIONS, QUESTION, CHOICES)
    assert talked.ranked == () and talked.wrote is not None and talked.view is None
    ranked = examiner.ask("ranks", PIXELS, REGIONS, QUESTION, CHOICES)
    assert len(ranked.ranked) == 3 and ranked.wrote is None
    with pytest.raises(UserError, match="this student ranks answers and writes none of its own"):
        examiner.ask("ranks", PIXELS, REGIONS, QUESTION, [])


def test_choices_may_be_left_out_where_somebody_writes(visitor: httpx.Client) -> None:
    assert visitor.post("/api/ask/marked", json=body(visitor)).status_code == 200
    reply = visitor.post("/api/ask/answer", json=body(visitor, student="writes")).json()
    assert reply["ranked"] == [] and reply["wrote"]["answer"] and reply["view"]
    assert 0 < reply["wrote"]["confidence"] < 1
    refused = visitor.post("/api/ask/answer", json=body(visitor, student="ranks"))
    assert refused.status_code == 400
    assert refused.json()["error"] == "there is no answer to choose from: write some, one a line"
    page = visitor.get("/ask").text
    assert "what each student says of it" in page and "with none, only students that write" in page


def test_a_folder_that_lacks_its_weights_is_one_clear_line(
    folders: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / note.FILE).write_text((folders[1] / note.FILE).read_text())
    with pytest.raises(UserError, match=r"is a broken student: it lacks writer/writer\.toml;"):
        enrol([tmp_path / "half"])


def test_a_student_of_a_run_is_called_by_it_and_takes_part_once_there_are_examples(
    folders: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "photos" / "generative").mkdir(parents=True)
    made = tmp_path / "photos" / "generative" / "student"
    made.symlink_to(folders[1])
    enrolled = enrol([made, folders[0]])
    assert [one.name for one in enrolled] == ["photos generative", "ranks"]
    _, writes, ranks = duels.systems(None, enrolled)
    assert writes.note == "answers in its own words"
    assert ranks.note.startswith("picks, for each question")
    assert "`lskd run` makes them" in writes.fault and ranks.fault == writes.fault


def test_the_page_shows_what_was_written_beside_rankings(
    browser: Browser, address: str, tmp_path: Path
) -> None:
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    page = context.new_page()
    told: list[str] = []
    page.on("pageerror", lambda error: told.append(str(error)))
    page.goto(f"{address}/ask")
    page.click('#thumbs button[aria-label="beige.png"]')
    expect(page.locator("#stage .region")).to_have_count(2)
    page.fill("#question", QUESTION)
    page.fill("#choices", "\n".join(CHOICES))
    page.click("#ask")
    expect(place(page, "talks").locator(".amiss")).to_have_count(2, timeout=60_000)
    assert "confidence 50.0 %" in place(page, "talks").inner_text()
    assert "It names [7], which is not drawn." in place(page, "talks").inner_text()
    # A text is never markup, and a number that is drawn nowhere shows as such.
    assert "waits <b>." in place(page, "talks").locator(".own").inner_text()
    expect(place(page, "talks").locator(".chip.stray")).to_have_count(1)
    expect(place(page, "writes").locator(".ranking li")).to_have_count(3)
    expect(place(page, "writes").locator(".wrote .own")).to_be_visible()
    expect(place(page, "ranks").locator(".ranking li")).to_have_count(3)
    expect(place(page, "ranks").locator(".wrote")).to_have_count(0)

    with page.expect_download() as download:
        page.click("#save")
    download.value.save_as(tmp_path / "asked.png")
    with PIL.Image.open(tmp_path / "asked.png") as card:
        assert card.width == 1200

    page.fill("#choices", "")
    page.click("#ask")
    expect(place(page, "ranks").locator(".error")).to_contain_text("there is no answer to choose")
    expect(place(page, "writes").locator(".wrote .own")).to_be_visible(timeout=60_000)
    expect(place(page, "writes").locator(".ranking")).to_have_count(0)
    context.close()
    assert told == []


def place(page: Page, student: str) -> Any:
    return page.locator(f'[data-student="{student}"] .outcome')
