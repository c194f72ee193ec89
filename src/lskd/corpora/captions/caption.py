"""What was said of one place, or of a whole picture, and what every reader of such files does."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lskd.errors import UserError
from lskd.evaluate.pictures import Pictures
from lskd.evaluate.rows import Row, Wrong, mapping, number
from lskd.types import Box, Image, Reject

SPLITS = {"train": "train", "val": "validation", "validation": "validation", "dev": "validation"}


@dataclass(frozen=True, slots=True)
class Caption:
    """All that a corpus says of one place of a picture, or of the whole where `box` is None.

    `id` is unique in the corpus, `texts` are different from each other and none is empty. `split`
    is "train", "validation", "test", "testA" or "testB".
    """

    id: str
    corpus: str
    split: str
    image: Image
    box: Box | None
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Files:
    """Where a corpus lies: its files, the folders of its pictures, and a further file of boxes.

    `boxes` is RefCOCO's instances.json. `unpacked` is a folder into which pictures are written that
    lie inside of a Parquet file.
    """

    corpus: str
    files: tuple[Path, ...]
    images: tuple[Path, ...] = ()
    boxes: Path | None = None
    unpacked: Path | None = None

    @property
    def pictures(self) -> Pictures:
        """Return what finds pictures, by names from the folders, or from those of the files."""
        folders = self.images or tuple(dict.fromkeys(file.parent for file in self.files))
        return Pictures(*folders, self.unpacked)


@dataclass(frozen=True, slots=True)
class Said:
    """A text about a place as a row has it; texts of equal `place` are of one caption.

    `names` are those that the picture's file may have, the likeliest first; `size` is the width and
    height in pixels that the boxes are meant for, where the corpus says so.
    """

    place: str
    split: str
    names: tuple[str, ...]
    box: Box | None
    size: tuple[int, int] | None
    texts: tuple[str, ...]
    source: str


def gathered(
    said: Iterable[Said | Reject], corpus: str, pictures: Pictures
) -> Iterator[Caption | Reject]:
    """Yield a caption for each place, once all that is said of it is known; rejects as they come.

    A place is a Reject if its picture is missing or broken, has another size than its boxes are
    meant for, or shows nothing of the box; boxes are clipped to the picture.
    """
    places: dict[tuple[str, str], list[Said]] = {}
    for one in said:
        if isinstance(one, Reject):
            yield one
        else:
            places.setdefault((one.split, one.place), []).append(one)
    for (split, place), rows in places.items():
        first = rows[0]
        texts = tuple(dict.fromkeys(text for row in rows for text in row.texts))
        try:
            image = pictures.find(first.names)
            box = None if first.box is None else _clipped(first, image)
            yield Caption(f"{corpus}-{split}-{place}", corpus, split, image, box, texts)
        except Wrong as error:
            yield Reject(first.source, str(error), json.dumps(texts, ensure_ascii=False))


def each(
    rows: Iterable[Row | Reject], make: Callable[[Row], Iterable[Said | Reject]]
) -> Iterator[Said | Reject]:
    """Yield what `make` has for each row, and a Reject for a row that it finds wrong."""
    for row in rows:
        if isinstance(row, Reject):
            yield row
            continue
        try:
            made = list(make(row))
        except Wrong as error:
            made = [Reject(row.source, str(error), row.text)]
        yield from made


def box_of_size(value: object, what: str) -> Box:
    """Return the box of [left, top, width, height] in pixels; raises Wrong, naming `what`."""
    left, top, width, height = _four(value, what)
    return _with_area(Box(left, top, left + width, top + height), what)


def box_of_corners(value: object, what: str) -> Box:
    """Return the box of [left, top, right, bottom] in pixels; raises Wrong, naming `what`."""
    return _with_area(Box(*_four(value, what)), what)


def size_of(value: object) -> tuple[int, int] | None:
    """Return the width and height that a JSON object states, None if it does not; raises Wrong."""
    stated = mapping(value, "what should state a size")
    if stated.get("width") is None or stated.get("height") is None:
        return None
    return int(number(stated["width"], "'width'")), int(number(stated["height"], "'height'"))


def split_named(word: str, source: str) -> str:
    """Return a split by the name that a corpus has for it; raises Wrong, naming `source`."""
    if word in ("test", "testA", "testB"):
        return word
    if word not in SPLITS:
        raise Wrong(f"no split {word!r} in {source}; splits: {', '.join(SPLITS)}, test, testA")
    return SPLITS[word]


def known(files: Files) -> None:
    """Raise UserError if a corpus has no files, or one is not there."""
    if not files.files:
        raise UserError(f"corpus {files.corpus!r} has no files: give at least one")
    for file in (*files.files, *([files.boxes] if files.boxes else [])):
        if not file.is_file():
            raise UserError(f"corpus {files.corpus!r}: no file {file}")


def _four(value: object, what: str) -> list[float]:
    if not isinstance(value, list) or len(value) != 4:
        raise Wrong(f"{what} is not four numbers: {json.dumps(value, default=str)[:60]}")
    return [number(side, f"a side of {what}") for side in value]


def _with_area(box: Box, what: str) -> Box:
    if not (box.width > 0 and box.height > 0):
        raise Wrong(f"{what} has no area: width {box.width:g}, height {box.height:g}")
    return box


def _clipped(said: Said, image: Image) -> Box:
    assert said.box is not None
    size = image.width, image.height
    if said.size not in (None, size):
        assert said.size is not None
        raise Wrong(
            f"its box is meant for {said.size[0]} x {said.size[1]} pixels, but the upright picture "
            f"is {size[0]} x {size[1]}"
        )
    box = said.box.within(*size)
    if not box.area > 0:
        raise Wrong(f"its box {tuple(said.box)} is outside of the {size[0]} x {size[1]} picture")
    return box
