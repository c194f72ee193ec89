"""A PostgreSQL of our own: a cluster in a temporary folder, on a free port, as no root."""

import contextlib
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from ports import free_port

PLACES = "/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin"
NOBODIES = "postgres", "nobody"  # the server refuses to run as root
PATIENCE = 30.0  # seconds for a start


class Cluster:
    """A server with databases; `kill` ends it as a power failure would, `start` brings it back."""

    def __init__(self, programs: Path, folder: Path, become: list[str], durable: bool) -> None:
        self.programs = programs
        self.folder = folder
        self.become = become
        self.durable = durable
        self.port = free_port()
        self.made = 0
        self.server: subprocess.Popen[bytes] | None = None

    def initialise(self) -> None:
        options = ["-U", "lskd", "--auth=trust", "--no-sync", "--locale=C", "--encoding=UTF8"]
        command = [*self.become, str(self.programs / "initdb"), "-D", str(self.folder / "data")]
        command += options
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        data = str(self.folder / "data")
        options = ["-D", data, "-p", str(self.port), "-h", "127.0.0.1", "-k", ""]
        options += ["-c", f"fsync={'on' if self.durable else 'off'}"]
        deadline = time.monotonic() + PATIENCE
        while True:
            with (self.folder / "log").open("ab") as log:
                self.server = subprocess.Popen(
                    [*self.become, str(self.programs / "postgres"), *options],
                    cwd=self.folder,
                    stdout=log,
                    stderr=log,
                )
            # After a kill the memory of the old server may still be held for a moment.
            if self.is_up(deadline):
                return
            assert time.monotonic() < deadline, (self.folder / "log").read_text()[-2000:]

    def is_up(self, deadline: float) -> bool:
        assert self.server is not None
        while self.server.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(self.address("postgres")).close()
                return True
            time.sleep(0.05)
        return False

    def address(self, database: str) -> str:
        return f"postgresql://lskd@127.0.0.1:{self.port}/{database}"

    def kill(self) -> None:
        assert self.server is not None
        self.server.kill()
        self.server.wait()

    def stop(self) -> None:
        if self.server is not None and self.server.poll() is None:
            self.server.send_signal(signal.SIGQUIT)  # at once, with no last checkpoint
            self.server.wait()

    def new_database(self) -> str:
        """Return the URL of an empty schema, since a whole database is a thousand files."""
        self.made += 1
        name = f"people{self.made}"
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}".encode())
        place = self.address("postgres").replace("lskd@", "lskd:secret-word@")
        return f"{place}?options=-csearch_path%3D{name}"


def programs() -> Path | None:
    """Return the folder of initdb and postgres, of the newest version that is there."""
    folders = [found for place in PLACES for found in Path("/").glob(place.lstrip("/"))]
    on_path = shutil.which("postgres")
    folders += [Path(on_path).resolve().parent] if on_path else []
    whole = [f for f in folders if (f / "initdb").exists() and (f / "postgres").exists()]
    return max(whole, key=version, default=None)


def version(folder: Path) -> list[int]:
    """Return the numbers in a path such as /usr/lib/postgresql/15/bin."""
    return [int(number) for number in re.findall(r"\d+", str(folder))]


def another_user() -> pwd.struct_passwd | None:
    """Return who is to run the server where root may not."""
    for name in NOBODIES:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    return None


@contextlib.contextmanager
def cluster(durable: bool) -> Iterator[Cluster]:
    """Give a running server; skips with a reason where there can be none.

    One that is not `durable` does not wait for the disk: what it says it keeps outlives a kill of
    its processes, not of the machine.
    """
    found = programs()
    if found is None:
        pytest.skip("no PostgreSQL here: neither postgres on PATH nor in its usual folders")
    become: list[str] = []
    user = another_user() if os.getuid() == 0 else None
    if os.getuid() == 0:
        setpriv = shutil.which("setpriv")
        if user is None or setpriv is None:
            pytest.skip("PostgreSQL does not run as root, and there is no setpriv to be another")
        ids = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        become = [setpriv, *ids]
    folder = Path(tempfile.mkdtemp(prefix="lskd-postgres-"))
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)
    ours = Cluster(found, folder, become, durable)
    try:
        ours.initialise()
        ours.start()
        yield ours
    finally:
        ours.stop()
        shutil.rmtree(folder)
