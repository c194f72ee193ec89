"""Commands and scripts in processes of their own, forked from one that has loaded what they use.

To load torch and transformers takes six seconds of a processor, to load lskd alone one. That the
command also starts where nothing is loaded, `test_cli` and the tests of kills and launchers see.
"""

import contextlib
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from ports import free_port

TESTS = Path(__file__).parent
SECONDS = 600
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    ["lskd.cli", "lskd.training.loop", "lskd.blip2.stage1", "torch._dynamo"]
)

Ended = subprocess.CompletedProcess[str]
Work = Callable[[list[str]], None]


@dataclass(frozen=True)
class Started:
    """A command at work: its process, and the files to which its two streams go."""

    words: list[str]
    process: BaseProcess
    streams: tuple[Path, Path]

    def line(self) -> str:
        """Wait for the first line on its standard output, and return it."""
        while not (said := self.streams[0].read_text()).endswith("\n"):
            assert self.process.is_alive(), self.streams[1].read_text()
            time.sleep(0.02)
        return said.splitlines(keepends=True)[0]

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def ended(self, seconds: float = SECONDS) -> Ended:
        """Wait for its end; raises TimeoutError if it takes longer."""
        self.process.join(seconds)
        if self.process.exitcode is None:
            raise TimeoutError(f"{' '.join(self.words)} took more than {seconds} s")
        printed, said = (file.read_text() for file in self.streams)
        return Ended(self.words, self.process.exitcode, printed, said)


def lskd(*words: str | Path, folder: Path, **variables: str) -> Ended:
    """Run a command in `folder` and return what it printed."""
    with at_work(*words, folder=folder, **variables) as started:
        return started.ended()


def at_work(
    *words: str | Path, folder: Path, **variables: str
) -> contextlib.AbstractContextManager[Started]:
    """Start a command in `folder`; it is killed at the end, if it is still there."""
    return _started(_command, [str(word) for word in words], folder, variables)


def lskd_twice(folder: Path, *words: str, own: Sequence[Mapping[str, str]] = ({}, {})) -> str:
    """Run a command by two processes that know of each other; return what both printed.

    Each has variables of its `own`.
    """
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2"}
    common |= {"LOCAL_WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}

    def run(rank: str, variables: Mapping[str, str]) -> Ended:
        return lskd(*words, folder=folder, RANK=rank, LOCAL_RANK=rank, **common, **variables)

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(run, "01", own))
    said = "".join(one.stdout + one.stderr for one in done)
    assert [one.returncode for one in done] == [0, 0], said[-4000:]
    return said


def script(file: Path, *words: str) -> Ended:
    """Run a script, to which a warning is an error, and return what it printed."""
    with _started(_script, [str(file), *words], Path.cwd(), {}) as started:
        return started.ended()


def together(work: Callable[..., object], *given: object, count: int = 2) -> None:
    """Do work(rank, *given) in several processes; fail if one of them fails."""
    processes = [FORKS.Process(target=work, args=(rank, *given)) for rank in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * count


def begun(work: Callable[..., object], *given: object) -> BaseProcess:
    """Start work(*given) in a process, and return the process."""
    process = FORKS.Process(target=work, args=given)
    process.start()
    return process


@contextlib.contextmanager
def _started(
    work: Work, words: list[str], folder: Path, variables: Mapping[str, str]
) -> Iterator[Started]:
    known = {**os.environ, "PYTHONPATH": str(TESTS), "COLUMNS": "200", **variables}
    with tempfile.TemporaryDirectory() as kept:
        streams = Path(kept) / "stdout", Path(kept) / "stderr"
        for file in streams:
            file.touch()
        process = begun(_apart, work, words, str(folder), known, streams)
        try:
            yield Started(words, process, streams)
        finally:
            process.kill()
            process.join()


def _apart(
    work: Work,
    words: list[str],
    folder: str,
    known: Mapping[str, str],
    streams: tuple[Path, Path],
) -> None:
    """Do `work` as in a process that was started with these variables, streams and folder."""
    for stream, file in zip((1, 2), streams, strict=True):
        os.dup2(os.open(file, os.O_WRONLY), stream)
    # What a forkserver has started would start its own so too; a command has the platform's way.
    multiprocessing.set_start_method(None, force=True)
    os.environ.clear()
    os.environ.update(known)
    os.chdir(folder)
    sys.path.insert(0, known["PYTHONPATH"])
    work(words)


def _command(words: list[str]) -> None:
    from lskd.__main__ import main

    sys.argv = ["lskd", *words]
    main()


def _script(words: list[str]) -> None:
    import warnings

    warnings.simplefilter("error")
    sys.argv = words
    sys.path.insert(0, str(Path(words[0]).parent))
    runpy.run_path(words[0], run_name="__main__")
