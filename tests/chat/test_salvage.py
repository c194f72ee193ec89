"""`lskd salvage`: what a damaged journal still holds is not bought again, and nothing false is."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as some

from lskd.chat.journal import Journal
from lskd.chat.paid import Charge, Paid
from lskd.chat.salvage import Salvaged, salvage
from lskd.chat.wire import key_of
from lskd.errors import UserError
from typed import lskd

PAGE = 4096
REPLIES = 120
TEXTS = [f'{{"messages": [["user", "{"a question " * 30}{number}"]]}}' for number in range(REPLIES)]


def response(number: int) -> str:
    """Return what a server says; some of it takes more than a page."""
    content = f"reply {number}: {'words ' * (1500 if number % 10 == 0 else 50)}"
    choice = {"message": {"content": content}, "finish_reason": "stop"}
    return json.dumps({"choices": [choice]})


PAID = [Paid(text, response(n), "stop", 1, 2, 0.5, 0.1) for n, text in enumerate(TEXTS)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a journal with replies, one call without, and a batch under way."""
    path = tmp_path_factory.mktemp("whole") / "journal.sqlite"
    with Journal(path) as journal:
        for paid in PAID:
            keep(journal, paid)
        calls = [asked(journal, b"open"), asked(journal, b"in a batch")]
        journal.begin_batch(calls[1:], "token")
        journal.identity()
    return path


def asked(journal: Journal, key: bytes) -> int:
    call = journal.ask(key, Charge(9, 9, 1.0), lambda totals: True)
    assert call is not None
    return call


def keep(journal: Journal, paid: Paid) -> None:
    key = key_of(paid.request)
    journal.keep(asked(journal, key), key, paid)


def copied(whole: Path, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copyfile(whole, folder / "journal.sqlite"))


def saved(path: Path) -> list[Paid]:
    """Return the replies that a journal finds; it must be sound."""
    with Journal(path) as journal:
        found = [journal.find(key_of(text)) for text in TEXTS]
    with sqlite3.connect(path) as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    file.close()
    return [one for one in found if one is not None]


def leaves(path: Path) -> list[int]:
    """Return the pages on which replies lie."""
    content = path.read_bytes()
    pages = range(1, len(content) // PAGE)
    return [page for page in pages if content[page * PAGE] == 13 and b"reply" in at(content, page)]


def break_page(path: Path, page: int) -> bytes:
    """Fill a page of a journal with what is none, and return what the file holds then."""
    content = path.read_bytes()
    content = content[: page * PAGE] + b"\xff" * PAGE + content[(page + 1) * PAGE :]
    path.write_bytes(content)
    return content


def at(content: bytes | bytearray, page: int) -> bytes | bytearray:
    return content[page * PAGE : (page + 1) * PAGE]


@pytest.mark.parametrize("part", ["first", "middle", "last"])
def test_of_a_journal_with_a_broken_page_all_but_its_replies_are_saved(
    whole: Path, tmp_path: Path, part: str
) -> None:
    path = copied(whole, tmp_path)
    pages = leaves(path)
    page = {"first": pages[0], "middle": pages[len(pages) // 2], "last": pages[-1]}[part]
    content = break_page(path, page)
    found = salvage(path)
    assert len(pages) > 20 and REPLIES - 8 <= found.replies < REPLIES
    assert found.lost == REPLIES - found.replies
    assert found.aside == tmp_path / "journal.sqlite.damaged-1"
    assert found.aside.read_bytes() == content
    replies = saved(path)
    assert len(replies) == found.replies and set(replies) <= set(PAID)
    with Journal(path) as journal:
        assert set(journal.open_calls().values()) == {b"open"}
        assert found.unanswered == 2 + found.lost
        # What was charged for the lost ones counts on.
        assert journal.totals.price == pytest.approx(0.5 * REPLIES + 2)
        assert [set(batch.calls) for batch in journal.batches()] == [{b"in a batch"}]


@example([(0.0, b"\xff" * 60), (0.002, b"\xff" * 400)])
@given(some.lists(some.tuples(some.floats(0, 1), some.binary(min_size=1, max_size=64)), max_size=5))
@settings(deadline=None, max_examples=15)
def test_whatever_is_broken_no_reply_is_false_and_what_is_left_is_a_journal(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, damage: list[tuple[float, bytes]]
) -> None:
    path = copied(whole, tmp_path_factory.mktemp("damaged"))
    content = bytearray(path.read_bytes())
    for place, data in damage:
        start = int(place * (len(content) - len(data)))
        content[start : start + len(data)] = data
    path.write_bytes(content)
    try:
        found = salvage(path)
    except UserError as error:
        assert "is sound" in str(error) or "nothing can be read" in str(error)
        assert path.read_bytes() == bytes(content)
        assert not [file.name for file in path.parent.iterdir() if "salvag" in file.name]
        return
    replies = saved(path)
    assert len(replies) == found.replies
    # SQLite has no checksums: another letter in a response is not seen.
    assert {(one.request, one.finish) for one in replies} <= {(text, "stop") for text in TEXTS}


def test_the_last_replies_are_saved_from_the_log(tmp_path: Path) -> None:
    path, log = tmp_path / "journal.sqlite", tmp_path / "journal.sqlite-wal"
    with Journal(path) as journal:
        for paid in PAID[:60]:
            keep(journal, paid)
    with Journal(path) as journal:
        for paid in PAID[60:]:
            keep(journal, paid)
        killed = path.read_bytes(), log.read_bytes()
    path.write_bytes(killed[0])
    break_page(path, leaves(path)[3])
    log.write_bytes(killed[1])
    assert salvage(path).replies >= REPLIES - 8
    assert set(PAID[60:]) <= set(saved(path))
    assert (tmp_path / "journal.sqlite.damaged-1-wal").read_bytes() == killed[1]


def test_a_reply_whose_end_is_lost_is_no_reply(whole: Path, tmp_path: Path) -> None:
    """After a power failure the last page of a long reply may be of zeros: a valid end."""
    path = copied(whole, tmp_path)
    content = bytearray(path.read_bytes())
    # The last page of a text names no page that follows.
    pages = [page for page in range(1, len(content) // PAGE) if not any(at(content, page)[:4])]
    page = next(page for page in pages if b'"finish_reason"' in at(content, page))
    content[page * PAGE : (page + 1) * PAGE] = bytes(PAGE)
    content[leaves(path)[2] * PAGE] = 0xFF
    path.write_bytes(content)
    salvage(path)
    assert set(saved(path)) <= set(PAID)


def test_a_salvage_that_was_killed_is_taken_to_its_end_before_anything_is_bought(
    whole: Path, tmp_path: Path
) -> None:
    """Nobody opens a journal while it is exchanged, so that no newer one can be lost."""
    first = copied(whole, tmp_path / "first")
    content = break_page(first, leaves(first)[5])
    wanted = salvage(first)
    for number, gone in enumerate((False, True)):  # before and after the damaged one is set aside
        path = tmp_path / f"{number}" / "journal.sqlite"
        path.parent.mkdir()
        log, made = path.with_name("journal.sqlite-wal"), path.with_name("journal.sqlite.salvaged")
        shutil.copyfile(first, made)
        log.write_bytes(b"of the damaged one")
        (path.with_name("journal.sqlite.damaged-1") if gone else path).write_bytes(content)
        with pytest.raises(UserError, match="was cut short: give that again"):
            Journal(path)
        with pytest.raises(UserError, match="was cut short: give that again"):
            Journal(tmp_path / "child.sqlite", [path])
        found = salvage(path)
        assert (found.replies, found.lost) == (wanted.replies, wanted.lost)
        assert found.aside.read_bytes() == content and not made.exists()
        assert path.with_name("journal.sqlite.damaged-1-wal").read_bytes() == b"of the damaged one"
        assert len(saved(path)) == found.replies


def test_a_damaged_journal_is_refused_as_often_as_it_is_opened(whole: Path, tmp_path: Path) -> None:
    path = copied(whole, tmp_path)
    break_page(path, leaves(path)[5])
    path.with_name("journal.sqlite-wal").touch()
    for _ in range(3):
        with pytest.raises(UserError, match="is damaged"):
            Journal(path)


def test_what_cannot_be_salvaged_is_left_as_it_is(whole: Path, tmp_path: Path) -> None:
    path = copied(whole, tmp_path)
    with pytest.raises(UserError, match="is sound: there is nothing to salvage"):
        salvage(path)
    path.write_bytes(b"no database")
    with pytest.raises(UserError, match="nothing can be read of it: move it away"):
        salvage(path)
    assert path.read_bytes() == b"no database"
    with pytest.raises(UserError, match="is not there: give a run's folder"):
        salvage(tmp_path / "other.sqlite")
    ends = {"", ".lock", "-wal", "-shm"}  # a reader of a journal makes the last two
    assert {file.name for file in tmp_path.iterdir()} <= {f"journal.sqlite{end}" for end in ends}


def test_the_command_that_a_damaged_journal_names_saves_it(whole: Path, tmp_path: Path) -> None:
    path = copied(whole, tmp_path / "out")
    break_page(path, leaves(path)[5])
    path.with_name(path.name + "-wal").touch()
    with pytest.raises(UserError, match=f"`lskd salvage {path}` keeps what can be read of it"):
        Journal(path)
    done = lskd("salvage", "out", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "replies are saved, and " in done.stdout and "the reply is lost" in done.stdout
    assert len(saved(path)) > REPLIES - 8
    again = lskd("salvage", "out", folder=tmp_path)
    assert again.returncode == 2 and "is sound" in again.stderr


def test_a_reply_whose_request_was_changed_is_none(whole: Path, tmp_path: Path) -> None:
    path = copied(whole, tmp_path)
    content = path.read_bytes()
    changed = content.replace(b"a question 7", b"a question 9")
    assert changed != content
    path.write_bytes(changed)
    break_page(path, leaves(path)[0])  # so that it is damaged at all
    found: Salvaged = salvage(path)
    assert set(saved(path)) <= {one for one in PAID if "question 7" not in one.request}
    assert found.replies < REPLIES - 8
