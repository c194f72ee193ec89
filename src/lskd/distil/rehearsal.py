"""What the base could already do is rehearsed: true and false texts about whole pictures.

A student that is taught nothing but questions about numbered regions forgets the others. So a
share of its rows may be of this file, a line of JSON for each text:

```
{"image": "kitchen.jpg", "text": "a cup on the left", "wrong": ["a cup on the right"]}
```

`image` is relative to the file's folder; `wrong`, which may be absent, are texts that are false of
the picture, the nearer to the true one the better. Nothing is drawn into these pictures.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from lskd import picture
from lskd.distil import ledger
from lskd.distil.ledger import Ledger
from lskd.errors import UserError
from lskd.types import Image

FILE = "rehearsal.jsonl"

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Line(BaseModel):
    """A line of the file, as its author writes it."""

    model_config = ConfigDict(extra="forbid")

    image: Words
    text: Words
    wrong: tuple[Words, ...] = ()


@dataclass(frozen=True, slots=True)
class Statement:
    """A text about a whole picture, and others that are false of it."""

    image: Image
    text: str
    wrong: tuple[str, ...]


def prepared(file: Path, folder: Path) -> Ledger[Statement]:
    """Return the statements of a file; read once, and found again in `folder`.

    Raises UserError, with the number of the line, for one that is none or whose picture cannot be
    read, and if there is no line at all.
    """
    if not ledger.exists(folder / FILE):
        ledger.write(folder / FILE, _statements(file))
    found: Ledger[Statement] = Ledger(Statement, folder / FILE)
    if not len(found):
        raise UserError(f"{file} has no lines: nothing is there to rehearse")
    return found


def _statements(file: Path) -> Iterator[Statement]:
    images: dict[str, Image] = {}
    try:
        with file.open(encoding="utf-8") as opened:
            for number, text in enumerate(opened, start=1):
                if text.strip():
                    yield _statement(text, file, number, images)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {file}: {error}") from error


def _statement(text: str, file: Path, number: int, images: dict[str, Image]) -> Statement:
    try:
        line = Line.model_validate(json.loads(text))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UserError(f"{file} line {number}: {place}: {first['msg']}") from error
    except ValueError as error:
        raise UserError(f"{file} line {number} is no JSON: {error}") from error
    if line.image not in images:
        try:
            images[line.image] = _image(file.parent / line.image)
        except UserError as error:
            raise UserError(f"{file} line {number}: {error}") from error
    wrong = tuple(one for one in dict.fromkeys(line.wrong) if one != line.text)
    return Statement(images[line.image], line.text, wrong)


def _image(path: Path) -> Image:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    try:
        width, height = picture.size_of(data)
    except picture.UNREADABLE as error:
        raise UserError(f"{path} is no picture that can be read: {error}") from error
    return Image(picture.image_id(data), path.as_posix(), width, height)
