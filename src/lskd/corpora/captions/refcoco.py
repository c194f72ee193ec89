"""RefCOCO, RefCOCO+ and RefCOCOg: what tells one thing of a COCO picture from the others.

A caption for each thing that is referred to comes out, with all that was said of it. The forms that
are read, each recognised by its content:

- the authors' `refs(unc).p` (or google, umd, berkeley), a pickle, which wants `instances.json`, the
  boxes, beside it; the same rows as JSON;
- Parquet or JSON rows of the same fields with their own `bbox`, which is then left, top, right and
  bottom (jxu124/refcoco on the hub);
- Parquet or JSON rows of `answer`, `bbox` (left, top, width, height) and `file_name`, with the
  picture inside (lmms-lab/RefCOCO), which has no training split;
- JSON rows of `img_id`, `sents`, `bbox` (left, top, width, height), `width` and `height`
  (MiniGPT-v2's evaluation).

`file_name` ends with the number of the thing, which is no part of the picture's name. The splits of
RefCOCOg by google share pictures; those by umd do not.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from lskd.annotations.stream import members
from lskd.corpora.captions import plain_pickle
from lskd.corpora.captions.caption import (
    Caption,
    Files,
    Said,
    box_of_corners,
    box_of_size,
    each,
    gathered,
    known,
    size_of,
    split_named,
)
from lskd.corpora.captions.parquet import rows_of
from lskd.corpora.source import one_line
from lskd.errors import UserError
from lskd.evaluate.rows import Row, Wrong, elements, loaded, mapping, name, several, text
from lskd.types import Box, Reject

PICTURE = re.compile(r"(COCO_)?(?P<folder>[a-z]+\d{4})_(?P<number>\d{12})")


@dataclass(frozen=True, slots=True)
class Instances:
    """What instances.json says: boxes by annotation, as they stand there, and sizes by image."""

    boxes: dict[str, object]
    sizes: dict[str, tuple[int, int] | None]


def captions(files: Files) -> Iterator[Caption | Reject]:
    """Yield a caption for each thing that the files refer to.

    Raises UserError if a file is missing or broken.
    """
    known(files)
    instances = _instances(files)
    said = chain.from_iterable(_of_file(file, files, instances) for file in files.files)
    yield from gathered(said, files.corpus, files.pictures)


def _of_file(file: Path, files: Files, instances: Instances) -> Iterator[Said | Reject]:
    split = _split_of(file)
    return each(_rows(file, files), lambda row: [_said(row, instances, split)])


def _rows(file: Path, files: Files) -> Iterable[Row | Reject]:
    if file.suffix == ".parquet":
        return rows_of(file, files.unpacked)
    value = plain_pickle.load(file) if file.suffix in (".p", ".pkl", ".pickle") else loaded(file)
    return elements(value, f"{file.name} row")


def _instances(files: Files) -> Instances:
    """Return what instances.json says beside each of the files; nothing if there is none."""
    beside = dict.fromkeys(file.parent / "instances.json" for file in files.files)
    found = Instances({}, {})
    for file in [files.boxes] if files.boxes else [path for path in beside if path.is_file()]:
        _add(found, file)
    return found


def _add(found: Instances, file: Path) -> None:
    """Add what one instances.json says; the numbers in all of them are COCO's."""
    try:
        for key, values in members(file.read_text(encoding="utf-8-sig")):
            for one in values if key in ("annotations", "images") else ():
                fields = mapping(one, f"one of {key!r}")
                if key == "annotations":
                    found.boxes[str(fields.get("id"))] = fields.get("bbox")
                else:
                    found.sizes[str(fields.get("id"))] = size_of(fields)
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror or error}") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{file} is not whole JSON: {error}") from error
    except Wrong as error:
        raise UserError(f"{file} has no instances of COCO: {error}") from error


def _said(row: Row, instances: Instances, split: str) -> Said:
    """Return what a row says, whichever form it has."""
    fields = row.fields
    if "sentences" in fields or "ref_id" in fields:
        return _referred(row, instances)
    if "sents" in fields:
        inside = name(fields, "img_id")
        sentences, box = [fields["sents"]], box_of_size(fields.get("bbox"), "'bbox'")
        place, size = f"{inside} {tuple(box)}", size_of(fields)
    elif "answer" in fields:
        inside = text(fields, "file_name")
        sentences = several(fields, "answer")
        box, place, size = box_of_size(fields.get("bbox"), "'bbox'"), inside, None
    else:
        raise Wrong(f"it is of no form of RefCOCO; its fields are {', '.join(fields)}"[:200])
    names = _names(inside)
    unpacked = fields.get("image")
    if isinstance(unpacked, str):
        names = (unpacked, *names)
    texts = tuple(one_line(sentence, "a sentence") for sentence in sentences)
    return Said(place, split, names, box, size, texts, row.source)


def _referred(row: Row, instances: Instances) -> Said:
    """Return what a row of the authors' own fields says."""
    fields = row.fields
    sentences = [mapping(one, "a sentence") for one in several(fields, "sentences")]
    texts = tuple(one_line(one.get("sent", one.get("raw")), "a sentence") for one in sentences)
    if not texts:
        raise Wrong("it has no sentence")
    box, size = _box(fields, instances.boxes), instances.sizes.get(name(fields, "image_id"))
    if isinstance(fields.get("raw_image_info"), str):
        size = size_of(_inner(fields["raw_image_info"], "'raw_image_info'"))
    names = _names(text(fields, "file_name"))
    if isinstance(fields.get("image_path"), str):
        names = (text(fields, "image_path"), *names)
    split = split_named(text(fields, "split"), "a row")
    # By where it is, since RefCOCO, RefCOCO+ and RefCOCOg each number their things from 0.
    place = f"{name(fields, 'image_id')} {tuple(box)}"
    return Said(place, split, names, box, size, texts, row.source)


def _box(fields: Mapping[str, object], boxes: Mapping[str, object]) -> Box:
    if isinstance(fields.get("bbox"), list):
        return box_of_corners(fields["bbox"], "'bbox'")
    number = name(fields, "ann_id")
    if number not in boxes:
        raise Wrong(
            f"there is no box of its ann_id {number}: put instances.json beside the "
            "file, or name it as boxes"
        )
    return box_of_size(boxes[number], "its box in instances.json")


def _names(inside: str) -> tuple[str, ...]:
    """Return the names that a picture may have, by one as "COCO_train2014_000000581857_16.jpg"."""
    found = PICTURE.search(inside)
    if found is None:
        return (inside,)
    folder, number = found["folder"], found["number"]
    old = f"COCO_{folder}_{number}.jpg"
    return (
        *(old, f"{folder}/{old}", f"coco/{folder}/{old}", f"images/{folder}/{old}"),
        # COCO's pictures of 2017 are those of 2014 by shorter names, in other parts.
        *(f"{number}.jpg", f"train2017/{number}.jpg", f"val2017/{number}.jpg"),
    )


def _split_of(file: Path) -> str:
    """Return the split that a file's name says, for rows that do not; "validation" if none."""
    words = re.findall(r"testA|testB|test|train|val", file.stem)
    return split_named(words[0], file.name) if words else "validation"


def _inner(value: object, what: str) -> Mapping[str, object]:
    try:
        return mapping(json.loads(str(value)), what)
    except (ValueError, RecursionError) as error:
        raise Wrong(f"{what} is not JSON: {error}") from error
