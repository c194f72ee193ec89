"""Rows of the released corpus (LCK), both ways.

`read` makes Examples of a file of JSON lines (or a JSON list), `write` makes such a file. An
Example says more than a row, so our rows have one key more, "lskd"; what a foreign row says beside
an Example, or in other words, is kept in `Example.extra`. So neither way loses anything:

- row -> Example -> row gives the same JSON value, unknown keys, tokens and the spelling of numbers
  and lists included; the file's own blanks and escapes do not last. If the Example was changed in
  between, its row says what it now says, and keeps all else that still holds.
- Example -> row -> Example gives an equal record, given the same `root`. `write` reads back each
  row that it makes; what would not return is a reject.

Boxes are pixels, which say nothing without the size of the picture. A row that does not know it
needs the picture; where there is none, it becomes a Reject with all its text, as a broken row does.
"""

import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import PIL.Image

from lskd.errors import UserError
from lskd.export.folder import BOTH, Written, export
from lskd.export.lck_row import OURS, PARTS, Measured, Row, WrongRow, decoded, encoded
from lskd.picture import image_id, upright_size
from lskd.table import plain
from lskd.types import Example, Reject, Style

NAME = "lck.jsonl"
COLUMNS = frozenset("image source split index region region_all references prediction".split())
# Other spellings of the texts, which some rows have; once a text is changed they are wrong.
SPELLINGS = frozenset(("qa", "qar"))
NOT_UNICODE = "not Unicode text"


def write(
    examples: Iterable[Example],
    out: Path,
    root: Path | None = None,
    styles: tuple[Style, ...] = BOTH,
) -> Written:
    """Write `out`/lck.jsonl; images are named from `root` where they lie below it.

    Raises UserError if `out` cannot be written or holds something else.
    """
    with export(out, "lck") as draft, (draft.path / NAME).open("w", encoding="utf-8") as opened:

        def line(example: Example) -> str:
            return json.dumps(row_of(example, root), ensure_ascii=False)

        for _, made in draft.each(draft.chosen(examples, styles), line):
            opened.write(made + "\n")
    return draft.written()


def read(file: Path, root: Path | None = None) -> Iterator[Example | Reject]:
    """Yield an Example for each row of a file, or a Reject that names its line.

    `root` is the folder that the names of images start from, else the working folder. Lines are
    read one by one, a JSON list (whose rows are counted instead) whole. Raises UserError if the
    file cannot be read.
    """
    measure = lru_cache(maxsize=1024)(measure_file)
    for place, row_text, row in rows(file):
        name = f"{file.name}:{place}"
        try:
            if isinstance(row, WrongRow):
                raise row
            example = decoded(row, name, root, measure)
            # A list that is given as text can escape what the row's own text does not show.
            if not is_unicode(spelled(plain(example))):
                raise WrongRow(NOT_UNICODE)
            yield replace(example, extra=beside(row, row_text, example, root))
        except WrongRow as error:
            yield Reject(f"{file}:{place}", str(error), row_text)
        except RecursionError:
            yield Reject(f"{file}:{place}", "lists within lists without end", row_text)


def rows(file: Path) -> Iterator[tuple[int, str, Any]]:
    """Yield the place, text and value of each row; the value of a broken one is a WrongRow."""
    try:
        with file.open("rb") as opened:
            if opened.read(4096).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
                for number, row in enumerate(json.loads(file.read_bytes()), start=1):
                    yield number, *listed(row)
                return
            opened.seek(0)
            for number, line in enumerate(opened, start=1):
                if line.strip():
                    yield number, *parsed(line)
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file} is neither JSON lines nor a JSON list: {error}") from error


def listed(row: object) -> tuple[str, object]:
    """Return the text of a value of a list and the value, or what is wrong with it."""
    text = spelled(row)
    return (text, row) if is_unicode(text) else (json.dumps(row), WrongRow(NOT_UNICODE))


def parsed(line: bytes) -> tuple[str, object]:
    """Return the text of a line and its value, or what is wrong with it."""
    text = line.decode("utf-8-sig", errors="backslashreplace").strip()
    try:
        value: object = json.loads(line.decode("utf-8-sig"))
        fine = is_unicode(spelled(value))
    except UnicodeError:
        return text, WrongRow(NOT_UNICODE)
    except (ValueError, RecursionError) as error:
        return text, WrongRow(f"not JSON: {error}")
    return text, value if fine else WrongRow(NOT_UNICODE)


def measure_file(path: str) -> Measured:
    """Return the id and size of a picture; raises WrongRow if it cannot be read."""
    try:
        data = Path(path).read_bytes()
        with PIL.Image.open(io.BytesIO(data)) as opened:
            return Measured(image_id(data), *upright_size(opened))
    except PIL.UnidentifiedImageError as error:
        raise WrongRow(f"its size is unknown: {path} is not an image that Pillow knows") from error
    except OSError as error:
        raise WrongRow(
            f"its size is unknown: cannot read {path} ({error.strerror or error}); give the folder "
            "that image names start from"
        ) from error
    except (SyntaxError, ValueError, PIL.Image.DecompressionBombError) as error:
        raise WrongRow(f"its size is unknown: broken image {path} ({error})") from error


def beside(row: Row, row_text: str, example: Example, root: Path | None) -> str:
    """Return the JSON text of what a row says in other words than `encoded`, or `example.extra`."""
    ours = encoded(example, root)
    if spelled(ours) == row_text:  # the common case of our own rows, found fast
        return example.extra
    other = {
        key: value
        for key, value in row.items()
        if key not in ours or spelled(ours[key]) != spelled(value)
    }
    absent = [key for key in ours if key not in row]
    if OURS in absent:
        other["image"] = row["image"]  # as it is, from whatever folder the row is written later
    if not other and not absent:
        return example.extra
    if example.extra:
        other[OURS] = row[OURS]
    return spelled({"row": other, "absent": absent})


def row_of(example: Example, root: Path | None = None) -> Row:
    """Return the row of an Example: the one that it was read from, as far as that still holds.

    Raises UserError if a row cannot say what the Example does.
    """
    other, absent = kept(example.extra)
    own = example if other is None else replace(example, extra="")
    ours = encoded(own, root)
    problem = difference(ours, own)
    if problem:
        raise UserError(f"a row of the corpus cannot say this: {problem}")
    if other is None:
        return ours
    row = {key: value for key, value in ours.items() if key not in absent} | other
    if not difference(row, own):
        return row
    row = ours
    for key, value in other.items():
        changed = row | {key: value}
        ours_too = key in COLUMNS or key in PARTS
        if not difference(changed, own) if ours_too else key not in SPELLINGS | {OURS}:
            row = changed
    return row


def kept(extra: str) -> tuple[Row | None, list[str]]:
    """Return what `beside` kept of a row, and the columns that it did not have; None if nothing."""
    try:
        said = json.loads(extra) if extra else None
    except ValueError:
        return None, []
    if isinstance(said, dict) and set(said) == {"row", "absent"}:
        return said["row"], said["absent"]
    return None, []


def difference(row: Row, example: Example) -> str:
    """Return why a row does not say what an Example does, or ""; paths are not looked at."""

    def known(path: str) -> Measured:
        return Measured(example.image_id, example.width, example.height)

    try:
        back = decoded(row, example.id, None, known)
    except WrongRow as error:
        return str(error)
    same = replace(back, path=example.path, extra=example.extra) == example
    return "" if same else "it would read back otherwise"


def is_unicode(text: str) -> bool:
    """Return whether a file can hold a text: JSON can escape half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def spelled(value: object) -> str:
    """Return JSON text, in which 1 and 1.0 differ."""
    return json.dumps(value, ensure_ascii=False)
