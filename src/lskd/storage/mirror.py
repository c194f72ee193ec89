"""A working folder and its place hold the same files, but for tables and what is not finished.

In: a working folder. Out: what another machine has published is brought here (`pull`), what was
finished here is published (`push`). A hidden list in the working folder tells what was last alike,
so that nothing is moved twice and a file that was removed on one side is removed on the other.

Tables and images that came as bytes lie at the place alone (`files`). What is large comes here when
its stage works, or when it is asked for (`brought`). Hidden files, databases, training in progress
and caches stay here; what of a training another machine needs to go on is published apart
(`lskd.training.published`).
"""

import contextlib
import json
import os
import threading
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from lskd.errors import UserError
from lskd.holder import LOCK, holder
from lskd.storage.address import PLACES, located, on, told, url_of
from lskd.storage.disk import plainly
from lskd.storage.files import fetch, info, lies_there_alone, publish, remove, stamp

LIST: Final = ".published.jsonl"
# Parts of a path that is not published: what a training needs to go on, what can be made again,
# and a studio's database with its users.
STAYS: Final = frozenset(("training", "features", "sights", "studio"))
DATABASE: Final = ".sqlite"
# Folders of what is large: the dataset, and weights. Who looks at a run needs none of them.
LARGE: Final = frozenset(("hf", "student", "model"))
LONG: Final = 1000  # lines of the list beyond two for each name

_writing = threading.Lock()  # signs of life publish logs beside the work


@dataclass(frozen=True, slots=True)
class Known:
    """How a file was when it was last alike on both sides; it is `gone` where it was removed."""

    name: str
    stamp: str
    modified: int
    size: int
    gone: bool = False


def opened(name: str | Path) -> Path:
    """Return the path by which the house knows a run's folder, brought up to date if it is a URL.

    Where another process of this machine is at work in it, it is up to date already.
    """
    folder = located(name)
    update(folder)
    return folder


def brought(name: str | Path) -> Path:
    """Return, as `opened` does, a folder that may lie in a run's, as that of a student does.

    What else there is of the run is left where it is. Raises UserError for a place with nothing.
    """
    folder = located(name)
    url = url_of(folder)
    if url is not None:
        with plainly(folder):
            folder.mkdir(parents=True, exist_ok=True)
        # Whoever works in the run has this up to date, if it was ever here.
        if holder(root_of(folder)) is None or not has_files(folder):
            complete(folder)
        if not has_files(folder):
            raise UserError(f"{url}: nothing is there")
    return folder


def kept(name: str | Path) -> Path:
    """Return a folder as `brought` does, but as it was brought before, if it was.

    So what a run was told to be made with stays that, whatever is published meanwhile.
    """
    folder = located(name)
    return folder if has_files(folder) else brought(name)


def has_files(folder: Path) -> bool:
    """Return whether there is anything in a working folder."""
    return folder.is_dir() and any(file.name != LIST for file in folder.iterdir())


def update(folder: Path) -> None:
    """Bring a run's folder up to date, unless another process of this machine works in it."""
    if url_of(folder) is not None and holder(folder) is None:
        pull(folder)


def pull(folder: Path) -> None:
    """Bring here what has changed at the place since both were alike; remove what is gone there.

    What is large and was never here stays there.
    """
    _take(folder, folder, LARGE, ())


def complete(part: Path, but: Collection[str] = ()) -> None:
    """Bring here all that lies below a part of a run's folder; nothing if it is local.

    Files called as in `but` are left as they are.
    """
    if url_of(part) is not None:
        with plainly(part):
            part.mkdir(parents=True, exist_ok=True)
        _take(root_of(part), part, frozenset(), but)


def _take(folder: Path, part: Path, large: frozenset[str], but: Collection[str]) -> None:
    url = url_of(part)
    assert url is not None
    known = read_list(folder)
    system, place = on(url)
    try:
        with told(url):
            found = system.find(place, detail=True)
    except FileNotFoundError:
        found = {}
    there: set[str] = set()
    for entry in found.values():
        file = part / relative(str(entry["name"]), place)
        name = file.relative_to(folder).as_posix()
        if file == part or lies_there_alone(Path(name)) or not published(PurePosixPath(name)):
            continue
        there.add(name)
        now, before = stamp(entry), known.get(name)
        if file.name in but or (before is None and not large.isdisjoint(Path(name).parts)):
            continue
        if before is None or not file.exists() or not now or now != before.stamp:
            fetch(file)
            note(file, now, file.stat())
    for name, before in known.items():
        file = folder / name
        if name in there or before.gone or stays(PurePosixPath(name)):
            continue
        if not file.is_relative_to(part):
            continue
        # Whoever has changed it here since keeps it: it is published again.
        if same(file, before):
            file.unlink(missing_ok=True)
            write_line(folder, Known(name, "", 0, 0, gone=True))


def renew(file: Path) -> None:
    """Bring a file here unless it is as it is at the place, whether or not it is published.

    Raises FileNotFoundError if it is not there.
    """
    root = root_of(file)
    known, now = read_list(root).get(file.relative_to(root).as_posix()), stamp(info(file))
    if known is None or not now or now != known.stamp or not same(file, known):
        fetch(file)
        note(file, now, file.stat())


def push(part: Path) -> None:
    """Publish what was finished below a folder since both sides were alike; nothing if it is local.

    Raises UserError if the place cannot be reached or written.
    """
    if url_of(part) is None:
        return
    root = root_of(part)
    known = read_list(root)
    here = {file.relative_to(root).as_posix(): file for file in ours(part, root)}
    # What lies deeper first: notes and cards speak of the rest.
    for name in sorted(here, key=lambda name: (-name.count("/"), name)):
        if name not in known or not same(here[name], known[name]):
            send(here[name])
    inside = part.relative_to(root)
    for name, before in known.items():
        if before.gone or name in here or stays(PurePosixPath(name)):
            continue
        if Path(name).is_relative_to(inside):
            remove(root / name)
            write_line(root, Known(name, "", 0, 0, gone=True))


def ours(part: Path, root: Path) -> Iterator[Path]:
    """Yield the files below a folder that are published."""
    for file in part.rglob("*") if part.is_dir() else [part]:
        name = PurePosixPath(file.relative_to(root).as_posix())
        if published(name) and not lies_there_alone(file) and file.is_file():
            yield file


def published(name: PurePosixPath) -> bool:
    """Return whether a file is published, by its name from the root of the working folder."""
    return not any(part.startswith(".") for part in name.parts) and not stays(name)


def stays(name: PurePosixPath) -> bool:
    """Return whether a file lies in the working folder alone, by its name from the root of that."""
    return not STAYS.isdisjoint(name.parts) or DATABASE in name.name


def root_of(path: Path) -> Path:
    """Return the working folder that a path lies in: the one that has a list, else the path."""
    for folder in (path, *path.parents):
        if folder.name == PLACES:
            break
        if (folder / LIST).exists():
            return folder
    return path if path.is_dir() else path.parent


def relative(name: str, root: str) -> str:
    """Return the name of a file from a folder, as file systems write both."""
    return name.lstrip("/").removeprefix(root.strip("/")).lstrip("/")


def same(file: Path, before: Known) -> bool:
    """Return whether a file is as it was when both sides were alike."""
    try:
        now = file.stat()
    except FileNotFoundError:
        return False
    return not before.gone and (now.st_mtime_ns, now.st_size) == (before.modified, before.size)


def send(file: Path, unfinished: Path | None = None) -> None:
    """Publish a file, unless it stays here, and note that it is alike on both sides.

    With `unfinished` that is its content, and takes its place here too.
    """
    if unfinished is not None and stays(PurePosixPath(file.relative_to(root_of(file)))):
        unfinished.replace(file)
        return
    # What is added meanwhile, as to a log, is not taken for published.
    before = (unfinished or file).stat()
    publish(unfinished or file, file)
    if unfinished is not None:
        unfinished.replace(file)
    note(file, stamp(info(file)), before)


def note(file: Path, known: str, was: os.stat_result) -> None:
    """Note that a file is alike on both sides: what tells it apart there, and how it was here."""
    root = root_of(file)
    name = file.relative_to(root).as_posix()
    write_line(root, Known(name, known, was.st_mtime_ns, was.st_size))


def begin(folder: Path) -> None:
    """Make a working folder the root of what is published from it, and no folder of a run in it.

    Runs that lie in it, as in a bucket that was looked at by mistake, stay roots of their own.
    """
    with plainly(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / LIST).exists():
            for inner in folder.rglob(LIST):
                runs = (inner.with_name(name) for name in (LOCK, "run.toml"))
                if inner.parent != folder and not any(one.exists() for one in runs):
                    inner.unlink(missing_ok=True)
            (folder / LIST).touch()


def write_line(root: Path, known: Known) -> None:
    """Add a line to the list."""
    with _writing, (root / LIST).open("a", encoding="utf-8") as lines:
        lines.write("\n" + json.dumps(asdict(known)))


def read_list(root: Path) -> Mapping[str, Known]:
    """Return what was last alike, by name; a list that has grown long is written anew."""
    begin(root)
    found: dict[str, Known] = {}
    lines = (root / LIST).read_text(encoding="utf-8").splitlines()
    for line in lines:
        # A kill can leave half a line; that file is then published again.
        with contextlib.suppress(ValueError, TypeError):
            known = Known(**json.loads(line))
            found[known.name] = known
    if len(lines) > LONG + 2 * len(found):
        # What is noted meanwhile is lost, and that file published once more.
        fresh = root / f"{LIST}.new"
        with _writing:
            fresh.write_text("\n".join(json.dumps(asdict(one)) for one in found.values()))
            fresh.replace(root / LIST)
    return found
