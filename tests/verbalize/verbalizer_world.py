"""A small world to train verbalizers in: pictures with two coloured blocks, and what is said."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import tomli_w

SIZE = (64, 48)
COLOURS = {"red": (220, 30, 30), "blue": (30, 30, 220), "green": (30, 180, 30)}
LEFT, RIGHT = (6, 10, 20, 24), (36, 10, 20, 24)  # x, y, width, height


def blocks(number: int) -> tuple[str, str]:
    """Return the colours of a picture's left and right block."""
    names = list(COLOURS)
    return names[number % 3], names[(number // 3 + number + 1) % 3]


def draw(path: Path, number: int) -> None:
    """Write a picture, different from all others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(number).integers(90, 110, (SIZE[1], SIZE[0], 3))
    pixels = noise.astype(np.uint8)
    for name, (x, y, width, height) in zip(blocks(number), (LEFT, RIGHT), strict=True):
        pixels[y : y + height, x : x + width] = COLOURS[name]
    PIL.Image.fromarray(pixels).save(path)


def build(folder: Path, train: int = 6, validation: int = 3) -> None:
    """Write pictures, RefCOCO's files and Localized Narratives' about them."""
    refs: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    told: dict[str, list[str]] = {"train": [], "val": []}
    for number in range(train + validation):
        split = "train" if number < train else "val"
        inner = f"COCO_train2014_{number:012}.png"
        draw(folder / "coco" / inner.replace(".png", ".jpg"), number)
        for side, name, box in zip(("left", "right"), blocks(number), (LEFT, RIGHT), strict=True):
            key = len(boxes)
            boxes.append({"id": key, "image_id": number, "bbox": list(box), "category_id": 1})
            refs.append(
                {
                    "ref_id": key,
                    "ann_id": key,
                    "image_id": number,
                    "file_name": inner.replace(".png", f"_{key}.jpg"),
                    "split": split,
                    "sentences": [{"sent": f"the {name} block"}, {"sent": f"{name} on the {side}"}],
                }
            )
        row = {"dataset_id": "mscoco_train2017", "image_id": str(number), "annotator_id": 1}
        left, right = blocks(number)
        for text in (f"There is a {left} block. A {right} block too.", f"{left} and {right}."):
            told[split].append(json.dumps(row | {"caption": text}))
        draw(folder / "train2017" / f"{number:012}.jpg", number)
    (folder / "refs.json").write_text(json.dumps(refs))
    images = [{"id": n, "width": SIZE[0], "height": SIZE[1]} for n in range(train + validation)]
    (folder / "instances.json").write_text(json.dumps({"images": images, "annotations": boxes}))
    for split, lines in told.items():
        name = f"coco_{split}_localized_narratives-00000-of-00001.jsonl"
        # The dataset is of the training split of COCO: it is the file that says which this is of.
        text = "\n".join(lines).replace("mscoco_train2017", f"mscoco_{split}2017")
        (folder / name).write_text(text)
    (folder / "val2017").mkdir(exist_ok=True)
    for number in range(train, train + validation):
        name = f"{number:012}.jpg"
        (folder / "train2017" / name).rename(folder / "val2017" / name)


def recipe(folder: Path, kind: str, base: Path, **changes: Any) -> Path:
    """Write a recipe for a tiny BLIP-2, and return its path."""
    corpora: dict[str, Any] = {
        "captioner": {
            "blocks": {
                "format": "refcoco",
                "files": str(folder / "refs.json"),
                "images": str(folder / "coco"),
                "evaluate": "validation",
            }
        },
        "narrator": {
            "stories": {
                "format": "localized_narratives",
                "files": str(folder / "coco_*_localized_narratives-*.jsonl"),
                "images": [str(folder)],
                "evaluate": "validation",
            }
        },
    }
    told: dict[str, Any] = {
        "writer": {
            "use": "lskd.writing.blip2:Blip2Writer",
            "checkpoint": str(base),
            "device": "cpu",
        },
        "corpora": corpora[kind],
        "steps": 3,
        "batch": 4,
        "learning_rate": 1e-3,
        "precision": "float32",
        "tokens": 6,
        "beams": 1,
        "evaluation": {"samples": 3, "batch": 2},
    }
    for name, value in changes.items():
        both = isinstance(value, dict) and isinstance(told.get(name), dict)
        told[name] = told[name] | value if both else value
    path = folder / f"{kind}.toml"
    path.write_text(tomli_w.dumps(told))
    return path
