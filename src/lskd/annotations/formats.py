"""One annotation file of any format becomes entries; its format is recognised by its content."""

import os
from pathlib import Path

from lskd.annotations import vcr, visual_genome
from lskd.annotations.coco import Coco, named_images
from lskd.annotations.entry import Entry, Unfit
from lskd.annotations.stream import members
from lskd.errors import UserError

KNOWN = (
    "known are COCO instances, keypoints and captions; Visual Genome region_descriptions, objects "
    "and image_data; VCR metadata"
)


def parsed(file: Path) -> tuple[list[Entry], list[str]]:
    """Return the entries of a file, and a line for each image that it speaks of but does not name.

    Raises UserError if the file is missing, broken or of no known format.
    """
    try:
        return _recognised(file)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file} is not whole JSON ({error}); {KNOWN}") from error
    except Unfit as error:
        raise UserError(f"{file} is no annotation file: {error}; {KNOWN}") from error


def coco_images(file: Path) -> list[str]:
    """Return the file names of a COCO json's images, each once; the rest of it is not read.

    Raises UserError if the file is missing or no COCO json.
    """
    try:
        for key, values in members(_text(file)):
            if key == "images":
                return list(dict.fromkeys(entry.name for _, _, entry in named_images(values)))
    except (ValueError, RecursionError, Unfit) as error:
        raise UserError(f"{file} is no COCO json: {error}") from error
    raise UserError(f"{file} is no COCO json: it has no list 'images'")


def stem(file: Path) -> str:
    """Return the name under which VCR metadata are found: their path without its ending."""
    return Path(os.path.normpath(file.absolute())).with_suffix("").as_posix()


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"cannot read annotations {file}: {error.strerror or error}") from error


def _recognised(file: Path) -> tuple[list[Entry], list[str]]:
    coco = Coco()
    lists = {
        "images": coco.take_images,
        "annotations": coco.take_annotations,
        "categories": coco.take_categories,
    }
    metadata: dict[str, list[object]] = {}
    keys: list[str] = []
    for key, values in members(_text(file)):
        keys.append(key)
        if key == "" and (found := list(visual_genome.entries(values))):
            return found, []
        if key in lists:
            lists[key](values)
        elif key in vcr.KEYS:
            metadata[key] = list(values)
    if {"images", "annotations"} <= set(keys):
        entries, strays = coco.entries()
        return entries, [f"{file}: image_id {image!r} is not among its images" for image in strays]
    if {"boxes", "names"} <= set(keys):
        return [vcr.entry(stem(file), metadata)], []
    raise Unfit(f"its keys are {', '.join(map(repr, keys[:8])) or 'none'}")
