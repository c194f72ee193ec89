"""Scenes become COCO's instances.json: a category, a box and a mask for each entity.

Categories are the kinds of people and of things. A mask is all of an entity, as its box is, also
what something hides.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from lskd.lab.drawing import masks
from lskd.lab.gold.files import number_of, put_json
from lskd.lab.gold.outline import Mask, polygons, runs
from lskd.lab.scene import KINDS, PEOPLE
from lskd.lab.world import Staged

Form = Literal["polygons", "runs"]
CATEGORIES = (*PEOPLE, *KINDS)


def write(file: Path, scenes: Sequence[Staged], form: Form = "polygons") -> int:
    """Write the entities of scenes whose pictures lie beside the file; return their number.

    `form` is how masks are written: as polygons, or as COCO's uncompressed runs. Both are exact.
    """
    instances: list[dict[str, object]] = []
    for staged in scenes:
        shapes = masks(staged.scene)
        for entity, box, mask in zip(staged.scene.entities, staged.boxes, shapes, strict=True):
            instances.append(
                {
                    "id": len(instances) + 1,
                    "image_id": number_of(staged),
                    "category_id": CATEGORIES.index(entity.kind) + 1,
                    "bbox": [box.x0, box.y0, box.width, box.height],
                    "area": int(mask.sum()),
                    "iscrowd": 0,
                    "segmentation": _segmentation(mask, form),
                }
            )
    images = [
        {
            "id": number_of(staged),
            "file_name": Path(staged.file).name,
            "width": staged.scene.width,
            "height": staged.scene.height,
        }
        for staged in scenes
    ]
    kinds = [{"id": number, "name": kind} for number, kind in enumerate(CATEGORIES, start=1)]
    put_json(file, {"images": images, "annotations": instances, "categories": kinds})
    return len(instances)


def _segmentation(mask: Mask, form: Form) -> object:
    if form == "polygons":
        return [list(polygon) for polygon in polygons(mask)]
    return {"counts": list(runs(mask)), "size": list(mask.shape)}
