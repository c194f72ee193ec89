"""A COCO json of the regions, for annotation tools and for a run of its own.

Boxes are x, y, width, height; categories are the regions' labels. What COCO does not know stands
under "lskd": the number and description of each region, the id of each image, and the triples.
Tools that read COCO pass over it.
"""

import json
import shutil
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import IO, Any, Literal

from lskd.errors import UserError
from lskd.export.folder import BOTH, Written, export
from lskd.export.pictures import Album, Look
from lskd.table import plain
from lskd.types import Example, Polygon, Region, Style

NAME = "instances.json"
UNLABELLED = "object"


def write(
    examples: Iterable[Example],
    out: Path,
    pictures: Literal["plain", "none"] = "plain",
    styles: tuple[Style, ...] = BOTH,
) -> Written:
    """Write `out`/instances.json and `out`/images; file names are from `out`.

    With pictures "none" file names are the absolute paths of the originals. A region that several
    examples of an image share is one annotation; one without a label has the category "object".
    Memory grows with the number of regions. Raises UserError if `out` cannot be written or holds
    something else, or if marked pictures are asked for: nobody should label marks again.
    """
    if pictures not in ("plain", "none"):
        raise UserError(f"pictures = {pictures!r} makes no sense to annotate: 'plain' or 'none'")
    album = Album(Look(pictures=pictures))
    with export(out, "coco") as draft, closing(Catalogue(draft.path)) as catalogue:
        chosen = draft.chosen(examples, styles)
        for example, name in draft.each(chosen, lambda one: album.placed(one, draft.path)):
            catalogue.add(example, name)
        catalogue.join(draft.path / NAME)
    return draft.written()


class List:
    """The rows of one list of the json, in a file of their own until all lists are joined."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.count = 0
        self.opened = file.open("x", encoding="utf-8")

    def add(self, row: dict[str, Any]) -> None:
        """Write one more row."""
        self.opened.write(",\n" if self.count else "")
        self.opened.write(json.dumps(row, ensure_ascii=False))
        self.count += 1

    def pour(self, out: IO[str]) -> None:
        """Write the whole list, and remove its own file."""
        self.opened.close()
        out.write("[\n")
        with self.file.open(encoding="utf-8") as rows:
            shutil.copyfileobj(rows, out)
        out.write("\n]")
        self.file.unlink()


class Catalogue:
    """The json as it grows: numbers for images, regions and labels, each as it is first met."""

    def __init__(self, folder: Path) -> None:
        self.images = List(folder / ".images")
        self.annotations = List(folder / ".annotations")
        self.triples = List(folder / ".triples")
        self.image_numbers: dict[str, int] = {}
        # By hash, since the regions themselves would fill the memory.
        self.numbers: dict[int, int] = {}
        self.categories: dict[str, int] = {}

    def add(self, example: Example, name: str) -> None:
        """Add an example, and its image and regions where they are new; `name` is the file's."""
        number = self.image_numbers.get(example.image_id)
        if number is None:
            number = self.image_numbers[example.image_id] = len(self.image_numbers) + 1
            self.images.add(
                {
                    "id": number,
                    "file_name": name,
                    "width": example.width,
                    "height": example.height,
                    "lskd": {"image_id": example.image_id, "source": example.source},
                }
            )
        marked = [
            {"id": region.id, "annotation_id": self.annotation(number, region)}
            for region in example.regions
        ]
        self.triples.add(
            {
                "id": example.id,
                "image_id": number,
                "style": example.style,
                "question": example.question,
                "answer": example.answer,
                "rationale": example.rationale,
                "region_ids": list(example.region_ids),
                "mentions": [plain(mention) for mention in example.mentions],
                "regions": marked,
                "score": example.score,
                "split": example.split,
            }
        )

    def annotation(self, image_number: int, region: Region) -> int:
        """Return the number of a region's annotation, and write it if it is new."""
        key = hash((image_number, region))
        if key in self.numbers:
            return self.numbers[key]
        number = self.numbers[key] = len(self.numbers) + 1
        label = region.label or UNLABELLED
        x0, y0, x1, y1 = (float(corner) for corner in region.box)
        self.annotations.add(
            {
                "id": number,
                "image_id": image_number,
                "category_id": self.categories.setdefault(label, len(self.categories) + 1),
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "area": sum(map(area, region.polygons)) or region.box.area,
                "segmentation": [list(polygon) for polygon in region.polygons],
                "iscrowd": 0,
                "lskd": {
                    "id": region.id,
                    "description": region.description,
                    "score": region.score,
                },
            }
        )
        return number

    def close(self) -> None:
        """Close the files of the lists."""
        for each in (self.images, self.annotations, self.triples):
            each.opened.close()

    def join(self, file: Path) -> None:
        """Write the json."""
        categories = [
            {"id": number, "name": label, "supercategory": ""}
            for label, number in self.categories.items()
        ]
        with file.open("x", encoding="utf-8") as out:
            out.write('{"info": {"description": "regions and triples of lskd"},\n"licenses": [],\n')
            out.write(f'"categories": {json.dumps(categories, ensure_ascii=False)},\n"images": ')
            self.images.pour(out)
            out.write(',\n"annotations": ')
            self.annotations.pour(out)
            out.write(',\n"lskd": {"triples": ')
            self.triples.pour(out)
            out.write("}}\n")


def area(polygon: Polygon) -> float:
    """Return the area within a polygon, in square pixels (the shoelace formula)."""
    xs, ys = polygon[::2], polygon[1::2]
    turned = zip(xs, ys, (*xs[1:], *xs[:1]), (*ys[1:], *ys[:1]), strict=False)
    return abs(sum(x * below - right * y for x, y, right, below in turned)) / 2
