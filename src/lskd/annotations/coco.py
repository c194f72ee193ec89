"""COCO json: instances, keypoints (taken as instances) and captions.

`images` have id, file_name and perhaps a size; `annotations` point to them by image_id and have a
bbox [x, y, width, height], polygons and a category_id, or a caption.
"""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from lskd.annotations.entry import Entry, Place, Unfit, box_of_size, numbers, one_line, size, table
from lskd.types import Box

Id = int | str


class _Found(NamedTuple):
    """An annotation that waits for its category, which may stand later in the file."""

    entry: Entry
    category: object
    box: Box
    polygons: tuple["array[float]", ...]


class _Waiting(NamedTuple):
    """An annotation that stands before the images in its file."""

    image: Id
    record: dict[str, object]


@dataclass(slots=True)
class Coco:
    """Takes the lists of a COCO json in whatever order they stand; `entries` then joins them."""

    images: dict[Id, Entry] = field(default_factory=dict)
    names: dict[object, str] = field(default_factory=dict)
    _found: list[_Found] = field(default_factory=list)
    _waiting: list[_Waiting] = field(default_factory=list)

    def take_images(self, values: Iterable[object]) -> None:
        """Take the list `images`; raises Unfit for one without an id or a name of its own."""
        for position, entry_id, entry in named_images(values):
            if entry_id in self.images:
                raise Unfit(f"images[{position}] has the id of an earlier one, {entry_id!r}")
            self.images[entry_id] = entry

    def take_categories(self, values: Iterable[object]) -> None:
        """Take the list `categories`; raises Unfit for one without an id or a name."""
        for position, value in enumerate(values):
            record = table(value, f"categories[{position}]")
            if not isinstance(record.get("id"), Id) or not one_line(record.get("name")):
                raise Unfit(f"categories[{position}] has no id and name")
            self.names[record["id"]] = one_line(record["name"])

    def take_annotations(self, values: Iterable[object]) -> None:
        """Take the list `annotations`; raises Unfit for one without an image_id."""
        for position, value in enumerate(values):
            record = table(value, f"annotations[{position}]")
            image = record.get("image_id")
            if not isinstance(image, Id):
                raise Unfit(f"annotations[{position}] has no image_id")
            if image in self.images:
                self._note(self.images[image], record)
            else:
                self._waiting.append(_Waiting(image, record))

    def entries(self) -> tuple[list[Entry], list[Id]]:
        """Return all images with what the file says of them, and the ids that are no image's."""
        strays: dict[Id, None] = {}
        for image, record in self._waiting:
            if image in self.images:
                self._note(self.images[image], record)
            else:
                strays[image] = None
        for found in self._found:
            name = self.names.get(found.category)
            if name is None:
                what = {"category_id": found.category, "box": found.box}
                found.entry.refuse("its category_id is not among the categories", what)
            else:
                found.entry.places.append(Place(found.box, name, found.polygons))
        self._found.clear()
        self._waiting.clear()
        return list(self.images.values()), list(strays)

    def _note(self, entry: Entry, record: dict[str, object]) -> None:
        if "caption" in record:
            caption = one_line(record["caption"])
            if caption:
                entry.captions.append(caption)
            else:
                entry.refuse("empty caption", record)
            return
        corner = numbers(record.get("bbox"))
        reason = _flaw(record, corner)
        if reason or corner is None:
            entry.refuse(reason, record)
            return
        category = record.get("category_id")
        known = category if isinstance(category, Id) else None
        polygons = tuple(_polygons(record.get("segmentation"), entry))
        self._found.append(_Found(entry, known, box_of_size(*corner), polygons))


def named_images(values: Iterable[object]) -> Iterator[tuple[int, Id, Entry]]:
    """Yield position, id and entry of the images of the list `images`; raises Unfit."""
    for position, value in enumerate(values):
        record = table(value, f"images[{position}]")
        image = record.get("id")
        name = record.get("file_name")
        if name is None and isinstance(record.get("coco_url"), str):  # as in LVIS
            name = "/".join(str(record["coco_url"]).split("/")[-2:])
        if not isinstance(image, Id) or not isinstance(name, str) or not name.strip():
            raise Unfit(f"images[{position}] has no id and file_name")
        yield position, image, Entry(name, size(record))


def _flaw(record: dict[str, object], corner: "array[float] | None") -> str:
    """Return why an annotation's box cannot be used, or ""."""
    if record.get("iscrowd"):
        return "a crowd (iscrowd), not one object"
    if isinstance(record.get("segmentation"), dict):
        return "its segmentation is run-length encoded (RLE), which is not read"
    if "bbox" not in record:
        return "neither a bbox nor a caption"
    if corner is None or len(corner) != 4:
        return "its bbox is not four numbers"
    return ""


def _polygons(value: object, entry: Entry) -> Iterator["array[float]"]:
    """Yield the polygons of a segmentation; those that are none become refusals."""
    for points in value if isinstance(value, list) else []:
        polygon = numbers(points)
        if polygon is None or len(polygon) < 6 or len(polygon) % 2:
            entry.refuse("a polygon that is not three or more points; its box is kept", points)
        else:
            yield polygon
