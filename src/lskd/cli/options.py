"""What commands share: their options, and how a mistake is told in one line."""

import errno
import json
import os
import resource
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from lskd import progress, table
from lskd.chat.stopping import Stopped, stops_gracefully
from lskd.errors import UserError
from lskd.storage.address import is_url, located, shown

RunFile = Annotated[
    Path,
    typer.Argument(metavar="RUN.toml", help="A run file, or the folder that a run was made in."),
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="STAGE.KEY=VALUE",
        help="Change a setting, as often as you like: --set corpus.threshold=0.7",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", help="The run's folder; else out/<name of the run file>."),
]
Limit = Annotated[
    int | None, typer.Option("--limit", min=1, help="Take only the first N images of the source.")
]
Split = Annotated[str, typer.Option(help="The benchmarks' split.")]
Images = Annotated[
    Path | None, typer.Option(help="A folder of a benchmark's pictures, if not its own.")
]
Log = Annotated[str, typer.Option("--log", help="auto (bars in a terminal), plain or json lines.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a script to read.")]
LOGS = ("auto", "plain", "json")

# What the machine refuses, and its user can put right: no defect of ours.
REFUSED = frozenset(
    (
        *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM),
        *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.ESTALE),
    )
)
KILLED = (
    "a process that worked for this command was killed, perhaps for want of memory; run the same "
    "command again"
)


def called() -> str:
    """Return what a shell here calls this program by: its name, or where it lies."""
    program = Path(sys.argv[0])
    if program.name == "__main__.py":
        return f"{sys.executable} -m lskd"
    found = shutil.which(program.name)
    same = found is not None and Path(found).resolve() == program.resolve()
    return program.name if same else str(program)


def seeds_of(given: str) -> tuple[int, ...]:
    """Return the seeds of an option; raises UserError for no whole number, and for one twice."""
    try:
        seeds = tuple(int(one) for one in given.split(","))
    except ValueError:
        raise UserError(f"--seeds {given!r}: whole numbers, apart by commas") from None
    if len(set(seeds)) < len(seeds):
        raise UserError(f"--seeds {given!r}: a seed again is the same run again; name each once")
    return seeds


@contextmanager
def plain_errors() -> Iterator[None]:
    """Tell a user's mistake in one line, and leave with its exit code.

    Ctrl-C and SIGTERM let paid calls in flight finish first; the exit codes are 130 and 143.
    """
    try:
        with stops_gracefully():
            yield
    except UserError as error:
        raise ended(" ".join(str(error).split()), error.exit_code) from error
    except OSError as error:
        if error.errno not in REFUSED:
            raise
        raise ended(refused(error)) from error
    except BrokenExecutor as error:
        raise ended(KILLED) from error
    except KeyboardInterrupt as error:
        by_signal = isinstance(error, Stopped)
        what = "stopped by SIGTERM" if by_signal else "\ninterrupted"
        sys.stderr.write(f"{what}; the same command goes on where this one stopped\n")
        sys.stderr.flush()
        # Threads may still wait for replies. All that arrived is in the journal: do not wait.
        os._exit(143 if by_signal else 130)


def ended(line: str, exit_code: int = UserError.exit_code) -> typer.Exit:
    """Tell an error in one line, after all that was printed; return what leaves the command."""
    sys.stdout.flush()
    sys.stderr.write(f"error: {line}\n")
    return typer.Exit(exit_code)


def refused(error: OSError) -> str:
    """Return one line about what the machine refuses: which file, why, and how it goes on."""
    where = f"{error.filename}: " if error.filename else ""
    why = error.strerror or str(error)
    if error.errno == errno.EMFILE:
        why += f" (`ulimit -n` is {resource.getrlimit(resource.RLIMIT_NOFILE)[0]})"
    return (
        f"{where}{why}; what was finished is kept, and the same command goes on once this is mended"
    )


def on_disk(given: Path | None, option: str) -> None:
    """Raise UserError for a URL where a command writes on this disk alone."""
    if given is not None and is_url(given):
        url = shown(located(given))
        raise UserError(f"{option} {url}: this is written on the disk alone: give a path on it")


def printed(value: Any) -> None:
    """Print JSON."""
    sys.stdout.write(json.dumps(value, indent=1) + "\n")


def display(log: str) -> progress.Display:
    """Return what shows the progress as `--log` asks for it."""
    return progress.display(one_of("--log", log, LOGS))


def console(width: int | None = 120, highlight: bool = True) -> Console:
    """Return where tables go: as wide as the terminal, or `width` in a file.

    All is shown as it is written, a [word] or :word: included, which are markup elsewhere.
    """
    wide = None if sys.stdout.isatty() else width
    return Console(width=wide, highlight=highlight, markup=False, emoji=False)


def money(price: float | None) -> str:
    """Return a price, or "unknown"."""
    return "unknown" if price is None else f"{price:.4f}" if price < 1 else f"{price:,.2f}"


def one_of(name: str, value: str, known: tuple[Any, ...]) -> Any:
    """Return an option's value, or say what it can be."""
    if value not in known:
        raise UserError(f"{name} {value!r}: one of {', '.join(known)}")
    return value


def write_picture(make: Callable[[], Any], file: Path) -> None:
    """Write a picture whole or not at all, in the format that the file's ending names."""
    import PIL.Image

    PIL.Image.init()
    kind = PIL.Image.EXTENSION.get(file.suffix.lower())
    if kind is None:
        raise UserError(f"{file}: no picture format is called {file.suffix!r}; as picture.png")
    with table.draft(file) as unfinished:
        make().save(unfinished, kind)
