"""Files of answers become records, records become duels, and whatever is neither is told."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from lskd.errors import UserError
from lskd.human.answers import Answer, parse, read, systems, written
from lskd.human.duels import among, joined, tells
from lskd.human.work import Duel
from lskd.types import Box, Image, Region

IMAGE = Image("00112233aabbccdd", "/photos/lake/dog.jpg", 640, 480)
ROW: dict[str, Any] = {
    "question_id": "q1",
    "image": "lake/dog.jpg",
    "width": 640,
    "height": 480,
    "regions": [{"id": 0, "box": [10, 20, 200.5, 220], "label": "dog"}],
    "question": "Why is [0] wet?",
    "system": "ours",
    "answer": "[0] swam.",
    "rationale": "The lake is near.",
}


def text(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def reason(**changes: Any) -> str:
    """Return why a row with changes is no answer."""
    found = parse(text(ROW | changes), "a.jsonl")
    assert found.answers == ()
    (reject,) = found.rejects
    assert reject.source == "a.jsonl line 1"
    return reject.reason


def test_a_row_becomes_a_record_as_it_stands() -> None:
    (found,) = parse(text(ROW), "a.jsonl").answers
    assert found == Answer(
        question_id="q1",
        image="lake/dog.jpg",
        width=640,
        height=480,
        regions=(Region(0, Box(10.0, 20.0, 200.5, 220.0), "dog", "", 1.0),),
        question="Why is [0] wet?",
        system="ours",
        answer="[0] swam.",
        rationale="The lake is near.",
        source="a.jsonl line 1",
    )


def test_labels_and_rationales_may_be_absent() -> None:
    bare = {key: value for key, value in ROW.items() if key != "rationale"}
    bare["regions"] = [{"id": 0, "box": [0, 0, 640, 480]}]
    (found,) = parse(text(bare), "a.jsonl").answers
    assert (found.rationale, found.regions[0].label) == ("", "")


def test_all_faults_of_a_row_are_told_at_once() -> None:
    told = reason(answer="", width=-1, system=None, regions=[{"id": 0, "box": [5, 5, 5, 9]}])
    for fault in ("has no answer", "width is -1", "has no system", "the box of region 0"):
        assert fault in told


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"question_id": " "}, "has no question_id"),
        ({"question_id": "a\nb"}, "question_id is no name"),
        ({"system": "x" * 201}, "system is no name"),
        ({"answer": "x" * 4001}, "answer has 4001 characters"),
        ({"rationale": ["because"]}, "rationale is no text"),
        ({"height": 480.5}, "height is 480.5"),
        ({"height": True}, "height is true"),
        ({"regions": None}, "regions are no list"),
        ({"regions": [{"box": [0, 0, 1, 1]}]}, "region 0 has no id"),
        ({"regions": ROW["regions"] * 2}, "two regions have the id 0"),
        ({"regions": [{"id": 0, "box": [0, 0, 641, 1]}]}, "within 640 x 480"),
        ({"regions": [{"id": 0, "box": [0, 0, float("nan"), 1]}]}, "the box of region 0"),
        ({"regions": [{"id": 0, "box": [0, 0, 10**400, 1]}]}, "the box of region 0"),
        ({"regions": [{"id": 0, "box": [0, 0, 1, 1], "label": 3}]}, "label is no text"),
        ({"question": "Why is [3] wet?"}, "the question names [3]"),
    ],
)
def test_a_row_that_cannot_be_posed_is_refused_with_its_reason(
    changes: dict[str, Any], fault: str
) -> None:
    assert fault in reason(**changes)


def test_an_answer_may_name_what_is_not_there_since_that_is_for_people_to_judge() -> None:
    (found,) = parse(text(ROW | {"answer": "[9] pushed it."}), "a.jsonl").answers
    assert found.answer == "[9] pushed it."


def test_a_second_answer_of_a_system_to_a_question_is_refused() -> None:
    found = parse(text(ROW, ROW | {"system": "theirs"}, ROW | {"answer": "Rain."}), "a.jsonl")
    assert systems(found.answers) == ["ours", "theirs"]
    assert [reject.source for reject in found.rejects] == ["a.jsonl line 3"]
    assert "on a.jsonl line 1" in found.rejects[0].reason


def test_lines_that_are_no_rows_are_refused_word_for_word() -> None:
    found = parse("\ufeffnot json\n\n[1]\n" + text(ROW), "a.jsonl")
    assert [(reject.source, reject.text) for reject in found.rejects] == [
        ("a.jsonl line 1", "not json"),
        ("a.jsonl line 3", "[1]"),
    ]
    assert len(found.answers) == 1


def test_a_file_is_read_and_one_that_cannot_be_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "ours.jsonl"
    file.write_text("\ufeff" + text(ROW), encoding="utf-8")
    assert read(file).answers[0].source == "ours.jsonl line 1"
    file.write_bytes(b"\xff\xfe{}")
    with pytest.raises(UserError, match="not UTF-8"):
        read(file)
    with pytest.raises(UserError, match=r"cannot read .*nowhere"):
        read(tmp_path / "nowhere.jsonl")


JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=8),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(), inner, max_size=3),
    max_leaves=6,
)


@given(some.dictionaries(some.sampled_from([*ROW, "id"]), JSON, max_size=5))
def test_no_row_is_lost_whatever_stands_in_it(changes: dict[str, Any]) -> None:
    found = parse(text(ROW | changes), "a.jsonl")
    assert len(found.answers) + len(found.rejects) == 1
    for reject in found.rejects:
        assert reject.reason
        reject.text.encode()


@given(some.text(max_size=60))
def test_every_line_of_any_text_is_told(content: str) -> None:
    found = parse(content, "a.jsonl")
    lines = [line for line in content.removeprefix("\ufeff").split("\n") if line.strip()]
    assert len(found.rejects) == len(lines)


WORDS = some.text(some.characters(codec="utf-8"), min_size=1, max_size=30).filter(str.strip)
NAMES = some.text("abc -é", min_size=1, max_size=9).filter(str.strip).map(str.strip)
SIDES = some.integers(1, 5000)


@some.composite
def made(draw: some.DrawFn) -> Answer:
    width, height = draw(SIDES), draw(SIDES)
    share = some.floats(0, 0.49)
    regions = tuple(
        Region(
            number,
            Box(width * draw(share), height * draw(share), width * 0.5, height * 0.5),
            draw(WORDS),
            "",
            1.0,
        )
        for number in range(draw(some.integers(0, 3)))
    )
    question = draw(WORDS).replace("[", "(")
    words = draw(NAMES), draw(NAMES)
    said = draw(NAMES), draw(WORDS), draw(some.just("") | WORDS)
    return Answer(*words, width, height, regions, question, *said, "a.jsonl line 1")


@given(made())
def test_what_is_written_is_read_back(answer: Answer) -> None:
    found = parse("".join(written([answer])), "a.jsonl")
    assert found.rejects == ()
    assert found.answers == (answer,)


def two(**changes: Any) -> tuple[Answer, Answer]:
    """Return two systems' answers; the second one's row with changes."""
    rows = text(ROW, ROW | {"system": "theirs", "answer": "Rain."} | changes)
    found = parse(rows, "a.jsonl")
    assert not found.rejects
    first, second = found.answers
    return first, second


def test_two_answers_become_a_duel_in_the_order_of_the_systems() -> None:
    for first, second, words in (
        ("ours", "theirs", ("[0] swam.", "Rain.")),
        ("theirs", "ours", ("Rain.", "[0] swam.")),
    ):
        found = joined(two(), first, second, among([IMAGE]))
        (posed,) = found.posed
        assert (posed.id, posed.image_id, posed.gold) == ("q1", IMAGE.id, None)
        assert isinstance(posed.what, Duel)
        assert (posed.what.first.system, posed.what.second.system) == (first, second)
        assert (posed.what.first.answer, posed.what.second.answer) == words
        assert posed.what.path == IMAGE.path
        assert found.rejects == ()


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"question_id": "q2"}, "'theirs' has no answer to question 'q1'"),
        ({"question": "Why is [0] dry?"}, "with another question"),
        ({"image": "/elsewhere.jpg"}, "with another image"),
        ({"regions": [{"id": 0, "box": [0, 0, 5, 5]}]}, "with other regions"),
        ({"width": 1280}, "with another size of the image"),
        ({"height": 960}, "with another size of the image"),
    ],
)
def test_what_makes_no_duel_is_told(changes: dict[str, Any], fault: str) -> None:
    found = joined(two(**changes), "ours", "theirs", among([IMAGE]))
    assert found.posed == ()
    assert fault in found.rejects[0].reason


def test_both_sides_of_a_missing_answer_are_told() -> None:
    found = joined(two(question_id="q2"), "ours", "theirs", among([IMAGE]))
    assert [(reject.source, reject.reason) for reject in found.rejects] == [
        ("a.jsonl line 1", "'theirs' has no answer to question 'q1'"),
        ("a.jsonl line 2", "'ours' has no answer to question 'q2'"),
    ]


def test_an_image_that_is_unknown_or_of_another_size_makes_no_duel() -> None:
    unknown = joined(two(), "ours", "theirs", among([]))
    assert "no image 'lake/dog.jpg'" in unknown.rejects[0].reason
    other = joined(two(), "ours", "theirs", among([replace(IMAGE, height=640)]))
    assert "640 x 640 pixels, not 640 x 480" in other.rejects[0].reason


def test_a_question_whose_id_names_a_system_makes_no_duel() -> None:
    (reject,) = joined(
        [replace(one, question_id="val-Theirs-7") for one in two()],
        "ours",
        "theirs",
        among([IMAGE]),
    ).rejects
    assert "names 'theirs'" in reject.reason
    assert tells("x ours.", "ours") and not tells("hours", "ours")


def test_an_answer_that_two_files_hold_counts_once() -> None:
    first, second = two()
    again = replace(second, answer="Sweat.", source="b.jsonl line 1")
    found = joined([first, second, again], "ours", "theirs", among([IMAGE]))
    assert isinstance(found.posed[0].what, Duel)
    assert found.posed[0].what.second.answer == "Rain."
    assert [reject.source for reject in found.rejects] == ["b.jsonl line 1"]


def test_systems_without_answers_and_a_system_alone_are_errors() -> None:
    with pytest.raises(UserError, match="no answers of 'nobody'; there are those of: ours, theirs"):
        joined(two(), "ours", "nobody", among([IMAGE]))
    with pytest.raises(UserError, match="with itself"):
        joined(two(), "ours", "ours", among([IMAGE]))


def test_images_are_found_by_id_path_and_the_ends_that_are_theirs_alone() -> None:
    other = Image("ffeeddccbbaa9988", "/photos/wood/dog.jpg", 1, 1)
    row = Image("0123456789abcdef", "/photos/all.parquet", 1, 1, source="/photos/all.parquet#7")
    find = among([IMAGE, other, row])
    assert find(IMAGE.id) == find(IMAGE.path) == find("lake/dog.jpg") == find("./lake/dog.jpg")
    assert find("lake/dog.jpg") == IMAGE
    assert find("all.parquet#7") == row
    assert find("dog.jpg") is None
    assert find("") is None
    assert find("ake/dog.jpg") is None
