import contextlib
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from human_items import BAD, GOOD, claim, judging

from lskd.errors import EndpointError
from lskd.human.store import Store
from lskd.human.work import Entry, Rating, Skip
from postgres import Cluster, cluster

HERE = Path(__file__).parent


def normal(entries: Sequence[Entry]) -> Counter[str]:
    """Return how many people labelled each item that is not gold."""
    return Counter(e.item_id for e in entries if not e.item_id.startswith("t100000"))


def assert_whole(store: Store, campaign: str, overlap: int) -> list[Entry]:
    """Check what holds at any moment, and return the labels."""
    labels = list(store.valid(campaign))
    pairs = Counter((entry.annotator, entry.item_id) for entry in labels)
    assert set(pairs.values()) <= {1}
    assert set(normal(labels).values()) <= set(range(1, overlap + 1))
    progress = store.progress(campaign)
    assert progress.labels == normal(labels).total()
    assert progress.complete == sum(n == overlap for n in normal(labels).values())
    return labels


def test_fifty_people_at_once_lose_nothing_and_double_nothing(store: Store) -> None:
    people, turns, overlap = 50, 3, 3
    campaign = judging(store, 100, overlap, gold=5)
    who = [store.enrol(f"p{n}") for n in range(people)]
    acknowledged: list[Entry] = []
    begun, begin = threading.Lock(), threading.Barrier(people)
    given: list[tuple[int, str]] = []

    def work(number: int) -> None:
        rng = random.Random(number)
        begin.wait()
        for turn in range(turns):
            item = store.next(campaign, who[number])
            assert item is not None
            assert store.next(campaign, who[number]) == item
            said = Skip("") if rng.random() < 0.1 else Rating(3, rng.randint(1, 3))
            key = f"{number} {turn}"
            entry = store.record(campaign, who[number], item.id, key, said, 1.0)
            # The browser did not hear it, and sends it again.
            assert store.record(campaign, who[number], item.id, key, said, 1.0) == entry
            with begun:
                acknowledged.append(entry)
                given.append((number, item.id))

    run_all(work, people)
    assert len(acknowledged) == people * turns == len(set(given))
    journal = list(store.entries(campaign))
    assert sorted(acknowledged, key=lambda e: e.number) == journal
    labels = assert_whole(store, campaign, overlap)
    assert labels == [entry for entry in journal if entry.kind == "label"]
    # Overlaps are filled first: all but what the last could not fill has three labels.
    counts = Counter(normal(labels).values())
    assert counts[overlap] > 0.7 * len(normal(labels))


def run_all(work: Callable[[int], None], number: int) -> None:
    failures: list[BaseException] = []

    def guarded(one: int) -> None:
        try:
            work(one)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=guarded, args=(one,)) for one in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures


def test_one_person_in_many_windows_has_one_item(store: Store) -> None:
    campaign = judging(store, 50)
    ann = store.enrol("Ann")
    given: list[str] = []
    rows: list[Entry] = []

    def work(_: int) -> None:
        item = store.next(campaign, ann)
        assert item is not None
        given.append(item.id)

    def send(_: int) -> None:
        rows.append(store.record(campaign, ann, given[0], "key", GOOD, 1.0))

    run_all(work, 20)
    assert len(set(given)) == 1
    run_all(send, 20)
    assert len(set(rows)) == 1
    assert list(store.entries(campaign)) == rows[:1]


def test_people_who_enrol_and_stores_that_open_at_once_meet_in_one_database(url: str) -> None:
    names: list[tuple[int, str]] = []

    def work(number: int) -> None:
        store = Store(url)
        store.campaign("critic", "judge", 2, 7)
        store.put("critic", [claim(n) for n in range(20)])
        ann = store.enrol(f"p{number % 2}")
        names.append((ann.id, ann.name))
        store.close()

    run_all(work, 8)
    assert len(set(names)) == 2
    store = Store(url)
    assert store.progress("critic").items == 20
    store.close()


def started(url: str, name: str, threads: int) -> "subprocess.Popen[str]":
    command = [sys.executable, str(HERE / "labeller.py"), url, "critic", name, str(threads)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=HERE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "alive\n"
    return process


def heard(process: "subprocess.Popen[str]") -> list[str]:
    """Return the keys that a process printed until it ended; half a line is none."""
    assert process.stdout is not None and process.stderr is not None
    # Not `communicate`: it does not know what `readline` has read ahead.
    with process.stdout, process.stderr:
        out = process.stdout.read()
        process.wait()
    whole, _, _ = out.rpartition("\n")
    return whole.split("\n") if whole else []


def heard_one(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


# Over PostgreSQL the fifty people above have a connection each, as processes do.
@pytest.mark.parametrize(
    "url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.check)], indirect=True
)
def test_processes_share_the_work(store: Store, url: str) -> None:
    judging(store, 40, overlap=2)
    both = [started(url, name, 2) for name in ("a", "b")]
    keys = [key for process in both for key in heard(process)]
    labels = assert_whole(store, "critic", 2)
    assert sorted(keys) == sorted(entry.key for entry in labels)
    assert len(labels) == 80


def kills(store: Store, url: str, times: int, seed: int, items: int = 1000) -> None:
    """Kill labelling processes in the middle; nothing that was acknowledged is lost."""
    rng = random.Random(seed)
    judging(store, items * (2 + times), overlap=2)  # more than they get through
    acknowledged: list[str] = []
    for turn in range(times):
        processes = [started(url, f"{turn} {name}", 4) for name in ("a", "b")]
        for process in processes:
            acknowledged.append(heard_one(process))
        time.sleep(rng.uniform(0.0, 0.3))
        for process in processes:
            process.kill()
        for process in processes:
            acknowledged += heard(process)
        labels = assert_whole(store, "critic", 2)
        assert set(acknowledged) <= {entry.key for entry in labels}
        # At most what each person had sent and not yet heard of is there beyond that.
        assert len(labels) - len(acknowledged) <= 8 * (turn + 1)
    # And the next one goes on, on the same tables.
    ann = store.enrol("Ann")
    item = store.next("critic", ann)
    assert item is not None
    store.record("critic", ann, item.id, "after", BAD, None)


def test_a_kill_loses_no_acknowledged_label(sqlite_url: str) -> None:
    with contextlib.closing(Store(sqlite_url)) as store:
        kills(store, sqlite_url, times=1, seed=1, items=250)


@pytest.mark.check
def test_many_kills_lose_no_acknowledged_label(store: Store, url: str) -> None:
    kills(store, url, times=15, seed=2)


@pytest.fixture(scope="module")
def durable() -> Iterator[Cluster]:
    with cluster(durable=True) as running:
        yield running


@pytest.fixture
def durable_url(durable: Cluster) -> str:
    return durable.new_database()


@pytest.fixture
def durable_store(durable_url: str) -> Iterator[Store]:
    with contextlib.closing(Store(durable_url)) as store:
        yield store


@pytest.mark.check
def test_a_kill_of_the_server_loses_no_acknowledged_label(
    durable: Cluster, durable_url: str, durable_store: Store
) -> None:
    judging(durable_store, 4000, overlap=2)
    acknowledged: list[str] = []
    for turn in range(3):
        process = started(durable_url, f"{turn}", 8)
        acknowledged += [heard_one(process) for _ in range(20 + 20 * turn)]
        durable.kill()
        acknowledged += heard(process)
        assert process.returncode == 0  # each thread said in one line that the database is down
        with pytest.raises(EndpointError, match="cannot be used") as raised:
            durable_store.progress("critic")
        assert "secret-word" not in str(raised.value)
        durable.start()
        labels = assert_whole(durable_store, "critic", 2)
        assert set(acknowledged) <= {entry.key for entry in labels}
        assert len(labels) - len(acknowledged) <= 8 * (turn + 1)


@pytest.mark.check
def test_a_server_that_is_back_in_time_is_not_missed(
    durable: Cluster, durable_url: str, durable_store: Store
) -> None:
    judging(durable_store, 100, overlap=2)
    process = started(durable_url, "a", 2)
    acknowledged = [heard_one(process) for _ in range(20)]
    durable.kill()
    durable.start()
    acknowledged += heard(process)
    labels = assert_whole(durable_store, "critic", 2)
    assert sorted(acknowledged) == sorted(entry.key for entry in labels)
    assert len(labels) == 200
