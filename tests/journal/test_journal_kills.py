"""Workers and the driver's service, killed in the middle: nothing that was acknowledged is lost.

What is killed is a process of its own. A node's death is that of its worker and of its folder.
"""

import contextlib
import dataclasses
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from journal_worker import CONCURRENCY, TURNS, hold

from chat.server import Server
from lskd.chat import merge
from lskd.chat.journal import Journal
from lskd.chat.paid import Charge, Paid, spent_so_far
from lskd.errors import UserError
from lskd.journal.segments import UNANSWERED, Segments
from lskd.journal.service import serving
from lskd.journal.worker import RemoteLedger

HERE = Path(__file__).parent
MOST = Charge(100, 50, 0.5)
PAID = Paid("{}", "{}", "stop", 60, 20, 0.25, 1.5)
TOKEN = "a-token-that-is-as-good-as-any-for-a-test"
SILENCE = 3.0


@pytest.fixture
def server(shared_server: Server) -> Server:
    shared_server.reset(latency=0.1)
    return shared_server


class Cluster:
    """The driver's service and the workers of a test, each with a folder of its own."""

    def __init__(self, folder: Path, server: Server, count: int) -> None:
        self.folder = folder
        self.server = server
        self.count = count
        self.journal = folder / "driver" / "journal.sqlite"
        self.segments = folder / "storage"
        self.port = 0
        self.host: subprocess.Popen[str] | None = None
        self.running: list[subprocess.Popen[str]] = []

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *_: object) -> None:
        for process in [*self.running, *([self.host] if self.host else [])]:
            if process.returncode is None:
                process.kill()
                process.communicate()

    def environment(self, node: str) -> dict[str, str]:
        paths = os.pathsep.join([str(HERE), str(HERE.parent), *filter(None, sys.path)])
        return os.environ | {
            "PYTHONPATH": paths,
            "LSKD_JOURNAL_TOKEN": TOKEN,
            "LSKD_JOURNAL": f"http://127.0.0.1:{self.port}",
            "LSKD_UNSENT": str(self.folder / node / "unsent"),
        }

    def serve(self) -> None:
        """Start the service, where it was if it was anywhere."""
        command = [sys.executable, str(HERE / "journal_host.py"), str(self.journal)]
        command += [str(self.port), str(SILENCE), str(self.segments)]
        self.host = subprocess.Popen(
            command,
            env=self.environment("driver"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.host.stdout is not None
        address = self.host.stdout.readline().strip()
        self.port = int(address.rpartition(":")[2])

    def kill_service(self) -> None:
        assert self.host is not None
        self.host.kill()
        self.host.communicate()

    def work(self, number: int, step: int) -> subprocess.Popen[str]:
        """Start the worker of a node."""
        folder = self.folder / f"node{number}"
        folder.mkdir(exist_ok=True)
        command = [sys.executable, str(HERE / "journal_worker.py"), self.server.base_url]
        command += [str(self.count), str(number), str(step), str(self.answers(number))]
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=self.environment(f"node{number}"),
            stderr=subprocess.PIPE,
            text=True,
        )
        self.running.append(process)
        return process

    def answers(self, number: int) -> Path:
        return self.folder / f"answers{number}.json"

    def kill_node(self, number: int, process: subprocess.Popen[str]) -> None:
        """Kill a node's worker, and delete all that the node had."""
        process.send_signal(signal.SIGKILL)
        process.communicate()
        shutil.rmtree(self.folder / f"node{number}")

    def ended(self, process: subprocess.Popen[str]) -> str:
        """Wait for a worker that must end well; return what it said."""
        _, said = process.communicate(timeout=240)
        assert process.returncode == 0, said
        return said

    def replies(self, step: int) -> list[object]:
        """Return all replies in the order of the conversations."""
        parts = [json.loads(self.answers(number).read_text()) for number in range(step)]
        return [parts[k % step][k // step] for k in range(self.count)]


def expected(folder: Path, server: Server, count: int) -> list[object]:
    """Return what an undisturbed asker gets."""
    with Journal(folder / "journal.sqlite") as calm:
        return list(hold(calm, server.base_url, count))


def until_calls(server: Server, calls: int) -> None:
    while server.calls() < calls:
        time.sleep(0.02)


def check(cluster: Cluster, kills_in_flight: int, whole: list[object], step: int) -> None:
    """Check that nothing is lost, and nothing was paid twice beyond what was in flight."""
    tally = cluster.server.tally()
    assert cluster.replies(step) == whole
    assert len(tally.requests) == cluster.count * TURNS
    paid_again = tally.calls - len(tally.requests)
    spent = spent_so_far(cluster.journal)
    assert spent.calls == cluster.count * TURNS
    assert paid_again <= spent.unanswered <= kills_in_flight
    assert tally.most_at_once <= CONCURRENCY + kills_in_flight
    print(f"{paid_again} paid again, {spent.unanswered} of {kills_in_flight} shown as unanswered")


def test_nodes_and_the_service_are_killed_and_nothing_acknowledged_is_lost_or_paid_twice(
    server: Server, tmp_path: Path
) -> None:
    count = 40
    server.reset()
    whole = expected(tmp_path / "calm", server, count)
    server.reset(latency=0.1)
    with Cluster(tmp_path / "killed", server, count) as cluster:
        cluster.serve()
        workers = [cluster.work(number, 2) for number in range(2)]
        until_calls(server, 20)
        cluster.kill_node(0, workers[0])
        until_calls(server, 35)
        cluster.kill_service()
        before = spent_so_far(cluster.journal).calls
        assert 0 < before < count * TURNS
        time.sleep(0.5)  # replies arrive at a worker that cannot deliver them
        cluster.serve()
        again = cluster.work(0, 2)
        cluster.ended(workers[1])
        cluster.ended(again)
        # The service was away for a while: the worker that lived held its replies and delivered.
        check(cluster, CONCURRENCY, whole, step=2)
        assert not list((cluster.folder / "node1" / "unsent").glob("*.json"))


def test_a_drivers_disk_is_lost_and_what_was_published_is_not_bought_again(
    server: Server, tmp_path: Path
) -> None:
    server.reset(latency=0.0)
    driver = tmp_path / "driver"

    def worked(node: str) -> list[list[dict[str, object]]]:
        # An orderly end publishes; else it is done every half minute.
        with (
            Journal(driver / "journal.sqlite") as journal,
            serving(journal, segments=tmp_path / "storage") as service,
            contextlib.closing(RemoteLedger(service.address, tmp_path / node)) as ledger,
        ):
            return hold(ledger, server.base_url, 12)

    whole = worked("first")
    shutil.rmtree(driver)
    calls = server.calls()
    assert worked("second") == whole
    assert server.calls() == calls > 0
    assert spent_so_far(driver / "journal.sqlite").calls == calls


@pytest.mark.check
@pytest.mark.timeout(3600)
def test_forty_kills_of_nodes_and_the_service_lose_nothing(server: Server, tmp_path: Path) -> None:
    count, kills, chance = 600, 40, random.Random(8)
    server.reset()
    whole = expected(tmp_path / "calm", server, count)
    server.reset(latency=0.1)
    with Cluster(tmp_path / "killed", server, count) as cluster:
        cluster.serve()
        workers = [cluster.work(number, 3) for number in range(3)]
        done = 0
        for _ in range(kills):
            target = server.calls() + chance.randint(1, 2 * count * TURNS // kills)
            while server.calls() < target and any(w.poll() is None for w in workers):
                time.sleep(0.01)
            alive = [number for number, worker in enumerate(workers) if worker.poll() is None]
            if not alive:
                break
            done += 1
            if chance.random() < 0.3:
                cluster.kill_service()
                time.sleep(chance.uniform(0, 1))
                cluster.serve()
            else:
                number = chance.choice(alive)
                cluster.kill_node(number, workers[number])
                workers[number] = cluster.work(number, 3)
        for worker in workers:
            cluster.ended(worker)
        assert done >= kills // 2
        check(cluster, CONCURRENCY * done, whole, step=3)


def ask(journal: Journal, key: bytes) -> int:
    call = journal.ask(key, MOST, lambda totals: True)
    assert call is not None
    return call


def test_segments_hold_what_a_new_journal_needs_and_no_other_may_write_there(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "storage"
    with Journal(tmp_path / "a.sqlite") as journal:
        segments = Segments(journal, folder)
        assert segments.restore() == 0
        for number in range(5):
            journal.keep(ask(journal, b"%d" % number), b"%d" % number, PAID)
        assert segments.publish() == 5 and segments.publish() == 0
        journal.keep(ask(journal, b"late"), b"late", PAID)
        ask(journal, b"open")
        journal.begin_batch([ask(journal, b"batched")], "token")
        assert segments.publish() == 1
        totals, name = journal.totals, journal.identity()
    with Journal(tmp_path / "b.sqlite") as journal:
        assert Segments(journal, folder).restore() == 6
        assert journal.totals == totals and journal.identity() == name
        assert journal.find(b"late") == PAID and journal.spent().unanswered == 1
        (batch,) = journal.batches()
        assert batch.token == "token" and list(batch.calls) == [b"batched"]
        journal.keep(ask(journal, b"new"), b"new", PAID)
        assert Segments(journal, folder).restore() == 0
        assert Segments(journal, folder).publish() == 1
    with Journal(tmp_path / "a.sqlite") as journal:  # an older copy catches up
        assert Segments(journal, folder).restore() == 1
        assert journal.find(b"new") == PAID
    with Journal(tmp_path / "c.sqlite") as journal:
        ask(journal, b"k")
        with pytest.raises(UserError, match="the segments of another journal"):
            Segments(journal, folder).restore()
    next(folder.glob("replies-*")).write_bytes(b"half")
    with (
        Journal(tmp_path / "d.sqlite") as journal,
        pytest.raises(UserError, match="no readable segments") as raised,
    ):
        Segments(journal, folder).restore()
    assert "\n" not in str(raised.value)


def test_more_replies_than_a_segment_holds_are_published_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "storage"
    with Journal(tmp_path / "a.sqlite") as journal:
        for number in range(5):
            journal.keep(ask(journal, b"%d" % number), b"%d" % number, PAID)
        assert Segments(journal, folder, rows=2).publish() == 5
    assert len(list(folder.glob("replies-*"))) == 3
    with Journal(tmp_path / "b.sqlite") as journal:
        assert Segments(journal, folder).restore() == 5


def test_what_an_older_version_has_published_is_read_and_not_published_again(
    tmp_path: Path,
) -> None:
    folder, old = tmp_path / "storage", tmp_path / "a.sqlite"
    with Journal(old) as journal:
        for number in range(3):
            call = journal.ask(b"%d" % number, MOST, lambda totals: True)
            assert call is not None
            journal.keep(call, b"%d" % number, PAID)
        assert Segments(journal, folder).publish() == 3
        totals = journal.totals
    (segment,) = folder.glob("replies-*")
    segment.rename(folder / "replies-000000000001-000000000003.jsonl.gz")
    with contextlib.closing(sqlite3.connect(old)) as file:
        file.executescript("DROP TABLE published; DROP TABLE told; DROP TABLE IF EXISTS telling")
    with Journal(old) as journal:
        assert (Segments(journal, folder).restore(), Segments(journal, folder).publish()) == (0, 0)
    with Journal(tmp_path / "b.sqlite") as journal:
        assert Segments(journal, folder).restore() == 3 and journal.totals == totals
        assert Segments(journal, folder).publish() == 0
    segment = next(folder.glob("replies-*"))
    segment.unlink()
    with Journal(old) as journal:
        assert Segments(journal, folder).publish() == 3  # what the folder has lost


def test_a_reply_that_is_published_again_is_no_new_charge(tmp_path: Path) -> None:
    folder = tmp_path / "storage"
    with Journal(tmp_path / "a.sqlite") as journal:
        call = journal.ask(b"k", MOST, lambda totals: True)
        assert call is not None
        journal.keep(call, b"k", PAID)
        Segments(journal, folder).publish()
        (segment,) = folder.glob("replies-*")
        shutil.copy(segment, folder / "replies-000000000001-000000000009.jsonl.gz")
        totals = journal.totals
        assert Segments(journal, folder).restore() == 0 and journal.totals == totals


def test_a_reply_that_differs_is_charged_once_however_often_it_is_published(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "storage"
    with Journal(tmp_path / "a.sqlite") as journal:
        Segments(journal, folder).publish()
        with Journal(tmp_path / "b.sqlite") as other:
            Segments(other, folder).restore()
            journal.keep(ask(journal, b"k"), b"k", PAID)
            other.keep(ask(other, b"k"), b"k", dataclasses.replace(PAID, response="[]"))
            Segments(other, folder).publish()
        (segment,) = folder.glob("replies-*")
        shutil.copy(segment, folder / "replies-000000000001-000000000009.jsonl.gz")
        Segments(journal, folder).restore()
        assert (journal.totals.input_tokens, journal.spent().unanswered) == (120, 1)


def test_what_was_settled_before_an_older_version_was_killed_is_not_open_again(
    tmp_path: Path,
) -> None:
    folder, old = tmp_path / "storage", tmp_path / "a.sqlite"
    with Journal(old) as journal:
        call, lost = ask(journal, b"k"), ask(journal, b"lost")
        batch = journal.begin_batch([ask(journal, b"batched")], "token")
        Segments(journal, folder).publish()
        journal.keep(call, b"k", PAID)
        journal.lose(lost, "cut", "")
        for key, one in journal.calls_of(batch).items():
            journal.keep(one, key, PAID)
        journal.end_batch(batch)
        totals = journal.totals
    with contextlib.closing(sqlite3.connect(old)) as file:
        file.executescript("DROP TABLE published; DROP TABLE told; DROP TABLE IF EXISTS telling")
    for _ in range(2):
        with Journal(old) as journal:
            segments = Segments(journal, folder)
            segments.restore()
            segments.publish()
            assert journal.totals == totals and journal.batches() == []
            assert journal.open_calls() == {} and journal.spent().unanswered == 1


def test_what_was_settled_while_it_was_published_as_open_is_not_open_again(
    tmp_path: Path,
) -> None:
    folder, file = tmp_path / "storage", tmp_path / "a.sqlite"
    with Journal(file) as journal:
        Segments(journal, folder).publish()
        call = ask(journal, b"k")
    shutil.copy(file, tmp_path / "copy.sqlite")
    uploaded = tmp_path / "uploaded"
    with Journal(tmp_path / "copy.sqlite") as copy:
        Segments(copy, uploaded).publish()
    with Journal(file) as journal:
        cut_off(journal, folder)
        journal.keep(call, b"k", PAID)
        totals = journal.totals
    shutil.copy(uploaded / UNANSWERED, folder / UNANSWERED)  # it had arrived after all
    for _ in range(2):
        with Journal(file) as journal:
            segments = Segments(journal, folder)
            segments.restore()
            assert journal.totals == totals and journal.open_calls() == {}
            segments.publish()
    with Journal(tmp_path / "b.sqlite") as journal:
        Segments(journal, folder).restore()
        assert journal.totals == totals and journal.open_calls() == {}


def test_a_call_that_was_perhaps_not_published_is_not_forgotten(tmp_path: Path) -> None:
    folder = tmp_path / "storage"
    with Journal(tmp_path / "a.sqlite") as journal:
        Segments(journal, folder).publish()
        published = (folder / UNANSWERED).read_text()
        ask(journal, b"k")  # who asked it was killed
        journal.keep(ask(journal, b"k"), b"k", PAID)
        totals = journal.totals
        cut_off(journal, folder)
        (folder / UNANSWERED).write_text(published)
        Segments(journal, folder).restore()
        assert journal.totals == totals and len(journal.open_calls()) == 1


def test_a_call_that_went_into_a_batch_on_another_machine_is_in_it_here(tmp_path: Path) -> None:
    folder = tmp_path / "storage"
    with Journal(tmp_path / "a.sqlite") as journal, Journal(tmp_path / "b.sqlite") as other:
        call = ask(journal, b"k")
        Segments(journal, folder).publish()
        Segments(other, folder).restore()
        other.name_batch(other.begin_batch([call], "token"), "of the server")
        Segments(other, folder).publish()
        for _ in range(2):
            Segments(journal, folder).restore()
            (batch,) = journal.batches()
            assert (batch.name, batch.calls) == ("of the server", {b"k": call})
            assert journal.open_calls() == {} and journal.totals == other.totals
            Segments(journal, folder).publish()


def test_a_call_that_was_given_up_here_is_charged_once_when_its_reply_came_elsewhere(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "storage"
    with Journal(tmp_path / "a.sqlite") as journal, Journal(tmp_path / "b.sqlite") as other:
        late, lost = ask(journal, b"k"), ask(journal, b"k")
        for call in (late, lost):
            journal.lose(call, "silent", "")
        Segments(journal, folder).publish()
        Segments(other, folder).restore()
        other.keep(late, b"k", PAID)
        Segments(other, folder).publish()
        Segments(journal, folder).restore()
        assert journal.totals == other.totals and journal.spent() == other.spent()
        assert journal.spent().unanswered == 1


def test_two_threads_may_publish_at_once(tmp_path: Path) -> None:
    folder, count = tmp_path / "storage", 10
    with Journal(tmp_path / "a.sqlite") as journal, ThreadPoolExecutor(2) as pool:
        segments, published = Segments(journal, folder), 0
        for number in range(count):
            journal.keep(ask(journal, b"%d" % number), b"%d" % number, PAID)
            ask(journal, b"open %d" % number)
            each = [pool.submit(segments.publish) for _ in range(2)]
            published += sum(one.result() for one in each)
        assert published == count == len(list(folder.glob("replies-*")))
        totals = journal.totals
    with Journal(tmp_path / "b.sqlite") as journal:
        assert Segments(journal, folder).restore() == count and journal.totals == totals


def cut_off(journal: Journal, folder: Path) -> None:
    """Publish what is open, where that fails before it is known to have arrived."""
    (folder / UNANSWERED).unlink()
    (folder / UNANSWERED).mkdir()
    with pytest.raises(UserError):
        Segments(journal, folder).publish()
    (folder / UNANSWERED).rmdir()


def test_a_publication_writes_only_which_calls_have_changed_since_the_last(
    tmp_path: Path,
) -> None:
    file = tmp_path / "a.sqlite"
    with Journal(file) as journal:
        segments = Segments(journal, tmp_path / "storage")
        calls = [ask(journal, b"%d" % number) for number in range(5)]
        segments.publish()
        journal.withdraw(calls[0])
        ask(journal, b"new")
        segments.publish()
        still_open = set(journal.open_calls())
    with contextlib.closing(sqlite3.connect(file)) as opened:
        assert merge.calls_in(opened, "told") == still_open
        assert merge.calls_in(opened, "telling") == set()
    assert len(merge.as_told(set(range(500)), set(range(1, 501)))) == 3
