"""Tasks for Label Studio as its editor would answer them, and its export read back."""

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from human_claims import CLAIM, REGIONS, boxes, claims
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lskd import table
from lskd.errors import UserError
from lskd.human.address import addresses
from lskd.human.label_studio import LOCAL_FILES, configuration, percent, pixels, tasks, write
from lskd.human.label_studio_export import Export, read
from lskd.human.work import Claim
from lskd.types import Box, Judgment, Region, Regions, Reject

SIZES = st.tuples(st.integers(1, 20_000), st.integers(1, 20_000))
ADDRESS = addresses("https://photos.test/{image_id}{suffix}")
Task = dict[str, Any]
FILES = settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


def choice(name: str, word: str) -> Task:
    return {"type": "choices", "from_name": name, "to_name": "image", "value": {"choices": [word]}}


def answered(task: Task, who: object, *answers: Task, **more: Any) -> Task:
    """Return an annotation as Label Studio exports it: the boxes it was given, and answers."""
    boxes = task["predictions"][0]["result"]
    return {
        **{"id": 7, "completed_by": who, "was_cancelled": False, "ground_truth": False},
        **{"lead_time": 4.25, "result": [*boxes, *answers], **more},
    }


def task_of(claim: Claim = CLAIM) -> Task:
    made: Task = json.loads(tasks([claim], ADDRESS))[0]
    return made


def exported(folder: Path, *annotations: Task, task: Task | None = None) -> Export:
    """Read what Label Studio would export of one task."""
    content = [{"id": 1, **(task or task_of()), "annotations": list(annotations), "drafts": []}]
    file = folder / "export.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    return read(file)


def moved(change: Callable[[Task], None], place: int = 1) -> Task:
    """Return an annotation of the claim with one box changed, the second or that at a place."""
    made = answered(task_of(), 1, choice("qa", "accept"), choice("rationale", "accept"))
    change(made["result"][place])
    return made


@given(SIZES.flatmap(lambda size: st.tuples(st.just(size), boxes(*size))))
def test_pixels_become_percent_and_come_back(drawn: tuple[tuple[int, int], Box]) -> None:
    size, box = drawn
    there = percent(box, *size)
    assert all(0 <= part <= 100 * (1 + 1e-12) for part in there)
    assert pixels(*there, size) == pytest.approx(box, abs=1e-9 * max(size), rel=0)


def test_a_box_is_in_percent_of_the_upright_picture() -> None:
    assert percent(Box(64, 120, 128, 480), 640, 480) == pytest.approx((10, 25, 10, 75))
    assert pixels(10, 25, 10, 75, (640, 480)) == pytest.approx(Box(64, 120, 128, 480))


@FILES
@given(claims())
def test_regions_come_back_as_they_were_sent(tmp_path: Path, claim: Claim) -> None:
    task = task_of(claim)
    sent = answered(task, 3, choice("qa", "maybe"), choice("rationale", "accept"))
    found = exported(tmp_path, sent, task=task)
    assert not found.rejects
    assert found.judgments == (Judgment(claim.triple.id, "img", "3", 2, 3, 4.25),)
    assert [one.regions for one in found.drawn] == (
        [Regions("img", claim.regions)] if claim.regions else []
    )


def test_the_configuration_asks_the_papers_two_questions_about_numbered_boxes() -> None:
    view = ElementTree.fromstring(configuration([CLAIM]))
    labels = view.findall("RectangleLabels/Label")
    assert [label.get("value") for label in labels] == ["[0]", "[1]"]
    assert all((label.get("background") or "").startswith("#") for label in labels)
    qa, rationale = view.findall("View/Choices")
    assert (qa.get("name"), rationale.get("name")) == ("qa", "rationale")
    assert [one.get("value") for one in qa] == ["reject", "maybe", "accept"]
    assert rationale.get("whenTagName") == "qa"
    assert rationale.get("whenChoiceValue") == "maybe,accept"
    keys = [one.get("hotkey") for one in view.iter() if one.get("hotkey")]
    assert len(keys) == len(set(keys)) == 2 + 6
    named = {one.get("name") for one in view.iter()}
    assert {one.get("toName") for one in view.iter() if one.get("toName")} <= named
    assert not ElementTree.fromstring(configuration([])).findall("RectangleLabels/Label")


def test_every_variable_of_the_configuration_is_in_the_tasks() -> None:
    asked = ElementTree.fromstring(configuration([CLAIM])).iter()
    variables = {v[1:] for one in asked if (v := one.get("value") or "").startswith("$")}
    assert variables == {"image", "question", "answer", "rationale"}
    data = task_of()["data"]
    assert variables <= set(data)
    assert data["image"] == "https://photos.test/img1.jpg"
    assert data["question"] == CLAIM.triple.question


def test_files_are_written_for_the_local_storage(tmp_path: Path) -> None:
    write([CLAIM], tmp_path / "out", addresses(LOCAL_FILES, Path("/photos")))
    sent = json.loads((tmp_path / "out" / "tasks.json").read_text(encoding="utf-8"))
    assert sent[0]["data"]["image"] == "/data/local-files/?d=a%20b.jpg"
    ElementTree.parse(tmp_path / "out" / "config.xml")
    with pytest.raises(UserError, match=r"a b\.jpg is not in /elsewhere"):
        write([CLAIM], tmp_path / "out", addresses(LOCAL_FILES, Path("/elsewhere")))


@pytest.mark.parametrize("root", [None, Path("/photos")])
def test_a_picture_that_lies_at_a_url_is_found_there(root: Path | None) -> None:
    away = replace(CLAIM, path="s3://bucket/some photos/a b.jpg")
    (task,) = json.loads(tasks([away], addresses(LOCAL_FILES, root)))
    assert task["data"]["image"] == away.path
    # Who names no path has the pictures at a place of their own.
    assert ADDRESS(away) == "https://photos.test/img1.jpg"
    assert addresses("{name}")(away) == "a%20b.jpg"


def test_each_annotator_gives_a_judgment_and_regions(tmp_path: Path) -> None:
    task = task_of()
    ann = {"id": 4, "email": "ann@lab.test", "first_name": "Ann"}
    found = exported(
        tmp_path,
        answered(task, ann, choice("qa", "accept"), choice("rationale", "maybe")),
        answered(task, 5, choice("qa", "reject"), lead_time=None),
    )
    assert found.judgments == (
        Judgment("t1", "img1", "ann@lab.test", 3, 2, 4.25),
        Judgment("t1", "img1", "5", 1, None, None),
    )
    assert [one.annotator for one in found.drawn] == ["ann@lab.test", "5"]
    assert all(one.regions == Regions("img1", REGIONS) for one in found.drawn)
    assert not found.rejects


def test_stars_are_ratings_too(tmp_path: Path) -> None:
    stars = [
        {"type": "rating", "from_name": name, "to_name": "image", "value": {"rating": 2}}
        for name in ("qa", "rationale")
    ]
    assert exported(tmp_path, answered(task_of(), 1, *stars)).judgments[0].rationale == 2


def test_a_rationale_beside_a_rejected_qa_is_left_out(tmp_path: Path) -> None:
    said = answered(task_of(), 1, choice("qa", "reject"), choice("rationale", "accept"))
    assert exported(tmp_path, said).judgments[0].rationale is None


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        (answered(task_of(), 9, was_cancelled=True), "9 skipped it"),
        (answered(task_of(), 9), "9: it has no rating qa"),
        (answered(task_of(), 9, choice("qa", "maybe")), "wants a rating of the rationale"),
        (answered(task_of(), 9, choice("qa", "great")), "qa = 'great'"),
        (answered(task_of(), 9, *[choice("qa", "maybe")] * 2), "qa has 2 answers"),
        (answered(task_of(), None, choice("qa", "reject")), "names nobody"),
        (answered(task_of(), 9, result="none"), "cannot be read: result"),
    ],
)
def test_an_answer_that_is_no_judgment_is_a_reject(
    tmp_path: Path, annotation: Task, reason: str
) -> None:
    found = exported(tmp_path, annotation)
    assert not found.judgments
    (reject,) = found.rejects
    assert reject.source == "t1"
    assert reason in reject.reason
    assert json.loads(reject.text) == annotation


def test_a_task_that_nobody_answered_is_a_reject(tmp_path: Path) -> None:
    (reject,) = exported(tmp_path).rejects
    assert (reject.source, reject.reason) == ("t1", "nobody has answered it")


def test_a_foreign_task_is_a_reject_and_the_rest_is_read(tmp_path: Path) -> None:
    good = {**task_of(), "annotations": [answered(task_of(), 1, choice("qa", "reject"))]}
    foreign = {"data": {"image": "a.jpg"}, "annotations": []}
    (tmp_path / "export.json").write_text(json.dumps([foreign, 3, good]))
    found = read(tmp_path / "export.json")
    assert len(found.judgments) == 1
    assert [one.source for one in found.rejects] == ["task 0", "task 1"]
    assert "triple_id" in found.rejects[0].reason


def test_a_moved_box_is_the_persons_own(tmp_path: Path) -> None:
    def smaller(box: Task) -> None:
        box["value"].update(x=50, y=50, width=25, height=80)

    (drawn,) = exported(tmp_path, moved(smaller)).drawn
    assert drawn.regions.regions == (REGIONS[0], Region(1, Box(320, 240, 480, 480), "bench", "", 1))


def test_a_moved_box_loses_the_outline_that_it_had(tmp_path: Path) -> None:
    def smaller(box: Task) -> None:
        box["value"].update(x=50, y=50, width=25, height=25)

    assert REGIONS[0].polygons
    (drawn,) = exported(tmp_path, moved(smaller, 0)).drawn
    own = Region(0, Box(320, 240, 480, 360), "dog", "a wet dog", 1.0)
    assert drawn.regions.regions == (own, REGIONS[1])


def test_a_box_of_a_new_number_is_a_region_without_words(tmp_path: Path) -> None:
    def renumbered(box: Task) -> None:
        box["value"]["rectanglelabels"] = ["[12]"]

    (drawn,) = exported(tmp_path, moved(renumbered)).drawn
    assert drawn.regions.regions[1] == Region(12, REGIONS[1].box, "", "", 1.0)


def test_boxes_of_a_smaller_copy_of_the_picture_are_those_of_the_picture(tmp_path: Path) -> None:
    def halved(box: Task) -> None:
        box.update(original_width=320, original_height=240)

    (drawn,) = exported(tmp_path, moved(halved)).drawn
    assert drawn.regions.regions == REGIONS


@pytest.mark.parametrize(
    ("value", "around", "reason"),
    [
        ({"rotation": 15}, {}, "rotated by 15 degrees"),
        ({}, {"image_rotation": 90}, "turned by 90 degrees"),
        ({"x": None}, {}, "lacks x, y, width or height"),
        ({"width": 0}, {}, "covers no part"),
        ({"x": 100.5}, {}, "covers no part"),
        ({"rectanglelabels": ["dog"]}, {}, "its label is dog"),
        ({"rectanglelabels": []}, {}, "its label is missing"),
        ({"rectanglelabels": ["[0]"]}, {}, "second box of [0]"),
        ({}, {"original_width": 480, "original_height": 640}, "picture of 480 x 640"),
    ],
)
def test_a_box_that_cannot_be_used_is_a_reject_and_the_rest_is_kept(
    tmp_path: Path, value: Task, around: Task, reason: str
) -> None:
    def broken(box: Task) -> None:
        box["value"].update(value)
        box.update(around)

    found = exported(tmp_path, moved(broken))
    (reject,) = found.rejects
    assert reason in reject.reason
    assert len(found.judgments) == 1
    assert found.drawn[0].regions.regions == REGIONS[:1]


@pytest.mark.parametrize("text", ["", "{", '{"a": 1}', '[{"id": 1, "image": "a.jpg"}]', "[" * 9999])
def test_a_file_that_is_no_export_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "export.json").write_text(text)
    with pytest.raises(UserError, match=r"export\.json"):
        read(tmp_path / "export.json")
    with pytest.raises(UserError, match=r"absent\.json"):
        read(tmp_path / "absent.json")


@FILES
@given(ANYTHING, st.sampled_from(["completed_by", "result", "lead_time", "was_cancelled", "value"]))
def test_whatever_stands_in_an_export_becomes_rows_or_rejects(
    tmp_path: Path, value: object, key: str
) -> None:
    made = answered(task_of(), 1, choice("qa", "reject"))
    (made["result"][0] if key == "value" else made)[key] = value
    found = exported(tmp_path, made)
    assert len(found.judgments) + len(found.rejects) >= 1
    table.write(Reject, tmp_path / "reject.parquet", found.rejects)
    table.write(Judgment, tmp_path / "judgment.parquet", found.judgments)


@pytest.mark.parametrize("pattern", ["x/{image}", "x/{}", "x/{path", "x/{name.stem}"])
def test_an_address_with_an_unknown_field_is_an_error(pattern: str) -> None:
    with pytest.raises(UserError, match="address"):
        addresses(pattern)
