"""What students said, as JSON lines that are on the disk at once: nothing is asked twice."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lskd import table
from lskd.distil.ask import Told
from lskd.distil.ledger import line
from lskd.errors import cannot_write


@dataclass(frozen=True, slots=True)
class Kept:
    """What a student said to a question.

    `asked` is a hash of all that it was asked with, so that another question of the same id is
    asked anew.
    """

    question_id: str
    asked: str
    told: Told


def read(file: Path) -> dict[str, Told]:
    """Return what a file has, by the hash of what was asked; nothing if there is no file.

    Half a line, as a kill leaves it, counts as not there.
    """
    if not file.exists():
        return {}
    convert = table.converter(Kept)
    lines = file.read_bytes().split(b"\n")[:-1]
    kept: list[Kept] = [convert(json.loads(text)) for text in lines if text]
    return {one.asked: one.told for one in kept}


def append(file: Path, kept: Iterable[Kept]) -> None:
    """Add what was said; raises UserError if it cannot be written."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        whole = file.read_bytes().rpartition(b"\n")[0] if file.exists() else b""
        with file.open("ab") as opened:
            opened.truncate(len(whole) + 1 if whole else 0)  # half a line is cut off
            opened.write(b"".join(line(one) for one in kept))
    except OSError as error:
        raise cannot_write(file, error) from error
