"""What was paid at a place by one machine after the other, each with a working folder of its own.

A machine is lost between two publications where its journal has more than was published.
"""

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from buckets import disk, machine
from lskd.chat.journal import Journal
from lskd.chat.paid import Charge, Paid
from lskd.errors import UserError
from lskd.facts import RunFacts
from lskd.holder import own
from lskd.journal.segments import Segments
from lskd.stage import Context
from lskd.status import paid
from lskd.storage import mirror
from lskd.storage.address import located, on
from lskd.storage.lock import JOURNAL, SEGMENTS, held

MOST = Charge(100, 50, 0.5)


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Iterator[str]:
    name = f"/paid/{request.node.name}"
    yield f"memory:/{name}"
    system, _ = on("memory://paid")
    with contextlib.suppress(FileNotFoundError):
        system.rm(name, recursive=True)


@contextlib.contextmanager
def journal_on(disk_of: Path, place: str) -> Iterator[Journal]:
    """Give a machine's journal of the place, as it is between publications."""
    with machine(disk(disk_of)), Journal(located(place) / JOURNAL) as journal:
        yield journal


@contextlib.contextmanager
def at_work(disk_of: Path, place: str) -> Iterator[Journal]:
    """Give the journal of a machine that works at the place; what it holds is published then."""
    with machine(disk(disk_of)), held(located(place)), journal_on(disk_of, place) as journal:
        yield journal


def ask(journal: Journal, key: str) -> int:
    call = journal.ask(key.encode(), MOST, lambda totals: True)
    assert call is not None
    return call


def buy(journal: Journal, *keys: str, by: str = "", tokens: int = 60) -> None:
    for key in keys:
        paid = Paid("{}", f'{{"by": "{by}"}}', "stop", tokens, 20, 0.25, 1.5)
        journal.keep(ask(journal, key), key.encode(), paid)


def lacking(journal: Journal, *keys: str) -> list[str]:
    return [key for key in keys if journal.find(key.encode()) is None]


def send_batch(journal: Journal, name: str, *keys: str) -> None:
    number = journal.begin_batch([ask(journal, key) for key in keys], f"token of {name}")
    journal.name_batch(number, name)


def receive_batch(journal: Journal, number: int) -> None:
    for key, call in journal.calls_of(number).items():
        journal.keep(call, key, Paid("{}", "{}", "stop", 60, 20, 0.25, 1.5))
    journal.end_batch(number)


def sent(journal: Journal) -> list[tuple[str, set[bytes]]]:
    return [(batch.name, set(batch.calls)) for batch in journal.batches()]


def test_a_machine_that_comes_back_pays_nothing_again_and_loses_nothing_of_its_own(
    tmp_path: Path, place: str
) -> None:
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    with at_work(first, place) as journal:
        buy(journal, "a0", "a1", "a2")
    with journal_on(first, place) as journal:  # lost before these were published
        buy(journal, "a3", "a4")
        send_batch(journal, "first's", "a5")
        ask(journal, "a6")
    with at_work(second, place) as journal:
        buy(journal, *(f"b{k}" for k in range(6)))
        send_batch(journal, "second's", "b6", "b7")
        ask(journal, "b8")
    names = [f"a{k}" for k in range(5)] + [f"b{k}" for k in range(6)]
    with at_work(first, place) as journal:
        assert lacking(journal, *names) == []
        assert sent(journal) == [("first's", {b"a5"}), ("second's", {b"b6", b"b7"})]
        totals = journal.totals
        assert totals.input_tokens == 60 * 11 + 100 * 5
    for disk_of in (third, second):
        with at_work(disk_of, place) as journal:
            assert lacking(journal, *names) == []
            assert {name for name, _ in sent(journal)} == {"first's", "second's"}
            assert journal.totals == totals
    system, root = on(place)
    assert len(system.glob(f"{root}/journal/replies-*")) == 3  # none of them twice


def test_a_batch_that_another_machine_has_received_has_ended_here_too(
    tmp_path: Path, place: str
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    with at_work(first, place) as journal:
        send_batch(journal, "one", "a", "b")
    with at_work(second, place) as journal:
        (batch,) = journal.batches()
        receive_batch(journal, batch.number)
        totals = journal.totals
    with at_work(first, place) as journal:
        assert lacking(journal, "a", "b") == [] and journal.batches() == []
        assert journal.totals == totals


def test_a_call_that_was_answered_since_it_was_published_is_not_open_again(
    tmp_path: Path, place: str
) -> None:
    with at_work(tmp_path / "first", place) as journal:
        send_batch(journal, "one", "a", "b")
        call = ask(journal, "c")
    with journal_on(tmp_path / "first", place) as journal:  # killed before this was published
        (batch,) = journal.batches()
        receive_batch(journal, batch.number)
        journal.withdraw(call)
        totals = journal.totals
    with at_work(tmp_path / "first", place) as journal:
        assert (journal.batches(), journal.spent().unanswered) == ([], 0)
        assert journal.totals == totals


def test_a_reply_that_two_machines_have_paid_for_is_charged_twice_on_every_machine(
    tmp_path: Path, place: str
) -> None:
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    with at_work(first, place) as journal:
        buy(journal, "a0", by="first")
    with journal_on(first, place) as journal:
        buy(journal, "a1", by="first", tokens=90)
    with at_work(second, place) as journal:
        buy(journal, "a1", by="second", tokens=10)
    for disk_of in (first, second, third, first):
        with at_work(disk_of, place) as journal:
            charged = journal.totals.input_tokens
            assert (charged, journal.spent().unanswered) == (60 + 90 + 10, 1), disk_of.name
    for disk_of, by in ((first, "first"), (second, "second")):
        with journal_on(disk_of, place) as journal:
            found = journal.find(b"a1")
            assert found is not None and by in found.response


def test_who_cannot_take_in_what_others_have_paid_for_publishes_nothing(
    tmp_path: Path, place: str
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    with at_work(first, place) as journal:
        send_batch(journal, "one", "a", "b")
    with journal_on(second, place) as journal:
        buy(journal, "another run's")
    with pytest.raises(UserError, match="another journal"), at_work(second, place):
        pass
    shutil.rmtree(second)
    with at_work(second, place) as journal:
        assert sent(journal) == [("one", {b"a", b"b"})]
        assert lacking(journal, "another run's") == ["another run's"]


def test_what_was_paid_is_told_on_a_machine_that_paid_for_some_of_it_or_nothing(
    tmp_path: Path, place: str
) -> None:
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    with at_work(first, place) as journal:
        buy(journal, "a0", "a1")
        ask(journal, "a2")
    with at_work(second, place) as journal:
        buy(journal, "b0")
        journal.keep(ask(journal, "b1"), b"b1", Paid("{}", "{}", "stop", None, None, 0.5, 1.5))
        send_batch(journal, "second's", "b2")
    with journal_on(second, place) as journal:
        spent = journal.spent()
    assert (spent.calls, spent.price, spent.uncounted, spent.unanswered) == (4, 1.25, 1, 1)
    for disk_of in (first, third):
        with machine(disk(disk_of)):
            folder = located(place)
            mirror.pull(folder)
            assert paid(folder / JOURNAL, None) == spent
    with machine(disk(first)):  # who is at work here has taken in what is new
        told = paid(located(place) / JOURNAL, own())
        assert told is not None and told.calls == 2
    with journal_on(first, place) as journal:
        buy(journal, "a9")  # killed before it was published
    with machine(disk(first)):
        told = paid(located(place) / JOURNAL, None)
        assert told is not None and (told.calls, told.price) == (5, 1.5)


def test_what_a_journal_of_an_older_version_has_paid_is_told(tmp_path: Path) -> None:
    path = tmp_path / JOURNAL
    with Journal(path) as journal:
        buy(journal, "a0", "a1")
    with sqlite3.connect(path) as file:
        file.execute("DROP TABLE published")  # which that did not have
    file.close()
    told = paid(path, None)
    assert told is not None and (told.calls, told.price) == (2, 0.5)


def no_facts() -> RunFacts:
    raise AssertionError("nobody reports here")


def test_a_run_on_a_disk_whose_journal_is_gone_takes_in_what_was_published_beside_it(
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    with Journal(run / JOURNAL) as journal:
        buy(journal, "a", "b")
        Segments(journal, run / SEGMENTS).publish()
    for file in run.glob(f"{JOURNAL}*"):
        file.unlink()
    context = Context("generate", run / "generate", 0, run / JOURNAL, no_facts)
    found = context.journal
    assert isinstance(found, Journal)
    with found as journal:
        assert lacking(journal, "a", "b", "c") == ["c"]
        assert journal.spent().calls == 2
