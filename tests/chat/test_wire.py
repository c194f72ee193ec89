"""The protocol's JSON: whatever a server says, the outcome is a reply or a fault."""

import email.utils
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lskd.chat.faults import Fault, fault_of_status, one_line, retry_after, summary
from lskd.chat.wire import Dialect, Request, body, read_completion
from lskd.types import Message

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
NAMES = st.sampled_from(
    "choices message content text refusal finish_reason usage prompt_tokens error".split()
)
ANY_JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner), max_leaves=20
)


@st.composite
def completions(draw: st.DrawFn) -> dict[str, Any]:
    """Almost what a server should say."""
    message = draw(st.dictionaries(NAMES, ANY_JSON) | st.just({"content": "x"}) | LEAVES)
    return {
        "choices": [{"message": message, "finish_reason": draw(LEAVES)}],
        "usage": {"prompt_tokens": draw(LEAVES), "completion_tokens": draw(LEAVES)},
    }


@given(st.text() | (ANY_JSON | completions()).map(json.dumps))
def test_any_response_is_a_completion_or_a_fault(response: str) -> None:
    try:
        found = read_completion(response)
    except Fault as fault:
        assert fault.may_cost and fault.body == response
        assert "\n" not in str(fault)
        return
    (found.text + found.finish).encode()  # can be written
    for count in (found.input_tokens, found.output_tokens):
        assert count is None or count >= 0


def test_deeply_nested_json_is_a_fault() -> None:
    with pytest.raises(Fault):
        read_completion("[" * 200_000)


@given(st.text())
def test_a_text_arrives_word_for_word(text: str) -> None:
    response = json.dumps({"choices": [{"message": {"content": text}}]})
    assert read_completion(response).text == text


@given(st.integers(100, 599), st.text())
def test_any_status_is_a_fault_of_one_line(status: int, text: str) -> None:
    fault = fault_of_status(status, {}, text)
    assert "\n" not in str(fault) and len(str(fault)) < 350
    assert fault.may_cost is (status in (408, 504, 524))


def test_the_message_of_an_error_is_found_where_servers_put_it() -> None:
    said = [
        '{"error": {"message": "a  b\\n c"}}',
        '{"error": "a b c"}',
        '{"message": "a b c"}',
        '{"detail": "a b c"}',
        "a b\nc",
    ]
    assert {summary(text) for text in said} == {"a b c"}
    assert one_line("x" * 1000).endswith("...")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after": email.utils.formatdate(1_000_007, usegmt=True)}, 7.0),
        ({"retry-after": email.utils.formatdate(999_000, usegmt=True)}, 0.0),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after(headers, now=1_000_000.0) == seconds


@given(st.text())
def test_no_retry_after_breaks_anything(text: str) -> None:
    found = retry_after({"retry-after": text}, now=0.0)
    assert found is None or found >= 0


def request(**changes: Any) -> Request:
    values: dict[str, Any] = {
        "conversation": "a",
        "turn": 0,
        "model": "m",
        "messages": (Message("system", "s"), Message("user", "u")),
        "temperature": 0.8,
        "reply_tokens": 100,
        "top_p": None,
        "extra": {},
        "schema": None,
        "picture": None,
    }
    return Request(**values | changes)


def test_the_key_tells_all_requests_apart() -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"conversation": "b"},
        {"turn": 1},
        {"model": "n"},
        {"messages": (Message("system", "s"), Message("user", "v"))},
        {"messages": (Message("user", "s"), Message("user", "u"))},
        {"temperature": 0.7},
        {"reply_tokens": 101},
        {"top_p": 0.9},
        {"extra": {"seed": 1}},
        {"schema": "{}"},
        {"picture": b"x"},
        {"picture": b"y"},
    ]
    assert len({request(**change).key for change in changes}) == len(changes)
    forth, back = {"a": 1, "b": 2}, {"b": 2, "a": 1}
    assert request(extra=forth).key == request(extra=back).key


def test_a_key_is_the_same_for_ever() -> None:
    # A change here makes every journal worthless: raise the journal's version with it.
    assert request().key.hex() == "fc7c8b49a28f5c5dbff383ca6d14b58b"


@given(st.lists(st.text(), min_size=1))
def test_no_text_has_more_tokens_than_thought(texts: list[str]) -> None:
    messages = tuple(Message("user", text) for text in texts)
    most = request(messages=messages).most_tokens(picture_tokens=0)
    assert most >= sum(len(text.encode()) for text in texts)


def test_what_a_refusal_teaches() -> None:
    first = Dialect(structured=True)
    plain = first.taught("Invalid parameter: response_format", may_drop_schema=True)
    assert plain == Dialect(structured=False)
    assert first.taught("Invalid parameter: response_format", may_drop_schema=False) is None
    assert first.taught("prompt is too long", may_drop_schema=True) is None
    renamed = first.taught("use max_completion_tokens", may_drop_schema=True)
    assert renamed == Dialect(structured=True, limit="max_completion_tokens")
    assert renamed.taught("use max_completion_tokens", may_drop_schema=True) is None


def test_extra_keys_join_and_never_replace() -> None:
    sent = json.loads(body(request(extra={"seed": 3, "max_tokens": 9}), Dialect(structured=True)))
    assert (sent["seed"], sent["max_tokens"]) == (3, 100)
