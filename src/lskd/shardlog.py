"""What `shards.jsonl` beside a stage's tables tells of its shards; the last line of a shard counts.

A line has how many rows were written, in how long, the checksums of the files, and of which
pictures: the checksums that the shard's images and annotations had. A shard whose pictures are
others by now, as where the images were read again, was made for nothing.
"""

import contextlib
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lskd.types import Annotation, Image

SHARD_LOG = "shards.jsonl"


@dataclass(frozen=True, slots=True)
class Noted:
    """What is noted of a shard: checksums of its files by record, and of which pictures it is.

    An older lskd noted no checksums, which then are none, and no pictures, which are None.
    """

    checksums: Mapping[str, str]
    pictures: str | None


def noted(folder: Path) -> Mapping[str, Noted]:
    """Return what is noted of the shards of a stage, by name, from the stage's folder."""
    known = _known(folder)
    return _read(*known) if known else {}


def pictures(images: Path) -> Mapping[str, str]:
    """Return what the pictures of each shard are told apart by, from the folder of stage `images`.

    Those of which no checksum was noted are left out.
    """
    known = _known(images)
    return _pictures(*known) if known else {}


def _known(folder: Path) -> tuple[Path, int, int] | None:
    """Return the log of a stage as it is now, None where there is none."""
    log = folder / SHARD_LOG
    try:
        found = log.stat()
    except FileNotFoundError:
        return None
    return log, found.st_mtime_ns, found.st_size


# Asked for each shard of a run that may have a thousand.
@functools.lru_cache(maxsize=64)
def _pictures(log: Path, modified: int, size: int) -> Mapping[str, str]:
    names = Image.__name__, Annotation.__name__
    every = _read(log, modified, size).items()
    found = {shard: [one.checksums.get(name) for name in names] for shard, one in every}
    return {shard: f"{one} {other}" for shard, (one, other) in found.items() if one}


@functools.lru_cache(maxsize=64)
def _read(log: Path, modified: int, size: int) -> Mapping[str, Noted]:
    found: dict[str, Noted] = {}
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        # A kill can leave half a line; nothing is then known of that shard.
        with contextlib.suppress(ValueError, TypeError, KeyError):
            note = json.loads(line)
            found[str(note["shard"])] = Noted(dict(note.get("checksums", {})), note.get("pictures"))
    return found
