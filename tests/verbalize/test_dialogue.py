"""What a teacher says becomes questions, whatever stands around them."""

import json

import pytest

from lskd.verbalize.dialogue import questions_in

ASKED = ["What is in the cup?", "Who holds it?"]
JSON = json.dumps({"questions": ASKED}, indent=1)
LINES = "1. What is in the cup?\n- Who holds it?\nThat is all."


@pytest.mark.parametrize("text", [JSON, json.dumps(ASKED), LINES])
def test_questions_are_read_from_json_or_from_lines(text: str) -> None:
    assert questions_in(text) == ASKED


@pytest.mark.parametrize("question", ["杯子里有什么？", "من هذا؟"])  # noqa: RUF001
def test_a_question_in_chinese_or_arabic_is_one(question: str) -> None:
    assert questions_in(json.dumps([question, "That is all."])) == [question]
    assert questions_in(f"1. {question}\nThat is all.") == [question]


@pytest.mark.parametrize("asked", [JSON, LINES])
def test_what_a_model_asks_itself_in_its_thoughts_is_no_question(asked: str) -> None:
    thoughts = "<think>\nWhat would the user like?\nIs it a cup?\n</think>\n\n"
    assert questions_in(thoughts + asked) == ASKED
    assert questions_in(thoughts.removeprefix("<think>") + asked) == ASKED


def test_a_reply_that_was_cut_within_its_thoughts_asks_nothing() -> None:
    assert questions_in("<think>\nWhat would the user like?\nIs it a c") == []


@pytest.mark.parametrize("begin", ["```json\n", "```\n", "\n``` JSON\n"])
def test_json_in_a_fence_is_read_as_json_without_one(begin: str) -> None:
    assert questions_in(f"{begin}{JSON}\n```\n") == ASKED
    assert questions_in(f"<think>Why?</think>\n{begin}{json.dumps(ASKED)}\n```") == ASKED
