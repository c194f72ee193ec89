"""VCR's images with their boxes, on which VisualCOMET is built too: metadata beside each image.

`boxes[i]` is [x0, y0, x1, y1, score] in pixels of the full-size image, `segms[i]` a list of
polygons of [x, y] points, `names[i]` a category written without blanks. Regions are numbered as in
these lists, from 0.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lskd.errors import UserError
from lskd.evaluate.pictures import Pictures, check_size
from lskd.evaluate.rows import Wrong, loaded, mapping, number, several, texts
from lskd.marking import visible
from lskd.types import Box, Image, Polygon, Region

FOLDER = "vcr1images"
PERSON = "person"


@dataclass(frozen=True, slots=True)
class Scene:
    """An image of VCR with all of its regions; `persons` are the ids of those labelled so."""

    image: Image
    regions: tuple[Region, ...]
    persons: tuple[int, ...]

    def check_visible(self, ids: tuple[int, ...]) -> None:
        """Raise Wrong if one of these regions covers no part of the image."""
        size = (self.image.width, self.image.height)
        for region_id in ids:
            if not visible(self.regions[region_id], size):
                raise Wrong(f"the box of object {region_id} covers no part of the image")


class Scenes:
    """Reads images and their metadata, each once; both lie below a folder vcr1images."""

    def __init__(self, *roots: Path | None) -> None:
        self.pictures = Pictures(*roots)
        self.known: dict[tuple[str, str], Scene | Wrong] = {}
        self.numbers: dict[float, float] = {}

    def find(self, image: str, metadata: str) -> Scene:
        """Return the scene of an image and a metadata file, named as the benchmark names them.

        Raises Wrong if one is missing or broken, or if they do not belong together.
        """
        if (image, metadata) not in self.known:
            try:
                self.known[image, metadata] = self.read(image, metadata)
            except Wrong as error:
                self.known[image, metadata] = error
        found = self.known[image, metadata]
        if isinstance(found, Wrong):
            raise Wrong(str(found))
        return found

    def read(self, image: str, metadata: str) -> Scene:
        """Return a scene as its two files have it."""
        picture = self.pictures.find((f"{FOLDER}/{image}", image))
        file = self.pictures.path((f"{FOLDER}/{metadata}", metadata))
        try:
            fields = mapping(loaded(file), "the metadata")
            check_size(fields, picture)
            regions = self.regions(fields, picture)
        except UserError as error:
            raise Wrong(str(error)) from error
        except Wrong as error:
            raise Wrong(f"metadata {file.name}: {error}") from error
        persons = tuple(region.id for region in regions if region.label == PERSON)
        return Scene(picture, regions, persons)

    def regions(self, fields: Mapping[str, object], picture: Image) -> tuple[Region, ...]:
        """Return all boxes of the metadata in their order, clipped to the picture."""
        labels, boxes = texts(fields, "names"), several(fields, "boxes")
        outlines = several(fields, "segms") if "segms" in fields else [[]] * len(boxes)
        if not len(labels) == len(boxes) == len(outlines):
            raise Wrong(f"{len(boxes)} boxes, {len(outlines)} segms and {len(labels)} names")
        made = []
        for place, (label, corners, outline) in enumerate(
            zip(labels, boxes, outlines, strict=True)
        ):
            if not isinstance(corners, list) or len(corners) != 5:
                raise Wrong(f"box {place} is not x0, y0, x1, y1, score: {json.dumps(corners)}")
            *sides, score = (number(value, f"a number of box {place}") for value in corners)
            box = Box(*sides).within(picture.width, picture.height)
            polygons = self.polygons(outline, place)
            made.append(Region(place, box, label, "", score, polygons))
        return tuple(made)

    def polygons(self, outline: object, place: int) -> tuple[Polygon, ...]:
        """Return the polygons of a box, x0, y0, x1, y1, ...; fewer than 3 points outline nothing.

        Equal numbers are one object: the outlines of ten thousand images are kept at a time.
        """
        made = []
        for points in outline if isinstance(outline, list) else [outline]:
            if not isinstance(points, list):
                raise Wrong(f"a polygon of box {place} is no list of points")
            pairs = [point for point in points if isinstance(point, list) and len(point) == 2]
            if len(pairs) != len(points):
                raise Wrong(f"a polygon of box {place} has a point that is not x, y")
            sides = (number(side, f"a point of box {place}") for pair in pairs for side in pair)
            if len(pairs) >= 3:
                made.append(tuple(self.numbers.setdefault(side, side) for side in sides))
        return tuple(made)
