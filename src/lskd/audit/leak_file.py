"""Leak rows to a file and back: JSON lines or Parquet, as the file's ending says."""

import json
from collections.abc import Sequence
from pathlib import Path

from lskd import table
from lskd.audit.leak import KINDS, Leak
from lskd.errors import UserError

ENDINGS = (".jsonl", ".parquet")


def check(file: Path) -> Path:
    """Return a file whose ending is known; raises UserError for another."""
    if file.suffix not in ENDINGS:
        raise UserError(f"{file}: leaks are written to a file that ends in {' or '.join(ENDINGS)}")
    return file


def write(file: Path, leaks: Sequence[Leak]) -> None:
    """Write leaks, whole or not at all.

    Raises UserError for an unknown ending, and if the file cannot be written.
    """
    if check(file).suffix == ".parquet":
        table.write(Leak, file, leaks)
        return
    with table.draft(file) as unfinished:
        lines = (json.dumps(table.plain(leak), ensure_ascii=False) for leak in leaks)
        unfinished.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def read(file: Path) -> list[Leak]:
    """Return the leaks of a file, so that an evaluation can leave their items out.

    Raises UserError for a file that `write` has not written.
    """
    if check(file).suffix == ".parquet":
        return table.read(Leak, file)
    try:
        lines = file.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {file}: {error}") from error
    return [_leak(line, f"{file}:{number}") for number, line in enumerate(lines, start=1) if line]


def _leak(line: str, where: str) -> Leak:
    try:
        row = json.loads(line)
        leak: Leak = table.converter(Leak)(row)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise UserError(
            f"{where} is no leak as `lskd audit --out` writes them: {line!r:.80}"
        ) from error
    if leak.kind not in KINDS:
        raise UserError(f"{where}: no kind is called {leak.kind!r}; kinds: {', '.join(KINDS)}")
    return leak
