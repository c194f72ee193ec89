"""A file of a foreign corpus, the folders of its pictures, and what every reader does with rows."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lskd.errors import UserError
from lskd.evaluate.rows import Row, Wrong, elements, lines, loaded
from lskd.marking import named
from lskd.types import Example, Image, Reject

SPLITS = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}


@dataclass(frozen=True, slots=True)
class Source:
    """A file of JSON lines, or of one JSON list, and the folders that its images are named from.

    `prefix` is put before the names of images (LLaVA-Instruct: "COCO_train2014_" where the pictures
    are COCO's of 2014). `split` is that of all examples; "" takes it from the file's name.
    """

    file: Path
    images: tuple[Path, ...] = ()
    prefix: str = ""
    split: str = ""

    @property
    def roots(self) -> tuple[Path, ...]:
        """Return the folders of images, the working folder if none is given."""
        return self.images or (Path(),)


def split_of(source: Source) -> str:
    """Return the split of a source: as it is given, or as its file's name says, or "train".

    Raises UserError for a split that is none of train, val, validation and test.
    """
    if source.split and source.split not in SPLITS:
        raise UserError(f"no split {source.split!r}; splits: {', '.join(SPLITS)}")
    words = re.split("[^a-z]+", source.file.stem.lower())
    return SPLITS[source.split or next((word for word in words if word in SPLITS), "train")]


def read(
    source: Source, make: Callable[[str, Row], Iterable[Example | Reject]]
) -> Iterator[Example | Reject]:
    """Yield what `make` has for each row, or a Reject that names the row, with all its text.

    `make` is given a name for the row that no other of the file has. A row that fails has no
    examples at all. Raises UserError if the file cannot be read or is no JSON.
    """
    for number, row in enumerate(_rows(source.file), start=1):
        if isinstance(row, Reject):
            yield row
            continue
        try:
            made = list(make(f"{source.file.stem}-{number}", row))
        except Wrong as error:
            made = [Reject(row.source, str(error), row.text)]
        yield from made


def blank(example_id: str, image: Image, source: str, split: str) -> Example:
    """Return an example about a picture that says nothing yet and has no regions."""
    return Example(
        id=example_id,
        image_id=image.id,
        path=image.path,
        width=image.width,
        height=image.height,
        regions=(),
        style="description",
        question="",
        answer="",
        rationale="",
        region_ids=(),
        mentions=(),
        score=None,
        source=source,
        split=split,
    )


def one_line(value: object, what: str) -> str:
    """Return a text in which every run of blanks and newlines is one blank.

    A newline is never just left out, since the words before and after it would be one. Raises
    Wrong, naming `what`, for anything but a text that has words.
    """
    if not isinstance(value, str):
        raise Wrong(f"{what} is not a text: {json.dumps(value)[:60]}")
    said = " ".join(value.split())
    if not said:
        raise Wrong(f"{what} is empty")
    return said


def untagged(value: object, what: str) -> str:
    """Return `one_line` of a text that is to be said beside tags.

    Raises Wrong also if it has words that read like a region's tag, since a region would seem to be
    named that is not.
    """
    said = one_line(value, what)
    if named(said):
        raise Wrong(f"{what} has words that read like a region's tag: {said!r}"[:200])
    return said


def beside(**said: object) -> str:
    """Return the JSON text of what a row says beside an example; what is None is left out."""
    return json.dumps({key: value for key, value in said.items() if value is not None})


def _rows(file: Path) -> Iterator[Row | Reject]:
    try:
        with file.open("rb") as opened:
            is_list = opened.read(4096).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror or error}") from error
    return elements(loaded(file), f"{file.name} row") if is_list else lines(file)
