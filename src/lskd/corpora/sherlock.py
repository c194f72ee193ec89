"""Sherlock's corpus: what people infer from places of a picture, and the clue that they saw there.

A row becomes an example: the clue is the rationale, the inference the answer to a question of ours,
since Sherlock asks none. Its boxes are the regions, numbered from 0 in their order and clipped to
the picture (hundreds of VCR's run over its lower edge); all of them belong to the clue.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from lskd.corpora.source import Source, beside, blank, read, split_of, untagged
from lskd.evaluate.pictures import Pictures, check_size
from lskd.evaluate.rows import Row, Wrong, mapping, number, several, text
from lskd.evaluate.sherlock import image_names
from lskd.types import Box, Example, Image, Region, Reject

NAME = "sherlock"
QUESTION = "What can be inferred from {regions}?"


def examples(source: Source) -> Iterator[Example | Reject]:
    """Yield an example for each row of sherlock_train_v1_1.json or its validation file.

    Pictures lie below one of the folders as VG_100K/1.jpg, VG_100K_2/1.jpg or
    vcr1images/film/clip.jpg. The annotator's confidence (1 to 3) is kept in `extra`. Raises
    UserError if the file cannot be read.
    """
    split = split_of(source)
    pictures = Pictures(*source.roots)

    def made(row_name: str, row: Row) -> Iterator[Example]:
        given = mapping(row.fields.get("inputs"), "'inputs'")
        about = mapping(given.get("image"), "'image'")
        image = pictures.find(image_names(text(about, "url")))
        check_size(about, image)
        boxes = [_box(box, image) for box in several(given, "bboxes")]
        if not boxes:
            raise Wrong("it has no box")
        targets = mapping(row.fields.get("targets"), "'targets'")
        own = row.fields.get("instance_id")
        yield replace(
            blank(own if isinstance(own, str) else row_name, image, NAME, split),
            style="id",
            regions=tuple(Region(k, box, "", "", 1.0) for k, box in enumerate(boxes)),
            region_ids=tuple(range(len(boxes))),
            question=QUESTION.format(regions=_listed(range(len(boxes)))),
            answer=untagged(targets.get("inference"), "'inference'"),
            rationale=untagged(given.get("clue"), "'clue'"),
            extra=beside(
                confidence=given.get("confidence"),
                obs_idx=given.get("obs_idx"),
                split_idx=row.fields.get("split_idx"),
            ),
        )

    return read(source, made)


def _box(value: object, image: Image) -> Box:
    """Return a box clipped to its picture; raises Wrong if nothing is left of it."""
    sides = mapping(value, "a box")
    left, top, width, height = (
        number(sides.get(side), f"{side!r} of a box") for side in ("left", "top", "width", "height")
    )
    box = Box(left, top, left + width, top + height).within(image.width, image.height)
    if not box.area > 0:
        raise Wrong(f"a box covers no part of the picture: {dict(sides)}")
    return box


def _listed(ids: Sequence[int]) -> str:
    """Return tags as a sentence lists them: "[0], [1] and [2]"."""
    *first, last = (f"[{each}]" for each in ids)
    return f"{', '.join(first)} and {last}" if first else last
