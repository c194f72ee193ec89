"""Students take part in comparisons: they answer the run's questions, here and in the browser."""

from pathlib import Path

import asking
import httpx
import pytest
from playwright.sync_api import Browser, expect

import checkpoints
import generative_students
from lskd import table
from lskd.human import answers
from lskd.human.store import Store
from lskd.human.teacher import TEACHER
from lskd.run import Run
from lskd.studio.answering import answered, questions
from lskd.studio.desk import Desk, lay
from lskd.types import Example, Image, Regions, Triple


def accept(run: Run) -> Run:
    """Accept three triples about the first picture of a run, and one about the second."""
    images = run.tables.read(Image, "00000")
    (regions,) = run.tables.read(Regions, "00000")
    triples = run.tables.read(Triple, "00000")
    shared = [name for name in Triple.__slots__ if name not in ("id", "image_id", "reply_id")]
    rows = [
        Example(
            **{name: getattr(one, name) for name in shared},
            id=f"{image.id}-{number}", image_id=image.id,
            path=image.path, width=image.width, height=image.height, regions=regions.regions,
            score=0.9, source="lskd", split="train",
        )
        for image in images
        for number, one in enumerate(triples[: 3 if image is images[0] else 1])
    ]  # fmt: skip
    table.write(Example, run.tables.file(Example, "00000"), rows)
    return run


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Return a desk with a run of four accepted triples, and students that rank and write."""
    root = tmp_path_factory.mktemp("answering")
    base = generative_students.write_base(root / "base")
    writes = generative_students.write_generative_student(root / "writes", base)
    ranks = checkpoints.write_student(root / "ranks")
    store = Store(f"sqlite:///{root / 'people.sqlite'}")
    return lay(accept(asking.run_of(root / "run")), store, [ranks, writes])


def test_questions_are_drawn_by_seed_and_spread_over_images(desk: Desk) -> None:
    assert desk.run is not None
    every = questions(desk.run, 100, 0)
    assert len(every) == len({one.example.id for one in every}) == 4
    first, second, third, fourth = (one.example.image_id for one in every)
    assert first != second and third == fourth
    assert questions(desk.run, 2, 0) == every[:2]
    assert any(questions(desk.run, 4, seed) != every for seed in range(1, 5))
    for one in every:
        assert one.choices[0].answer == one.example.answer
        others = {"a person", "a dog", "yes"} if one.example.image_id == third else {"a person"}
        assert {other.answer for other in one.choices} == others


def test_a_student_that_ranks_picks_the_likeliest_with_its_reason(desk: Desk) -> None:
    assert desk.run is not None
    ranks, writes = desk.students
    reasons = {answer: rationale for _, answer, rationale, _ in asking.SAID}
    for asked in (one for one in questions(desk.run, 4, 0) if len(one.choices) > 1):
        said = answered(desk, ranks, asked)
        pixels = desk.photographs.pixels(asked.example.image_id)
        assert pixels is not None
        texts = [one.answer for one in asked.choices]
        question, regions = asked.example.question, asked.example.regions
        ranked = desk.examiner.ask("ranks", pixels, regions, question, texts).ranked
        best = ranked[0].choice
        assert (said.system, said.answer, said.rationale) == ("ranks", best, reasons[best])
        wrote = desk.examiner.ask("writes", pixels, regions, question, []).wrote
        own = answered(desk, writes, asked)
        assert wrote is not None
        assert (own.answer, own.rationale) == (wrote.answer, wrote.rationale)
        assert own.question_id == said.question_id == asked.example.id


def test_answers_come_part_by_part_and_are_a_file_of_answers(visitor: httpx.Client) -> None:
    body = {"student": "ranks", "count": 4}
    text, done = "", 0
    faults: list[dict[str, str]] = []
    while done < 4:
        part = visitor.post("/api/compare/answers", json=body | {"after": done}).json()
        assert part["total"] == 4 and part["done"] > done
        text, done, faults = text + part["text"], part["done"], faults + part["faults"]
    given = answers.parse(text, "ranks.jsonl")
    assert len(given.answers) == 3 and not given.rejects
    (fault,) = faults  # a picture of which the run says one thing only
    assert fault["reason"].startswith("the run says nothing else of this picture")
    after = visitor.post("/api/compare/answers", json=body | {"after": 9}).json()
    assert (after["text"], after["done"], after["total"]) == ("", 4, 4)


def test_what_cannot_be_answered_is_told(visitor: httpx.Client, desk: Desk, tmp_path: Path) -> None:
    refused = visitor.post("/api/compare/answers", json={"student": "nobody"})
    assert refused.status_code == 400
    assert refused.json()["error"] == "no student 'nobody'; students: ranks, writes"
    none = asking.run_of(tmp_path / "run")
    store = Store(f"sqlite:///{tmp_path / 'people.sqlite'}")
    other = lay(none, store, [desk.students[0].folder])
    with asking.served(other) as address, asking.client(address) as client:
        home = client.get("/api/compare/systems").json()
        refused = client.post("/api/compare/answers", json={"student": "ranks"})
    assert all("`lskd run` makes them" in one["fault"] for one in home["systems"])
    assert refused.status_code == 400 and "nothing to ask students" in refused.json()["error"]


def test_the_owner_begins_a_comparison_of_two_students_without_a_file(
    browser: Browser, address: str, desk: Desk
) -> None:
    page = browser.new_page(base_url=address)
    page.on("pageerror", lambda error: pytest.fail(f"the page has a defect: {error}"))
    page.goto("/compare")
    expect(page.locator("#first")).to_have_value(TEACHER)
    expect(page.locator("#second")).to_have_value("ranks")
    expect(page.locator("#others")).not_to_have_attribute("open", "")
    page.locator("#first").select_option("writes")
    page.get_by_label("Questions asked").fill("4")
    page.get_by_label("Judges of each item").fill("1")
    page.get_by_role("button", name="Begin", exact=True).click()
    expect(page.locator("#tiles")).to_contain_text("of 3", timeout=60_000)
    expect(page.locator("#begun")).to_contain_text("the run says nothing else of this picture")
    page.get_by_label("A judge's name").fill("ann")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Judge here").click()
    page.get_by_role("button", name="I have read this").click()
    expect(page.locator("#work")).to_be_visible()
    page.close()
    posed = desk.store.posed("comparison")
    systems = {(one.what.first.system, one.what.second.system) for one in posed}  # type: ignore[union-attr]
    assert systems == {("writes", "ranks")} and len(posed) == 3
