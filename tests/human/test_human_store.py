import math
import random
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from human_items import BAD, FIRST, GOOD, MAYBE, SECOND, answer, claim, duel, judging

from lskd.errors import EndpointError, UserError
from lskd.human.database import Database
from lskd.human.schema import assignments
from lskd.human.store import Store
from lskd.human.work import Annotator, Entry, Flag, Rating, Remark, Skip, Standing, Study
from lskd.types import Comparison, Judgment
from postgres import Cluster

ANYTHING: list[Remark] = [GOOD, BAD, MAYBE, Skip(""), Flag("")]


def labelled(store: Store, campaign: str) -> Counter[str]:
    return Counter(entry.item_id for entry in store.valid(campaign))


# Campaigns and items


def test_a_campaign_begins_once_and_keeps_its_settings(store: Store) -> None:
    store.campaign("critic", "judge", 2, 7)
    store.campaign("critic", "judge", 2, 7)
    assert [c.name for c in store.campaigns()] == ["critic"]
    assert (store.found("critic").overlap, store.found("critic").seed) == (2, 7)
    with pytest.raises(UserError, match="overlap 2 and seed 7, not of kind 'judge', overlap 3 and"):
        store.campaign("critic", "judge", 3, 7)
    with pytest.raises(UserError, match="no campaign 'duels'; campaigns: critic"):
        store.found("duels")
    with pytest.raises(UserError, match="overlap is 1 or more"):
        store.campaign("none", "judge", 0, 7)
    for name in ("ours/theirs", "/", ".", ".."):
        with pytest.raises(UserError, match="has no '/' and is not"):
            store.campaign(name, "compare", 3, 7)
    assert [c.name for c in store.campaigns()] == ["critic"]


def test_items_are_added_once(store: Store) -> None:
    store.campaign("critic", "judge", 2, 7)
    assert store.put("critic", [claim(1), claim(2), claim(1)]) == 2
    assert store.put("critic", [claim(2), claim(3)]) == 1
    assert store.put("critic", []) == 0
    assert store.progress("critic").items == 3
    assert store.posed("critic") == [claim(1), claim(2), claim(3)]


def test_an_item_never_changes_under_people_s_hands(store: Store) -> None:
    judging(store, 2)
    with pytest.raises(UserError, match="1 items of the campaign 'critic' are there with other co"):
        store.put("critic", [claim(1, answer="it is not [0]"), claim(3)])
    assert store.progress("critic").items == 2


def test_an_item_tells_where_its_picture_lies_now(store: Store) -> None:
    judging(store, 3)
    moved = [replace(one, what=replace(one.what, path="/b.jpg")) for one in map(claim, range(2))]
    assert store.put("critic", [*moved, claim(3)]) == 1
    assert store.posed("critic") == [*moved, claim(2), claim(3)]


def test_items_are_of_the_campaign_s_kind(store: Store) -> None:
    store.campaign("critic", "judge", 2, 7)
    store.campaign("table5", "compare", 3, 7)
    with pytest.raises(UserError, match="not for a campaign of kind 'judge': such take Claim"):
        store.put("critic", [duel(1)])
    with pytest.raises(UserError, match="not for a campaign of kind 'compare': such take Duel"):
        store.put("table5", [claim(1)])
    assert store.put("table5", [duel(1)]) == 1


# People


def test_a_new_link_voids_the_old_one(store: Store) -> None:
    first = store.enrol("Ann")
    assert store.annotator(first.token) == first
    second = store.enrol("Ann")
    assert (second.id, second.name) == (first.id, first.name)
    assert store.annotator(first.token) is None
    assert store.annotator(second.token) == second
    assert store.annotator("guess") is None
    assert store.annotator("\ud800\0") is None
    assert len(second.token) >= 32


def test_the_database_does_not_hold_the_secret_of_a_link(sqlite_url: str) -> None:
    store = Store(sqlite_url)
    token = store.enrol("Ann").token
    store.close()
    (file,) = Path(sqlite_url.removeprefix("sqlite:///")).parent.glob("people.sqlite")
    assert token.encode() not in file.read_bytes()


def test_a_participant_of_prolific_stays_the_same_person(store: Store) -> None:
    store.enrol("Ann")
    first = store.enrol("P-61", Study("61ab", "study", "session 1"))
    again = store.enrol("another name", Study("61ab", "study", "session 2"))
    assert (again.id, again.name) == (first.id, "P-61")
    with pytest.raises(UserError, match="'Ann' is the name of somebody else"):
        store.enrol("Ann", Study("77", "study", "session"))
    with pytest.raises(UserError, match="'P-61' is the name of a participant of Prolific"):
        store.enrol("P-61")


def test_a_participant_whose_judgments_came_from_elsewhere_is_let_in(store: Store) -> None:
    campaign = judging(store, 3, overlap=1)
    who = Study("61ab", "study", "session 1")
    assert store.take(campaign, [Judgment("t1", "i1", who.known_as, 3, 3)]).new == 1
    there = store.enrol(who.known_as, who)
    again = store.enrol(who.known_as, Study("61ab", "study", "session 2"))
    assert (there.id, there.name) == (again.id, "prolific 61ab")
    done = [one.item_id for _ in range(3) if (one := answer(store, campaign, again))]
    assert sorted(done) == ["t0", "t2"]
    with pytest.raises(UserError, match="'prolific 61ab' is the name of somebody else"):
        store.enrol(who.known_as, Study("77", "study", "session"))


def test_no_person_is_enrolled_by_what_a_database_cannot_keep(store: Store) -> None:
    for name in ("", "x" * 201, "a\0b", "a\ud800b"):
        with pytest.raises(UserError, match="name of an annotator"):
            store.enrol(name)


def test_consent_is_to_one_text_in_one_campaign(store: Store) -> None:
    campaign = judging(store, 1)
    store.campaign("again", "judge", 2, 7)
    ann, bob = store.enrol("Ann"), store.enrol("Bob")
    assert not store.agreed(campaign, ann, "I agree.")
    store.agree(campaign, ann, "I agree.")
    store.agree(campaign, ann, "I agree.")
    assert store.agreed(campaign, ann, "I agree.")
    assert not store.agreed(campaign, ann, "I agree to more.")
    assert not store.agreed("again", ann, "I agree.")
    assert not store.agreed(campaign, bob, "I agree.")


# Who gets what


def test_an_open_item_comes_again_at_any_moment(url: str) -> None:
    store = Store(url)
    campaign = judging(store, 5)
    ann = store.enrol("Ann")
    item = store.next(campaign, ann)
    assert item is not None
    assert item == claim(int(item.id.removeprefix("t")))
    assert store.next(campaign, ann) == item
    store.close()
    later = Store(url)
    assert later.next(campaign, later.enrol("Ann")) == item
    later.close()


def age(url: str, seconds: float) -> None:
    """Have everybody's items been theirs for so much longer."""
    column = assignments.c.since
    with closing(Database(url)) as database:
        database.write(lambda c: c.execute(assignments.update().values(since=column - seconds)))


def test_a_browser_has_a_second_item_at_hand_in_a_stable_order(url: str) -> None:
    store = Store(url, lease=600)
    campaign = judging(store, 6, overlap=1)
    ann, bob = store.enrol("Ann"), store.enrol("Bob")
    first = store.next(campaign, ann)
    assert first is not None
    same, second = store.hand(campaign, ann, 2)
    assert same == first and second != first
    for _ in range(4):
        # A lease is renewed as long as its holder comes.
        assert store.next(campaign, ann) == first
        assert store.hand(campaign, ann, 2) == [first, second]
        other = answer(store, campaign, bob)
        assert other is not None and other.item_id not in (first.id, second.id)
        age(url, 400)
    store.record(campaign, ann, first.id, "key", GOOD, 1.0)
    assert store.next(campaign, ann) == second
    assert store.undo(campaign, ann) == first
    assert store.next(campaign, ann) == first
    assert store.hand(campaign, ann, 2) == [first, second]
    store.close()


def test_nobody_gets_an_item_twice_and_overlaps_fill_first(store: Store) -> None:
    campaign = judging(store, 6, overlap=2)
    people = [store.enrol(name) for name in ("Ann", "Bob", "Cem")]
    seen: list[tuple[int, str]] = []
    for turn in range(12):
        who = people[turn % 3]
        entry = answer(store, campaign, who)
        if entry is not None:
            seen.append((who.id, entry.item_id))
        counts = labelled(store, campaign)
        assert max(counts.values()) <= 2
        # One label more for one item before a second item is begun, as far as people differ.
        assert sum(count < 2 for count in counts.values()) <= 2
    assert len(set(seen)) == len(seen) == 12
    assert set(labelled(store, campaign).values()) == {2}
    assert all(store.next(campaign, who) is None for who in people)


def test_what_others_have_open_counts_towards_the_overlap(store: Store) -> None:
    campaign = judging(store, 2, overlap=1)
    ann, bob, cem = (store.enrol(name) for name in ("Ann", "Bob", "Cem"))
    first, second = store.next(campaign, ann), store.next(campaign, bob)
    assert first is not None and second is not None and first.id != second.id
    assert store.next(campaign, cem) is None
    store.record(campaign, ann, first.id, "key", Skip("blurred"), None)
    assert store.next(campaign, cem) == first


def test_the_order_is_random_and_the_same_in_every_database(store: Store) -> None:
    campaign = judging(store, 30, overlap=1)
    ann = store.enrol("Ann")
    order = [entry.item_id for _ in range(30) if (entry := answer(store, campaign, ann))]
    assert sorted(order, key=lambda name: int(name[1:])) != order
    assert order[:6] == ["t22", "t0", "t7", "t5", "t23", "t16"]


def test_an_old_lease_is_given_away_and_answered_late_if_there_is_room(url: str) -> None:
    store, hasty = Store(url), Store(url, lease=0.05)
    campaign = judging(store, 1, overlap=1)
    ann, bob = store.enrol("Ann"), store.enrol("Bob")
    assert store.next(campaign, ann) is not None
    time.sleep(0.1)
    # To the one the lease is young, to the other it is old.
    assert store.next(campaign, bob) is None
    # Nobody came meanwhile: it is still Ann's.
    assert hasty.next(campaign, ann) is not None
    time.sleep(0.1)
    assert hasty.next(campaign, bob) is not None
    assert store.next(campaign, ann) is None
    with pytest.raises(UserError, match="was given to others meanwhile"):
        store.record(campaign, ann, "t0", "late", GOOD, 1.0)
    store.record(campaign, bob, "t0", "pass", Skip(""), 1.0)
    assert store.record(campaign, ann, "t0", "late", GOOD, 1.0).kind == "label"
    assert labelled(store, campaign) == {"t0": 1}
    assert store.next(campaign, store.enrol("Cem")) is None
    hasty.close()
    store.close()


# Labels


def test_the_same_key_twice_gives_one_row(store: Store) -> None:
    campaign = judging(store, 3)
    ann = store.enrol("Ann")
    first = answer(store, campaign, ann, key="key")
    assert first is not None
    again = store.record(campaign, ann, first.item_id, "key", BAD, 99.0)
    assert again == first
    assert list(store.entries(campaign)) == [first]
    other = store.next(campaign, ann)
    assert other is not None
    with pytest.raises(UserError, match="the key 'key' was used for the item"):
        store.record(campaign, ann, other.id, "key", GOOD, 1.0)
    # Keys are a person's own: another's may be the same.
    bob = store.enrol("Bob")
    assert answer(store, campaign, bob, key="key") is not None
    assert len(list(store.entries(campaign))) == 2


def test_only_what_was_given_to_a_person_takes_their_label(store: Store) -> None:
    campaign = judging(store, 3)
    ann = store.enrol("Ann")
    mine = store.next(campaign, ann)
    assert mine is not None
    other = next(f"t{n}" for n in range(3) if f"t{n}" != mine.id)
    for item in (other, "unknown", "t0' OR 1=1"):
        with pytest.raises(UserError, match="was not given to 'Ann'"):
            store.record(campaign, ann, item, "key", GOOD, 1.0)
    store.record(campaign, ann, mine.id, "key", GOOD, 1.0)
    with pytest.raises(UserError, match="is done: undo it first"):
        store.record(campaign, ann, mine.id, "another", GOOD, 1.0)


@pytest.mark.parametrize(
    ("key", "said", "seconds", "told"),
    [
        ("", GOOD, 1.0, "the key has 0 characters"),
        ("a\0", GOOD, 1.0, "the key holds what is no character"),
        ("k", FIRST, 1.0, "Choice says nothing in a campaign of kind 'judge'"),
        ("k", Skip("\ud800"), 1.0, "the reason holds what is no character"),
        ("k", GOOD, -1.0, "seconds = -1.0"),
        ("k", GOOD, math.nan, "seconds = nan"),
    ],
)
def test_what_is_no_answer_adds_no_row(
    store: Store, key: str, said: Remark, seconds: float, told: str
) -> None:
    campaign = judging(store, 1)
    ann = store.enrol("Ann")
    assert store.next(campaign, ann) is not None
    with pytest.raises(UserError, match=told):
        store.record(campaign, ann, "t0", key, said, seconds)
    assert not list(store.entries(campaign))


def test_skips_and_flags_keep_their_reasons_and_free_the_item(store: Store) -> None:
    campaign = judging(store, 1, overlap=1)
    ann, bob, cem = (store.enrol(name) for name in ("Ann", "Bob", "Cem"))
    answer(store, campaign, ann, Skip("too dark ☾"))
    assert store.next(campaign, ann) is None
    answer(store, campaign, bob, Flag("a face"))
    assert answer(store, campaign, cem, MAYBE) is not None
    said = [(e.annotator, e.kind, e.reason, e.verdict) for e in store.entries(campaign)]
    assert said == [
        ("Ann", "skip", "too dark ☾", None),
        ("Bob", "flag", "a face", None),
        ("Cem", "label", "", MAYBE),
    ]
    assert [entry.annotator for entry in store.valid(campaign)] == ["Cem"]


def test_the_journal_cannot_be_changed(url: str) -> None:
    store = Store(url)
    answer(store, judging(store, 1), store.enrol("Ann"))
    store.close()
    for statement in ("UPDATE entries SET verdict = ''", "DELETE FROM entries"):
        if url.startswith("sqlite"):
            file = sqlite3.connect(url.removeprefix("sqlite:///"))
            with pytest.raises(sqlite3.IntegrityError, match="never changed or removed"):
                file.execute(statement)
            file.close()
        else:
            with psycopg.connect(url.replace("+psycopg", "")) as connection:
                with pytest.raises(psycopg.errors.RaiseException, match="never changed or remove"):
                    connection.execute(statement.encode())
                connection.rollback()


# Undo


def test_undo_opens_the_last_item_again_and_so_on_backwards(store: Store) -> None:
    campaign = judging(store, 5)
    ann = store.enrol("Ann")
    assert store.undo(campaign, ann) is None
    first, second = answer(store, campaign, ann), answer(store, campaign, ann, Skip("?"))
    third = store.next(campaign, ann)
    assert first is not None and second is not None and third is not None
    for done in (second, first):
        opened = store.undo(campaign, ann)
        assert opened is not None and opened.id == done.item_id
        assert store.next(campaign, ann) == opened
    assert store.undo(campaign, ann) is None
    assert not list(store.valid(campaign))
    kinds = [entry.kind for entry in store.entries(campaign)]
    assert kinds == ["label", "skip", "undo", "undo"]
    # All three come again, each once.
    again = {entry.item_id for _ in range(3) if (entry := answer(store, campaign, ann, BAD))}
    assert again == {first.item_id, second.item_id, third.id}
    assert {entry.verdict for entry in store.valid(campaign)} == {BAD}


def test_an_undo_that_is_sent_twice_takes_back_one_label(store: Store) -> None:
    campaign = judging(store, 5)
    ann = store.enrol("Ann")
    answer(store, campaign, ann)
    last = answer(store, campaign, ann)
    assert last is not None
    opened = store.undo(campaign, ann, "undo 1")
    assert opened is not None and opened.id == last.item_id
    assert store.undo(campaign, ann, "undo 1") == opened
    assert len(list(store.valid(campaign))) == 1


def test_a_label_s_place_is_kept_through_an_undo(store: Store) -> None:
    campaign = judging(store, 1, overlap=1)
    ann, bob = store.enrol("Ann"), store.enrol("Bob")
    answer(store, campaign, ann)
    store.undo(campaign, ann)
    assert store.next(campaign, bob) is None
    answer(store, campaign, ann, BAD)
    assert [entry.verdict for entry in store.valid(campaign)] == [BAD]


def test_a_skip_that_others_have_filled_stays_skipped(store: Store) -> None:
    campaign = judging(store, 1, overlap=1)
    ann, bob = store.enrol("Ann"), store.enrol("Bob")
    answer(store, campaign, ann, Skip(""))
    answer(store, campaign, bob)
    with pytest.raises(UserError, match="'t0' cannot be opened again: others have taken it"):
        store.undo(campaign, ann)
    assert labelled(store, campaign) == {"t0": 1}


# Gold, standing, progress


def test_one_of_ten_is_gold_and_all_see_it(store: Store) -> None:
    campaign = judging(store, 40, overlap=1, gold=3)
    ann = store.enrol("Ann")
    taken = [entry for _ in range(50) if (entry := answer(store, campaign, ann))]
    gold = [n for n, entry in enumerate(taken) if entry.item_id.startswith("t1000")]
    assert len(taken) == 43
    assert [n // 10 for n in gold] == [0, 1, 2]
    assert len({n % 10 for n in gold}) > 1
    store.put(campaign, [claim(n) for n in range(50, 90)])
    bob = store.enrol("Bob")
    said: list[Rating] = [BAD] * 40
    others = [entry for verdict in said if (entry := answer(store, campaign, bob, verdict))]
    assert sum(entry.item_id.startswith("t1000") for entry in others) == 3
    assert store.standing(campaign, ann).gold_right == 3
    assert store.standing(campaign, ann).gold_seen == 3
    assert store.standing(campaign, bob).gold_right == 0
    assert store.standing(campaign, bob).gold_seen == 3
    assert len(list(store.judgments(campaign))) == 77
    assert len(list(store.judgments(campaign, gold=True))) == 83


def test_the_first_answer_to_a_known_item_counts(store: Store) -> None:
    campaign = judging(store, 20, gold=1)
    ann = store.enrol("Ann")
    while (item := answer(store, campaign, ann, BAD)) and not item.item_id.startswith("t1000"):
        pass
    for said in (GOOD, Skip("it said that I am wrong")):
        store.undo(campaign, ann)
        answer(store, campaign, ann, said)
        standing = store.standing(campaign, ann)
        assert (standing.gold_right, standing.gold_seen) == (0, 1)
    store.undo(campaign, ann)
    assert store.standing(campaign, ann).gold_seen == 1


def test_standing_and_progress_count_what_was_not_undone(store: Store) -> None:
    campaign = judging(store, 6, overlap=2)
    ann, bob = store.enrol("Ann"), store.enrol("Bob")
    assert store.standing(campaign, ann) == Standing(0, 0, 0, 6, 0, 0, None)
    all_said: list[tuple[Remark, float | None]] = [
        (GOOD, 2.0),
        (BAD, 5.0),
        (MAYBE, None),
        (Skip(""), 9.0),
        (Flag("?"), 9.0),
        (GOOD, 1e6),
    ]
    for key, (remark, seconds) in enumerate(all_said):
        item = store.next(campaign, ann)
        assert item is not None
        store.record(campaign, ann, item.id, str(key), remark, seconds)
    assert store.standing(campaign, ann).left == 0
    store.undo(campaign, ann)
    assert store.standing(campaign, ann) == Standing(3, 1, 1, 1, 0, 0, 3.5)
    answer(store, campaign, bob)
    progress = store.progress(campaign)
    assert (progress.items, progress.complete, progress.labels, progress.gold) == (6, 1, 4, 0)
    assert [member.annotator for member in progress.members] == ["Ann", "Bob"]
    assert progress.members[0].standing == store.standing(campaign, ann)
    assert progress.members[1].standing == Standing(1, 0, 0, 5, 0, 0, 1.5)


def test_labels_become_judgments_and_comparisons(store: Store) -> None:
    campaign = judging(store, 1)
    store.campaign("table5", "compare", 3, 7)
    store.put("table5", [duel(4)])
    ann, bob = store.enrol("Ann"), store.enrol("Bob")
    answer(store, campaign, ann, MAYBE)
    answer(store, campaign, bob, BAD)
    answer(store, "table5", ann, SECOND)
    assert list(store.judgments(campaign)) == [
        Judgment("t0", "i0", "Ann", 2, 1, 1.5),
        Judgment("t0", "i0", "Bob", 1, None, 1.5),
    ]
    aspects = "second", "tie", "first", "second"
    assert list(store.comparisons("table5")) == [
        Comparison("q4", "i4", "Ann", "student", "teacher", *aspects, 1.5)  # type: ignore[arg-type]
    ]
    with pytest.raises(UserError, match="'table5' is of kind 'compare', not 'judge'"):
        list(store.judgments("table5"))


def folded(journal: list[Entry]) -> list[Entry]:
    """Return the labels that count, from the journal alone."""
    last: dict[tuple[str, str], Entry] = {}
    for entry in journal:
        if entry.kind == "undo":
            del last[entry.annotator, entry.item_id]
        else:
            assert (entry.annotator, entry.item_id) not in last
            last[entry.annotator, entry.item_id] = entry
    return sorted((e for e in last.values() if e.kind == "label"), key=lambda e: e.number)


@pytest.mark.parametrize("seed", range(2))
def test_whatever_people_do_the_counters_follow_from_the_journal(store: Store, seed: int) -> None:
    rng = random.Random(seed)
    campaign = judging(store, 12, overlap=2, gold=2)
    people = [store.enrol(f"p{n}") for n in range(4)]
    opened: dict[int, str] = {}
    for step in range(120):
        who = rng.choice(people)
        if rng.random() < 0.25:
            try:
                item = store.undo(campaign, who)
            except UserError:
                continue
        else:
            item = store.next(campaign, who)
        if item is not None:
            opened[who.id] = item.id
            if rng.random() < 0.7:
                said = rng.choice(ANYTHING)
                store.record(campaign, who, opened.pop(who.id), f"{step}", said, None)
    labels = folded(list(store.entries(campaign)))
    assert list(store.valid(campaign)) == labels
    counts = Counter(e.item_id for e in labels if not e.item_id.startswith("t1000"))
    have = counts + Counter(item for item in opened.values() if not item.startswith("t1000"))
    assert max(have.values()) <= 2
    progress = store.progress(campaign)
    assert progress.labels == counts.total()
    assert progress.complete == sum(count == 2 for count in counts.values())
    kinds = Counter((e.annotator, e.kind) for e in labels)
    for member in progress.members:
        assert member.standing.labelled == kinds[member.annotator, "label"]


# What cannot be used


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("people.sqlite", "the database is no URL; the forms are sqlite:///people.sqlite, postg"),
        ("mysql://u:secret-word@h/x", "no database 'mysql'; the forms are"),
        ("sqlite://", "a database of SQLite is a file, so that no label is lost"),
        ("sqlite:///:memory:", "a database of SQLite is a file"),
        ("postgresql://u:secret-word@localhost", "names no database"),
        ("postgresql://u:secret-word@h:port/x", "the database is no URL"),
    ],
)
def test_a_wrong_url_is_told_in_one_line_without_its_password(url: str, told: str) -> None:
    with pytest.raises(UserError, match=told) as raised:
        Store(url)
    assert "\n" not in str(raised.value)
    assert "secret-word" not in str(raised.value)


def test_a_database_that_is_down_is_told_in_one_line_without_its_password() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))  # nobody else can listen there meanwhile
        place = f"u:secret-word@127.0.0.1:{deaf.getsockname()[1]}/x"
        url = f"postgresql://{place}?application_name=secret-too"
        told = r"u:\*\*\*@127.0.0.1:\d+/x cannot be used: "
        with pytest.raises(EndpointError, match=told) as raised:
            Store(url)
    assert "\n" not in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_database_that_is_not_there_is_told(postgres: Cluster) -> None:
    url = postgres.address("nowhere").replace("lskd@", "lskd:secret-word@")
    with pytest.raises(EndpointError, match='database "nowhere" does not exist') as raised:
        Store(url)
    assert "secret-word" not in str(raised.value)


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "people.sqlite").write_text("Dear diary, " * 100)
    with pytest.raises(EndpointError, match="cannot be used: file is not a database"):
        Store(f"sqlite:///{tmp_path / 'people.sqlite'}")


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot make the folder of sqlite:///"):
        Store(f"sqlite:///{tmp_path / 'file' / 'people.sqlite'}")


def test_a_database_of_another_version_is_left_alone(sqlite_url: str) -> None:
    Store(sqlite_url).close()
    file = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))
    file.execute("UPDATE about SET version = 99")
    file.commit()
    file.close()
    with pytest.raises(UserError, match="human work of version 99, and this lskd knows version 1"):
        Store(sqlite_url)


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ("sqlalchemy", "the database of human work needs SQLAlchemy: pip install 'lskd[ui]'"),
        ("psycopg", "the database postgresql+psycopg://h/x needs psycopg: pip install 'lskd[ui]'"),
    ],
)
def test_a_missing_library_is_named_with_what_installs_it(missing: str, told: str) -> None:
    program = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from lskd.errors import MissingExtra\n"
        "try:\n"
        "    from lskd.human.store import Store; Store('postgresql://h/x')\n"
        "except MissingExtra as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == (told, "")


def test_who_was_never_enrolled_here_leaves_nothing(store: Store) -> None:
    campaign = judging(store, 2)
    assert store.standing(campaign, Annotator(99, "Nobody", "")).labelled == 0
    with pytest.raises(UserError, match="was not given to 'Nobody'"):
        store.record(campaign, Annotator(99, "Nobody", ""), "t0", "key", GOOD, None)
