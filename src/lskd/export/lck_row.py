"""The columns of one row of the released corpus, as a record, and back."""

import ast
import json
import math
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from lskd.export.names import Name, cut
from lskd.export.tokens import Token, text_of, tokens_of
from lskd.storage.address import is_url
from lskd.types import Box, Example, Mention, Polygon, Region, Style

Row = dict[str, Any]
PARTS = ("question", "answer", "rationale")
# What a row of the corpus cannot say of an Example; other readers pass over a key they do not know.
OURS = "lskd"
DIGITS = re.compile("[0-9]{1,6}")  # longer numbers are no names of regions in any text
LARGEST = 1_000_000


class WrongRow(ValueError):
    """A row that cannot become an Example; its text says why."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a picture file says of itself; width and height are those of the upright picture."""

    image_id: str
    width: int
    height: int


def encoded(example: Example, root: Path | None) -> Row:
    """Return the row of an Example; its image is named from `root` if it lies below it."""
    texts = {part: getattr(example, part) for part in PARTS}
    tokens: dict[str, list[Token]] = {part: tokens_of(text) for part, text in texts.items()}
    ours = {
        "image_id": example.image_id,
        "width": example.width,
        "height": example.height,
        "style": example.style,
        "mentions": [[mention.phrase, mention.region_id] for mention in example.mentions],
        "regions": [[region.description, float(region.score)] for region in example.regions],
        "texts": {part: text for part, text in texts.items() if text_of(tokens[part]) != text},
        "extra": example.extra,
    }
    row: Row = {
        "image": _named(example.path, root),
        "source": example.source or None,
        "split": example.split or None,
        "index": example.id,
        "region": list(example.region_ids),
        "region_all": [region.id for region in example.regions],
        "references": [reference(region) for region in example.regions],
        **tokens,
        "prediction": None if example.score is None else float(example.score),
        OURS: {key: value for key, value in ours.items() if value not in ("", [], {})},
    }
    return {key: value for key, value in row.items() if value is not None}


def _named(path: str, root: Path | None) -> str:
    """Return the path of a picture from a folder, if it lies there; a URL stays one."""
    if root is None or is_url(path):
        return path
    file, folder = Path(path).absolute(), root.absolute()
    return file.relative_to(folder).as_posix() if file.is_relative_to(folder) else path


def reference(region: Region) -> Row:
    """Return a region as a row names it: box x0, y0, x1, y1 and polygons of points, in pixels."""
    segms = [
        [[float(x), float(y)] for x, y in zip(polygon[::2], polygon[1::2], strict=False)]
        for polygon in region.polygons
    ]
    return {
        "name": str(region.id),
        "boxes": [[float(corner) for corner in region.box]],
        "segms": segms or None,
        "obj_guess": region.label,
        "tag": "region",
    }


def decoded(
    row: object, index: str, root: Path | None, measure: Callable[[str], Measured]
) -> Example:
    """Return the Example of a row; `index` is its id if it has none of its own.

    `measure` is asked for a path only if the row itself does not know the size. Lists may be given
    as their JSON or Python text. Ids are those by which references are named; `region` and what the
    texts name together are `region_ids`. A reference's fifth number is its score; without one it is
    1, as of what a person drew. Of several boxes the one around all is taken. Raises WrongRow.
    """
    row = mapping(row, "the row")
    ours = mapping(row.get(OURS, {}), OURS)
    image = word(row, "image")
    if not image:
        raise WrongRow("no image")
    path = image if root is None else str(root / image)
    style = ours.get("style", "id")
    if style not in get_args(Style):
        raise WrongRow(f"style {style!r}; styles: {', '.join(get_args(Style))}")
    texts = {part: text(row, part, ours) for part in PARTS}
    regions = tuple(regions_of(row, ours))
    region_ids = set(ids(row.get("region"), "region"))
    if style == "id":
        region_ids |= {each for said in texts.values() for each in named(said)}
    unknown = region_ids - {region.id for region in regions}
    if unknown:
        raise WrongRow(f"names [{min(unknown)}], which no reference has")
    score = row.get("prediction")
    measured = own_measure(ours) or measure(path)
    return Example(
        id=word(row, "index") or index,
        image_id=measured.image_id,
        path=path,
        width=measured.width,
        height=measured.height,
        regions=regions,
        style=style,
        **texts,
        region_ids=tuple(sorted(region_ids)),
        mentions=tuple(mention(each) for each in items(ours.get("mentions"), "mentions")),
        score=None if score is None else number(score, "prediction"),
        source=word(row, "source"),
        split=word(row, "split"),
        extra=word(ours, "extra"),
    )


def own_measure(ours: Row) -> Measured | None:
    """Return what our own key says of the picture, if it does."""
    name, width, height = ours.get("image_id"), ours.get("width"), ours.get("height")
    if isinstance(name, str) and isinstance(width, int) and isinstance(height, int):
        return Measured(name, width, height)
    return None


def regions_of(row: Row, ours: Row) -> Iterator[Region]:
    """Yield the references of a row as regions, each name once."""
    known: set[int] = set()
    references = items(row.get("references"), "references")
    beside = items(ours.get("regions"), "regions") or [["", None]] * len(references)
    if len(beside) != len(references):
        raise WrongRow(f"{len(references)} references, but {OURS} knows {len(beside)} regions")
    for each, said in zip(references, beside, strict=True):
        region = region_of(mapping(each, "a reference"), said)
        if region.id in known:
            raise WrongRow(f"two references are named {region.id}")
        known.add(region.id)
        yield region


def region_of(row: Row, beside: object) -> Region:
    """Return a reference as a region; `beside` is its description and score."""
    names = ids(row.get("name"), "name")
    if len(names) != 1:
        raise WrongRow(f"a reference is named {row.get('name')!r}, not by a number")
    boxes = [items(box, "boxes") for box in items(row.get("boxes"), "boxes")]
    corners = [[number(corner, "boxes") for corner in box] for box in boxes]
    if not corners or any(len(box) not in (4, 5) for box in corners):
        raise WrongRow(f"reference {names[0]} has no box of 4 or 5 numbers")
    x0, y0 = (min(box[corner] for box in corners) for corner in (0, 1))
    x1, y1 = (max(box[corner] for box in corners) for corner in (2, 3))
    box = Box(x0, y0, x1, y1)
    if not box.area:
        raise WrongRow(f"the box of reference {names[0]} has no area: {list(box)}")
    match beside:
        case [str(description), int() | float() as score]:
            pass
        case _:
            description, score = "", corners[0][4] if len(corners[0]) == 5 else 1.0
    shapes = tuple(polygons(row.get("segms")))
    return Region(names[0], box, word(row, "obj_guess"), description, float(score), shapes)


def polygons(value: object) -> Iterator[Polygon]:
    """Yield the polygons in a value: lists of numbers or of points, however deep they lie."""
    if not isinstance(value, list) or not value:
        return
    if all(map(is_number, value)):
        if len(value) >= 6 and len(value) % 2 == 0:
            yield tuple(float(each) for each in value)
    elif all(isinstance(each, list) and len(each) == 2 and is_number(each[0]) for each in value):
        yield from polygons([corner for each in value for corner in each])
    else:
        for each in value:
            yield from polygons(each)


def text(row: Row, part: str, ours: Row) -> str:
    """Return the text of a part: of its tokens, or of the row's `qar`, if it has no tokens."""
    value = row.get(part)
    if value is None:
        value = mapping(row.get("qar", {}), "qar").get(part)
    tokens = tokens_in(value, part)
    said = str(value) if tokens is None else text_of(tokens)
    verbatim = mapping(ours.get("texts", {}), "texts").get(part)
    # Kept beside the tokens where they cannot say it; another tool may have changed them since.
    if isinstance(verbatim, str) and tokens_of(verbatim) == tokens:
        said = verbatim
    if not said.strip():
        raise WrongRow(f"no {part}")
    return said


def tokens_in(value: object, part: str) -> list[Token] | None:
    """Return the tokens of a part, also if they are given as text; None for text without tokens."""
    if isinstance(value, str):
        if not value.startswith("["):
            return None
        try:
            return [tokened(each) for each in items(value, part)]
        except WrongRow:
            return None  # a text that begins with a region, as "[4] is cold"
    return [tokened(each) for each in items(value, part)]


def tokened(value: object) -> Token:
    """Return a word or a list of ids as a token."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return list(ids(value, "a list of ids"))
    raise WrongRow(f"{value!r:.60} is neither a word nor a list of ids")


def named(said: str) -> Iterator[int]:
    """Yield the ids that a text names."""
    for piece in cut(said):
        if isinstance(piece, Name):
            yield from piece.region_ids


def ids(value: object, key: str) -> tuple[int, ...]:
    """Return the ids in a number, a list, or the text of one."""
    if value is None:
        return ()
    if isinstance(value, list):
        return tuple(each for inner in value for each in ids(inner, key))
    if isinstance(value, str):
        written = value.strip()
        return (int(written),) if DIGITS.fullmatch(written) else ids(literal(written, key), key)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < LARGEST:
        return (value,)
    raise WrongRow(f"{key} holds {value!r:.60}, not the number of a region")


def mention(value: object) -> Mention:
    """Return a phrase and the region that it stands for."""
    match value:
        case [str(phrase), int(name)]:
            return Mention(phrase, name)
    raise WrongRow(f"mentions hold {value!r:.60}, not a phrase and the number of a region")


def word(row: Row, key: str) -> str:
    """Return a value that is text, or a number in place of one; "" if there is none."""
    value = row.get(key)
    if value is None:
        return ""
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        return str(value)
    raise WrongRow(f"{key} is {value!r:.60}, not text")


def number(value: object, key: str) -> float:
    """Return a finite number."""
    if isinstance(value, (int, float)) and is_number(value):
        return float(value)
    raise WrongRow(f"{key} holds {value!r:.60}, not a number")


def is_number(value: object) -> bool:
    """Return whether a value is a finite number; true and false are not."""
    try:
        return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]  # is one
    except OverflowError:  # an integer beyond all floats
        return False


def items(value: object, key: str) -> list[Any]:
    """Return a list, also if it is given as text, or [] for none."""
    if value is None:
        return []
    found = literal(value, key) if isinstance(value, str) else value
    if isinstance(found, list):
        return found
    raise WrongRow(f"{key} is {value!r:.60}, not a list")


def mapping(value: object, key: str) -> Row:
    """Return a JSON object, also if it is given as text."""
    found = literal(value, key) if isinstance(value, str) else value
    if isinstance(found, dict):
        return found
    raise WrongRow(f"{key} is not a JSON object")


def literal(written: str, key: str) -> object:
    """Return what JSON or Python text stands for, but for plain text."""
    try:
        found: object = json.loads(written)
    except (ValueError, RecursionError):
        try:
            with warnings.catch_warnings(action="ignore"):  # of odd escapes in what is no Python
                found = ast.literal_eval(written)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
            raise WrongRow(f"{key} is {written!r:.60}, not a list or an object") from error
    if isinstance(found, str):
        raise WrongRow(f"{key} is {written!r:.60}, not a list or an object")
    return found
