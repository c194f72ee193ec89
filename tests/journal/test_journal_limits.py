"""Limits that many share: never passed, whatever the order of events, and used up."""

import asyncio
import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lskd.chat.budget import Limits
from lskd.chat.journal import Journal
from lskd.chat.ledger import SETTLING_SECONDS, Leased, LocalLedger, Refused, Wait
from lskd.chat.minutes import BURST, Minutes, Sent
from lskd.chat.paid import Charge, Paid

MINUTE = 60.0


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def most_in_a_minute(events: Sequence[tuple[float, int]]) -> tuple[int, int]:
    """Return the most calls, and the most tokens, of all minutes that begin with a call."""
    minutes = [[e for e in events if start <= e[0] < start + MINUTE] for start, _ in events]
    calls = max((len(minute) for minute in minutes), default=0)
    return calls, max((sum(tokens for _, tokens in minute) for minute in minutes), default=0)


@given(
    st.integers(1, 40),
    st.integers(10, 400),
    st.lists(st.tuples(st.floats(0, 30), st.integers(1, 10)), max_size=80),
)
def test_no_minute_has_more_than_the_limits_whenever_calls_come(
    most_calls: int, most_tokens: int, calls: list[tuple[float, int]]
) -> None:
    clock = Clock()
    minutes, sent = Minutes(clock), []
    for pause, tokens in calls:
        clock.now += pause
        if isinstance(minutes.let_go(tokens, most_calls, most_tokens), Sent):
            sent.append((clock.now, tokens))
    found = most_in_a_minute(sent)
    assert found[0] <= most_calls and found[1] <= most_tokens


@given(st.integers(1, 3000), st.integers(1, 5))
@settings(max_examples=25)
def test_who_waits_as_long_as_told_uses_all_that_is_allowed(most_calls: int, length: int) -> None:
    clock = Clock()
    minutes, sent = Minutes(clock), []
    while clock.now < 1000.0 + length * MINUTE:
        found = minutes.let_go(1, most_calls, None)
        if isinstance(found, Sent):
            sent.append((clock.now, 1))
        else:  # a little late, as every sleep is
            assert found < math.inf
            clock.now += found * 1.0001
    assert len(sent) >= 0.98 * most_calls * length
    assert most_in_a_minute(sent[:400])[0] <= most_calls
    first_second = sum(at < 1001.0 for at, _ in sent)
    assert first_second <= 1 + most_calls * (BURST + 1 / 60) + 1


def test_tokens_that_were_not_taken_are_given_back() -> None:
    clock = Clock()
    minutes = Minutes(clock)
    first = minutes.let_go(900, None, 1000)
    assert isinstance(first, Sent)
    assert minutes.let_go(200, None, 1000) == MINUTE
    minutes.took(first, 300)
    second = minutes.let_go(200, None, 1000)
    assert isinstance(second, Sent)
    assert minutes.let_go(501, None, 1000) == MINUTE
    minutes.take_back(second)
    assert minutes.let_go(1001, None, 1000) == math.inf
    clock.now += MINUTE
    third = minutes.let_go(1000, 1, 1000)
    assert isinstance(third, Sent)
    minutes.took(first, 0)  # told late, it changes nothing any more
    assert minutes.let_go(1, None, 1000) == MINUTE
    minutes.take_back(third)
    assert minutes.let_go(1, None, 1000) != MINUTE


LIMITS = st.builds(
    Limits,
    endpoint=st.sampled_from(["a", "b"]),
    concurrency=st.integers(1, 4),
    requests_per_minute=st.one_of(st.none(), st.integers(1, 10)),
    tokens_per_minute=st.one_of(st.none(), st.integers(20, 100)),
    max_price=st.just(3.0),
    max_tokens=st.just(300),
    input_price=st.just(10_000.0),
    output_price=st.just(10_000.0),
)
Event = tuple[str, int, int, int, float]
EVENT = st.tuples(
    st.sampled_from(["claim", "claim", "claim", "keep", "withdraw", "lose", "die"]),
    st.integers(0, 2),  # who
    st.integers(0, 7),  # which request, or which of its calls
    st.integers(0, 20),  # tokens
    st.floats(0, 20),  # seconds that pass before
)


@given(LIMITS, LIMITS, st.lists(EVENT, max_size=60))
@settings(max_examples=60)
def test_no_order_of_events_of_three_workers_passes_a_limit_or_buys_twice(
    tmp_path_factory: pytest.TempPathFactory, one: Limits, other: Limits, events: list[Event]
) -> None:
    clock, bought = Clock(), []
    sent: dict[int, tuple[float, Limits, int]] = {}
    open_calls: list[dict[int, tuple[bytes, Limits, Charge]]] = [{}, {}, {}]
    path: Path = tmp_path_factory.mktemp("ledger") / "j.sqlite"
    spent = 0
    tickets = itertools.count(1)
    with Journal(path) as journal:
        ledger = LocalLedger(journal, clock)
        for what, who, number, tokens, pause in events:
            clock.now += pause
            mine = open_calls[who]
            if what == "claim":
                limits, key, most = (one, other)[number % 2], b"%d" % number, Charge(15, 10, 0.25)
                answer = ledger.claim_for(f"w{who}", next(tickets), key, most, limits)
                busy = [c for calls in open_calls for c in calls.values()]
                if isinstance(answer, Leased):
                    assert key not in {held for held, _, _ in busy} and key not in bought
                    alike = sum(held.endpoint == limits.endpoint for _, held, _ in busy)
                    assert alike < limits.concurrency  # type: ignore[operator]
                    mine[answer.call] = (key, limits, most)
                    sent[answer.call] = (clock.now, limits, 25)
                elif isinstance(answer, Paid):
                    assert key in bought
                else:
                    assert isinstance(answer, Wait | Refused)
            elif what == "die":
                assert ledger.let_go_of(f"w{who}") == len(mine)
                spent += 25 * len(mine)  # as if they had cost the most
                mine.clear()
            elif mine:
                call = sorted(mine)[number % len(mine)]
                key, _, most = mine.pop(call)
                if what == "keep":
                    paid = Paid("{}", "{}", "stop", tokens // 2, tokens // 2, None, 0.0)
                    ledger.kept(call, key, paid, most)
                    bought.append(key)
                    spent += 2 * (tokens // 2)
                    sent[call] = (*sent[call][:2], 2 * (tokens // 2))
                elif what == "withdraw":
                    ledger.forget(call)
                    sent[call] = (*sent[call][:2], 0)
                else:
                    asyncio.run(ledger.lose(call, "no reply", ""))
                    spent += 25
            in_flight = sum(len(calls) for calls in open_calls)
            totals = journal.totals
            assert totals.input_tokens + totals.output_tokens == spent + 25 * in_flight <= 300
    assert len(bought) == len(set(bought))
    for endpoint in ("a", "b"):
        mine_of = [one for one in sent.values() if one[1].endpoint == endpoint]
        found = most_in_a_minute([(at, took) for at, _, took in mine_of])
        calls = [x.requests_per_minute or math.inf for _, x, _ in mine_of]
        assert found[0] <= max(calls, default=0)
        room = [x.tokens_per_minute or math.inf for _, x, _ in mine_of]
        assert found[1] <= max(room, default=0)


@pytest.mark.parametrize(("most_calls", "most_tokens"), [(240, None), (None, 1200)])
def test_many_workers_reach_the_limit_together(
    tmp_path: Path, most_calls: int | None, most_tokens: int | None
) -> None:
    clock, most = Clock(), Charge(8, 2, None)
    paid = Paid("", "", "", 4, 1, None, 0.0)  # half of the most: the rest is given back
    limits = Limits(
        "a", concurrency=1000, requests_per_minute=most_calls, tokens_per_minute=most_tokens
    )
    sent: list[tuple[float, int]] = []
    with Journal(tmp_path / "j.sqlite") as journal:
        ledger = LocalLedger(journal, clock)
        numbers = itertools.count()
        while clock.now < 1000.0 + 2 * MINUTE and len(sent) < 600:
            key = b"%d" % next(numbers)
            answer = ledger.claim_for(f"w{len(sent) % 8}", len(sent), key, most, limits)
            if isinstance(answer, Leased):
                sent.append((clock.now, 5))
                ledger.kept(answer.call, key, paid, most)
            else:
                assert isinstance(answer, Wait)
                clock.now += answer.seconds
    assert len(sent) >= 0.98 * 480
    calls, tokens = most_in_a_minute(sent)
    assert calls <= 240 and tokens <= 1200


def test_a_claim_that_waits_for_money_uses_up_none_of_the_minute(tmp_path: Path) -> None:
    most, paid = Charge(8, 2, None), Paid("", "", "", 4, 1, None, 0.0)
    limits = Limits("a", tokens_per_minute=20, max_tokens=15)
    with Journal(tmp_path / "j.sqlite") as journal:
        ledger = LocalLedger(journal, Clock())
        first = ledger.claim_for("w", 1, b"first", most, limits)
        assert isinstance(first, Leased)
        for ticket in range(2, 5):
            waits = ledger.claim_for("w", ticket, b"next", most, limits)
            assert waits == Wait(SETTLING_SECONDS)
        ledger.kept(first.call, b"first", paid, most)
        assert isinstance(ledger.claim_for("w", 5, b"next", most, limits), Leased)


def test_a_call_that_no_minute_can_hold_is_refused(tmp_path: Path) -> None:
    limits = Limits("a", tokens_per_minute=9)
    with Journal(tmp_path / "j.sqlite") as journal:
        answer = LocalLedger(journal).claim_for("w", 1, b"k", Charge(8, 2, None), limits)
        assert isinstance(answer, Refused)
