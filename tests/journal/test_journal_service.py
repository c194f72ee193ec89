"""The driver's journal as workers see it: kept before it is acknowledged, claimed once, shared."""

import asyncio
import dataclasses
import gc
import json
import logging
import os
import pickle
import re
import sqlite3
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import pytest

from chat.server import Server
from chat.talks import talk, talks
from faults.matrix import DRIVER_SILENT, SERVICE_GONE, pattern
from lskd.chat.batch import BatchTeacher
from lskd.chat.budget import Limits
from lskd.chat.conversation import opening, request
from lskd.chat.journal import Journal
from lskd.chat.ledger import Leased, Refused, Wait
from lskd.chat.paid import Charge, Paid, spent_so_far
from lskd.chat.teacher import ChatTeacher
from lskd.errors import BudgetReached, EndpointError, UserError
from lskd.journal.address import Address, service_address
from lskd.journal.messages import told_claim
from lskd.journal.segments import Segments
from lskd.journal.service import Service, serving
from lskd.journal.worker import RemoteLedger
from lskd.stage import Context

T = TypeVar("T")
MOST = Charge(100, 50, 0.5)
PAID = Paid('{"a": 1}', '{"b": "\\ud83d \u00e9"}', "stop", 60, 20, 0.2, 1.5)
OTHER = Paid('{"a": 1}', '{"b": "another"}', "stop", 61, 21, 0.3, 1.5)
LIMITS = Limits("a", concurrency=4, max_price=2.0)


def now(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def leased(ledger: RemoteLedger, key: bytes) -> int:
    answer = now(ledger.claim(key, MOST, LIMITS))
    assert isinstance(answer, Leased)
    return answer.call


def post(service: Service, name: str, told: dict[str, Any]) -> Any:
    """Tell the service something as one worker does, and return its answer."""
    headers = {"Authorization": f"Bearer {service.address.token}", "Worker": "w"}
    address = f"{service.address.url}/{name}"
    request = urllib.request.Request(address, json.dumps(told).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


@pytest.fixture
def service(request: pytest.FixtureRequest, journal: Journal) -> Iterator[Service]:
    """Serve the journal; a worker is given up after a second, or what a test's parameter says."""
    with serving(journal, silence=getattr(request, "param", 1.0)) as service:
        yield service


@pytest.fixture
def ledgers(service: Service, tmp_path: Path) -> Iterator[tuple[RemoteLedger, RemoteLedger]]:
    """Return two workers' ledgers."""
    pair = [RemoteLedger(service.address, tmp_path / "unsent", patience=30.0) for _ in range(2)]
    yield pair[0], pair[1]
    for ledger in pair:
        ledger.close()


Pair = tuple[RemoteLedger, RemoteLedger]


def test_what_is_acknowledged_is_in_the_drivers_file(ledgers: Pair, journal: Journal) -> None:
    one, other = ledgers
    assert now(one.find(b"k")) is None
    call = leased(one, b"k")
    assert spent_so_far(journal.path).unanswered == 1  # noted before it is paid for
    assert now(one.keep(call, b"k", PAID, MOST)) == PAID
    assert spent_so_far(journal.path).calls == 1
    assert now(other.find(b"k")) == PAID
    assert now(other.claim(b"k", MOST, LIMITS)) == PAID
    assert (one.totals.price, other.totals.price) == (0.2, 0.0)  # each tells what it bought


def test_two_workers_do_not_buy_one_reply_at_once(ledgers: Pair, journal: Journal) -> None:
    one, other = ledgers
    call = leased(one, b"k")
    waiting = now(other.claim(b"k", MOST, LIMITS))
    assert isinstance(waiting, Wait) and waiting.elsewhere
    now(one.withdraw(call))  # it was refused, say
    second = leased(other, b"k")
    now(other.lose(second, "no reply in time", ""))
    third = leased(one, b"k")
    now(one.keep(third, b"k", PAID, MOST))
    assert (journal.spent().calls, journal.spent().unanswered) == (1, 1)
    assert journal.in_flight == 0


def test_a_reply_that_is_told_twice_is_kept_and_charged_once(
    ledgers: Pair, journal: Journal
) -> None:
    one, _ = ledgers
    call = leased(one, b"k")
    for _ in range(3):
        assert now(one.keep(call, b"k", PAID, MOST)) == PAID
    assert journal.totals.price == pytest.approx(0.2)
    assert journal.spent().calls == 1


@pytest.mark.parametrize("service", [3.0], indirect=True)  # a busy machine beats late
def test_the_claims_of_a_silent_worker_expire_and_its_late_reply_is_charged_but_stands_back(
    ledgers: Pair, journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = ledgers
    call = leased(one, b"k")
    started = time.monotonic()
    time.sleep(4.0)
    assert isinstance(now(other.claim(b"k", MOST, LIMITS)), Wait)  # it beats: it is alive
    one.close()
    while not isinstance(answer := now(other.claim(b"k", MOST, LIMITS)), Leased):
        assert time.monotonic() - started < 60
        time.sleep(0.05)
    assert "fell silent with 1 paid call in flight" in caplog.text
    now(other.keep(answer.call, b"k", PAID, MOST))
    assert journal.totals.price == pytest.approx(0.2 + 0.5)  # it may have been paid
    # Now it turns out that it was, and for how much.
    assert now(other.keep(call, b"k", OTHER, MOST)) == PAID
    assert journal.totals.price == pytest.approx(0.2 + 0.3)
    assert (journal.spent().calls, journal.spent().unanswered) == (1, 1)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("service", [0.2], indirect=True)
def test_what_a_silent_worker_holds_is_given_up_once_the_journal_can_be_written_again(
    service: Service, journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(sqlite3.connect(journal.path, isolation_level=None)) as disk:
        disk.execute(
            "CREATE TRIGGER full BEFORE UPDATE ON unanswered BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
        asked = told_claim(1, b"k", MOST, LIMITS)
        assert post(service, "claim", asked)["leased"]
        while "what a silent worker holds is given up later" not in caplog.text:
            time.sleep(0.02)
        assert journal.in_flight == 1
        disk.execute("DROP TRIGGER full")
    while "fell silent with 1 paid call in flight" not in caplog.text:
        time.sleep(0.02)
    assert (journal.in_flight, journal.spent().unanswered) == (0, 1)


def test_a_claim_that_is_asked_again_gets_the_same_call_and_one_nobody_heard_of_is_forgotten(
    service: Service, journal: Journal
) -> None:
    claim = told_claim(1, b"k", MOST, LIMITS)
    first = post(service, "claim", claim)
    assert post(service, "claim", claim) == first and "leased" in first
    assert "wait" in post(service, "claim", told_claim(2, b"k", MOST, LIMITS))
    post(service, "alive", {"calls": [], "waiting": [1], "newest": 2})
    assert journal.in_flight == 1
    post(service, "alive", {"calls": [], "waiting": [], "newest": 2})
    assert journal.in_flight == 0 and journal.spent().unanswered == 0
    with pytest.raises(urllib.error.HTTPError, match="400"):
        post(service, "no-such-message", {})
    with pytest.raises(urllib.error.HTTPError, match="400"):
        post(service, "claim", {"ticket": 1})


def test_one_budget_and_one_concurrency_hold_for_all_workers(
    ledgers: Pair, journal: Journal
) -> None:
    one, other = ledgers
    calls = [leased(one, b"a"), leased(other, b"b"), leased(one, b"c"), leased(other, b"d")]

    def give_back() -> None:
        time.sleep(0.3)
        now(one.withdraw(calls[0]))

    thread = threading.Thread(target=give_back)
    started = time.monotonic()
    thread.start()
    fifth = leased(other, b"e")  # four at a time: it waits for a place
    assert time.monotonic() - started >= 0.29
    thread.join()
    for call in (calls[2], fifth):
        now(one.lose(call, "cut", ""))
    now(other.lose(calls[1], "cut", ""))
    now(other.lose(calls[3], "cut", ""))
    refused = now(one.claim(b"f", MOST, LIMITS))  # 4 x 0.5 may be spent of 2.0
    assert isinstance(refused, Refused) and refused.totals == journal.totals


def test_a_wrong_token_opens_nothing_and_the_right_one_is_written_nowhere(
    service: Service, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(EndpointError, match="refuses the token") as raised:
        RemoteLedger(Address(service.address.url, "guess"), tmp_path / "unsent")
    assert "guess" not in str(raised.value)
    ledger = RemoteLedger(service.address, tmp_path / "unsent")
    now(ledger.keep(leased(ledger, b"k"), b"k", PAID, MOST))
    ledger.close()
    token = service.address.token
    assert len(token) > 40 and token not in repr(service.address) + repr(vars(ledger))
    assert token not in caplog.text
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert files and not [file for file in files if token.encode() in file.read_bytes()]
    assert pickle.loads(pickle.dumps(service.address)) == service.address


def test_a_stage_finds_the_service_in_its_context_or_environment(
    service: Service, tmp_path: Path
) -> None:
    context = Context("generate", tmp_path / "g", 0, tmp_path / "own.sqlite", lambda: None)  # type: ignore[arg-type,return-value]
    theirs = dataclasses.replace(context, journal_service=service.address)
    os.environ["LSKD_UNSENT"] = str(tmp_path / "unsent")
    try:
        assert isinstance(theirs.journal, RemoteLedger) and theirs.waits
        theirs.journal.close()
    finally:
        del os.environ["LSKD_UNSENT"]
    assert isinstance(context.journal, Journal)
    context.journal.close()
    assert service_address({}) is None
    assert service_address(service.address.environment()) == service.address
    with pytest.raises(UserError, match="LSKD_JOURNAL_TOKEN is not"):
        service_address({"LSKD_JOURNAL": "http://h:1"})


def test_teachers_on_two_workers_buy_what_one_would_and_each_reply_once(
    server: Server, journal: Journal, ledgers: Pair, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"model": "m", "base_url": server.base_url, "backoff": 0.01}
    with Journal(tmp_path / "alone.sqlite") as alone:
        expected = ChatTeacher(alone, **settings).converse(talks(12, turns=2))
    server.reset(latency=0.05)
    teachers = [ChatTeacher(ledger, **settings, concurrency=5) for ledger in ledgers]
    with ThreadPoolExecutor(2) as threads:
        held = list(threads.map(lambda t: t.converse(talks(12, turns=2)), teachers))
    for found in held:
        timeless = [tuple(dataclasses.replace(r, seconds=0.0) for r in one) for one in found]
        assert timeless == [
            tuple(dataclasses.replace(r, seconds=0.0) for r in one) for one in expected
        ]
    tally = server.tally()
    assert tally.calls == len(tally.requests) == 24 == journal.spent().calls
    assert tally.most_at_once <= 5
    one, other = ledgers
    bought = one.totals.input_tokens + other.totals.input_tokens
    assert bought == journal.totals.input_tokens == tally.billed_input
    for teacher in teachers:
        teacher.close()


def test_workers_stop_at_one_budget(server: Server, journal: Journal, ledgers: Pair) -> None:
    settings: dict[str, Any] = {"model": "m", "base_url": server.base_url, "max_tokens": 4000}
    teachers = [ChatTeacher(ledger, **settings) for ledger in ledgers]

    def hold(number: int) -> str:
        with pytest.raises(BudgetReached) as raised:
            teachers[number].converse(talks(300)[number::2])
        return str(raised.value)

    with ThreadPoolExecutor(2) as threads:
        said = list(threads.map(hold, range(2)))
    assert all("max_tokens = 4000" in one for one in said)
    tally = server.tally()
    assert tally.billed_input + tally.billed_output <= 4000
    assert journal.spent().calls == tally.calls > 8
    for teacher in teachers:
        teacher.close()


def test_batches_go_through_the_service_too(
    server: Server, journal: Journal, ledgers: Pair
) -> None:
    settings: dict[str, Any] = {"model": "m", "base_url": server.base_url, "poll": 0.05}
    teacher = BatchTeacher(ledgers[0], **settings)
    held = teacher.converse(talks(5, turns=2))
    assert [len(replies) for replies in held] == [2] * 5
    again = BatchTeacher(ledgers[1], **settings)
    assert again.converse(talks(5, turns=2)) == held
    assert (server.tally().batches, journal.spent().calls, journal.in_flight) == (2, 10, 0)
    teacher.close()
    again.close()


def test_a_batch_of_before_may_give_money_back_once_a_worker_waits_for_it(
    journal: Journal, ledgers: Pair
) -> None:
    with Journal(journal.path) as before:
        call = before.ask(b"k", MOST, lambda totals: True)
        assert call is not None
        before.begin_batch([call], "token")
    (batch,) = now(ledgers[0].batches())
    assert (batch.calls, journal.in_flight) == ({b"k": call}, 0)
    now(ledgers[0].expect([call]))
    assert journal.in_flight == 1
    now(ledgers[0].lose(call, "no reply", ""))
    now(ledgers[1].expect([call]))  # too late
    assert journal.in_flight == 0


def test_a_worker_too_is_refused_the_calls_of_an_open_batch(
    server: Server, journal: Journal, ledgers: Pair
) -> None:
    settings: dict[str, Any] = {"model": "m", "base_url": server.base_url}
    teacher = ChatTeacher(ledgers[0], **settings)
    asked = request(talk("a"), opening(talk("a")), 0, teacher.endpoint)
    call = journal.ask(asked.key, MOST, lambda totals: True)
    assert call is not None
    journal.begin_batch([call], "token")
    with pytest.raises(UserError, match="a batch holds 1 call"):
        teacher.converse([talk("a")])
    assert server.tally().calls == 0
    teacher.close()


def asker(
    service: Service, server: Server, folder: Path, patience: float
) -> tuple[RemoteLedger, BatchTeacher]:
    """Return a worker's ledger, and a teacher that asks in batches and writes into it."""
    ledger = RemoteLedger(service.address, folder / "unsent", patience=patience)
    return ledger, BatchTeacher(ledger, model="m", base_url=server.base_url, poll=0.1)


def until_a_batch_is_made(journal: Journal) -> None:
    while not any(batch.name for batch in journal.batches()):
        time.sleep(0.02)


def test_a_batch_that_a_worker_waits_for_may_give_money_back_after_a_drivers_restart(
    tmp_path: Path,
) -> None:
    file, secret = tmp_path / "j.sqlite", "t" * 43
    with Server(batch_seconds=600.0) as server, ThreadPoolExecutor(1) as threads:
        with Journal(file) as journal, serving(journal, token=secret) as service:
            port = int(service.address.url.rpartition(":")[2])
            ledger, teacher = asker(service, server, tmp_path, 30.0)
            held = threads.submit(teacher.converse, talks(3))
            until_a_batch_is_made(journal)
        with Journal(file) as journal:
            assert journal.in_flight == 0
            with serving(journal, port=port, token=secret):
                while not held.done() and journal.in_flight < 3:
                    time.sleep(0.02)
                assert not held.done()
                server.complete_batches()
                assert all(reply.error is None for (reply,) in held.result())
                assert (journal.spent().calls, journal.in_flight) == (3, 0)
                teacher.close()
                ledger.close()


def test_a_driver_that_is_away_while_a_worker_only_waits_for_a_batch_ends_nothing(
    tmp_path: Path,
) -> None:
    file, secret = tmp_path / "j.sqlite", "t" * 43
    with Server(batch_seconds=3.0) as server, ThreadPoolExecutor(1) as threads:
        with Journal(file) as journal, serving(journal, token=secret) as service:
            port = int(service.address.url.rpartition(":")[2])
            ledger, teacher = asker(service, server, tmp_path, 0.3)
            held = threads.submit(teacher.converse, talks(3))
            until_a_batch_is_made(journal)
            time.sleep(0.3)  # until the worker has read that
        time.sleep(1.2)
        with Journal(file) as journal, serving(journal, port=port, token=secret):
            assert all(reply.error is None for (reply,) in held.result())
            teacher.close()
            ledger.close()


def test_a_stopping_service_grants_nothing_and_waits_for_what_is_in_flight(
    service: Service, ledgers: Pair, journal: Journal
) -> None:
    one, other = ledgers
    call = leased(one, b"k")
    assert service.drain(0.1) == 1
    with pytest.raises(UserError, match="the run is being stopped"):
        now(other.claim(b"n", MOST, LIMITS))
    now(one.keep(call, b"k", PAID, MOST))
    assert service.drain(5.0) == 0 and journal.spent().calls == 1


def test_a_journal_that_nobody_asks_through_is_closed(server: Server, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.sqlite")
    asker = ChatTeacher(journal, model="m", base_url=server.base_url)
    asker.converse(talks(1))
    reserve = tmp_path / "j.sqlite.reserve"
    del journal
    gc.collect()
    assert reserve.exists()  # the teacher still needs it
    asker.close()
    del asker
    gc.collect()
    assert not reserve.exists()


@pytest.mark.timeout(60)
def test_what_is_paid_is_published_while_the_service_lasts(
    journal: Journal, tmp_path: Path
) -> None:
    folder = tmp_path / "storage"
    with serving(journal, segments=folder, publish_every=0.01):
        call = journal.ask(b"k", MOST, lambda totals: True)
        assert call is not None
        journal.keep(call, b"k", PAID)
        while not list(folder.glob("replies-*")):
            time.sleep(0.01)
        with Journal(tmp_path / "new.sqlite") as new:
            assert Segments(new, folder).restore() == 1 and new.find(b"k") == PAID


@pytest.mark.timeout(60)
def test_a_shared_folder_that_fails_for_a_while_ends_no_publication(
    journal: Journal, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, link, share = tmp_path / "storage", tmp_path / "link", tmp_path / "share"
    share.mkdir()
    folder.symlink_to(share)
    with serving(journal, segments=folder, publish_every=0.01):
        link.symlink_to("x" * 300)  # no file can have that name: not even a look is answered
        link.replace(folder)
        while "; it is tried again" not in caplog.text:
            time.sleep(0.01)
        call = journal.ask(b"k", MOST, lambda totals: True)
        assert call is not None
        journal.keep(call, b"k", PAID)
        link.symlink_to(share)
        link.replace(folder)
        while not list(share.glob("replies-*")):
            time.sleep(0.01)


def test_a_port_that_is_taken_is_said_in_one_line(service: Service, tmp_path: Path) -> None:
    port = int(service.address.url.rpartition(":")[2])
    with (
        Journal(tmp_path / "b.sqlite") as other,
        pytest.raises(UserError, match=r"cannot listen at 127\.0\.0\.1:\d+: ") as raised,
        serving(other, port=port),
    ):
        pass
    assert "\n" not in str(raised.value)


def test_nothing_is_left_when_the_service_ends(journal: Journal, tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with serving(journal) as service:
        ledger = RemoteLedger(service.address, tmp_path / "unsent", patience=0.3)
        leased(ledger, b"k")
    assert journal.in_flight == 0 and journal.spent().unanswered == 1
    with pytest.raises(EndpointError, match="cannot be reached") as raised:
        now(ledger.claim(b"n", MOST, LIMITS))
    assert service.address.url in str(raised.value) and "\n" not in str(raised.value)
    ledger.close()
    gc.collect()
    assert set(threading.enumerate()) <= before


def test_replies_wait_in_a_file_for_the_next_contact(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    unsent = tmp_path / "unsent"
    with Journal(tmp_path / "j.sqlite") as journal:
        with serving(journal) as service:
            ledger = RemoteLedger(service.address, unsent, patience=0.3)
            calls = {key: leased(ledger, key) for key in (b"a", b"b")}
        for key, call in calls.items():
            with pytest.raises(
                EndpointError, match=r"[12] paid repl(y|ies) waits? in .*unsent"
            ) as e:
                now(ledger.keep(call, key, PAID, MOST))
        assert re.fullmatch(pattern(SERVICE_GONE), str(e.value))
        assert e.value.exit_code == SERVICE_GONE.exit_code
        ledger.close()
        assert len(list(unsent.iterdir())) == 2
        assert all(file.stat().st_mode & 0o077 == 0 for file in unsent.iterdir())
        (unsent / f"{journal.identity()}-0.json").write_text("{half")
    with Journal(tmp_path / "other.sqlite") as other, serving(other) as service:
        RemoteLedger(service.address, unsent).close()
        assert other.spent().calls == 0  # another run's are left alone
    with Journal(tmp_path / "j.sqlite") as journal, serving(journal) as service:
        assert journal.spent().unanswered == 2
        RemoteLedger(service.address, unsent).close()
        assert (journal.spent().calls, journal.spent().unanswered) == (2, 0)
        assert journal.find(b"a") == PAID and journal.totals.price == pytest.approx(0.4)
    assert len(list(unsent.iterdir())) == 1 and "stays where it is" in caplog.text
    assert "delivered 2 paid replies" in caplog.text


def test_what_waits_on_the_drivers_own_machine_is_taken_in_by_any_next_run(tmp_path: Path) -> None:
    file, unsent = tmp_path / "j.sqlite", tmp_path / "unsent"
    os.environ["LSKD_UNSENT"] = str(unsent)
    try:
        with Journal(file) as journal:
            with serving(journal) as service:
                ledger = RemoteLedger(service.address, patience=0.1)
                call = leased(ledger, b"a")
            with pytest.raises(EndpointError, match="1 paid reply waits"):
                now(ledger.keep(call, b"a", PAID, MOST))
            ledger.close()
        # On one machine now, without a service.
        context = Context("generate", tmp_path / "g", 0, file, lambda: None)  # type: ignore[arg-type,return-value]
        assert isinstance(context.journal, Journal) and context.journal.find(b"a") == PAID
        context.journal.close()
    finally:
        del os.environ["LSKD_UNSENT"]
    assert not list(unsent.iterdir()) and spent_so_far(file).unanswered == 0


def test_a_worker_that_ends_with_its_driver_waits_for_it_and_says_so_once(
    journal: Journal, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret, unsent = "t" * 43, tmp_path / "unsent"
    with serving(journal, token=secret) as service:
        port = int(service.address.url.rpartition(":")[2])
        ledger = RemoteLedger(service.address, unsent, patience=0.3, tied=True)
        call = leased(ledger, b"a")
    with ThreadPoolExecutor(2) as threads:
        kept = threads.submit(lambda: now(ledger.keep(call, b"a", PAID, MOST)))
        found = threads.submit(lambda: now(ledger.find(b"b")))
        time.sleep(1.0)
        assert not kept.done() and not found.done()
        with serving(journal, port=port, token=secret):
            assert kept.result(30) == PAID and found.result(30) is None
            ledger.close()
    assert journal.spent().calls == 1 and not list(unsent.iterdir())
    assert len(re.findall(pattern(DRIVER_SILENT), caplog.text)) == 1


def test_a_worker_that_never_had_contact_does_not_wait_for_ever(tmp_path: Path) -> None:
    nobody = Address("http://127.0.0.1:9", "t" * 43)
    with pytest.raises(EndpointError, match="cannot be reached"):
        RemoteLedger(nobody, tmp_path, patience=0.1, tied=True)


def test_only_an_executors_workers_are_tied_to_the_driver(service: Service, tmp_path: Path) -> None:
    def context(given: Address | None) -> Context:
        file = tmp_path / "j.sqlite"
        return Context("generate", tmp_path, 0, file, lambda: None, journal_service=given)  # type: ignore[arg-type,return-value]

    os.environ |= {"LSKD_UNSENT": str(tmp_path / "unsent"), **service.address.environment()}
    try:
        for given, tied in ((service.address, True), (None, False)):
            ledger = context(given).journal
            assert isinstance(ledger, RemoteLedger) and ledger.tied is tied
            ledger.close()
    finally:
        for name in ("LSKD_UNSENT", *service.address.environment()):
            del os.environ[name]


def test_a_call_that_no_minute_can_hold_is_told_by_its_setting(
    server: Server, journal: Journal
) -> None:
    settings: dict[str, Any] = {"model": "m", "base_url": server.base_url}
    teacher = ChatTeacher(journal, tokens_per_minute=100, **settings)
    with pytest.raises(UserError, match="tokens_per_minute = 100: one call may take") as raised:
        teacher.converse(talks(2))
    assert server.calls() == 0 and "\n" not in str(raised.value)
    teacher.close()


def test_a_worker_whose_disk_is_full_holds_its_reply_until_the_driver_answers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "unsent").write_text("a file where the folder should be")
    with Journal(tmp_path / "j.sqlite") as journal:
        with serving(journal, token="t" * 43) as service:
            port = int(service.address.url.rpartition(":")[2])
            ledger = RemoteLedger(service.address, tmp_path / "unsent", patience=30.0)
            call = leased(ledger, b"a")
        with ThreadPoolExecutor(1) as thread:
            kept = thread.submit(lambda: now(ledger.keep(call, b"a", PAID, MOST)))
            while "is held in memory until" not in caplog.text:
                time.sleep(0.02)
            with serving(journal, port=port, token="t" * 43):
                assert kept.result(30) == PAID
                ledger.close()
        assert journal.spent().calls == 1
