"""Owners' annotation files become boxes, phrases and captions of the images that they name.

Files go in, answers about one picture at a time come out. Formats are recognised by content: COCO
instances, keypoints and captions; Visual Genome region_descriptions, objects and image_data; VCR
metadata. A folder stands for the json files in it, however deep: one with the name of a picture
beside it is metadata of that picture and read when it is asked for, any other is read at once.
"""

import json
import mimetypes
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from lskd.annotations.entry import Entry, Place
from lskd.annotations.formats import KNOWN, coco_images, parsed, stem
from lskd.errors import UserError
from lskd.types import Box, Labelled, Reject
from lskd.unicode import mended

__all__ = ["Annotations", "Content", "files_named", "read"]


@dataclass(frozen=True, slots=True)
class Content:
    """What the files say of one picture: boxes clipped to it, and sentences about all of it."""

    places: tuple[Labelled, ...]
    captions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Annotations:
    """All that the files say, by the name that they give to an image; `of` finds a picture's part.

    An entry is still a path where it is the metadata of a picture beside it. `strays` tells what
    the files say of images that they do not name, and which files of a folder are not known.
    """

    entries: dict[str, list[Entry | Path]] = field(default_factory=dict)
    by_last_part: dict[str, list[str]] = field(default_factory=dict)
    strays: tuple[str, ...] = ()

    def of(self, path: Path, width: int, height: int) -> tuple[Content, tuple[Reject, ...]]:
        """Return what is said of the picture at `path`, whose upright size is given in pixels.

        An image in a file is this picture if its name is the end of `path`, folders included; else
        if only its last part is equal and no other fits. Boxes are clipped; what cannot be used
        becomes rejects. What two files say alike is kept once.
        """
        names, certain = self._names(path)
        if not certain:
            said = mended(", ".join(names))
            reason = f"annotated under {len(names)} names, none of them its own: {said}"
            return Content((), ()), (Reject(str(path), reason, path.name),)
        rejects: list[Reject] = []
        entries = list(self._entries(names, path, rejects))
        stated = next((entry.size for entry in entries if entry.size), None)
        places: dict[tuple[Box, str], Labelled] = {}
        captions: dict[str, None] = {}
        for entry in entries:
            captions |= dict.fromkeys(entry.captions)
            rejects += (Reject(str(path), reason, text) for reason, text in entry.refusals)
            for place in entry.places:
                reason, box = _clipped(place.box, entry.size or stated, (width, height))
                if reason:
                    text = json.dumps({"text": place.text, "box": place.box}, ensure_ascii=False)
                    rejects.append(Reject(str(path), reason, text))
                elif (box, place.text) not in places or place.polygons:
                    places[box, place.text] = _labelled(place, box)
        return Content(tuple(places.values()), tuple(captions)), tuple(rejects)

    def unmatched(self, paths: Iterable[Path]) -> tuple[str, ...]:
        """Return the images that the files speak of and that are none of `paths`, and the strays.

        Images of which a file gives no more than name and size are not among them.
        """
        matched: set[str] = set()
        for path in paths:
            names, certain = self._names(path)
            matched.update(names if certain else [])
        speaking = (
            name
            for name, entries in self.entries.items()
            if any(isinstance(entry, Path) or entry.says_something() for entry in entries)
        )
        return (*(name for name in speaking if name not in matched), *self.strays)

    def _names(self, path: Path) -> tuple[list[str], bool]:
        """Return the names that the files may have for a picture, and whether they are its own."""
        exact = [name for name in _endings(path) if name in self.entries]
        if exact:
            return exact, True
        alike = [
            name
            for last in dict.fromkeys((path.name, path.stem))  # one where there is no ending
            for name in self.by_last_part.get(last, [])
            # Where there is a file of just this name, the name is that file's.
            if not any((above / name).is_file() for above in path.parents)
        ]
        return alike, len(alike) < 2

    def _entries(self, names: list[str], path: Path, rejects: list[Reject]) -> Iterator[Entry]:
        for name in names:
            for entry in self.entries[name]:
                if isinstance(entry, Entry):
                    yield entry
                    continue
                try:
                    yield from parsed(entry)[0]
                except UserError as error:
                    rejects.append(Reject(str(path), "unreadable metadata", str(error)))


def read(files: Sequence[Path]) -> Annotations:
    """Return what annotation files and folders say, each read once.

    Raises UserError for a file that is missing, broken or of no known format; in a folder such a
    file is a stray.
    """
    entries: dict[str, list[Entry | Path]] = {}
    strays: list[str] = []
    for file in files:
        beside, others = _json_files(file) if file.is_dir() else ([], [file])
        for metadata in beside:
            entries.setdefault(_tidy(stem(metadata)), []).append(metadata)
        for other in others:
            try:
                found, lost = parsed(other)
            except UserError as error:
                if other == file:
                    raise
                strays.append(str(error))
                continue
            strays += lost
            for entry in found:
                entries.setdefault(_tidy(entry.name), []).append(entry)
    by_last_part: dict[str, list[str]] = {}
    for name in entries:
        by_last_part.setdefault(name.rpartition("/")[2], []).append(name)
    return Annotations(entries, by_last_part, tuple(strays))


def files_named(file: Path) -> list[Path]:
    """Return the paths of the images that a COCO json names, each once, in its order.

    They are looked for beside the json and beside its folder, there also in "images" and in a
    folder whose name is part of the json's (val2017 for instances_val2017.json). A path beside the
    json is returned for an image that is in none of these. Raises UserError if the file is no COCO
    json.
    """
    folders = list(_picture_folders(file))
    return [
        next((folder / name for folder in folders if (folder / name).is_file()), file.parent / name)
        for name in (written.replace("\\", "/") for written in coco_images(file))
    ]


def _clipped(box: Box, stated: tuple[int, int] | None, size: tuple[int, int]) -> tuple[str, Box]:
    """Return why a box cannot be used ("" if it can), and the part of it in the picture."""
    width, height = size
    if stated not in (None, size):
        assert stated is not None
        return (
            f"annotated on {stated[0]} x {stated[1]} pixels, but the upright picture is "
            f"{width} x {height}",
            box,
        )
    if not box.area > 0:
        return "its box has no area", box
    inside = box.within(width, height)
    return ("" if inside.area > 0 else "its box is outside the picture"), inside


def _labelled(place: Place, box: Box) -> Labelled:
    return Labelled(box, place.text, tuple(tuple(polygon) for polygon in place.polygons))


def _tidy(name: str) -> str:
    """Return a file name as parts joined by "/", without drive, root and dots."""
    parts = name.replace("\\", "/").split("/")
    return "/".join(part for part in parts if part not in ("", ".", ".."))


def _endings(path: Path) -> Iterator[str]:
    """Yield the ends of a path, from the whole to its last part, with and without ".jpg"."""
    whole = PurePath(os.path.normpath(path.absolute()))
    parts = whole.parts[1:]  # the first is the root
    for start in range(len(parts)):
        yield "/".join(parts[start:])
        if whole.suffix:
            yield "/".join((*parts[start:-1], whole.stem))


def _json_files(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the json files below a folder: those with a picture of their name, and the others."""
    beside: list[Path] = []
    others: list[Path] = []
    for place, _, names in sorted(os.walk(folder)):
        pictures = {PurePath(name).stem for name in names if _is_picture(name)}
        for file in (Path(place, name) for name in sorted(names) if name.endswith(".json")):
            (beside if file.stem in pictures else others).append(file)
    if not beside and not others:
        raise UserError(f"no json file in the annotation folder {folder}; {KNOWN}")
    return beside, others


def _is_picture(name: str) -> bool:
    return (mimetypes.guess_type(name, strict=False)[0] or "").startswith("image/")


def _picture_folders(file: Path) -> Iterator[Path]:
    for root in (file.parent, file.absolute().parent.parent):
        yield root
        for folder in (root, root / "images"):
            if folder.is_dir():
                yield from sorted(
                    inner
                    for inner in folder.iterdir()
                    if inner.is_dir() and (inner.name == "images" or inner.name in file.stem)
                )
