"""Visual Genome's regions: phrases about boxes, some five million of them.

`region_descriptions.json` goes in, one image at a time, and beside it `image_data.json` if it is
there, for the size that boxes are meant for. Visual Genome has no splits: all is "train".
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from lskd.annotations.stream import members
from lskd.corpora.captions.caption import (
    Caption,
    Files,
    Said,
    box_of_size,
    each,
    gathered,
    known,
    size_of,
)
from lskd.corpora.source import one_line
from lskd.errors import UserError
from lskd.evaluate.rows import Row, Wrong, element, mapping, name, several
from lskd.types import Reject

SIDES = ("x", "y", "width", "height")
FOLDERS = ("VG_100K", "VG_100K_2")


def captions(files: Files) -> Iterator[Caption | Reject]:
    """Yield a caption for each box; boxes that are alike to the pixel are one.

    Pictures lie below one of the folders as VG_100K/1.jpg or VG_100K_2/1.jpg, or as 1.jpg. Raises
    UserError if a file is missing or no JSON.
    """
    known(files)
    pictures = files.pictures
    for file in files.files:
        sizes = _sizes(file.parent / "image_data.json")
        for number, value in enumerate(_values(file), start=1):
            row = element(value, f"{file.name} image {number}")
            # One image's regions stand together, so no more than these are held.
            yield from gathered(_of_image(row, sizes), files.corpus, pictures)


def _of_image(row: Row | Reject, sizes: Mapping[str, tuple[int, int]]) -> Iterator[Said | Reject]:
    def regions(row: Row) -> Iterator[Said | Reject]:
        listed = several(row.fields, "regions")
        image = _image(row, listed)
        for number, region in enumerate(listed, start=1):
            made = element(region, f"{row.source} region {number}")
            yield from each([made], lambda one: [_said(one, image, sizes.get(image))])

    yield from each([row], regions)


def _image(row: Row, regions: Sequence[object]) -> str:
    """Return the number of a row's image, which its regions may say in its place."""
    for key in ("id", "image_id"):
        if key in row.fields:
            return name(row.fields, key)
    if not regions:
        raise Wrong("it has neither an id nor a region")
    return name(mapping(regions[0], "a region"), "image_id")


def _said(row: Row, image: str, size: tuple[int, int] | None) -> Said:
    box = box_of_size([row.fields.get(side) for side in SIDES], "a box")
    phrase = one_line(row.fields.get("phrase"), "'phrase'")
    inner = f"{image}.jpg"
    names = (*(f"{folder}/{inner}" for folder in FOLDERS), inner)
    return Said(f"{image} {tuple(box)}", "train", names, box, size, (phrase,), row.source)


def _sizes(file: Path) -> dict[str, tuple[int, int]]:
    """Return the size of each image in pixels; none if there is no such file."""
    if not file.is_file():
        return {}
    sizes: dict[str, tuple[int, int]] = {}
    for value in _values(file):
        try:
            fields = mapping(value, "an image")
            size = size_of(fields)
            if size is not None:
                sizes[name(fields, "image_id")] = size
        except Wrong as error:
            raise UserError(f"{file}: {error}") from error
    return sizes


def _values(file: Path) -> Iterator[object]:
    """Yield the elements of a JSON list, one at a time."""
    try:
        for _, values in members(file.read_text(encoding="utf-8-sig")):
            yield from values
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file} is not whole JSON: {error}") from error
