"""What people who work at the same moment cost each other, and what none of that may break."""

import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator

import psycopg
import pytest
import sqlalchemy as sa
from human_items import GOOD, answer, judging

from lskd.errors import UserError
from lskd.human.store import Store
from lskd.human.work import Skip
from postgres import Cluster


@pytest.fixture
def postgres_url(postgres: Cluster) -> str:
    return postgres.new_database()


@pytest.fixture
def shared(postgres_url: str) -> Iterator[Store]:
    with contextlib.closing(Store(postgres_url)) as store:
        yield store


@contextlib.contextmanager
def trips() -> Iterator[Counter[str]]:
    """Count what is sent to a database: statements, and those that begin and end a transaction."""
    sent: Counter[str] = Counter()

    def statement(*_: object) -> None:
        sent["statement"] += 1

    def bound(_: object) -> None:
        sent["bound"] += 1

    heard = ("before_cursor_execute", statement), ("begin", bound), ("commit", bound)
    for event, listener in heard:
        sa.event.listen(sa.Engine, event, listener)
    try:
        yield sent
    finally:
        for event, listener in heard:
            sa.event.remove(sa.Engine, event, listener)


def test_a_label_takes_four_statements_and_the_next_item_four(shared: Store) -> None:
    campaign = judging(shared, 50)
    ann = shared.enrol("Ann")
    first, _ = shared.hand(campaign, ann, 2)
    with trips() as label:
        shared.record(campaign, ann, first.id, "key", GOOD, 1.0)
    assert label == {"statement": 4, "bound": 2}
    with trips() as following:
        shared.hand(campaign, ann, 2)
    assert following == {"statement": 4, "bound": 2}
    with trips() as standing:
        shared.standing(campaign, ann)
    assert standing["statement"] == 1


@contextlib.contextmanager
def busy(url: str, item: str) -> Iterator[psycopg.Connection]:
    """Hold an item as a transaction does that gives it or labels it."""
    with psycopg.connect(url) as held:
        held.execute("SELECT 1 FROM items WHERE id = %s FOR NO KEY UPDATE", [item])
        yield held


def test_an_item_that_somebody_is_busy_with_holds_up_nobody_else(
    shared: Store, postgres_url: str
) -> None:
    campaign = judging(shared, 10)
    ann, ben, cleo = (shared.enrol(name) for name in ("Ann", "Ben", "Cleo"))
    first = shared.next(campaign, ann)
    assert first is not None
    with busy(postgres_url, first.id):
        # Else Ben would be given Ann's: it lacks only one more.
        other = answer(shared, campaign, ben)
        assert other is not None and other.item_id != first.id
    second = shared.next(campaign, cleo)
    assert second is not None and second.id in (first.id, other.item_id)


def test_the_last_item_is_waited_for_while_somebody_is_busy_with_it(
    shared: Store, postgres_url: str
) -> None:
    campaign = judging(shared, 1)
    ann, ben = shared.enrol("Ann"), shared.enrol("Ben")
    first = shared.next(campaign, ann)
    assert first is not None
    got: list[str | None] = []

    def ask() -> None:
        item = shared.next(campaign, ben)
        got.append(None if item is None else item.id)

    asking = threading.Thread(target=ask)
    with busy(postgres_url, first.id) as held:
        asking.start()
        while held.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone() is None:
            assert asking.is_alive(), got
            time.sleep(0.01)
        assert not got
        held.commit()
        asking.join()
    assert got == [first.id]


def test_a_key_that_is_sent_twice_at_once_for_two_items_is_refused_for_one(store: Store) -> None:
    campaign = judging(store, 10)
    ann = store.enrol("Ann")
    both = store.hand(campaign, ann, 2)
    refused: list[str] = []
    begin = threading.Barrier(2)

    def send(item: str) -> None:
        begin.wait()
        try:
            store.record(campaign, ann, item, "key", GOOD, 1.0)
        except UserError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=send, args=(one.id,)) for one in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [("was used for the item" in text) for text in refused] == [True]
    assert len(list(store.entries(campaign))) == 1


def wander(store: Store, campaign: str, number: int, turns: int) -> None:
    """Work as nobody should: slowly, going back, passing on, answering what has long lapsed."""
    rng = random.Random(number)
    who = store.enrol(f"p{number}")
    for turn in range(turns):
        held = store.hand(campaign, who, rng.randint(1, 2))
        time.sleep(rng.choice((0.0, 0.0, 0.02)))
        for one in held:
            said = Skip("") if rng.random() < 0.2 else GOOD
            with contextlib.suppress(UserError):  # others have it by now
                store.record(campaign, who, one.id, f"{turn} {one.id}", said, 1.0)
        if rng.random() < 0.2:
            with contextlib.suppress(UserError):
                store.undo(campaign, who)


def test_leases_that_lapse_while_people_answer_let_no_more_than_the_overlap_label(url: str) -> None:
    overlap, people = 2, 12
    with contextlib.closing(Store(url, lease=0.01)) as store:
        campaign = judging(store, 40, overlap, gold=3)
        threads = [
            threading.Thread(target=wander, args=(store, campaign, n, 10)) for n in range(people)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        labels = list(store.valid(campaign))
        normal = Counter(one.item_id for one in labels if not one.item_id.startswith("t100000"))
        assert max(normal.values()) <= overlap
        assert max(Counter((one.annotator, one.item_id) for one in labels).values()) == 1
        progress = store.progress(campaign)
        assert progress.labels == normal.total()
        assert progress.complete == sum(number == overlap for number in normal.values())
    # The counters still say what the journal says: those who come now fill what is left exactly.
    with contextlib.closing(Store(url, lease=0.0)) as store:
        for number in range(100, 100 + 2 * overlap):
            late = store.enrol(f"p{number}")
            while answer(store, campaign, late) is not None:
                pass
        assert store.progress(campaign).complete == 40
        assert store.progress(campaign).labels == 40 * overlap
