"""Pictures and values become files of a gold folder; chance comes from the seed and the scene."""

import json
import random
import shutil
from collections.abc import Iterable
from pathlib import Path

from lskd import table
from lskd.lab.world import Staged


def chance(seed: int, staged: Staged, topic: str) -> random.Random:
    """Return the generator of what one benchmark leaves to chance about one scene."""
    return random.Random(f"gold/{seed}/{staged.file}/{topic}")


def number_of(staged: Staged) -> int:
    """Return the number of a scene within its split, as its file has it."""
    return int(Path(staged.file).stem)


def put_picture(world: Path, staged: Staged, file: Path) -> None:
    """Put a scene's picture where a benchmark has it, byte by byte, so that its id is the same.

    The bytes stay those of a PNG under a name that ends in .jpg: readers go by content.
    """
    source = world / staged.file
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        file.hardlink_to(source)
    except OSError:  # another disk, or one without links
        with table.draft(file) as unfinished:
            shutil.copyfile(source, unfinished)


def put_json(file: Path, value: object) -> None:
    """Write a value as a JSON file."""
    with table.draft(file) as unfinished:
        unfinished.write_text(json.dumps(value) + "\n", encoding="utf-8")


def put_lines(file: Path, rows: Iterable[object]) -> None:
    """Write rows as a file of JSON lines."""
    with table.draft(file) as unfinished:
        unfinished.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
