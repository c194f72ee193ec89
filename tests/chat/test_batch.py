"""The batch interface against a loopback server that has it."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import pytest

from chat.conftest import Ask
from chat.letting_go import lets_go_of_its_journal
from chat.server import Misbehaviour, Server
from chat.talks import SCHEMA, talk, talks
from lskd.chat import batch
from lskd.chat.batch import BatchTeacher
from lskd.chat.budget import Limits
from lskd.chat.conversation import opening, request
from lskd.chat.journal import Journal
from lskd.chat.ledger import Answer, Leased, LocalLedger, Refused, local_ledger
from lskd.chat.paid import Charge, InBatch, Paid
from lskd.chat.teacher import ChatTeacher
from lskd.errors import BudgetReached, EndpointError, UserError
from lskd.protocols import Teacher
from lskd.types import Reply

BatchAsk = Callable[..., BatchTeacher]


@pytest.fixture
def batcher(server: Server, journal: Journal) -> Iterator[BatchAsk]:
    made: list[BatchTeacher] = []

    def make(**settings: object) -> BatchTeacher:
        chosen: dict[str, Any] = {"model": "m", "base_url": server.base_url, "poll": 0.01}
        made.append(BatchTeacher(journal, **chosen | {"backoff": 0.01} | settings))
        return made[-1]

    yield make
    for one in made:
        one.close()


def texts(held: list[tuple[Reply, ...]]) -> list[list[tuple[str, str]]]:
    return [[(reply.id, reply.text) for reply in replies] for replies in held]


def test_a_batch_teacher_is_a_teacher(batcher: BatchAsk) -> None:
    assert isinstance(batcher(), Teacher)


def test_a_turn_is_a_batch_and_the_replies_are_those_of_single_calls(
    batcher: BatchAsk, teacher: Ask, server: Server, tmp_path: Path
) -> None:
    by_batch = batcher().converse([*talks(5, turns=3), *talks(0), talk("short")])
    assert (server.tally().batches, server.tally().calls) == (3, 16)
    with Journal(tmp_path / "other.sqlite") as other:
        asker = type(teacher())(other, model="m", base_url=server.base_url)
        assert texts(asker.converse([*talks(5, turns=3), talk("short")])) == texts(by_batch)
        asker.close()


def test_batch_and_single_calls_share_the_journal(
    batcher: BatchAsk, teacher: Ask, server: Server
) -> None:
    first = teacher().converse(talks(3, turns=2))
    assert batcher().converse(talks(3, turns=2)) == first
    assert (server.tally().batches, server.tally().calls) == (0, 6)


def test_a_batch_costs_half(batcher: BatchAsk, server: Server, journal: Journal) -> None:
    batcher(input_price=2.0, output_price=8.0).converse(talks(4))
    tally = server.tally()
    full = (2 * tally.billed_input + 8 * tally.billed_output) / 1e6
    assert journal.spent().price == pytest.approx(full / 2)
    assert journal.spent().unanswered == 0


def test_files_are_no_larger_than_allowed(batcher: BatchAsk, server: Server) -> None:
    held = batcher(batch_requests=4).converse(talks(10))
    assert server.tally().batches == 3
    held += batcher(batch_bytes=1000).converse([talk(f"b{k}") for k in range(10)])
    assert 3 + 3 < server.tally().batches <= 3 + 10
    assert all(reply.error is None for (reply,) in held)
    assert max(server.tally().requests.values()) == 1


def test_faults_of_single_requests_are_told_apart(
    batcher: BatchAsk, server: Server, journal: Journal
) -> None:
    server.misbehave(
        Misbehaviour(status=400, body='{"error": {"message": "too long"}}', about="c0,"),
        Misbehaviour(status=500, about="c1,"),
        Misbehaviour(status=410, about="c2,"),  # expired
        Misbehaviour(status=500, about="c3,", times=99),
    )
    held = batcher(retries=2).converse(talks(5, turns=2))
    errors = [[reply.error for reply in replies] for replies in held]
    assert errors == [
        ["HTTP 400: too long"],
        [None, None],
        [None, None],
        ["HTTP 500: out of order"],
        [None, None],
    ]
    assert (journal.spent().calls, journal.spent().unanswered) == (6, 0)
    assert journal.batches() == []


def test_a_refused_schema_is_left_out_of_the_next_batch(batcher: BatchAsk, server: Server) -> None:
    body = '{"error": {"message": "response_format is not supported"}}'
    server.misbehave(Misbehaviour(status=400, body=body, about='"response_format"', times=99))
    held = batcher().converse([talk(f"c{k}", schema=SCHEMA) for k in range(3)])
    assert all("Question:" in reply.text for (reply,) in held)
    assert server.tally().batches == 2


def test_a_refused_key_within_a_batch_ends_the_run(
    batcher: BatchAsk, server: Server, journal: Journal
) -> None:
    server.misbehave(Misbehaviour(status=401, about="messages", times=99))
    with pytest.raises(EndpointError, match="HTTP 401"):
        batcher().converse(talks(3))
    assert (journal.batches(), journal.spent().unanswered) == ([], 0)


def test_the_budget_holds_for_batches(batcher: BatchAsk, server: Server, journal: Journal) -> None:
    with pytest.raises(BudgetReached):
        batcher(max_tokens=5000).converse(talks(100, turns=2))
    tally = server.tally()
    assert 2500 < tally.billed_input + tally.billed_output <= 5000
    assert tally.batches > 1  # what the first ones left was used
    assert journal.spent().calls == tally.calls


def test_a_request_that_had_to_wait_for_money_has_all_its_tries_left(
    batcher: BatchAsk, server: Server, journal: Journal
) -> None:
    ledger = local_ledger(journal)
    most, limits = Charge(4000, 1000, None), Limits("another endpoint")
    other = asyncio.run(ledger.claim(b"of another teacher", most, limits))
    assert isinstance(other, Leased)
    server.misbehave(Misbehaviour(status=500, about="c0,"))
    asker = batcher(max_tokens=5100, retries=1)
    with ThreadPoolExecutor(1) as threads:
        held = threads.submit(asker.converse, talks(1))
        time.sleep(0.5)  # fifty looks at the budget
        assert not held.done()
        asyncio.run(ledger.withdraw(other.call))
        ((reply,),) = held.result()
    assert reply.error is None and server.tally().batches == 2


def test_a_batch_whose_making_was_cut_off_is_found_again(batcher: BatchAsk, server: Server) -> None:
    batcher().converse([talk(f"before-{k}") for k in range(5)])
    batcher(batch_requests=1).converse([talk(f"more-{k}") for k in range(3)])
    held = batcher().converse([talk("x", text="cut-the-answer")])
    assert held[0][0].error is None
    assert server.tally().batches == 5
    assert max(server.tally().requests.values()) == 1


def test_a_request_that_failed_in_a_batch_holds_no_journal_open(
    server: Server, tmp_path: Path
) -> None:
    server.misbehave(Misbehaviour(status=400, about="c0,"))
    lets_go_of_its_journal(
        lambda journal: BatchTeacher(journal, model="m", base_url=server.base_url, poll=0.01),
        tmp_path / "j.sqlite",
        talks(1),
    )


def test_two_threads_submit_a_request_once(batcher: BatchAsk, server: Server) -> None:
    asker = batcher()
    with ThreadPoolExecutor(3) as threads:
        held = list(threads.map(asker.converse, [talks(6), talks(4), talks(6)]))
    assert held[0] == held[2] and held[0][:4] == held[1]
    assert max(server.tally().requests.values()) == 1


@pytest.mark.parametrize("status", [400, 500])
def test_a_server_that_takes_no_files_ends_the_run(
    batcher: BatchAsk, server: Server, journal: Journal, status: int
) -> None:
    fault = Misbehaviour(status=status, body="no room", about="upload of a file", times=3)
    server.misbehave(fault)
    asker = batcher(retries=2)
    with pytest.raises(EndpointError, match=f"refuses batches: HTTP {status}: no room"):
        asker.converse(talks(3))
    server.misbehave()
    assert all(reply.error is None for (reply,) in asker.converse(talks(3)))
    assert (journal.spent().calls, journal.spent().unanswered) == (3, 0)


WAIT = """
import sys, pathlib
from lskd.chat.journal import Journal
from lskd.chat import batch
from lskd.chat.batch import BatchTeacher
from chat.talks import talks
journal = Journal(pathlib.Path(sys.argv[2]))
BatchTeacher(journal, model="m", base_url=sys.argv[1], poll=0.05).converse(talks(6, turns=2))
"""


def kill_while_it_waits(server: Server, path: Path) -> None:
    """Run until six calls have been sent in a batch, and kill that process."""
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, sys.path)])
    run = subprocess.Popen(
        [sys.executable, "-c", WAIT, server.base_url, str(path)],
        env=os.environ | {"PYTHONPATH": paths},
    )
    while server.tally().batches == 0:
        time.sleep(0.02)
    time.sleep(0.2)
    run.send_signal(signal.SIGKILL)
    run.wait()


def test_a_run_killed_while_it_waits_submits_nothing_twice(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Server(batch_seconds=3.0) as server:
        kill_while_it_waits(server, path)
        with Journal(path) as journal:
            assert journal.spent().unanswered == 0  # the batch goes on without us
            asker = BatchTeacher(journal, model="m", base_url=server.base_url, poll=0.05)
            # Asked in another company, the calls are still found in the batch that holds them.
            held = asker.converse(talks(3, turns=1))
            held += asker.converse(talks(6, turns=2)[3:])
            asker.close()
            assert all(reply.error is None for replies in held for reply in replies)
            assert journal.batches() == []
            assert journal.spent().calls == server.tally().calls == 6 + 3
        assert (server.tally().batches, max(server.tally().requests.values())) == (2, 1)


@pytest.mark.parametrize("what", ["files", "batches"])
def test_a_batch_that_the_server_knows_no_more_is_bought_again_only_if_that_is_wanted(
    tmp_path: Path, what: Literal["files", "batches"]
) -> None:
    path = tmp_path / "journal.sqlite"
    with Server(batch_seconds=3.0) as server:
        kill_while_it_waits(server, path)
        server.complete_batches()
        server.forget(what)
        with Journal(path) as journal:
            asker = BatchTeacher(journal, model="m", base_url=server.base_url, poll=0.05)
            with pytest.raises(UserError, match=r"batch-0, which holds 6 calls, .* buy_again = tr"):
                asker.converse(talks(6))
            asker.close()
            (batch,) = journal.batches()  # it is kept: with another key it may yet be fetched
            assert (len(batch.calls), server.tally().calls) == (6, 6)
            again = BatchTeacher(
                journal, model="m", base_url=server.base_url, poll=0.05, buy_again=True
            )
            held = again.converse(talks(6))
            again.close()
            assert all(reply.error is None for (reply,) in held)
            assert journal.batches() == []
            spent = journal.spent()
            assert (spent.calls, spent.unanswered) == (6, 6)  # what was paid for is still counted
            assert server.tally().calls == 12


@pytest.mark.timeout(60)
@pytest.mark.parametrize("still_asked", [0, 2])
def test_calls_of_a_batch_that_nobody_asks_any_more_give_no_money_back(
    tmp_path: Path, still_asked: int
) -> None:
    path = tmp_path / "journal.sqlite"
    with Server(batch_seconds=1.0) as server:
        kill_while_it_waits(server, path)
        with Journal(path) as journal:
            totals = journal.totals
            spent = totals.input_tokens + totals.output_tokens
            settings: dict[str, Any] = {"poll": 0.05, "max_tokens": spent}
            asker = BatchTeacher(journal, model="m", base_url=server.base_url, **settings)
            # What was changed in the run file since is another request.
            others = [talk(f"changed-{k}") for k in range(9)]
            with pytest.raises(BudgetReached):
                asker.converse(talks(still_asked) + others)
            asker.close()
            (batch,) = journal.batches()
            assert len(batch.calls) == 6 - still_asked


class OneIsFaster(LocalLedger):
    """A ledger by which who was refused asks again once somebody waits for a batch."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(journal)
        self.refused = threading.Event()
        self._expected = threading.Event()
        self._again: bytes | None = None

    async def find(self, key: bytes) -> Paid | None:
        if key == self._again:
            assert await asyncio.to_thread(self._expected.wait, 30)
        return await super().find(key)

    async def claim(self, key: bytes, most: Charge, limits: Limits) -> Answer:
        answer = await super().claim(key, most, limits)
        if isinstance(answer, Refused):
            self._again = key
            self.refused.set()
        return answer

    async def expect(self, calls: Sequence[int]) -> None:
        await super().expect(calls)
        self._expected.set()


@pytest.mark.timeout(60)
def test_who_is_faster_after_a_restart_than_who_waits_for_a_batch_gets_its_money_all_the_same(
    tmp_path: Path,
) -> None:
    path = tmp_path / "journal.sqlite"
    with Server(batch_seconds=2.0) as server:
        kill_while_it_waits(server, path)
        with Journal(path) as journal, ThreadPoolExecutor(1) as threads:
            spent = journal.totals.input_tokens + journal.totals.output_tokens
            settings: dict[str, Any] = {"poll": 0.05, "max_tokens": spent}
            ledger = OneIsFaster(journal)
            asker = BatchTeacher(ledger, model="m", base_url=server.base_url, **settings)
            faster = threads.submit(asker.converse, [talk("other")])
            assert ledger.refused.wait(30)
            held = asker.converse(talks(6)) + faster.result()
            asker.close()
            assert all(reply.error is None for (reply,) in held)


def begun(journal: Journal, asker: BatchTeacher, token: str, *names: str) -> int:
    """Note calls as about to be sent in a batch, and return its number."""
    calls = []
    for name in names:
        asked = request(talk(name), opening(talk(name)), 0, asker.endpoint)
        call = journal.ask(asked.key, Charge(1, 1, None), lambda totals: True)
        assert call is not None
        calls.append(call)
    return journal.begin_batch(calls, token)


def in_batch(journal: Journal, asker: BatchTeacher, *names: str) -> None:
    """Note calls as sent in a batch that is not answered yet."""
    journal.name_batch(begun(journal, asker, "a token", *names), "batch_7")


def test_calls_in_an_open_batch_are_not_bought_one_by_one_unless_that_is_wanted(
    server: Server, journal: Journal, batcher: BatchAsk, teacher: Ask
) -> None:
    in_batch(journal, batcher(), "a", "b")
    assert teacher().converse([talk("c")])[0][0].error is None  # in no batch
    with pytest.raises(UserError, match=r"batch_7 holds 2 calls .*BatchTeacher.* buy_again"):
        teacher().converse([talk("a"), talk("b")])
    assert server.tally().calls == 1
    assert teacher(buy_again=True).converse([talk("a")])[0][0].error is None
    assert server.tally().calls == 2
    (batch,) = journal.batches()
    assert len(batch.calls) == 2  # both are counted until the batch is settled


@pytest.mark.parametrize("kind", [ChatTeacher, BatchTeacher])
def test_calls_in_an_open_batch_of_a_parent_are_not_bought_by_its_child(
    server: Server,
    journal: Journal,
    batcher: BatchAsk,
    tmp_path: Path,
    kind: type[ChatTeacher] | type[BatchTeacher],
) -> None:
    in_batch(journal, batcher(), "a")
    with Journal(tmp_path / "child.sqlite", [journal.path]) as child:
        asker = kind(child, model="m", base_url=server.base_url)
        with pytest.raises(UserError, match=rf"batch_7 of {journal.path} holds 1 call"):
            asker.converse([talk("a")])
        asker.close()
        again = kind(child, model="m", base_url=server.base_url, buy_again=True)
        assert server.tally().calls == server.tally().batches == 0
        assert again.converse([talk("a")])[0][0].error is None
        again.close()


def test_a_call_that_another_teacher_has_just_sent_in_a_batch_is_not_granted(
    journal: Journal,
) -> None:
    ledger = local_ledger(journal)
    most, limits = Charge(1, 1, None), Limits("one endpoint")
    first = asyncio.run(ledger.claim(b"k", most, limits))
    assert isinstance(first, Leased)
    asyncio.run(ledger.begin_batch([first.call], "token"))
    # Who asked for the open batches before that would else buy it now.
    assert asyncio.run(ledger.claim(b"k", most, limits)) == InBatch("", "", 1)
    asyncio.run(ledger.withdraw(first.call))
    assert isinstance(asyncio.run(ledger.claim(b"k", most, limits)), Leased)


def test_a_batch_that_was_noted_but_never_made_is_made(
    server: Server, journal: Journal, batcher: BatchAsk
) -> None:
    # What a process leaves that is killed between its note and the server's answer.
    asker = batcher()
    begun(journal, asker, "a token that no batch has", "a")
    held = asker.converse([talk("a")])
    assert held[0][0].error is None
    assert journal.batches() == []
    assert (journal.spent().unanswered, server.tally().batches) == (0, 1)


def test_a_batch_that_another_server_may_have_is_not_bought_here_unless_that_is_wanted(
    server: Server, journal: Journal, batcher: BatchAsk
) -> None:
    # Killed before it heard the batch's name, and continued with another base_url.
    asker = batcher()
    begun(journal, asker, f"{'0' * 32}-{batch.server('https://other.example/v1')}", "a")
    with pytest.raises(UserError, match=r"was sent to another base_url.*set buy_again = true"):
        asker.converse([talk("a")])
    assert server.tally().batches == 0
    assert batcher(buy_again=True).converse([talk("a")])[0][0].error is None
    assert server.tally().batches == 1 and journal.spent().unanswered == 1


@pytest.mark.parametrize("wrong", [{"poll": 0}, {"discount": -1}, {"batch_requests": 0}])
def test_a_wrong_setting_is_told(journal: Journal, wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=next(iter(wrong))):
        BatchTeacher(journal, model="m", base_url="http://localhost/v1", **wrong)
