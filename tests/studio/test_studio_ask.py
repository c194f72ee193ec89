"""The Ask page over HTTP: students rank choices about drawn regions; what is wrong is one line."""

import base64
import io
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asking
import httpx
import PIL.Image
import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from lskd.blip2.pixels import view_picture
from lskd.distil.student import Student
from lskd.lab import scope
from lskd.studio.desk import Desk
from lskd.studio.prompts import prompts
from lskd.types import Region, Triple

BOXES = [list(box) for box in asking.BOXES]
QUESTION = "what is [0] ?"
CHOICES = ["a person", "a dog", "[1] is red"]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    folder = tmp_path_factory.mktemp("ask")
    return asking.desk_of(folder, asking.students_in(folder, ["one", "two"]))


@pytest.fixture(scope="module")
def visitor(desk: Desk) -> Iterator[httpx.Client]:
    with asking.served(desk) as address, asking.client(address) as one:
        yield one


@pytest.fixture(scope="module")
def first(visitor: httpx.Client) -> str:
    """Return the id of the run's first picture."""
    found: str = visitor.get("/api/explore/images").json()["rows"][0]["id"]
    return found


def body(image_id: str, **changes: Any) -> dict[str, Any]:
    asked = {"image_id": image_id, "boxes": BOXES, "question": QUESTION, "choices": CHOICES}
    return asked | {"student": "one"} | changes


def picture_of(address: str) -> PIL.Image.Image:
    kind, _, data = address.partition(",")
    assert kind == "data:image/jpeg;base64"
    return PIL.Image.open(io.BytesIO(base64.b64decode(data)))


def error(answer: httpx.Response) -> str:
    """Return the one line of a refusal."""
    assert 400 <= answer.status_code < 500, answer.text
    assert list(answer.json()) == ["error"]
    line: str = answer.json()["error"]
    assert line and "\n" not in line
    return line


def test_the_page_shows_each_student_with_its_note(visitor: httpx.Client) -> None:
    page = visitor.get("/ask").text
    assert 'data-student="one"' in page and 'data-student="two"' in page
    assert "28 px · at most 48 tokens" in page and "No student was given" not in page
    for file in ("ask.js", "ask.css", "ask_card.js", "ask_link.js"):
        assert visitor.get(f"/static/{file}").status_code == 200


def test_a_picture_of_the_run_comes_with_its_regions_and_questions(
    visitor: httpx.Client, first: str
) -> None:
    found = visitor.get(f"/api/ask/images/{first}").json()
    assert (found["kept"], found["width"], found["height"]) == (True, *asking.SIZE)
    assert [region["id"] for region in found["regions"]] == [0, 1]
    # The question about [7] is left out: the picture has no such region.
    assert [prompt["question"] for prompt in found["prompts"]] == [q for q, *_ in asking.SAID[:3]]
    assert found["prompts"][0]["choices"] == ["a person", "a dog", "yes"]
    assert found["prompts"][1]["choices"] == ["a dog", "a person", "yes"]
    assert error(visitor.get("/api/ask/images/0123456789abcdef")).startswith("this picture is not")


def test_a_student_ranks_choices_as_it_does_from_python(
    visitor: httpx.Client, desk: Desk, first: str
) -> None:
    reply = visitor.post("/api/ask/answer", json=body(first)).json()
    pixels = desk.photographs.pixels(first)
    assert pixels is not None
    student = Student(desk.students[0].folder)
    # The box of [1] is the run's own, so it is drawn by its outline, as it was in training.
    regions = [
        Region(0, asking.BOXES[0], "", "", 1.0),
        Region(1, asking.BOXES[1], "", "", 1.0, (asking.OUTLINE,)),
    ]
    scores = dict(zip(CHOICES, student.rank(pixels, regions, QUESTION, CHOICES), strict=True))
    assert {one["choice"]: one["match"] for one in reply["ranked"]} == pytest.approx(scores, 1e-5)
    matches = [one["match"] for one in reply["ranked"]]
    assert matches == sorted(matches, reverse=True)
    assert all(-1 <= one["similarity"] <= 1 for one in reply["ranked"])
    saw = picture_of(reply["view"])
    expected = view_picture(pixels, regions, student.about.marking, student.about.image)
    assert saw.size == expected.size == (28, 28)


def test_a_student_of_the_lab_says_so_of_what_lies_in_no_world(
    tmp_path: Path,
) -> None:
    base = tmp_path / "base"
    base.mkdir()
    (base / "pretrain.json").write_text('{"plan": {"scenes": 9}}')
    lab, other = asking.students_in(tmp_path, ["lab", "other"])
    note = lab / "student.toml"
    told = tomllib.loads(note.read_text()) | {"base": str(base)}
    note.write_text(tomli_w.dumps(told))
    desk = asking.desk_of(tmp_path, [lab, other])
    with asking.served(desk) as address, asking.client(address) as visitor:
        data = asking.photo(tmp_path / "mine.jpg", "pink", "JPEG").read_bytes()
        upload = visitor.post("/api/ask/upload", content=data).json()["id"]
        known = visitor.get("/api/explore/images").json()["rows"][0]["id"]

        def outside(image: str, student: str) -> str | None:
            reply = visitor.post("/api/ask/answer", json=body(image, student=student))
            found: str | None = reply.json()["outside"]
            return found

        image = desk.photographs.find(known)
        assert image is not None
        # The same words as on the command line.
        assert outside(known, "lab") == scope.outside(str(base), Path(image.path))
        assert outside(upload, "lab") == scope.outside(str(base), None)
        assert "this picture lies in no world of it: a photograph" in str(outside(upload, "lab"))
        assert outside(known, "other") is None and outside(upload, "other") is None
        Path(image.path).parent.joinpath("world.json").write_text("{}")
        assert outside(known, "lab") is None


def test_the_order_of_boxes_is_the_order_of_ids(visitor: httpx.Client, first: str) -> None:
    there, back = (
        visitor.post("/api/ask/answer", json=body(first, boxes=boxes)).json()["view"]
        for boxes in (BOXES, BOXES[::-1])
    )
    assert picture_of(there).tobytes() != picture_of(back).tobytes()


def test_the_marked_picture_is_large_and_marked(visitor: httpx.Client, first: str) -> None:
    drawn, other = (
        picture_of(visitor.post("/api/ask/marked", json=asked).json()["picture"])
        for asked in (_unnamed(body(first)), _unnamed(body(first, boxes=[[0, 0, 320, 200]] * 2)))
    )
    assert drawn.size == (1600, 1000) and drawn.tobytes() != other.tobytes()


def _unnamed(asked: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in asked.items() if key != "student"}


def test_an_upload_can_be_asked_about_and_is_on_no_disk(
    visitor: httpx.Client, tmp_path: Path, desk: Desk
) -> None:
    data = asking.photo(tmp_path / "mine.jpg", "pink", "JPEG").read_bytes()
    found = visitor.post("/api/ask/upload", content=data).json()
    assert (found["width"], found["height"]) == asking.SIZE
    reply = visitor.post("/api/ask/answer", json=body(found["id"]))
    assert len(reply.json()["ranked"]) == len(CHOICES)
    named = visitor.get(f"/api/ask/images/{found['id']}").json()
    assert named["kept"] is False and named["regions"] == named["prompts"] == []
    assert desk.run is not None
    around = [file for file in desk.run.own.parent.rglob("*") if file.is_file()]
    assert all(data not in file.read_bytes() for file in around)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "no picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no picture"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "picture"),
        (b"\0" * 200_001, "at most 200000"),
    ],
)
def test_an_upload_that_is_no_picture_is_refused(
    visitor: httpx.Client, data: bytes, told: str
) -> None:
    assert told in error(visitor.post("/api/ask/upload", content=data))


def test_an_upload_of_too_many_pixels_is_refused_before_it_is_decoded(
    visitor: httpx.Client,
) -> None:
    large = io.BytesIO()
    PIL.Image.new("L", (2000, 600)).save(large, "PNG")
    answer = visitor.post("/api/ask/upload", content=large.getvalue())
    assert "2000 x 600 pixels: at most 1,000,000" in error(answer)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"boxes": []}, "no region is drawn"),
        ({"question": "  "}, "the question is empty"),
        ({"choices": []}, "there is no answer to choose from"),
        ({"choices": ["a dog", ""]}, "an answer is empty"),
        ({"question": "what is [2] ?"}, "names [2], but drawn are: [0] to [1]"),
        ({"choices": ["[4] is red"]}, "names [4], but drawn are: [0] to [1]"),
        ({"boxes": [[400, 10, 500, 60]], "choices": ["a dog"]}, "region [0] covers no part"),
        ({"boxes": [[50, 10, 20, 60]], "choices": ["a dog"]}, "region [0] covers no part"),
        ({"question": "what " * 100}, "question: String should have at most 400"),
        ({"choices": ["a dog " * 40]}, "tokens, and this student reads at most 48"),
        ({"choices": ["a dog"] * 25}, "choices: Tuple should have at most 24"),
        ({"boxes": [[0, 0, 9, 9]] * 41}, "boxes: Tuple should have at most 40"),
        ({"student": "three"}, "no student 'three'; students: one, two"),
        ({"image_id": "0123456789abcdef"}, "this picture is not here (any more)"),
        ({"image_id": "../../etc/passwd"}, "image_id: String should match"),
        ({"more": 1}, "more: Extra inputs are not permitted"),
    ],
)
def test_what_cannot_be_asked_is_one_clear_line(
    visitor: httpx.Client, first: str, changes: dict[str, Any], told: str
) -> None:
    assert told in error(visitor.post("/api/ask/answer", json=body(first) | changes))


anything = some.recursive(
    some.none() | some.booleans() | some.floats() | some.integers() | some.text(max_size=9),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(), inner, max_size=3),
    max_leaves=6,
)
asked_boxes = some.lists(some.tuples(*[some.floats(-1e6, 1e6, allow_subnormal=False)] * 4))
texts = some.text(max_size=30)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=some.fixed_dictionaries(
        {},
        optional={
            "boxes": anything | asked_boxes,
            "question": anything | texts,
            "choices": anything | some.lists(texts, max_size=4),
            "student": anything,
            "image_id": anything,
        },
    )
)
def test_no_request_however_strange_is_a_defect(
    visitor: httpx.Client, first: str, changes: dict[str, Any]
) -> None:
    text = json.dumps(body(first) | changes)  # with NaN and Infinity, which browsers never send
    for path in ("answer", "marked"):
        answer = visitor.post(f"/api/ask/{path}", content=text.encode("utf-8", "surrogatepass"))
        assert answer.status_code < 500, answer.text


def test_a_request_from_elsewhere_is_refused(visitor: httpx.Client, first: str) -> None:
    answer = httpx.post(f"{visitor.base_url}/api/ask/answer", json=body(first))
    assert answer.status_code == 403 and "csrf" in answer.text


def test_without_students_the_page_says_how_to_name_one(tmp_path: Path) -> None:
    desk = asking.desk_of(tmp_path, [], with_run=False)
    with asking.served(desk) as address, asking.client(address) as visitor:
        page = visitor.get("/ask").text
        assert "No student was given" in page and "--student" in page
        data = asking.photo(tmp_path / "mine.png", "pink").read_bytes()
        upload = visitor.post("/api/ask/upload", content=data).json()["id"]
        told = error(visitor.post("/api/ask/answer", json=body(upload)))
        assert told.startswith("no student 'one'; students: none was given")


def test_prompts_put_the_answers_of_like_questions_first_and_name_only_what_is_drawn() -> None:
    def triple(question: str, answer: str) -> Triple:
        return Triple("t", "r", "i", "id", question, answer, "because", (0,))

    said = [
        triple("Why is [0] here?", "To read."),
        triple("What is [1]?", "A dog."),
        triple("Why is [1] here?", "To [2]."),
        triple("Why is [2] here?", "To rest."),
        triple("Why is [0] here?", "To wait."),
    ]
    first, second, third = prompts(said, drawn=3)[:3]
    assert first.choices == ("To read.", "To [2].", "To rest.", "To wait.", "A dog.")
    assert second.choices[0] == "A dog." and third.question == "Why is [1] here?"
    assert [one.question for one in prompts(said, drawn=2)] == ["Why is [0] here?", "What is [1]?"]
