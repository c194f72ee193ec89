"""A label file becomes labels: official lists of the field, plain word lists, our own lists.

Recognised by content, not by name: Places365 (`categories_places365.txt`), Tencent ML-Images
(`dictionary_and_semantic_hierarchy.txt`, with or without its index column), Open Images (class
descriptions, with or without a header) and plain text with one label a line.
"""

import csv
import hashlib
import http.client
import os
import re
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

from lskd.errors import UserError, cannot_write

Kind = Literal["places", "objects", "concepts"]

WORDS = Path(__file__).with_name("words")
SECONDS = 60  # without a byte, after which a download has failed
LARGEST = 16 * 2**20  # bytes; the longest official list has half a million

_PLACE = re.compile(r"(/[a-z]/(\S+)) (\d+)")
_TENCENT_ROW = re.compile(r"(?:\d+\t)?n\d{8}\t-?\d+\t.+")
_TENCENT_HEADER = "category_index\t"
_OPEN_IMAGES_ROW = re.compile(r"/[a-z]/[^,\s]+,.+")
_OPEN_IMAGES_HEADER = "LabelName,DisplayName"


@dataclass(frozen=True, slots=True)
class Label:
    """One label of a list.

    `key` names it within its list: the path of Places365 ("/a/airfield"), the index of Tencent
    ML-Images ("8"), the machine id of Open Images ("/m/0100nhbf"), a plain list's line number.
    `text` is what a prompt says; `synonyms` are the file's other words for the same thing.
    """

    key: str
    text: str
    synonyms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """Where the authors of an official list keep it, and under which terms.

    `sha256` is None where its authors change the file between releases.
    """

    name: str
    url: str
    sha256: str | None
    licence: str


SOURCES = (
    Source(
        "categories_places365.txt",
        "https://raw.githubusercontent.com/CSAILVision/places365/master/categories_places365.txt",
        "2affba635eb657e7ca95f4e6cc69bd9fac29ef4c32aeb83cafdfcd06ec6a1ea6",
        "the repository gives its models under CC BY and states no terms for the list",
    ),
    Source(
        "dictionary_and_semantic_hierarchy.txt",
        "https://raw.githubusercontent.com/Tencent/tencent-ml-images/master/data/"
        "dictionary_and_semantic_hierarchy.txt",
        "4271c1bd49405c1453021a38039343bd810d8dc3a0fab23941fb286d528d45ce",
        "BSD-2-Clause",
    ),
    Source(
        "oidv6-class-descriptions.csv",
        "https://storage.googleapis.com/openimages/v6/oidv6-class-descriptions.csv",
        None,
        "annotations CC BY 4.0",
    ),
)

Row = tuple[int, str]


def read(path: Path) -> tuple[Label, ...]:
    """Return the labels of a file in its order, repeated names included.

    Raises UserError, with the line, for a file that is missing, empty or broken.
    """
    rows = [(number, line) for number, line in _lines(path) if line.strip()]
    if not rows:
        raise UserError(f"{path} is empty; a label file has one label a line")
    labels = tuple(_reader(rows[0][1])(path, rows))
    if not labels:
        raise UserError(f"{path} has a header and no label below it")
    seen: set[str] = set()
    for (number, _), label in zip(rows[-len(labels) :], labels, strict=True):
        if not label.text:
            _fail(path, number, "has a label without a letter; each label has a name")
        if label.key in seen:
            _fail(path, number, f"{label.key!r} is there a second time; each key names one label")
        seen.add(label.key)
    return labels


def builtin(kind: Kind) -> tuple[Label, ...]:
    """Return the project's own short list of places, objects or concepts."""
    return read(WORDS / f"{kind}.txt")


def distinct(labels: Iterable[Label]) -> tuple[Label, ...]:
    """Return the first label of each text, whatever its case.

    A model that sees only the text cannot tell "crane" from "crane", so repeated names would fill
    a list of best labels with one word.
    """
    first: dict[str, Label] = {}
    for label in labels:
        first.setdefault(label.text.casefold(), label)
    return tuple(first.values())


def download(folder: Path, mirror: str | None = None) -> tuple[Path, ...]:
    """Fetch the three official lists into a folder and return their paths.

    A file that is there and whole is kept. `mirror` is an address below which the three files lie
    by their own names, for those who cannot reach the authors' hosts. Each file is checked, then
    renamed into place, so what is there is whole.

    Raises UserError if a file cannot be fetched or is not what it should be, and if there can be no
    such folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    paths = tuple(folder / source.name for source in SOURCES)
    for source, path in zip(SOURCES, paths, strict=True):
        if path.exists() and _faults(source, path) is None:
            continue
        url = source.url if mirror is None else f"{mirror.rstrip('/')}/{source.name}"
        partial = path.with_name(f"{path.name}.partial-{os.getpid()}")
        try:
            partial.write_bytes(_fetch(url))
            if fault := _faults(source, partial):
                raise UserError(f"{url} is not the list that was expected: {fault}")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    return paths


def _fetch(url: str) -> bytes:
    """Return what lies at an address; raise UserError if it does not come whole."""
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as response:
            data: bytes = response.read(LARGEST + 1)
            length = response.headers.get("Content-Length")
    # URLError and HTTPError are OSErrors.
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise UserError(f"cannot fetch {url}: {reason}; or copy the file by hand") from error
    if len(data) > LARGEST:
        raise UserError(f"{url} has more than {LARGEST} bytes; a label list is far shorter")
    if length is not None and len(data) != int(length):
        raise UserError(f"{url} was cut off after {len(data)} of {length} bytes: try again")
    return data


def _faults(source: Source, path: Path) -> str | None:
    """Return what is wrong with a file that should be an official list; None if it is whole."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if source.sha256 is not None:
        expected = f"sha256 {digest}, expected {source.sha256}"
        return None if digest == source.sha256 else expected
    try:
        labels = read(path)
    except UserError as error:
        return str(error)
    return None if labels[0].key.startswith("/") else "it is not in the format of Open Images"


def _lines(path: Path) -> Iterator[Row]:
    """Yield the numbered lines of a text file, without line ends, from 1."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        try:
            yield number, line.removesuffix(b"\r").decode()
        except UnicodeDecodeError:
            _fail(path, number, "is not UTF-8 text; a label file is")


def _reader(first: str) -> Callable[[Path, Sequence[Row]], Iterator[Label]]:
    """Return what reads the format that a file's first line shows."""
    if _PLACE.fullmatch(first):
        return _places
    if first.startswith(_TENCENT_HEADER) or _TENCENT_ROW.fullmatch(first):
        return _tencent
    if first == _OPEN_IMAGES_HEADER or _OPEN_IMAGES_ROW.fullmatch(first):
        return _open_images
    return _plain


def _places(path: Path, rows: Sequence[Row]) -> Iterator[Label]:
    """Yield the labels of Places365: "/a/apartment_building/outdoor 8"."""
    for index, (number, line) in enumerate(rows):
        match = _PLACE.fullmatch(line)
        if match is None:
            _fail(path, number, f"{line!r} is not of the form '/a/airport_terminal 2'")
        # The list of indoor and outdoor places looks the same, but its numbers are 1 and 2.
        if int(match[3]) != index:
            _fail(
                path,
                number,
                f"number {match[3]} where {index} is due; categories_places365.txt counts its "
                "lines from 0",
            )
        yield Label(match[1], _spoken(match[2].replace("/", ", ")))


def _tencent(path: Path, rows: Sequence[Row]) -> Iterator[Label]:
    """Yield the labels of Tencent ML-Images: index, WordNet id, parent's index, names.

    An older release has no header and no index: there the line is the index.
    """
    body = rows[1:] if rows[0][1].startswith(_TENCENT_HEADER) else rows
    columns = 1 + body[0][1].count("\t") if body else 4
    for index, (number, line) in enumerate(body):
        cells = line.split("\t")
        if len(cells) != columns or not _TENCENT_ROW.fullmatch(line):
            _fail(
                path,
                number,
                f"{line!r} is not of the form 'index<TAB>n00002684<TAB>parent<TAB>name, synonym'",
            )
        names = [name for name in (part.strip() for part in cells[-1].split(",")) if name]
        if not names:
            _fail(path, number, "has no name in its last column")
        key = cells[0] if columns == 4 else str(index)
        yield Label(key, _spoken(names[0]), tuple(names[1:]))


def _open_images(path: Path, rows: Sequence[Row]) -> Iterator[Label]:
    """Yield the labels of Open Images: "/m/0zvk5,Helmet", names with commas in quotes."""
    body = rows[1:] if rows[0][1] == _OPEN_IMAGES_HEADER else rows
    for number, line in body:
        try:
            (cells,) = csv.reader([line], strict=True)
        except csv.Error as error:
            _fail(path, number, f"{line!r} is not a row of CSV: {error}")
        if len(cells) != 2 or not cells[0].startswith("/") or not cells[1].strip():
            _fail(path, number, f"{line!r} is not of the form '/m/0100nhbf,name'")
        yield Label(cells[0], cells[1].strip())


def _plain(path: Path, rows: Sequence[Row]) -> Iterator[Label]:
    """Yield the labels of a word list: one a line, underscores for blanks allowed."""
    for number, line in rows:
        if "\t" in line or line.startswith("/"):
            _fail(path, number, f"{line!r} is no plain label; a plain list has one label a line")
        yield Label(str(number), _spoken(line))


def _spoken(name: str) -> str:
    """Return a name as it is said: underscores stand for blanks."""
    return name.replace("_", " ").strip()


def _fail(path: Path, number: int, what: str) -> NoReturn:
    """Raise a UserError about one line of a file."""
    raise UserError(f"{path}, line {number}: {what}")
