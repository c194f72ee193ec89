"""Sherlock's clues: what people saw in a place of a picture, without what they infer from it.

A row of sherlock_train_v1_1.json or its validation file says one thing of one or several boxes. A
clue about several boxes at once is a Reject: a captioner describes one place at a time.
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from lskd.corpora.captions.caption import (
    Caption,
    Files,
    Said,
    box_of_size,
    each,
    gathered,
    known,
    size_of,
    split_named,
)
from lskd.corpora.source import Source, one_line, split_of
from lskd.evaluate.rows import Row, Wrong, elements, loaded, mapping, several, text
from lskd.evaluate.sherlock import image_names
from lskd.types import Reject

SIDES = ("left", "top", "width", "height")


def captions(files: Files) -> Iterator[Caption | Reject]:
    """Yield a caption for each box that has clues; the split is that which its file's name says.

    Pictures lie below one of the folders as VG_100K/1.jpg, VG_100K_2/1.jpg or
    vcr1images/film/clip.jpg. Raises UserError if a file is missing or no JSON.
    """
    known(files)
    said = chain.from_iterable(_of_file(file) for file in files.files)
    yield from gathered(said, files.corpus, files.pictures)


def _of_file(file: Path) -> Iterator[Said | Reject]:
    split = split_named(split_of(Source(file)), file.name)
    return each(elements(loaded(file), f"{file.name} row"), lambda row: [_said(row, split)])


def _said(row: Row, split: str) -> Said:
    given = mapping(row.fields.get("inputs"), "'inputs'")
    about = mapping(given.get("image"), "'image'")
    url = text(about, "url")
    boxes = [mapping(box, "a box") for box in several(given, "bboxes")]
    if len(boxes) != 1:
        raise Wrong(f"its clue is about {len(boxes)} boxes at once; one place is wanted")
    box = box_of_size([boxes[0].get(side) for side in SIDES], "a box")
    clue = one_line(given.get("clue"), "'clue'")
    names = image_names(url)
    place = f"{names[0]} {tuple(box)}"
    return Said(place, split, names, box, size_of(about), (clue,), row.source)
