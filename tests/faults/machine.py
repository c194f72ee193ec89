"""A machine that fails: small disks, few descriptors, files that change behind one's back.

`House` is a run file with its pictures, and what an undisturbed run of it made; a disturbed run
goes to another folder beside it, so that paths in the tables are the same.
"""

import contextlib
import hashlib
import os
import random
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import house
import typed
from forked import TESTS, Started, at_work
from lskd.execute import Selection, execute
from lskd.progress import Lines
from lskd.run import load

PAGE = resource.getpagesize()


@dataclass(frozen=True)
class Result:
    """What a command said on standard error, and its exit code."""

    exit_code: int
    said: str


@dataclass(frozen=True)
class House:
    """A folder with pictures, `small.toml`, and the tables of an undisturbed run in `calm`."""

    folder: Path

    def run(self, *args: str, out: str = "broken") -> Result:
        """Run in this process, in the house's folder."""
        return self.lskd("run", "small.toml", "--out", out, "--log", "plain", *args)

    def lskd(self, *args: str) -> Result:
        """Give any command in this process."""
        found = typed.lskd(*args, folder=self.folder)
        return Result(found.returncode, found.stderr)

    def apart(self, *args: str, limits: str = "", out: str = "broken") -> Result:
        """Run in a process of its own, under limits of the shell's ulimit."""
        with self.started(*args, limits=limits, out=out) as process:
            _, said = process.communicate(timeout=600)
        return Result(process.returncode, said)

    def forked(self, *args: str, out: str = "broken") -> contextlib.AbstractContextManager[Started]:
        """Start a run in a process of its own, which loads nothing; it is killed at the end."""
        words = ("run", "small.toml", "--out", out, "--log", "plain", *args)
        return at_work(*words, folder=self.folder, COLUMNS="400")

    def started(
        self,
        *args: str,
        limits: str = "",
        out: str = "broken",
        preload: str = "",
    ) -> subprocess.Popen[str]:
        """Start a run in a process of its own."""
        shell = f'ulimit {limits}; exec "$@"' if limits else 'exec "$@"'
        command = [sys.executable, "-m", "lskd", "run", "small.toml", "--out", out]
        environment = {**os.environ, "PYTHONPATH": str(TESTS), "COLUMNS": "400"}
        return subprocess.Popen(
            ["bash", "-c", shell, "bash", *command, "--log", "plain", *args],
            cwd=self.folder,
            env={**environment, "LD_PRELOAD": preload} if preload else environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def tables(self, out: str) -> dict[str, str]:
        """Return a hash of every table of a run."""
        folder = self.folder / out
        found = [file for file in folder.rglob("*.parquet") if "hf" not in file.parts]
        return {
            str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in found
        }

    def is_as_undisturbed(self, out: str = "broken") -> bool:
        """Return whether a run has ended with the tables of the undisturbed one, none more."""
        return self.tables(out) == self.tables("calm")


def build(folder: Path) -> House:
    """Write pictures and a run file, and run it undisturbed."""
    house.build(folder)
    with contextlib.chdir(folder):
        execute(load(Path("small.toml"), (), Path("calm")), Selection(), Lines("plain"))
    return House(folder)


@contextlib.contextmanager
def small_disk(folder: Path, pages: int) -> Iterator[Path]:
    """Give a folder a disk of its own, of so many pages, for the block.

    Skips the test where this process may not mount one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={pages * PAGE}", "none", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def remount(folder: Path, how: str) -> None:
    """Mount a small disk again: "ro" or "rw"."""
    subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)


@contextlib.contextmanager
def filled(disk: Path, pages: int) -> Iterator[None]:
    """Leave no more than so many pages of a disk free for the block."""
    ballast = disk / "ballast"
    free = os.statvfs(disk).f_bavail - pages
    ballast.write_bytes(bytes(max(0, free) * PAGE))
    try:
        yield
    finally:
        ballast.unlink()


@contextlib.contextmanager
def descriptors(more: int) -> Iterator[None]:
    """Let this process open no more than so many further files for the block."""
    lowest = os.dup(0)
    os.close(lowest)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def flip(file: Path, chance: random.Random) -> None:
    """Change one bit of a file, as a failing disk does."""
    content = bytearray(file.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    file.write_bytes(content)


@contextlib.contextmanager
def own_disk(home: House, pages: int) -> Iterator[Path]:
    """Give the folder of the disturbed run a small disk of its own within the block."""
    with small_disk(home.folder / "broken", pages) as folder:
        yield folder
    shutil.rmtree(home.folder / "broken")
