"""The journal on real files: nothing is lost, and what cannot work is said."""

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lskd.chat.journal import RESERVE_BYTES, Journal
from lskd.chat.journal_file import open_to_read
from lskd.chat.paid import Charge, Paid, Totals, spent_so_far
from lskd.errors import UserError

MOST = Charge(100, 50, 0.5)
PAID = Paid('{"a": 1}', '{"b": "\\ud83d \u00e9"}', "stop", 60, 20, 0.2, 1.5)


def anything(totals: Totals) -> bool:
    return True


def asked(journal: Journal, key: bytes, most: Charge = MOST) -> int:
    call = journal.ask(key, most, anything)
    assert call is not None
    return call


def keep(journal: Journal, key: bytes, paid: Paid = PAID) -> None:
    journal.keep(asked(journal, key), key, paid)


def test_what_is_kept_is_found_word_for_word(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.sqlite") as journal:
        keep(journal, b"one")
        assert journal.find(b"one") == PAID
        assert journal.find(b"two") is None
    with Journal(tmp_path / "j.sqlite") as journal:
        assert journal.find(b"one") == PAID


def test_a_new_journal_makes_its_folder(tmp_path: Path) -> None:
    with Journal(tmp_path / "run" / "journal" / "generate.sqlite") as journal:
        assert journal.spent().calls == 0


def test_sums_are_kept_over_restarts(tmp_path: Path) -> None:
    for count in (1, 2, 3):
        with Journal(tmp_path / "j.sqlite") as journal:
            keep(journal, str(count).encode())
            spent = journal.spent()
            assert (spent.calls, spent.input_tokens, spent.output_tokens) == (
                count,
                60 * count,
                20 * count,
            )
            assert spent.price == pytest.approx(0.2 * count)
            assert journal.totals.price == pytest.approx(0.2 * count)


def test_what_was_asked_and_never_answered_is_counted(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.sqlite") as journal:
        asked(journal, b"in flight")
        lost, refused = asked(journal, b"lost"), asked(journal, b"refused")
        journal.lose(lost, "no reply in time", "")
        journal.withdraw(refused)
        assert (journal.spent().unanswered, journal.in_flight) == (1, 1)
        assert journal.totals == Totals(200, 100, 1.0)
    with Journal(tmp_path / "j.sqlite") as journal:
        assert (journal.spent().unanswered, journal.in_flight) == (2, 0)
        assert journal.totals == Totals(200, 100, 1.0)


def test_a_call_that_does_not_fit_is_not_noted(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.sqlite") as journal:
        assert journal.ask(b"a", MOST, lambda totals: totals.price <= 0.4) is None
        assert journal.ask(b"a", MOST, lambda totals: totals.price <= 0.5) is not None
        assert journal.ask(b"b", MOST, lambda totals: totals.price <= 0.9) is None


def test_a_reply_without_counts_is_charged_the_most(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.sqlite") as journal:
        keep(journal, b"a", Paid("{}", "{}", "", None, None, None, 1.0))
        spent = journal.spent()
        assert (spent.input_tokens, spent.output_tokens, spent.uncounted) == (100, 50, 1)
        assert spent.price == 0.5


@given(st.lists(st.tuples(st.sampled_from("klwi"), st.integers(0, 99), st.booleans()), max_size=8))
def test_running_sums_are_those_of_the_file(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[str, int, bool]]
) -> None:
    path = tmp_path_factory.mktemp("journal") / "j.sqlite"
    with Journal(path) as journal:
        for number, (event, tokens, priced) in enumerate(events):
            key, price = str(number).encode(), 0.25 if priced else None
            call = asked(journal, key, Charge(100, 100, price))
            if event == "k":
                journal.keep(call, key, Paid("{}", "{}", "", tokens, tokens, price, 0.0))
            elif event == "l":
                journal.lose(call, "cut", "")
            elif event == "w":
                journal.withdraw(call)
        before = journal.totals
    with Journal(path) as journal:
        assert journal.totals == before  # 0.25 adds up exactly


def test_threads_share_a_journal(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.sqlite") as journal:

        def work(thread: int) -> None:
            for number in range(50):
                keep(journal, b"%d-%d" % (thread, number))

        threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert journal.spent().calls == 200
        assert journal.totals.input_tokens == 200 * 60


def test_parents_are_read_in_order_and_never_written(tmp_path: Path) -> None:
    for name, finish in (("a", "first"), ("b", "second")):
        with Journal(tmp_path / name) as parent:
            keep(parent, b"both", Paid("{}", "{}", finish, 1, 1, None, 0.0))
            keep(parent, name.encode())
    before = [(tmp_path / name).read_bytes() for name in "ab"]
    parents = [tmp_path / "a", tmp_path / "b", tmp_path / "never-paid"]
    with Journal(tmp_path / "own", parents) as journal:
        found = [journal.find(key) for key in (b"both", b"a", b"b")]
        assert [one and one.finish for one in found] == ["first", "stop", "stop"]
        assert journal.spent().calls == 0  # a parent's replies were paid there
    assert [(tmp_path / name).read_bytes() for name in "ab"] == before


def test_a_parent_at_work_can_be_read(tmp_path: Path) -> None:
    with (
        Journal(tmp_path / "parent") as parent,
        Journal(tmp_path / "own", [tmp_path / "parent"]) as journal,
    ):
        keep(parent, b"late")
        assert journal.find(b"late") == PAID


def test_what_was_spent_can_be_read_while_a_run_writes(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.sqlite") as journal:
        keep(journal, b"a")
        assert spent_so_far(tmp_path / "j.sqlite") == journal.spent()
    assert spent_so_far(tmp_path / "j.sqlite").calls == 1


OPEN = """
import sys, pathlib
from lskd.chat.journal import Journal
from lskd.errors import UserError
try:
    Journal(pathlib.Path(sys.argv[1]))
except UserError as error:
    sys.exit(str(error))
"""


def in_another_process(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", OPEN, str(path)], capture_output=True, text=True, check=False
    )


def test_a_second_process_is_kept_out(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.sqlite") as journal:
        refused = in_another_process(tmp_path / "j.sqlite")
        assert refused.returncode == 1
        assert "is in use by another process" in refused.stderr
        assert refused.stderr.count("\n") == 1
        keep(journal, b"a")


def test_a_journal_of_an_ended_process_is_free(tmp_path: Path) -> None:
    assert in_another_process(tmp_path / "j.sqlite").returncode == 0
    with Journal(tmp_path / "j.sqlite") as journal:
        keep(journal, b"a")


def damage_head(path: Path) -> None:
    path.write_bytes(b"something else" + path.read_bytes()[14:])


def damage_middle(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [damage_head, damage_middle])
def test_a_damaged_journal_is_said(tmp_path: Path, damage: object) -> None:
    with Journal(tmp_path / "j.sqlite") as journal:
        for number in range(50):
            keep(journal, str(number).encode())
    assert callable(damage)
    damage(tmp_path / "j.sqlite")
    with pytest.raises(UserError, match=r"j\.sqlite is damaged or no journal") as raised:
        Journal(tmp_path / "j.sqlite").find(b"1")
    assert "\n" not in str(raised.value)


def test_a_foreign_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "j.sqlite") as foreign:
        foreign.execute("CREATE TABLE songs (title TEXT)")
    foreign.close()
    with pytest.raises(UserError, match="is a database, but no journal"):
        Journal(tmp_path / "j.sqlite")
    with sqlite3.connect(tmp_path / "j.sqlite") as foreign:
        names = foreign.execute("SELECT name FROM sqlite_master").fetchall()
    foreign.close()
    assert names == [("songs",)]


def test_a_journal_of_another_version_is_refused(tmp_path: Path) -> None:
    Journal(tmp_path / "j.sqlite").close()
    with sqlite3.connect(tmp_path / "j.sqlite") as file:
        file.execute("PRAGMA user_version = 99")
    file.close()
    with pytest.raises(UserError, match="is a journal of version 99; this lskd reads"):
        Journal(tmp_path / "j.sqlite")


def test_a_folder_in_the_way_is_said(tmp_path: Path) -> None:
    (tmp_path / "j.sqlite").mkdir()
    with pytest.raises(UserError, match=r"j\.sqlite"):
        Journal(tmp_path / "j.sqlite")


def test_a_parent_in_a_folder_that_cannot_be_written_is_read(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root can write everywhere")
    with Journal(tmp_path / "parent" / "j.sqlite") as parent:
        keep(parent, b"a")
    (tmp_path / "parent").chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with Journal(tmp_path / "own", [tmp_path / "parent" / "j.sqlite"]) as journal:
            assert journal.find(b"a") == PAID
    finally:
        (tmp_path / "parent").chmod(stat.S_IRWXU)


def test_the_reserve_of_a_file_stays_until_its_last_journal_is_closed(tmp_path: Path) -> None:
    path, reserve = tmp_path / "j.sqlite", tmp_path / "j.sqlite.reserve"
    earlier = Journal(path)
    with Journal(tmp_path / ".." / tmp_path.name / path.name):
        earlier.close()
        earlier.close()
        assert reserve.stat().st_size == RESERVE_BYTES
    assert not reserve.exists()
    with Journal(path):
        assert reserve.exists()


def test_a_journal_that_cannot_be_opened_uses_no_reserve(tmp_path: Path) -> None:
    path, reserve = tmp_path / "j.sqlite", tmp_path / "j.sqlite.reserve"
    reserve.mkdir()
    with pytest.raises(UserError, match="cannot be used"):
        Journal(path)
    reserve.rmdir()
    Journal(path).close()
    assert not reserve.exists()


# Runs on a disk of 8 MB: asks until the disk is full, with 20 calls in flight all the time, and
# prints how many replies arrived.
FILL = """
import sys, pathlib
from lskd.chat.journal import Journal
from lskd.chat.paid import Charge, Paid
from lskd.errors import UserError
journal = Journal(pathlib.Path(sys.argv[1]) / "j.sqlite")
calls, kept = [], 0
try:
    for number in range(100_000):
        key = b"%d" % number
        calls.append((journal.ask(key, Charge(1, 1, None), lambda totals: True), key))
        if len(calls) > 20:
            journal.keep(*calls.pop(0), Paid("q" * 5000, "a" * 5000, "stop", 1, 1, None, 0.0))
            kept += 1
except UserError as error:
    print(error)
for call in calls:  # those in flight arrive after the disk is full
    journal.keep(*call, Paid("q" * 5000, "a" * 5000, "stop", 1, 1, None, 0.0))
    kept += 1
print(kept, journal.spent().calls, journal.spent().unanswered)
"""


def test_a_full_disk_is_said_and_loses_no_reply(tmp_path: Path) -> None:
    unshare = shutil.which("unshare")
    mount = "mount -t tmpfs -o size=8m none"
    probe = [unshare or "false", "-Urm", "sh", "-c", f"{mount} {tmp_path}"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("no small disk can be made here: unshare and mount are not allowed")
    command = f'{mount} {tmp_path} && exec "$0" -c "$1" {tmp_path}'
    done = subprocess.run(
        [*probe[:-1], command, sys.executable, FILL], capture_output=True, text=True, check=True
    )
    said, counts = done.stdout.splitlines()
    assert said.startswith("no room left on the disk for")
    kept, calls, unanswered = map(int, counts.split())
    assert kept == calls > 100
    assert unanswered == 0


def test_a_journal_that_is_being_made_is_whole_or_not_there(tmp_path: Path) -> None:
    for number in range(40):
        path = tmp_path / f"{number}.sqlite"
        with ThreadPoolExecutor(1) as pool:
            making = pool.submit(Journal, path)
            while not path.exists() and not making.done():
                pass
            open_to_read(path).close()
            with making.result() as journal:
                assert journal.totals == Totals()
