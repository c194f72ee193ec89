"""Localized Narratives: what annotators told of whole pictures, in several sentences.

Shards of JSON lines go in (`open_images_train_v6_localized_narratives-00000-of-00010.jsonl`), a
caption without a box for each picture comes out, with the texts of all its annotators. The traces
of their pointers are not used: as in the paper, a narrator sees a picture and writes (2.1).
"""

import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from lskd.corpora.captions.caption import Caption, Files, Said, each, gathered, known, split_named
from lskd.corpora.source import one_line
from lskd.evaluate.rows import Row, Wrong, lines, name
from lskd.types import Reject


def captions(files: Files) -> Iterator[Caption | Reject]:
    """Yield a caption for each picture.

    Pictures are looked for by their number or name: COCO's as 000000137576.jpg, all others as
    <image_id>.jpg, in a folder or in the folder of their dataset or split within it. Raises
    UserError if a file is missing.
    """
    known(files)
    said = chain.from_iterable(_of_file(file) for file in files.files)
    yield from gathered(said, files.corpus, files.pictures)


def _of_file(file: Path) -> Iterator[Said | Reject]:
    return each(lines(file), lambda row: [_said(row, file)])


def _said(row: Row, file: Path) -> Said:
    dataset = name(row.fields, "dataset_id")
    image = name(row.fields, "image_id")
    told = one_line(row.fields.get("caption"), "'caption'")
    split = _split(dataset, file)
    return Said(
        f"{dataset} {image}", split, _names(dataset, image), None, None, (told,), row.source
    )


def _split(dataset: str, file: Path) -> str:
    """Return the split that a dataset's name says, or else its file's."""
    for words in (dataset, file.stem):
        found = re.search(r"(?<![a-z])(train|validation|val|test)(?![a-z])", words)
        if found:
            return split_named(found[0], words)
    raise Wrong(f"neither its dataset_id {dataset!r} nor the file's name says a split")


def _names(dataset: str, image: str) -> tuple[str, ...]:
    """Return the names that a picture may have."""
    coco = re.match(r"mscoco_((?:train|val)\d{4})$", dataset)
    if coco and image.isdigit():
        inner = f"{int(image):012}.jpg"
        return (inner, f"{coco[1]}/{inner}", f"COCO_{coco[1]}_{inner}")
    if image.endswith(".jpg"):
        return (image, f"{dataset}/{image}")
    split = re.search(r"train|validation|val|test", dataset)
    inner = f"{image}.jpg"
    return (inner, f"{dataset}/{inner}", *((f"{split[0]}/{inner}",) if split else ()))
