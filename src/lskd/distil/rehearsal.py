"""What the base could already do is rehearsed: texts about whole pictures, and questions.

A student that is taught nothing but questions about numbered regions forgets the others. So a
share of its rows may be of this file, a line of JSON for each text:

```
{"image": "kitchen.jpg", "text": "a cup on the left", "wrong": ["a cup on the right"]}
```

`image` is relative to the file's folder; `wrong`, which may be absent, are texts that are false of
the picture, the nearer to the true one the better. Nothing is drawn into these pictures. A student
that writes learns such a text by cutting it in two; it also takes lines that say what is given, in
the words in which its base is asked, and what is to be written:

```
{"image": "kitchen.jpg", "prompt": "What is on the left?", "answer": "a cup."}
```
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from lskd import picture
from lskd.distil import ledger
from lskd.distil.ledger import Ledger
from lskd.errors import UserError
from lskd.types import Image

FILE = "rehearsal.jsonl"

R = TypeVar("R")
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Line(BaseModel):
    """A line of the file, as its author writes it."""

    model_config = ConfigDict(extra="forbid")

    image: Words
    text: Words
    wrong: tuple[Words, ...] = ()


class Asking(BaseModel):
    """A line of the file that asks, as its author writes it."""

    model_config = ConfigDict(extra="forbid")

    image: Words
    prompt: Words
    answer: Words


@dataclass(frozen=True, slots=True)
class Statement:
    """A text about a whole picture, and others that are false of it."""

    image: Image
    text: str
    wrong: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """What is given about a whole picture and what is to be written; of a text `prompt` is ""."""

    image: Image
    prompt: str
    answer: str


def prepared(file: Path, folder: Path) -> Ledger[Statement]:
    """Return the statements of a file; read once, and found again in `folder`.

    Raises UserError, with the number of the line, for one that is none or whose picture cannot be
    read, and if there is no line at all.
    """
    return _prepared(Statement, _statement, file, folder)


def questions(file: Path, folder: Path) -> Ledger[Question]:
    """Return what a student that writes rehearses, of lines of either form; see `prepared`."""
    return _prepared(Question, _question, file, folder)


def _prepared(
    record: type[R], made: Callable[[Any, "_Pictures"], R], file: Path, folder: Path
) -> Ledger[R]:
    if not ledger.exists(folder / FILE):
        ledger.write(folder / FILE, _records(made, file))
    found: Ledger[R] = Ledger(record, folder / FILE)
    if not len(found):
        raise UserError(f"{file} has no lines: nothing is there to rehearse")
    return found


def _records(made: Callable[[Any, "_Pictures"], R], file: Path) -> Iterator[R]:
    """Yield what `made` returns of the JSON of each line."""
    pictures = _Pictures(file.parent)
    try:
        with file.open(encoding="utf-8") as opened:
            for number, text in enumerate(opened, start=1):
                if text.strip():
                    yield _record(made, text, f"{file} line {number}", pictures)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {file}: {error}") from error


def _record(
    made: Callable[[Any, "_Pictures"], R], text: str, place: str, pictures: "_Pictures"
) -> R:
    try:
        return made(json.loads(text), pictures)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(f"{place}: {where}: {first['msg']}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{place} is no JSON: {error}") from error
    except UserError as error:
        raise UserError(f"{place}: {error}") from error


def _statement(said: Any, pictures: "_Pictures") -> Statement:
    line = Line.model_validate(said)
    wrong = tuple(one for one in dict.fromkeys(line.wrong) if one != line.text)
    return Statement(pictures.image(line.image), line.text, wrong)


def _question(said: Any, pictures: "_Pictures") -> Question:
    if isinstance(said, dict) and "text" in said:
        line = Line.model_validate(said)
        return Question(pictures.image(line.image), "", line.text)
    asking = Asking.model_validate(said)
    return Question(pictures.image(asking.image), asking.prompt, asking.answer)


class _Pictures:
    """The pictures of a folder, each read once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, Image] = {}

    def image(self, name: str) -> Image:
        """Return a picture; raises UserError for one that cannot be read."""
        if name not in self._known:
            self._known[name] = _image(self.folder / name)
        return self._known[name]


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
