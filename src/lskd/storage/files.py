"""What is done with one file, or the names in a folder: here, or at the place that it stands for.

Each function takes a path. If it lies under a working folder (`address`), the file at its place is
meant, else the file itself. They raise what `pathlib` raises, and UserError where a place cannot be
reached: an outage never reads as "not there".
"""

import datetime
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

from lskd.holder import SESSION
from lskd.storage.address import on, told, url_of, written

# An upload is one request there, or becomes visible with its last one.
WHOLE: Final = frozenset(("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "hf"))
# They give the end of a file without being asked for its size first.
SUFFIXES: Final = frozenset(("s3", "s3a", "gs", "gcs"))
# Else s3fs asks for the size of a file first, so as to read what is above 50 MB in several parts.
IN_ONE: Final[Mapping[str, Mapping[str, int]]] = {
    "s3": {"max_concurrency": 1},
    "s3a": {"max_concurrency": 1},
}
STAMPS: Final = ("ETag", "md5Hash", "etag", "blob_id", "mtime", "created")


def read_bytes(file: Path) -> bytes:
    """Return the content of a file."""
    url = url_of(file)
    return file.read_bytes() if url is None else read_url(url)


def read_url(url: str) -> bytes:
    """Return the content of a file at a place."""
    system, name = on(url, seen=True)
    with told(url):
        return cast("bytes", system.cat_file(name, **IN_ONE.get(url.partition(":")[0], {})))


def tail(file: Path, most: int) -> bytes:
    """Return the end of a file at a place, at most so many bytes."""
    url = url_of(file)
    assert url is not None
    system, name = on(url)
    with told(url):
        if url.partition(":")[0] in SUFFIXES:
            return cast("bytes", system.cat_file(name, start=-most))
        end = int(system.info(name)["size"])
        return cast("bytes", system.cat_file(name, start=max(0, end - most), end=end))


def exists(file: Path) -> bool:
    """Return whether there is a file."""
    if url_of(file) is None:
        return file.exists()
    try:
        return bool(info(file)["type"] == "file")
    except FileNotFoundError:
        return False


def size(file: Path) -> int:
    """Return the bytes that a file has."""
    return file.stat().st_size if url_of(file) is None else int(info(file)["size"])


def info(file: Path) -> Mapping[str, Any]:
    """Return what a place tells of one of its files."""
    url = url_of(file)
    assert url is not None
    system, name = on(url)
    with told(url):
        return cast("Mapping[str, Any]", system.info(name))


def modified(file: Path) -> float:
    """Return when a file at a place was last written, in seconds since the epoch."""
    url = url_of(file)
    assert url is not None
    system, name = on(url)
    with told(url):
        return float(system.modified(name).timestamp())


def stamp(entry: Mapping[str, Any]) -> str:
    """Return what changes with the content of a file at a place, by what is told of it, or ""."""
    known = next((entry[name] for name in STAMPS if entry.get(name)), None)
    if known is None:
        return ""
    # A listing may tell a time in another form than what is told of one file.
    told = known.timestamp() if isinstance(known, datetime.datetime) else known
    return f"{entry['size']} {told}"


def fingerprint(file: Path) -> bytes:
    """Return a hash of a file's content."""
    if url_of(file) is not None:
        return hashlib.blake2b(read_bytes(file)).digest()
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "blake2b").digest()


def names(folder: Path, ending: str) -> list[str]:
    """Return the names in a folder that end so, in order; none if there is no such folder."""
    return [entry for entry, _ in listed(folder, ending)]


def listed(folder: Path, ending: str) -> list[tuple[str, str]]:
    """Return the names in a folder that end so, in order, each with its stamp ("" if not known)."""
    url = url_of(folder)
    if url is None:
        return sorted((file.name, "") for file in folder.glob(f"*{ending}"))
    system, name = on(url)
    try:
        with told(url):
            entries = system.ls(name, detail=True)
    except FileNotFoundError:
        return []
    files = [(str(entry["name"]).rpartition("/")[2], entry) for entry in entries]
    return sorted(
        (name, stamp(entry))
        for name, entry in files
        if name.endswith(ending) and not name.startswith(".") and entry["type"] == "file"
    )


def mark(file: Path) -> str | None:
    """Return what changes whenever a file is replaced, or None if there is none."""
    try:
        if url_of(file) is not None:
            return stamp(info(file))
        told_here = file.stat()
    except FileNotFoundError:
        return None
    return f"{told_here.st_size}:{told_here.st_mtime_ns}"


def remove(file: Path) -> None:
    """Remove a file, here and at its place, if it is there."""
    file.unlink(missing_ok=True)
    url = url_of(file)
    if url is not None and exists(file):
        system, name = on(url)
        with told(url):
            system.rm_file(name)


def publish(unfinished: Path, file: Path) -> None:
    """Put a finished local file at the place that `file` stands for, in one step.

    Where an upload could be seen half done it goes under another name first.
    """
    url = url_of(file)
    assert url is not None
    system, name = on(url)
    with written(url):
        if url.partition(":")[0] in WHOLE:
            system.put_file(str(unfinished), name)
            return
        folder, _, last = name.rpartition("/")
        hidden = f"{folder}/.{last}.{os.getpid()}.draft"
        system.makedirs(folder, exist_ok=True)
        system.put_file(str(unfinished), hidden)
        system.mv(hidden, name)


def fetch(file: Path) -> None:
    """Bring a file from its place into the working folder, whole or not at all."""
    url = url_of(file)
    assert url is not None
    system, name = on(url)
    # Processes of other hosts, which can have the same number, may bring it to the same disk.
    unfinished = file.with_name(f".{file.name}.{SESSION}-{os.getpid()}.draft")
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with told(url):
            system.get_file(name, str(unfinished))
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)


def lies_there_alone(file: Path) -> bool:
    """Return whether a file is kept at its place and not in the working folder too.

    Such are the shards of tables, `<stage>/<record>/<shard>.parquet`, and the images that came as
    bytes, `images/files/<id>`: a run has as many of them as it is large.
    """
    table = file.suffix == ".parquet" and file.stem.isdigit() and len(file.parts) >= 3
    return table or file.parts[-3:-1] == ("images", "files")
