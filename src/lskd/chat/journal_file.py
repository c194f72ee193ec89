"""The SQLite file of a journal: its tables, how it is opened, and what can be wrong with it."""

import atexit
import contextlib
import errno
import fcntl
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from lskd.errors import UserError

APPLICATION: Final = 0x6C736B64  # "lskd", in SQLite's application_id
VERSION: Final = 1
PATIENCE_SECONDS: Final = 10.0  # for another connection's short lock
SALVAGED: Final = ".salvaged"  # ends the name of a journal that is about to replace a damaged one
FULL: Final = (sqlite3.SQLITE_FULL, errno.ENOSPC)
TABLES: Final = f"""
BEGIN;
CREATE TABLE reply (
    key BLOB PRIMARY KEY, request TEXT NOT NULL, response TEXT NOT NULL, finish TEXT NOT NULL,
    input_tokens INTEGER, output_tokens INTEGER, price REAL, seconds REAL NOT NULL,
    charged_input INTEGER NOT NULL, charged_output INTEGER NOT NULL, charged_price REAL,
    arrived REAL NOT NULL
);
-- Sums are read from this index alone, without the texts.
CREATE INDEX charge ON reply (charged_input, charged_output, charged_price, input_tokens, price);
CREATE TABLE unanswered (
    id INTEGER PRIMARY KEY, key BLOB NOT NULL, charged_input INTEGER NOT NULL,
    charged_output INTEGER NOT NULL, charged_price REAL, asked REAL NOT NULL,
    batch INTEGER, fault TEXT, response TEXT
);
CREATE TABLE batch (id INTEGER PRIMARY KEY, token TEXT NOT NULL, name TEXT NOT NULL, made REAL);
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {VERSION};
COMMIT;
"""
# Beside the tables of older versions, which do not look at them.
LATER_TABLES: Final = (
    "identity (name TEXT NOT NULL)",
    "published (segment TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL)",
    "told (id INTEGER PRIMARY KEY)",
    "telling (id INTEGER PRIMARY KEY)",
)
# Beside them too: of each claim is asked whether an open batch has it.
IN_BATCHES: Final = "batched ON unanswered (key) WHERE batch IS NOT NULL"

_held: dict[Path, IO[bytes]] = {}
_reserves: list[str] = []  # one entry for each open journal of this process
_reserves_guard = threading.RLock()  # the garbage collector may close a journal within it


@atexit.register
def _let_go() -> None:
    """Close what this process holds; the system takes the locks back with the files."""
    for lock in _held.values():
        lock.close()


def keep_others_out(path: Path) -> None:
    """Take a journal for this process until it ends, however it ends.

    Raises UserError if another process has it: two runs on one journal would pay twice.
    """
    name = path.resolve()
    if name in _held:
        return
    lock = path.with_name(path.name + ".lock").open("ab")
    try:
        # Not flock: a forked child would inherit it, and keep the journal after its parent's death.
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        if error.errno not in (errno.EACCES, errno.EAGAIN):
            raise
        raise UserError(f"{path} is in use by another process: wait for it, or stop it") from None
    _held[name] = lock


def open_journal(path: Path) -> sqlite3.Connection:
    """Open a journal for writing, with its tables made if the file is new.

    One that its last process did not close is read through first: what a power failure has broken
    would lose replies in silence.
    """
    if not path.exists():
        make(path)
    if path.with_name(path.name + "-wal").exists():
        # By a reader, since a writer would play the log into a broken file as it closes that.
        with contextlib.closing(reader(path)) as file:
            check_whole(path, file)
    file = sqlite3.connect(
        path, timeout=PATIENCE_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        mode = file.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise UserError(f"{path}: this file system cannot hold a journal; use a local disk")
        file.execute("PRAGMA synchronous = NORMAL")
        if file.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
            file.executescript(TABLES)
        check_kind(path, file)
        add_later_tables(file)
    except BaseException:
        file.close()
        raise
    return file


def add_later_tables(file: sqlite3.Connection) -> None:
    """Add to the tables of a journal's first version what later ones have."""
    for table in LATER_TABLES:
        file.execute(f"CREATE TABLE IF NOT EXISTS {table}")
    file.execute(f"CREATE INDEX IF NOT EXISTS {IN_BATCHES}")


def make(path: Path) -> None:
    """Make a journal without a reply in one step: who looks finds none, or a whole one.

    What one that was moved away has left beside it would be read into the new one: its log is kept
    under another name.
    """
    with contextlib.suppress(FileNotFoundError):
        path.with_name(path.name + "-wal").replace(path.with_name(path.name + "-wal.old"))
    path.with_name(path.name + "-shm").unlink(missing_ok=True)
    unfinished = path.with_name(path.name + ".new")
    unfinished.unlink(missing_ok=True)  # of a process that died
    with contextlib.closing(sqlite3.connect(unfinished, isolation_level=None)) as file:
        file.executescript(TABLES)
    unfinished.replace(path)


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open the journal of another run, which may be at work, without changing it."""
    with told(path):
        try:
            return _opened(path, "mode=ro")
        except sqlite3.OperationalError as error:
            if code_of(error) not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
                raise
            # A folder that cannot be written to, where no run can be at work either.
            return _opened(path, "immutable=1")


def reader(path: Path, how: str = "mode=ro") -> sqlite3.Connection:
    """Open a file, whatever it is, so that its log is read and neither is changed."""
    address = f"{path.resolve().as_uri()}?{how}"
    return sqlite3.connect(address, uri=True, timeout=PATIENCE_SECONDS, check_same_thread=False)


def _opened(path: Path, how: str) -> sqlite3.Connection:
    file = reader(path, how)
    try:
        check_kind(path, file)
    except BaseException:
        file.close()
        raise
    return file


def check_in_place(path: Path) -> None:
    """Raise UserError if a salvaged journal waits to be put in the place of this one."""
    if path.with_name(path.name + SALVAGED).exists():
        raise UserError(f"{path}: `lskd salvage {path}` was cut short: give that again")


def check_kind(path: Path, file: sqlite3.Connection) -> None:
    """Raise UserError unless a database is a journal that this version can read."""
    if file.execute("PRAGMA application_id").fetchone()[0] != APPLICATION:
        raise UserError(f"{path} is a database, but no journal of paid replies: move it away")
    version = file.execute("PRAGMA user_version").fetchone()[0]
    if version != VERSION:
        raise UserError(f"{path} is a journal of version {version}; this lskd reads {VERSION}")


def check_whole(path: Path, file: sqlite3.Connection) -> None:
    """Raise UserError if the pages of a journal do not fit together."""
    found = str(file.execute("PRAGMA quick_check(1)").fetchone()[0])
    if found != "ok":
        raise UserError(damaged(path, found))


@contextlib.contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn what SQLite and the system say about a journal into one line for its user."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise UserError(explained(path, error)) from error
    except UnicodeDecodeError as error:  # of SQLite's message, which says what stands in the file
        raise UserError(damaged(path, error)) from error


def is_full(error: sqlite3.Error | OSError) -> bool:
    """Return whether the disk has no room left."""
    return code_of(error) in FULL


def code_of(error: sqlite3.Error | OSError) -> int | None:
    """Return SQLite's primary code, or the system's."""
    if isinstance(error, OSError):
        return error.errno
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def explained(path: Path, error: sqlite3.Error | OSError) -> str:
    """Return one line: what is wrong with a journal, and what to do."""
    if is_full(error):
        return (
            f"no room left on the disk for {path}: nothing more was asked; free some space and "
            "give the same command again"
        )
    match code_of(error):
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return f"{path} is locked by another program: close it and give the same command again"
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            return damaged(path, error)
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    return f"the journal {path} cannot be used: {reason}"


def damaged(path: Path, why: object) -> str:
    """Return what to tell of a file that is not what a journal was, in one line."""
    line = " ".join(str(why).split())
    return (
        f"{path} is damaged or no journal ({line}): `lskd salvage {path}` keeps what can be read "
        "of it, or move it away"
    )


def make_reserve(path: Path, size: int) -> Path:
    """Write a file that can be given up for the replies in flight when the disk fills up.

    All journals that this process has open on one file share it; each leaves it once.
    """
    reserve = path.with_name(path.name + ".reserve").resolve()
    with _reserves_guard:
        is_shared = str(reserve) in _reserves
        _reserves.append(str(reserve))
        try:
            if not (is_shared and reserve.exists()):
                reserve.write_bytes(bytes(size))  # not sparse: only taken blocks can be given up
        except BaseException:
            leave_reserve(reserve)
            raise
    return reserve


def leave_reserve(reserve: Path) -> None:
    """Remove the reserve if no other journal of this process uses it."""
    with _reserves_guard:
        _reserves.remove(str(reserve))
        if str(reserve) not in _reserves:
            # Where the disk has become read-only it stays, and who opens the journal next has it.
            with contextlib.suppress(OSError):
                reserve.unlink(missing_ok=True)
