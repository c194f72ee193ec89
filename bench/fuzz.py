"""Broken inputs by the thousand: whatever comes in, only UserError may come out.

    python bench/fuzz.py                         # the shares below, a million inputs in all
    python bench/fuzz.py --inputs 20000          # fewer, in the same shares
    python bench/fuzz.py --target parse --first 1234 --inputs 1   # one input again

Inputs are made from good ones by a seeded mutator, so that target and number name an input for
good. Each target works in a process of its own, with bounded memory; an input that kills it, or
that takes more than ten seconds of CPU, counts as a crash as any other exception does. Prints the
inputs of each target, how many were refused, and each kind of crash once with its number. Exit code
1 if there was one.
"""

import argparse
import contextlib
import io
import mmap
import os
import random
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import PIL.Image

from lskd import table
from lskd.chat.journal import Journal
from lskd.chat.paid import Charge, Paid
from lskd.errors import UserError
from lskd.export import lck
from lskd.generate.parse import Parser
from lskd.images import examined
from lskd.run import load
from lskd.types import Box, Example, Mention, Region, Reject, Reply, Style, Triple

CPU_SECONDS = 10
MEMORY = 8 << 30
LONGEST = 20_000  # bytes of an input, so that a doubled one does not grow without end
SHARES = {"parse": 400, "run": 150, "lck": 250, "image": 120, "table": 50, "journal": 30}
RUNS = Path(__file__).parents[1] / "runs"
REGIONS = (
    Region(0, Box(0, 0, 9, 9), "cup", "a white cup", 0.9, ()),
    Region(2, Box(3, 1, 8, 9), "dog", "a large dog", 0.8, ()),
)
# What the mutator puts in, beside what it finds: by target, with bars between.
TOKENS: Mapping[str, list[bytes]] = {
    "parse": (
        b'{"triples": [|"question":|Question:|Answer 2**:|[0, 2]|[[|]|```json\n|\\ud800|\\"|}|{{{{'
        b"|99999999999999999999|[a white cup]|1e999|\xe2\x80\x9d|I'm sorry"
    ).split(b"|"),
    "run": (
        b"[images]\n|extends = |use = |= {|seed = |[[models]]\n|true|1979-05-27T07:32:00Z|nan|'''"
        b"|[models.x]\n|threshold = [1]|\\uD800|-1|[plan]\n|examples = |\n[corpus]\n"
    ).split(b"|"),
    "lck": (
        b'{"image":|null|1e999|NaN|"lskd": {|[[|]]|"region": "[0]"|99999999999999999999|\\ud800'
        b'|"boxes"|-1|true|[[[[[[[[[[[[[[[[|\n'
    ).split(b"|"),
    "image": b"\xff\xd8\xff\xe1|IHDR|IDAT|\xff\xff\xff\xff|Exif\0\0|RIFF|acTL|iCCP".split(b"|"),
    "table": b"PAR1|\xff\xff\xff\xff\x0f|\0\0\0\0|\x15\x80|\x7f\xff\xff\xff".split(b"|"),
    "journal": b"SQLite format 3\0|\xff\xff\xff\xff|\0\0\0\0|CREATE TABLE|lskd".split(b"|"),
}


@dataclass(frozen=True)
class Target:
    """Good inputs, and what is done with a broken one in a folder; returns False if refused."""

    seeds: tuple[bytes, ...]
    take: Callable[[bytes, Path], bool]


def mutated(name: str, seeds: tuple[bytes, ...], number: int) -> bytes:
    """Return input `number` of a target: a seed, changed in one to eight places."""
    chance = random.Random(f"{name} {number}")
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 5, 8))):
        at = chance.randrange(len(data) + 1)
        to = min(len(data), at + chance.choice((1, 2, 4, 16, 200)))
        match chance.randrange(8):
            case 0 if at < len(data):
                data[at] ^= 1 << chance.randrange(8)
            case 1:
                data[at:to] = chance.randbytes(to - at)
            case 2:
                del data[at:to]
            case 3:
                data[at:at] = chance.choice(TOKENS[name])
            case 4:
                data[at:to] = chance.choice(TOKENS[name])
            case 5:
                data[at:at] = data[at:to] * chance.choice((1, 2, 30))
            case 6:
                other = chance.choice(seeds)
                data[at:] = other[chance.randrange(len(other) + 1) :]
            case _:
                del data[at : len(data) if chance.random() < 0.3 else at + 1]
    return bytes(data[: LONGEST if name in ("parse", "run", "lck") else None])


def parse(data: bytes, folder: Path) -> bool:
    """Take a reply; every one becomes triples or rejects."""
    text = data.decode("utf-8", "replace")
    style: Style = "id" if len(text) % 2 else "description"
    finish = "stop" if len(text) % 3 else "length"
    reply = Reply("r", "i", style, 0, (), text, "m", finish, 1, 1, None, 0.0, None)
    rows = list(Parser(REGIONS).parse(reply))
    assert rows, "a reply that became nothing"
    return any(isinstance(row, Triple) for row in rows)


def run(data: bytes, folder: Path) -> bool:
    """Take a run file."""
    file = folder / "run.toml"
    file.write_bytes(data)
    load(file, with_models=b"use" in data)
    return True


def import_lck(data: bytes, folder: Path) -> bool:
    """Take a released corpus of one row or more; a row becomes an example that can be written."""
    file = folder / "lck.jsonl"
    file.write_bytes(data)
    good = False
    for row in lck.read(file, folder):
        if isinstance(row, Example):
            lck.row_of(row)
            good = True
        table.plain(row)
    return good


def image(data: bytes, folder: Path) -> bool:
    """Take an image file."""
    problem, width, height = examined(data, 4_000_000)
    assert problem or (width > 0 and height > 0)
    return not problem


def read_table(data: bytes, folder: Path) -> bool:
    """Take a table; what is read is rows of its record, or it is broken."""
    file = folder / "00000.parquet"
    file.write_bytes(data)
    table.Tables({"corpus": folder.parent}, {Example: "corpus"}).count(Example, "none")
    return all(isinstance(row, Example) for row in table.read(Example, file))


def journal(data: bytes, folder: Path) -> bool:
    """Take a journal, as a power failure may leave it; it takes another reply, or is refused."""
    own = folder / "journal"
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir()
    file = own / "journal.sqlite"
    (size,) = struct.unpack("<I", data[-4:]) if len(data) >= 4 else (0,)
    size = min(size, len(data))
    file.write_bytes(data[:size])
    file.with_name("journal.sqlite-wal").write_bytes(data[size:-4])
    with Journal(file) as opened:
        opened.find(b"key 3")
        call = opened.ask(b"new", Charge(1, 1, 0.1), lambda totals: True)
        assert call is not None
        opened.keep(call, b"new", Paid("{}", "{}", "stop", 1, 1, 0.1, 0.5))
        opened.spent()
        found = opened.find(b"new")
    assert found is not None and found.response == "{}"
    return True


def reply_seeds() -> tuple[bytes, ...]:
    """Return replies as teachers write them: JSON whole, fenced and cut off, and text."""
    one = '{"question": "Why is [0] near [2]?", "answer": "It eats.", "rationale": "[2] has it."}'
    texts = (
        f'{{"triples": [{one}, {one.replace("Why", "How")}]}}',
        f"Here they are:\n```json\n[{one}]\n```",
        f'{{"triples": [{one}, {one[:40]}',
        "Question: Where is [0]?\nAnswer: Here.\nRationale: It is so.\n\n" * 2,
        "**Question 1**: Where is [a white cup]?\n**Answer 1**: Here.\n**Rationale 1**: It is so.",
        "1. Q: Who is [2, 0]?\n   A: A dog.\n   R: It barks.\n2. Q: Cut off",
        "I'm sorry, but I cannot help with that.",
    )
    return tuple(text.encode() for text in texts)


def run_seeds() -> tuple[bytes, ...]:
    """Return the run files that are shipped, but for those that extend another."""
    files = sorted(RUNS.glob("*.toml"))
    return tuple(file.read_bytes() for file in files if b"extends" not in file.read_bytes())


def lck_seeds() -> tuple[bytes, ...]:
    """Return rows of our own and of the released form."""
    own = Example(
        *("e0", "i0", "p.png", 64, 48, REGIONS, "id", "Why is [0] here?", "It is.", "So [2] says."),
        *((0, 2), (), 0.5, "s", "train", ""),
    )
    told = Example(
        *("e1", "i0", "p.png", 64, 48, REGIONS, "description", "Why [a white cup]?", "It.", "So."),
        *((0,), (Mention("a white cup", 0),), None, "", "", ""),
    )
    rows = [lck.spelled(lck.row_of(one)).encode() for one in (own, told)]
    foreign = (
        b'{"image": "p.png", "region": "[0]", "references": "[{\'name\': \'0\', \'boxes\': '
        b"[[1, 2, 3, 4, 0.9]], 'segms': None, 'obj_guess': 'dog'}]\", \"question\": "
        b'["Why", "is", [0], "?"], "answer": ["It", "."], "rationale": ["So", [0]]}'
    )
    return (*rows, foreign, b"\n".join((*rows, foreign)), b"[" + b",".join((*rows, foreign)) + b"]")


def image_seeds(folder: Path) -> tuple[bytes, ...]:
    """Return small pictures in the formats that people have; one lies in `folder` for LCK."""
    chance = random.Random(0)
    picture = PIL.Image.frombytes("RGB", (24, 18), chance.randbytes(24 * 18 * 3))
    picture.save(folder / "p.png")
    found = []
    for form in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "ICO"):
        for mode in ("RGB", "P", "L", "RGBA", "1"):
            written = io.BytesIO()
            with contextlib.suppress(OSError, ValueError):  # JPEG has no alpha, say
                picture.convert(mode).save(written, form)
                found.append(written.getvalue())
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    written = io.BytesIO()
    picture.save(written, "JPEG", exif=exif)
    return (*found, written.getvalue())


def table_seeds(folder: Path) -> tuple[bytes, ...]:
    """Return a table of examples, and one without rows."""
    rows = [row for row in lck_rows(folder) if isinstance(row, Example)]
    found = []
    for kept in (rows * 5, []):
        table.write(Example, folder / "seed.parquet", kept)
        found.append((folder / "seed.parquet").read_bytes())
    return tuple(found)


def lck_rows(folder: Path) -> list[Example | Reject]:
    """Return the examples of the seeds for LCK."""
    (folder / "seed.jsonl").write_bytes(lck_seeds()[3])
    return list(lck.read(folder / "seed.jsonl", folder))


def journal_seeds(folder: Path) -> tuple[bytes, ...]:
    """Return a journal whose last commits are in its log, as after a kill, and one that is whole.

    A seed is the file, then the log, then the size of the file in four bytes.
    """
    file = folder / "seed.sqlite"
    found = []
    with Journal(file) as opened:
        for number in range(40):
            call = opened.ask(b"key %d" % number, Charge(9, 9, 0.1), lambda totals: True)
            assert call is not None
            opened.keep(call, b"key %d" % number, Paid("{}", "x" * 300, "stop", 1, 1, 0.1, 0.5))
        opened.ask(b"open", Charge(9, 9, 0.1), lambda totals: True)
        log = file.with_name(file.name + "-wal")
        found.append((file.read_bytes(), log.read_bytes()))
    found.append((file.read_bytes(), b""))
    return tuple(main + log + struct.pack("<I", len(main)) for main, log in found)


def targets(folder: Path) -> dict[str, Target]:
    """Return all targets; their pictures and other files lie in `folder`."""
    images = image_seeds(folder)
    return {
        "parse": Target(reply_seeds(), parse),
        "run": Target(run_seeds(), run),
        "lck": Target(lck_seeds(), import_lck),
        "image": Target(images, image),
        "table": Target(table_seeds(folder), read_table),
        "journal": Target(journal_seeds(folder), journal),
    }


class Slow(Exception):
    """An input has taken too much CPU time."""


def too_slow(signal_number: int, frame: object) -> None:
    """End an input that takes too long."""
    raise Slow(f"more than {CPU_SECONDS} seconds of CPU")


@dataclass
class Board:
    """Counts that a process leaves even where it is killed: number reached, refused, accepted."""

    shared: mmap.mmap

    def put(self, *counts: int) -> None:
        """Set all counts."""
        self.shared[:24] = struct.pack("<3q", *counts)

    def counts(self) -> tuple[int, int, int]:
        """Return all counts."""
        reached, refused, accepted = struct.unpack("<3q", self.shared[:24])
        return reached, refused, accepted


def work(name: str, target: Target, numbers: range, folder: Path, board: Board) -> None:
    """Take the inputs of some numbers; print each crash, and leave the counts on the board."""
    signal.signal(signal.SIGVTALRM, too_slow)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    _, refused, accepted = board.counts()
    for number in numbers:
        board.put(number, refused, accepted)
        data = mutated(name, target.seeds, number)
        signal.setitimer(signal.ITIMER_VIRTUAL, CPU_SECONDS)
        try:
            good = target.take(data, folder)
        except UserError:
            good = False
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(place.filename).name}:{place.lineno}"
            print(f"CRASH\t{name}\t{type(error).__name__} at {where}\t{number}\t{error}"[:300])
            good = False
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        refused, accepted = refused + (not good), accepted + good
    board.put(numbers.stop, refused, accepted)


def fuzz(name: str, target: Target, numbers: range, folder: Path) -> tuple[int, int, int]:
    """Take inputs in child processes, a new one after each that dies; return the counts.

    These are of deaths, refused and accepted inputs.
    """
    board = Board(mmap.mmap(-1, 24))
    board.put(numbers.start, 0, 0)
    deaths, first = 0, numbers.start
    while first < numbers.stop:
        sys.stdout.flush()
        child = os.fork()
        if not child:
            code = 1
            try:
                work(name, target, range(first, numbers.stop), folder, board)
                code = 0
            finally:  # the parent's folder is not this process' to remove
                sys.stdout.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        reached, refused, accepted = board.counts()
        if status == 0:
            return deaths, refused, accepted
        deaths += 1
        print(f"CRASH\t{name}\tthe process ended with status {status}\t{reached}\t")
        first = reached + 1
    return deaths, *board.counts()[1:]


def main() -> None:
    """Take the inputs of each target, and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--target", choices=tuple(SHARES))
    given = parser.parse_args()
    print(f"{'target':8} {'inputs':>9} {'refused':>9} {'taken':>9} {'seconds':>8} {'deaths':>6}")
    with tempfile.TemporaryDirectory() as temporary, contextlib.chdir(temporary):
        folder = Path(temporary)
        found = targets(folder)
        for name in (given.target,) if given.target else SHARES:
            share = 1.0 if given.target else SHARES[name] / sum(SHARES.values())
            numbers = range(given.first, given.first + max(1, int(given.inputs * share)))
            started = time.monotonic()
            deaths, refused, accepted = fuzz(name, found[name], numbers, folder)
            seconds = time.monotonic() - started
            print(
                f"{name:8} {len(numbers):9,} {refused:9,} {accepted:9,} {seconds:8.1f} {deaths:6}"
            )


if __name__ == "__main__":
    main()
