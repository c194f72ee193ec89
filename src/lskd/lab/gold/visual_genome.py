"""Scenes become Visual Genome's region descriptions: what a region captioner learns from.

A scene's phrases are the lab's own: what an entity looks like and what it is at. They are true; a
captioner that errs has not learnt them. No benchmark is made of them.
"""

from collections.abc import Sequence
from pathlib import Path

from lskd.lab.gold.files import number_of, put_json, put_picture
from lskd.lab.words import description
from lskd.lab.world import Staged

FOLDER = "VG_100K"


def write(folder: Path, world: Path, scenes: Sequence[Staged]) -> int:
    """Write region_descriptions.json, image_data.json and VG_100K; return the number of regions.

    `world` is the folder that the scenes' files are relative to.
    """
    rows: list[dict[str, object]] = []
    sizes: list[dict[str, object]] = []
    count = 0
    for staged in scenes:
        number = number_of(staged)
        put_picture(world, staged, folder / FOLDER / f"{number}.jpg")
        regions = [_region(staged, entity, count + entity) for entity in range(len(staged.boxes))]
        count += len(regions)
        rows.append({"id": number, "regions": regions})
        width, height = staged.scene.width, staged.scene.height
        sizes.append({"image_id": number, "width": width, "height": height})
    put_json(folder / "region_descriptions.json", rows)
    put_json(folder / "image_data.json", sizes)
    return count


def _region(staged: Staged, entity: int, number: int) -> dict[str, object]:
    box = staged.boxes[entity]
    return {
        "region_id": number,
        "image_id": number_of(staged),
        "x": int(box.x0),
        "y": int(box.y0),
        "width": int(box.width),
        "height": int(box.height),
        "phrase": description(staged.scene, entity),
    }
