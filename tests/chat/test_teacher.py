"""The teacher against a real server: what it says, and what it makes of every kind of fault."""

import dataclasses
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from chat.conftest import Ask
from chat.letting_go import lets_go_of_its_journal
from chat.server import Misbehaviour, Server
from chat.talks import SCHEMA, talk, talks
from faults.matrix import PROXY, pattern
from lskd.chat.journal import Journal
from lskd.chat.paid import spent_so_far
from lskd.chat.teacher import ChatTeacher
from lskd.errors import BudgetReached, EndpointError, UserError
from lskd.protocols import Teacher
from lskd.types import Message, Reply

SOUND = '{"choices": [{"message": {"content": "Fine."}, "finish_reason": "stop"}]}'


def timeless(held: list[tuple[Reply, ...]]) -> list[tuple[Reply, ...]]:
    return [tuple(dataclasses.replace(r, seconds=0.0) for r in replies) for replies in held]


def test_a_teacher_is_a_teacher(teacher: Ask) -> None:
    assert isinstance(teacher(), Teacher)


def test_each_turn_carries_all_before_it(teacher: Ask, server: Server) -> None:
    ((first, second, third),) = teacher().converse([talk(turns=3)])
    assert [first.id, second.id, third.id] == ["a-0", "a-1", "a-2"]
    assert first.messages == (
        Message("system", "You write questions."),
        Message("user", "a, turn 0: Write exactly 2 triples."),
    )
    assert second.messages == (
        *first.messages,
        Message("assistant", first.text),
        Message("user", "a, turn 1: Write exactly 2 triples."),
    )
    sent = [(m["role"], m["content"]) for m in server.tally().last["messages"]]
    assert sent == [(m.role, m.text) for m in third.messages]
    assert third.text.count("Question:") == 2
    assert (third.finish, third.error, third.image_id) == ("stop", None, "image-a")


def test_replies_come_in_the_order_of_the_conversations(teacher: Ask) -> None:
    held = teacher().converse(talks(30, turns=2))
    assert [[r.id for r in replies] for replies in held] == [
        [f"c{k}-0", f"c{k}-1"] for k in range(30)
    ]


def test_no_conversations_and_no_turns_give_no_replies(teacher: Ask) -> None:
    assert teacher().converse([]) == []
    assert teacher().converse([talk(turns=0)]) == [()]


def test_sampling_settings_and_limits_are_sent(teacher: Ask, server: Server) -> None:
    teacher(top_p=0.5, extra_body={"seed": 7}).converse([talk()])
    sent = server.tally().last
    assert (sent["temperature"], sent["max_tokens"]) == (0.8, 300)
    assert (sent["top_p"], sent["seed"], sent["model"]) == (0.5, 7, "m")
    assert "response_format" not in sent


def test_a_picture_goes_with_the_first_turn(teacher: Ask, server: Server, journal: Journal) -> None:
    teacher().converse([talk(turns=2, picture=b"\xff\xd8jpeg")])
    messages = server.tally().last["messages"]
    assert messages[1]["content"][1]["image_url"]["url"] == "data:image/jpeg;base64,/9hqcGVn"
    assert isinstance(messages[3]["content"], str)
    teacher().converse([talk(turns=2, picture=b"\xff\xd8other")])
    assert journal.spent().calls == 4  # another picture is another request


def test_tokens_and_price_are_the_servers(teacher: Ask, server: Server, journal: Journal) -> None:
    ((reply,),) = teacher(input_price=2.0, output_price=8.0).converse([talk()])
    tally = server.tally()
    assert (reply.input_tokens, reply.output_tokens) == (tally.billed_input, tally.billed_output)
    assert reply.price == pytest.approx((2 * tally.billed_input + 8 * tally.billed_output) / 1e6)
    assert journal.spent().price == reply.price


def test_a_reply_is_bought_once(teacher: Ask, server: Server) -> None:
    first = teacher().converse(talks(5, turns=2))
    again = teacher().converse(talks(5, turns=2))
    assert again == first  # the seconds too
    assert server.tally().calls == 10


def test_one_request_in_two_threads_is_bought_once(teacher: Ask, server: Server) -> None:
    server.reset(latency=0.1)
    asker, found = teacher(), []
    threads = [
        threading.Thread(target=lambda: found.append(asker.converse(talks(10)))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and all(one == found[0] for one in found)
    assert server.tally().calls == 10


def test_a_parents_replies_are_not_bought_again(server: Server, tmp_path: Path) -> None:
    settings = {"model": "m", "base_url": server.base_url}
    with Journal(tmp_path / "parent.sqlite") as parent:
        first = ChatTeacher(parent, **settings).converse(talks(4))
    with Journal(tmp_path / "own.sqlite", [tmp_path / "parent.sqlite"]) as own:
        assert ChatTeacher(own, **settings).converse(talks(5))[:4] == first
        assert own.spent().calls == 1
    assert server.tally().calls == 5


@pytest.mark.parametrize(
    "changed",
    [{"model": "other"}, {"top_p": 0.9}, {"extra_body": {"seed": 1}}],
    ids=lambda changed: next(iter(changed)),
)
def test_what_changes_a_reply_buys_a_new_one(
    teacher: Ask, server: Server, changed: dict[str, object]
) -> None:
    teacher().converse([talk()])
    teacher(**changed).converse([talk()])
    assert server.tally().calls == 2


def test_what_changes_no_reply_buys_nothing(teacher: Ask, server: Server) -> None:
    teacher().converse([talk()])
    teacher(concurrency=3, timeout=9, retries=1, max_tokens=10_000, input_price=1, output_price=1)
    teacher(concurrency=3, timeout=9, retries=1, max_tokens=10_000).converse([talk()])
    assert server.tally().calls == 1


TRANSIENT = {
    "429": Misbehaviour(status=429, times=3),
    "429 in seconds": Misbehaviour(status=429, headers={"Retry-After": "0.05"}, times=2),
    "429 at a past date": Misbehaviour(
        status=429, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, times=2
    ),
    "500": Misbehaviour(status=500, times=3),
    "502 in HTML": Misbehaviour(status=502, body="<html>Bad gateway</html>", times=2),
    "503": Misbehaviour(status=503, times=2),
    "408": Misbehaviour(status=408, times=2),
    "409": Misbehaviour(status=409, times=2),
    "time-out": Misbehaviour(hang=5.0),
    "cut before the response": Misbehaviour(cut="before", times=2),
    "cut within the body": Misbehaviour(cut="within", times=2),
    "invalid JSON": Misbehaviour(answer='{"choices": [', times=2),
    "no JSON at all": Misbehaviour(answer="queue is full", times=2),
    "not an object": Misbehaviour(answer="[1]", times=2),
    "no choices": Misbehaviour(answer='{"choices": []}', times=2),
    "an error with status 200": Misbehaviour(answer='{"error": {"message": "later"}}', times=2),
}


@pytest.mark.parametrize("fault", TRANSIENT.values(), ids=TRANSIENT.keys())
def test_a_passing_fault_is_outlived(teacher: Ask, server: Server, fault: Misbehaviour) -> None:
    server.misbehave(fault)
    held = teacher(timeout=2.0 if fault.hang else 30.0).converse(talks(4))
    assert all(reply.error is None for (reply,) in held)
    assert server.tally().calls == 4 + fault.times


def test_a_reply_may_be_paid_though_it_never_arrived(
    teacher: Ask, server: Server, journal: Journal
) -> None:
    server.misbehave(Misbehaviour(cut="within"), Misbehaviour(answer="{"), Misbehaviour(status=500))
    teacher().converse([talk()])
    assert (journal.spent().calls, journal.spent().unanswered) == (1, 2)


@pytest.mark.parametrize("status", [408, 504, 524])
def test_a_reply_that_a_gateway_did_not_wait_for_counts_in_the_budget(
    teacher: Ask, server: Server, journal: Journal, status: int
) -> None:
    server.misbehave(Misbehaviour(status=status, body="too slow", times=999))
    with pytest.raises(BudgetReached):
        teacher(max_tokens=3000, retries=99).converse(talks(3))
    calls = server.tally().calls
    assert 0 < calls <= 3000 // 300 and journal.spent().unanswered == calls


def test_retry_after_is_honoured_by_all(teacher: Ask, server: Server) -> None:
    server.misbehave(Misbehaviour(status=429, headers={"Retry-After": "1"}))
    teacher(concurrency=1).converse(talks(3))
    arrivals = server.tally().arrivals
    assert arrivals[1] - arrivals[0] >= 0.99
    assert len(arrivals) == 4


def test_endless_faults_become_an_error_and_others_go_on(teacher: Ask, server: Server) -> None:
    server.misbehave(Misbehaviour(status=500, times=99, about="c1,"))
    held = teacher(retries=2).converse(talks(3, turns=2))
    assert [len(replies) for replies in held] == [2, 1, 2]
    (failed,) = held[1]
    assert failed.error == "HTTP 500: out of order"
    assert (failed.text, failed.input_tokens, failed.price) == ("", None, None)
    assert server.tally().calls == 2 + 3 + 2


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refused_request_is_not_repeated(teacher: Ask, server: Server, status: int) -> None:
    body = '{"error": {"message": "too\\nlong"}}'
    server.misbehave(Misbehaviour(status=status, body=body, about="c0,", times=9))
    held = teacher().converse(talks(2))
    assert held[0][0].error == f"HTTP {status}: too long"
    assert held[1][0].error is None
    assert server.tally().calls == 2


def test_a_failed_request_is_asked_again_by_the_next_run(teacher: Ask, server: Server) -> None:
    server.misbehave(Misbehaviour(status=400))
    assert teacher().converse([talk()])[0][0].error is not None
    assert teacher().converse([talk()])[0][0].error is None


def test_settings_that_every_request_is_refused_for_end_the_run(
    teacher: Ask, server: Server
) -> None:
    body = '{"error": {"message": "temperature is not supported"}}'
    server.misbehave(Misbehaviour(status=400, body=body, times=999))
    with pytest.raises(EndpointError, match="temperature is not supported"):
        teacher(concurrency=4).converse(talks(100))
    assert server.tally().calls < 20


def answer(message: dict[str, object], finish: str = "stop") -> str:
    choice = {"message": message, "finish_reason": finish}
    return json.dumps({"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 4}})


def test_refusals_and_cut_replies_pass_through(teacher: Ask, server: Server) -> None:
    server.misbehave(
        Misbehaviour(answer=answer({"content": "I cannot help with that."}), about="c0,"),
        Misbehaviour(answer=answer({"content": None, "refusal": "No, sorry."}), about="c1,"),
        Misbehaviour(answer=answer({"content": "Question: Why"}, "length"), about="c2,"),
        Misbehaviour(answer=answer({"content": [{"type": "text", "text": "Yes"}]}), about="c3,"),
    )
    replies = [reply for (reply,) in teacher().converse(talks(4))]
    texts = ["I cannot help with that.", "No, sorry.", "Question: Why", "Yes"]
    assert [reply.text for reply in replies] == texts
    assert [reply.finish for reply in replies] == ["stop", "stop", "length", "stop"]
    assert all(reply.error is None for reply in replies)


def test_an_empty_reply_is_paid_and_ends_its_conversation(
    teacher: Ask, server: Server, journal: Journal
) -> None:
    server.misbehave(Misbehaviour(answer=answer({"content": ""}, "length")))
    ((reply,),) = teacher().converse([talk(turns=3)])
    assert reply.error == "the reply is empty (finish 'length')"
    assert reply.output_tokens == 4
    assert (journal.spent().calls, server.tally().calls) == (1, 1)


def test_half_a_surrogate_pair_in_a_reply_can_be_written(teacher: Ask, server: Server) -> None:
    server.misbehave(Misbehaviour(answer=answer({"content": "a \ud83d b"})))
    ((first, second),) = teacher().converse([talk(turns=2)])
    assert first.text == "a \N{REPLACEMENT CHARACTER} b"
    assert second.error is None


def test_structured_output_is_asked_for(teacher: Ask, server: Server) -> None:
    ((reply,),) = teacher().converse([talk(schema=SCHEMA)])
    sent = server.tally().last["response_format"]
    assert sent["type"] == "json_schema"
    assert sent["json_schema"]["schema"] == json.loads(SCHEMA)
    assert len(json.loads(reply.text)["triples"]) == 2


def test_a_schema_with_its_name_is_sent_as_it_is(teacher: Ask, server: Server) -> None:
    named = {"name": "triples", "strict": True, "schema": {"type": "object"}}
    teacher().converse([talk(schema=json.dumps(named))])
    assert server.tally().last["response_format"]["json_schema"] == named


def test_a_server_without_structured_output_is_asked_in_plain_text(
    teacher: Ask, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    body = '{"error": {"message": "response_format is not supported"}}'
    server.misbehave(Misbehaviour(status=400, body=body, about='"response_format"', times=99))
    held = teacher(concurrency=4).converse([talk(f"c{k}", schema=SCHEMA) for k in range(12)])
    assert all("Question:" in reply.text for (reply,) in held)
    assert server.tally().calls <= 12 + 4
    assert sum("takes no JSON schema" in record.message for record in caplog.records) == 1


def test_structured_always_does_not_fall_back(teacher: Ask, server: Server) -> None:
    body = '{"error": {"message": "response_format is not supported"}}'
    server.misbehave(Misbehaviour(status=400, body=body, about='"response_format"', times=99))
    ((reply,),) = teacher(structured="always").converse([talk(schema=SCHEMA)])
    assert reply.error == "HTTP 400: response_format is not supported"


def test_structured_never_sends_no_schema(teacher: Ask, server: Server) -> None:
    teacher(structured="never").converse([talk(schema=SCHEMA)])
    assert "response_format" not in server.tally().last


def test_a_server_that_calls_the_limit_otherwise_gets_its_word(
    teacher: Ask, server: Server
) -> None:
    body = '{"error": {"message": "Use \'max_completion_tokens\' instead of \'max_tokens\'."}}'
    server.misbehave(Misbehaviour(status=400, body=body, about='"max_tokens"', times=99))
    held = teacher().converse(talks(3))
    assert all(reply.error is None for (reply,) in held)
    assert server.tally().last["max_completion_tokens"] == 300


@pytest.mark.timeout(30)
@pytest.mark.parametrize("status", [401, 402, 403, 404])
def test_a_refused_key_or_unknown_model_is_said_at_once(
    teacher: Ask, server: Server, status: int
) -> None:
    server.misbehave(Misbehaviour(status=status, times=999))
    with pytest.raises(EndpointError) as raised:
        teacher(concurrency=8).converse(talks(100))
    said = str(raised.value)
    assert server.base_url in said and "'m'" in said and "OPENAI_API_KEY" in said
    assert f"HTTP {status}" in said and "\n" not in said
    assert server.tally().calls <= 8


def test_an_empty_account_is_no_rate_limit(teacher: Ask, server: Server) -> None:
    body = '{"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}'
    server.misbehave(Misbehaviour(status=429, body=body, times=999))
    with pytest.raises(EndpointError, match="exceeded your quota"):
        teacher().converse(talks(2))
    assert server.tally().calls <= 2


@pytest.mark.timeout(30)
@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 503, 504])
def test_a_pause_of_a_day_is_not_waited_for(teacher: Ask, server: Server, status: int) -> None:
    server.misbehave(Misbehaviour(status=status, headers={"Retry-After": "86400"}, times=999))
    with pytest.raises(EndpointError, match="asks to wait 86,400 seconds"):
        teacher().converse(talks(2))


def test_a_redirect_is_not_followed_with_the_key(teacher: Ask, server: Server) -> None:
    server.misbehave(Misbehaviour(status=301, headers={"Location": "http://elsewhere/"}))
    with pytest.raises(EndpointError, match="moved to http://elsewhere/"):
        teacher().converse([talk()])


@pytest.mark.timeout(30)
@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
def test_a_server_that_is_not_there_is_said_within_seconds(
    teacher: Ask, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # nobody else can have it, and nobody listens
        address = f"http://{host}:{held.getsockname()[1]}/v1"
        with pytest.raises(EndpointError) as raised:
            teacher(base_url=address, backoff=0.5).converse(talks(10))
    assert address in str(raised.value) and "cannot be reached" in str(raised.value)


@pytest.mark.parametrize(
    ("status", "said"),
    [(503, pattern(PROXY)), (407, "refuses to serve: the proxy .* answers HTTP 407")],
)
def test_what_a_proxy_refuses_was_never_sent_and_costs_nothing(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, status: int, said: str
) -> None:
    with refusing(status) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        asker = ChatTeacher(
            journal,
            model="m",
            base_url="https://api.example.org/v1",
            key_env="",
            backoff=0.01,
            patience=0.5,
            max_price=5.0,
            input_price=1.0,
            output_price=1.0,
        )
        with pytest.raises(EndpointError, match=said):
            asker.converse(talks(4))
        asker.close()
    assert journal.spent().calls == 0 and journal.spent().price in (None, 0)


def test_a_proxy_that_is_no_url_is_said_without_it(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "me:sk-secret@proxy:3128")
    asker = ChatTeacher(journal, model="m", base_url="https://api.example.org/v1", key_env="")
    with pytest.raises(EndpointError, match="HTTPS_PROXY") as raised:
        asker.converse(talks(1))
    asker.close()
    assert "sk-secret" not in str(raised.value)


@contextmanager
def refusing(status: int) -> Iterator[str]:
    """Serve a proxy that makes no tunnel; yield its address."""

    class Refusing(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            self.send_error(status)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as proxy:
        thread = threading.Thread(target=proxy.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{proxy.server_port}"
        finally:
            proxy.shutdown()
            thread.join()


def test_a_server_that_goes_down_ends_the_run_and_loses_nothing(
    journal: Journal, tmp_path: Path
) -> None:
    with Server(latency=0.05) as server:
        settings: dict[str, object] = {"model": "m", "base_url": server.base_url, "backoff": 0.05}
        settings |= {"patience": 1.0, "concurrency": 4}

        def stop_once_it_has_answered() -> None:
            while server.tally().calls < 12:  # at 4 at a time, some were answered
                time.sleep(0.02)
            server.stop()

        stop = threading.Thread(target=stop_once_it_has_answered)
        stop.start()
        with pytest.raises(EndpointError, match="cannot be reached"):
            ChatTeacher(journal, **settings).converse(talks(1000))
        stop.join()
        before = journal.spent().calls
        assert before > 0
        server.start()
        held = ChatTeacher(journal, **settings | {"concurrency": 64}).converse(talks(before + 20))
        assert all(reply.error is None for (reply,) in held)
        assert journal.spent().calls == before + 20
        # Those in flight as it went down, and those sent before that was noticed.
        assert journal.spent().unanswered <= 2 * 4


def test_a_server_that_comes_back_in_time_is_gone_on_with(journal: Journal) -> None:
    with Server(latency=0.05) as server:
        asker = ChatTeacher(
            journal, model="m", base_url=server.base_url, backoff=0.05, patience=30, concurrency=4
        )
        asker.converse(talks(1))
        server.stop()
        back = threading.Timer(0.7, server.start)
        back.start()
        held = asker.converse(talks(20))
        back.join()
        assert all(reply.error is None for (reply,) in held)


def test_a_teacher_that_gave_up_can_be_asked_again(teacher: Ask, server: Server) -> None:
    asker = teacher()
    server.misbehave(Misbehaviour(status=401, times=999))
    with pytest.raises(EndpointError):
        asker.converse(talks(3))
    server.misbehave()
    assert asker.converse([talk()])[0][0].error is None


def test_concurrency_never_passes_its_limit(teacher: Ask, server: Server) -> None:
    server.reset(latency=0.5)
    teacher(concurrency=7).converse(talks(15))
    assert server.tally().most_at_once == 7


def test_concurrency_falls_when_the_server_complains_and_recovers(
    teacher: Ask, server: Server
) -> None:
    asker = teacher(concurrency=16)
    server.reset(latency=0.05)
    server.misbehave(Misbehaviour(status=429, times=16))
    asker.converse(talks(16))
    server.reset(latency=0.05)
    asker.converse([talk(f"d{k}") for k in range(16)])
    assert server.tally().most_at_once <= 10  # 8, and a little more after 16 successes
    server.reset()
    asker.converse([talk(f"e{k}") for k in range(150)])
    server.reset(latency=0.5)
    asker.converse([talk(f"f{k}") for k in range(32)])
    assert server.tally().most_at_once == 16


def test_the_budget_in_tokens_is_never_overspent(
    teacher: Ask, server: Server, journal: Journal
) -> None:
    with pytest.raises(BudgetReached, match="max_tokens = 5000") as raised:
        teacher(max_tokens=5000).converse(talks(100, turns=2))
    tally, spent = server.tally(), journal.spent()
    assert tally.billed_input + tally.billed_output <= 5000
    assert spent.input_tokens + spent.output_tokens == tally.billed_input + tally.billed_output
    assert spent.calls == tally.calls > 10  # what could be bought was bought, and is kept
    assert raised.value.exit_code == 3 and "\n" not in str(raised.value)


def test_the_budget_in_money_is_used_up_but_not_overspent(
    teacher: Ask, server: Server, journal: Journal
) -> None:
    prices = {"input_price": 10.0, "output_price": 30.0}
    with pytest.raises(BudgetReached, match=r"max_price = 0\.1"):
        teacher(max_price=0.1, **prices).converse(talks(200))
    tally = server.tally()
    bill = (10.0 * tally.billed_input + 30.0 * tally.billed_output) / 1e6
    most_of_a_call = (10.0 * 300 + 30.0 * 300) / 1e6
    assert 0.1 - most_of_a_call <= bill <= 0.1
    assert journal.spent().price == pytest.approx(bill)


def test_the_budget_holds_over_restarts_and_can_be_raised(server: Server, tmp_path: Path) -> None:
    settings: dict[str, object] = {"model": "m", "base_url": server.base_url}
    for limit in (3000, 3000, 6000):
        with Journal(tmp_path / "journal.sqlite") as journal, pytest.raises(BudgetReached):
            ChatTeacher(journal, max_tokens=limit, **settings).converse(talks(100))
        assert server.tally().billed_input + server.tally().billed_output <= limit
    assert max(server.tally().requests.values()) == 1


def test_lost_replies_count_in_the_budget(teacher: Ask, server: Server) -> None:
    server.misbehave(Misbehaviour(cut="within", times=999))
    with pytest.raises(BudgetReached):
        teacher(max_tokens=3000, retries=99).converse(talks(3))
    assert server.tally().billed_input + server.tally().billed_output <= 3000


def test_replies_without_token_counts_count_at_the_most(teacher: Ask, server: Server) -> None:
    server.misbehave(Misbehaviour(answer=SOUND, times=999))
    with pytest.raises(BudgetReached):
        teacher(max_tokens=3000).converse(talks(100))
    assert 0 < server.tally().calls <= 3000 // 300


def test_unknown_tokens_are_none(teacher: Ask, server: Server, journal: Journal) -> None:
    server.misbehave(Misbehaviour(answer=SOUND))
    ((reply,),) = teacher(input_price=1.0, output_price=1.0).converse([talk()])
    assert (reply.input_tokens, reply.output_tokens, reply.price) == (None, None, None)
    assert journal.spent().uncounted == 1


def test_replies_of_before_the_prices_count_at_todays(teacher: Ask, journal: Journal) -> None:
    teacher().converse(talks(20))
    assert journal.spent().price is None
    with pytest.raises(BudgetReached):
        teacher(max_price=0.0005, input_price=1.0, output_price=1.0).converse([talk("new")])


def test_the_key_is_sent_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "sk-very-secret-0123456789"
    monkeypatch.setenv("LSKD_TEST_KEY", f" {secret}\n")
    caplog.set_level(logging.DEBUG)
    said = []
    with Server(key=secret) as server, Journal(tmp_path / "journal.sqlite") as journal:
        asker = ChatTeacher(
            journal, model="m", base_url=server.base_url, key_env="LSKD_TEST_KEY", backoff=0.01
        )
        echo = '{"error": {"message": "key {key} is wrong"}}'
        server.misbehave(
            Misbehaviour(status=400, body=echo, about="c0,"),
            Misbehaviour(answer=f'{{"note": "{secret}"}}', about="c1,"),
            Misbehaviour(answer=SOUND.replace("Fine", secret), about="c2,"),
        )
        held = asker.converse(talks(6))
        assert sum(reply.error is None for (reply,) in held) == 5  # the key opened the server
        said += [repr(held), repr(asker), repr(vars(asker)), repr(vars(vars(asker)["_client"]))]
        server.misbehave(Misbehaviour(status=401, body=echo, times=9))
        with pytest.raises(EndpointError, match=r"key \[key\] is wrong") as raised:
            asker.converse([talk("new")])
        said += [repr(entry.locals) for entry in raised.traceback[1:]]  # [0] is this function
        files = [file.read_bytes() for file in tmp_path.iterdir()]
        assert any(b"turn 0" in file for file in files)
        asker.close()
    files += [file.read_bytes() for file in tmp_path.iterdir()]
    assert not any(secret.encode() in file for file in files)
    assert secret not in caplog.text
    assert not any(secret in text for text in said)


def test_a_wrong_key_is_said_by_the_name_of_its_variable(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSKD_TEST_KEY", "sk-wrong-key")
    with Server(key="right") as server:
        asker = ChatTeacher(journal, model="m", base_url=server.base_url, key_env="LSKD_TEST_KEY")
        with pytest.raises(EndpointError, match="LSKD_TEST_KEY") as raised:
            asker.converse(talks(3))
    assert "sk-wrong-key" not in str(raised.value)
    assert raised.value.exit_code == 4


def test_a_damaged_journal_is_said_before_anything_is_asked(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(UserError, match="damaged or no journal"):
        Journal(tmp_path / "journal.sqlite")


def test_a_teacher_that_is_no_longer_used_leaves_no_thread(
    journal: Journal, server: Server
) -> None:
    before = set(threading.enumerate())
    asker = ChatTeacher(journal, model="m", base_url=server.base_url)
    asker.converse([talk()])
    (thread,) = set(threading.enumerate()) - before
    del asker
    assert not thread.is_alive()


def test_a_request_that_failed_holds_no_journal_open(server: Server, tmp_path: Path) -> None:
    server.misbehave(Misbehaviour(status=400))
    lets_go_of_its_journal(
        lambda journal: ChatTeacher(journal, model="m", base_url=server.base_url),
        tmp_path / "j.sqlite",
        [talk()],
    )


WAIT = """
import pathlib, sys
from chat.talks import talks
from lskd.chat.journal import Journal
from lskd.chat.paid import spent_so_far
from lskd.chat.teacher import ChatTeacher
with Journal(pathlib.Path(sys.argv[2])) as journal:
    ChatTeacher(journal, model="m", base_url=sys.argv[1], concurrency=4).converse(talks(500))
"""


def test_an_interrupt_waits_for_the_replies_in_flight(server: Server, tmp_path: Path) -> None:
    server.reset(latency=0.3)
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, sys.path)])
    run = subprocess.Popen(
        [sys.executable, "-c", WAIT, server.base_url, str(tmp_path / "j.sqlite")],
        env=os.environ | {"PYTHONPATH": paths},
        stderr=subprocess.PIPE,
        text=True,
    )
    while server.calls() < 6:
        time.sleep(0.01)
    run.send_signal(signal.SIGINT)
    _, said = run.communicate()
    assert run.returncode != 0
    assert "KeyboardInterrupt" in said and "waiting for the replies in flight" in said
    spent = spent_so_far(tmp_path / "j.sqlite")
    assert spent.unanswered == 0
    assert spent.calls == server.calls() < 500
