"""Settings of an endpoint: what is checked, and how its key is kept."""

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lskd.chat.batch import BatchTeacher
from lskd.chat.budget import Budget
from lskd.chat.endpoint import Endpoint, Key, read_endpoint, read_key
from lskd.chat.teacher import ChatTeacher
from lskd.errors import UserError


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "model is missing"),
        ({"model": ""}, "model = ''"),
        ({"model": "m", "modle": 1}, "no key 'modle'; keys: model, base_url"),
        ({"model": "m", "base_url": "localhost:8000"}, "write it as http://host:port/v1"),
        ({"model": "m", "timeout": 0}, "timeout = 0: input should be greater than 0"),
        ({"model": "m", "timeout": float("inf")}, "finite"),
        ({"model": "m", "concurrency": 1.5}, "concurrency = 1.5"),
        ({"model": "m", "requests_per_minute": 0}, "requests_per_minute = 0: input should be"),
        ({"model": "m", "tokens_per_minute": -1}, "tokens_per_minute = -1: input should be"),
        ({"model": "m", "structured": "maybe"}, "'auto', 'always' or 'never'"),
        ({"model": "m", "max_price": 1}, "max_price needs input_price and output_price"),
        ({"model": "m", "input_price": 1}, "input_price and output_price go together"),
        ({"model": "m", "extra_body": {"stream": True}}, "stream cannot be set here"),
        ({"model": "m", "extra_body": {"max_tokens": 9}}, "max_tokens cannot be set here: the"),
        (
            {"model": "m", "extra_body": {"max_completion_tokens": 9, "n": 2}},
            "max_completion_tokens, n cannot be set here: the stage's reply_tokens says how long",
        ),
        ({"model": "m", "timeout": -1, "retries": -1}, "timeout = -1: input should be"),
        ({"model": "m", "timeout": -1, "retries": -1}, "retries = -1: input should be"),
    ],
)
def test_a_wrong_setting_is_told_in_one_line(settings: dict[str, object], said: str) -> None:
    with pytest.raises(UserError) as raised:
        read_endpoint(settings, "ChatTeacher")
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"model": "m", "base_url": "https://me:sk-secret@host/v1"},
        {"model": "m", "base_url": "https://host/v1?key=sk-secret"},
        {"model": "m", "key_env": "sk-secret"},
        {"model": "m", "api_key": "sk-secret"},
    ],
)
def test_a_key_in_the_wrong_place_is_refused_and_not_repeated(settings: dict[str, object]) -> None:
    with pytest.raises(UserError) as raised:
        read_endpoint(settings, "ChatTeacher")
    assert "sk-secret" not in str(raised.value)


def test_a_base_url_loses_what_is_too_much() -> None:
    for given_url in ("http://h:1/v1/", "http://h:1/v1", "http://h:1/v1/chat/completions"):
        assert Endpoint(model="m", base_url=given_url).base_url == "http://h:1/v1"


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("[::1]", True),
        ("192.168.0.7", False),
        ("api.openai.com", False),
        ("localhost.example.com", False),
        ("127.0.0.1.example.com", False),
    ],
)
def test_only_this_machine_needs_no_key(
    host: str, loopback: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    endpoint = Endpoint(model="m", base_url=f"http://{host}:8000/v1")
    if loopback:
        assert read_key(endpoint).headers() == {}
    else:
        with pytest.raises(UserError, match="set the environment variable OPENAI_API_KEY"):
            read_key(endpoint)


def test_a_server_elsewhere_that_wants_no_key_is_told_so() -> None:
    endpoint = Endpoint(model="m", base_url="http://192.168.0.7:8000/v1", key_env="")
    assert read_key(endpoint).headers() == {}


def test_a_key_with_a_line_break_inside_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-one\nsk-two")
    with pytest.raises(UserError, match="characters that no key has") as raised:
        read_key(Endpoint(model="m"))
    assert "sk-one" not in str(raised.value)


@given(st.text("abcXYZ-_", min_size=8), st.text(), st.text())
def test_a_key_never_shows(secret: str, before: str, after: str) -> None:
    key = Key(secret, "NAME")
    assert secret not in repr(key)
    assert secret not in key.hide(before + secret + after).replace("[key]", "")


@pytest.mark.parametrize("placeholder", ["x", "none", "token", ""])
def test_a_placeholder_for_a_key_changes_no_reply(placeholder: str) -> None:
    said = '{"prompt_tokens": 3, "text": "none of six boxes"}'
    assert Key(placeholder, "NAME").hide(said) == said


def test_prices_are_for_a_million_tokens() -> None:
    endpoint = Endpoint(model="m", input_price=2.5, output_price=10)
    assert Budget(endpoint).price(1_000_000, 100_000) == pytest.approx(3.5)
    assert Budget(endpoint, share=0.5).price(1_000_000, 100_000) == pytest.approx(1.75)
    assert Budget(Endpoint(model="m")).price(1, 1) is None


@pytest.mark.parametrize("kind", [ChatTeacher, BatchTeacher])
def test_the_keys_of_a_run_file_can_be_read_off_the_constructor(kind: type) -> None:
    names = inspect.signature(kind).parameters
    assert {"journal", *Endpoint.model_fields} <= names.keys()
    with pytest.raises(TypeError, match="modle"):
        inspect.signature(kind).bind(journal=None, model="m", modle=1)
