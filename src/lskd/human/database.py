"""A URL becomes a database; work on it runs in transactions that hold under threads and processes.

SQLite and PostgreSQL go through the same code. A write on SQLite begins with `BEGIN IMMEDIATE`, so
that no other writes between its reads and its writes; on PostgreSQL the caller locks the rows that
it is about. What a lock or a lost connection stops is done again from its beginning, a bounded
number of times: all work given to `write` must be such that doing it twice is doing it once.
"""

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from lskd.errors import EndpointError, MissingExtra, UserError
from lskd.human import schema

T = TypeVar("T")
FORMS = "sqlite:///people.sqlite, postgresql+psycopg://user:password@host/database"
TRIES = 9  # with the waits between them about 12 seconds: a server is back from a restart
FIRST_WAIT = 0.05  # seconds; doubled with every try
WAIT = 30.0  # seconds that a writer waits for the others
POOL = 32  # connections, kept once made; PostgreSQL's own default allows 100 to all
# SQLSTATE: a serialization failure, a deadlock, a lock that was not free.
LOCKED = {"40001", "40P01", "55P03"}
# What a driver says that knows no SQLSTATE: SQLite, and psycopg of a server that is not up yet.
COMES_BACK = (
    *("database is locked", "Connection refused", "starting up"),
    *("not yet accepting connections", "in recovery mode", "shutting down"),
)
# Other errors of a database are defects of this code.
DOWN = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError)
PAGE = 1000  # rows


class Database:
    """An open database; raises UserError for a URL that is wrong, EndpointError if it is down.

    No message shows a password.
    """

    def __init__(self, url: str) -> None:
        parsed = _parsed(url)
        self.shown = _shown(parsed)
        self._engine = _engine(parsed, self.shown)
        self._reading, self._writing = _ways(self._engine)
        # SQLite makes writers poll, which is slow and unfair; threads of one process queue here.
        self._turn: contextlib.AbstractContextManager[Any] = (
            threading.Lock() if parsed.get_backend_name() == "sqlite" else contextlib.nullcontext()
        )
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(self.close)
            self._open()
            on_failure.pop_all()

    def _open(self) -> None:
        try:
            self._engine.connect().close()  # what is not there at first is not waited for
            self.write(schema.make)
        except sa.exc.DBAPIError as error:
            # Here any error is one of the place, such as a missing right to make tables.
            raise EndpointError(_said(error, self.shown)) from error

    def read(self, work: Callable[[sa.Connection], T]) -> T:
        """Return what `work` finds; on SQLite in one transaction, else statement by statement."""
        return self._told(lambda: self._in_transaction(self._reading, work))

    def write(self, work: Callable[[sa.Connection], T]) -> T:
        """Return what `work` returns, once all that it wrote is on the disk."""

        def in_turn() -> T:
            with self._turn:
                return self._in_transaction(self._writing, work)

        return self._told(in_turn)

    @contextlib.contextmanager
    def stream(self, query: sa.Select[Any]) -> Iterator[sa.Result[Any]]:
        """Give the rows of a query, which may be more than memory holds; they are one snapshot."""
        with contextlib.ExitStack() as opened:

            def live() -> sa.Connection:
                opened.close()  # that of the last try
                connection = opened.enter_context(self._engine.connect())
                connection.execute(sa.select(1))  # one that was lost shows before rows come
                return connection

            try:
                options = {"stream_results": True, "yield_per": PAGE}
                yield self._again(live).execution_options(**options).execute(query)
            except DOWN as error:
                raise EndpointError(_said(error, self.shown)) from error

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()

    def _in_transaction(self, engine: sa.Engine, work: Callable[[sa.Connection], T]) -> T:
        with engine.begin() as connection:
            return work(connection)

    def _again(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, at the latest in its last try."""
        for wait in (FIRST_WAIT * 2**n for n in range(TRIES - 1)):
            try:
                return work()
            except sa.exc.DBAPIError as error:
                if not _passing(error):
                    raise
            # Those that met once should not meet again.
            time.sleep(wait * random.uniform(0.5, 1.5))
        return work()

    def _told(self, work: Callable[[], T]) -> T:
        try:
            return self._again(work)
        except DOWN as error:
            raise EndpointError(_said(error, self.shown)) from error


def _parsed(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError) as error:
        # The text itself is not shown: a password may stand anywhere in it.
        raise UserError(f"the database is no URL; the forms are {FORMS}") from error
    if parsed.drivername in ("postgres", "postgresql"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
        raise UserError(f"no database {parsed.drivername!r}; the forms are {FORMS}")
    if parsed.get_backend_name() == "sqlite":
        if parsed.database in (None, "", ":memory:") or parsed.query:
            raise UserError(
                f"{_shown(parsed)}: a database of SQLite is a file, so that no label is lost, and "
                "takes no options: sqlite:///people.sqlite"
            )
    elif not parsed.database:
        raise UserError(f"{_shown(parsed)} names no database; the forms are {FORMS}")
    return parsed


def _shown(url: sa.URL) -> str:
    """Return a URL as people may see it: without its password, and any that its options hold."""
    return url.set(query={}).render_as_string(hide_password=True)


def _engine(url: sa.URL, shown: str) -> sa.Engine:
    if url.get_backend_name() == "sqlite":
        return _sqlite(url, shown)
    try:
        engine = sa.create_engine(
            url,
            pool_size=POOL,
            max_overflow=0,
            connect_args={"connect_timeout": 10},
        )
    except ModuleNotFoundError as error:
        raise MissingExtra(f"the database {shown}", "psycopg", "ui") from error
    return engine


def _ways(engine: sa.Engine) -> tuple[sa.Engine, sa.Engine]:
    """Return the same database for reading and for writing.

    PostgreSQL sees each statement of a transaction by its own light (READ COMMITTED), so for
    reading it needs none; to begin and to end one takes two round trips.
    """
    if engine.dialect.name == "sqlite":
        return engine, engine.execution_options(immediate=True)
    return engine.execution_options(isolation_level="AUTOCOMMIT"), engine


def _sqlite(url: sa.URL, shown: str) -> sa.Engine:
    try:
        Path(url.database or "").absolute().parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder of {shown}: {error.strerror}") from error
    engine = sa.create_engine(url, pool_size=POOL, max_overflow=0, pool_timeout=WAIT)

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        # The driver must not begin transactions by itself: `begin` below says how.
        connection.isolation_level = None
        for pragma in (
            f"busy_timeout = {WAIT * 1000:.0f}",
            "journal_mode = WAL",
            "synchronous = FULL",  # an acknowledged label outlives a power failure
            "foreign_keys = ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        immediate = connection.get_execution_options().get("immediate", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


def _passing(error: sa.exc.DBAPIError) -> bool:
    """Return whether the same work may succeed if it is done again."""
    if error.connection_invalidated or getattr(error.orig, "sqlstate", None) in LOCKED:
        return True
    # Two added the same row at once: the second time it is there.
    if isinstance(error, sa.exc.IntegrityError):
        return True
    told = str(error.orig)
    return any(words in told for words in COMES_BACK)


def _said(error: sa.exc.SQLAlchemyError, shown: str) -> str:
    """Return the first line of what a database says; neither statement nor values are shown."""
    told = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    lines = str(told).strip().splitlines()
    return f"the database {shown} cannot be used: {lines[0] if lines else type(told).__name__}"
