"""What people said with other tools, as labels of a campaign."""

import contextlib
import threading
from collections.abc import Sequence

import pytest
from human_items import BAD, GOOD, MAYBE, answer, claim, duel, judging

from lskd.errors import UserError
from lskd.human.intake import Taken
from lskd.human.store import AT_ONCE, Store
from lskd.human.work import Rating, Skip, Study
from lskd.types import Judgment


def said(number: int, who: str, rating: Rating = GOOD, image: str | None = None) -> Judgment:
    name = f"i{number}" if image is None else image
    return Judgment(f"t{number}", name, who, rating.qa, rating.rationale, 2.5)


def take(store: Store, campaign: str, judgments: Sequence[Judgment]) -> tuple[int, int, list[str]]:
    took = store.take(campaign, judgments)
    return took.new, took.known, [f"{one.source}: {one.reason}" for one in took.rejects]


def test_judgments_become_labels_and_taken_again_nothing(store: Store) -> None:
    campaign = judging(store, 10)
    given = [said(1, "ann@x.org"), said(1, "ben", BAD), said(2, "ben", MAYBE, image="")]
    assert take(store, campaign, given) == (3, 0, [])
    assert take(store, campaign, given) == (0, 3, [])
    assert take(store, campaign, [*given, *given, said(3, "ben")]) == (1, 6, [])
    kept = list(store.judgments(campaign))
    expected = [said(1, "ann@x.org"), said(1, "ben", BAD), said(2, "ben", MAYBE), said(3, "ben")]
    assert sorted(kept, key=repr) == sorted(expected, key=repr)
    progress = store.progress(campaign)
    assert (progress.labels, progress.complete) == (4, 1)
    assert [(m.annotator, m.standing.labelled) for m in progress.members] == [
        ("ann@x.org", 1),
        ("ben", 3),
    ]


def test_people_who_work_here_are_not_given_what_was_said_elsewhere(store: Store) -> None:
    campaign = judging(store, 4, overlap=2)
    ann, cleo = store.enrol("Ann"), store.enrol("Cleo")
    take(store, campaign, [said(1, "Ann"), said(1, "Ben"), said(2, "Ben")])
    assert store.annotator(ann.token) == ann  # the link stays good
    order = [one.item_id for _ in range(4) if (one := answer(store, campaign, cleo))]
    assert order[0] == "t2"  # it lacks only one more
    assert sorted(order) == ["t0", "t2", "t3"]  # t1 has both
    rest = [one.item_id for _ in range(4) if (one := answer(store, campaign, ann))]
    assert sorted(rest) == ["t0", "t3"]


def test_an_item_that_is_open_or_was_passed_on_is_labelled_by_what_was_said(store: Store) -> None:
    campaign = judging(store, 3, overlap=1)
    ann, ben = store.enrol("Ann"), store.enrol("Ben")
    opened = store.next(campaign, ann)
    passed = answer(store, campaign, ben, Skip("no"))
    assert opened is not None and passed is not None
    given = [
        said(int(opened.id[1:]), "Ann", BAD),
        said(int(passed.item_id[1:]), "Ben", MAYBE),
    ]
    assert take(store, campaign, given) == (2, 0, [])
    assert store.progress(campaign).complete == 2
    with pytest.raises(UserError, match="is done"):
        store.record(campaign, ann, opened.id, "key", GOOD, 1.0)
    last = store.next(campaign, ann)
    assert last is not None and last.id not in (opened.id, passed.item_id)


def test_more_people_than_the_overlap_may_have_said_something_elsewhere(store: Store) -> None:
    campaign = judging(store, 1, overlap=2)
    given = [said(0, f"p{n}") for n in range(5)]
    assert take(store, campaign, given) == (5, 0, [])
    assert store.progress(campaign).complete == 1
    assert answer(store, campaign, store.enrol("Ann")) is None


def test_what_cannot_be_taken_is_told_with_its_reason(store: Store) -> None:
    campaign = judging(store, 3)
    ann = store.enrol("Ann")
    here = answer(store, campaign, ann, BAD)
    assert here is not None
    number = int(here.item_id[1:])
    new, known, told = take(
        store,
        campaign,
        [
            said(number, "Ann", GOOD),
            said(77, "Ann"),
            said(1, "Ben", image="i2"),
            said(2, "Ben", GOOD),
            said(2, "Ben", BAD),
            said(1, "x" * 201),
        ],
    )
    assert (new, known) == (0, 0)
    assert sorted(told) == sorted(
        [
            f"t{number}: Ann has said otherwise in the studio",
            "t77: the campaign 'critic' has no such item",
            "t1: it names the image 'i2', and the item has another",
            "t2: Ben contradicts it",
            "t2: Ben contradicts it",
            "t1: the name of an annotator has 201 characters: from 1 to 200 would be right",
        ]
    )
    assert take(store, campaign, [said(number, "Ann", BAD)]) == (0, 1, [])
    assert len(list(store.entries(campaign))) == 1


def test_of_more_than_goes_in_at_once_nothing_is_lost(sqlite_url: str) -> None:
    # All but the first and the last are of no item: what is told of them costs little.
    given = [said(0, "Ann"), *(said(n, "Ann") for n in range(2, AT_ONCE + 1)), said(1, "Ann")]
    with contextlib.closing(Store(sqlite_url)) as store:
        campaign = judging(store, 2)
        for counts in ((2, 0), (0, 2)):
            new, known, told = take(store, campaign, given)
            assert (new, known) == counts
            assert new + known + len(told) == len(given)
        assert sorted(one.triple_id for one in store.judgments(campaign)) == ["t0", "t1"]


def test_what_a_person_takes_back_in_the_studio_does_not_come_back(store: Store) -> None:
    campaign = judging(store, 3)
    ann = store.enrol("Ann")
    take(store, campaign, [said(1, "Ann")])
    item = store.undo(campaign, ann)
    assert item is not None and item.id == "t1"
    assert take(store, campaign, [said(1, "Ann")]) == (0, 1, [])
    assert list(store.judgments(campaign)) == []


def test_what_was_said_here_is_taken_back_before_what_was_said_elsewhere(store: Store) -> None:
    campaign = judging(store, 3)
    ann = store.enrol("Ann")
    here = answer(store, campaign, ann)
    assert here is not None
    elsewhere = next(n for n in range(3) if f"t{n}" != here.item_id)
    take(store, campaign, [said(elsewhere, "Ann")])
    opened = [store.undo(campaign, ann) for _ in range(3)]
    assert [one and one.id for one in opened] == [here.item_id, f"t{elsewhere}", None]


def test_what_no_database_keeps_is_told_with_its_reason(store: Store) -> None:
    campaign = judging(store, 2)
    odd = Judgment("t\0", "i1", "Ann", 3, 3)
    assert take(store, campaign, [odd, said(1, "Ann")]) == (
        *(1, 0),
        ["t\0: the id of a triple holds what is no character: 't\\x00'"],
    )


def test_known_answers_are_compared_and_a_participant_is_known_by_their_id(store: Store) -> None:
    campaign = judging(store, 2, gold=1)
    store.enrol("prolific abc", Study("abc", "s", "e"))
    take(store, campaign, [said(1_000_000, "abc"), said(1, "abc")])
    (member,) = store.progress(campaign).members
    assert member.annotator == "prolific abc"
    assert (member.standing.gold_right, member.standing.gold_seen) == (1, 1)
    assert [one.triple_id for one in store.judgments(campaign)] == ["t1"]


def test_campaigns_that_compare_take_no_judgments(store: Store) -> None:
    store.campaign("pair", "compare", 3, seed=1)
    store.put("pair", [duel(1)])
    with pytest.raises(UserError, match="is of kind 'compare', not 'judge'"):
        store.take("pair", [said(1, "Ann")])


def test_two_who_take_the_same_file_at_once_add_it_once(url: str) -> None:
    given = [said(n, who) for who in ("ann", "ben") for n in range(20)]
    took: list[Taken] = []
    with contextlib.closing(Store(url)) as one, contextlib.closing(Store(url)) as other:
        one.campaign("critic", "judge", 2, 7)
        one.put("critic", [claim(n) for n in range(20)])
        threads = [
            threading.Thread(target=lambda store=store: took.append(store.take("critic", given)))
            for store in (one, other)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(each.new for each in took) == len(given) == sum(each.known for each in took)
        assert one.progress("critic").complete == 20
