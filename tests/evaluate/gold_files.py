"""Benchmark files as their authors lay them out, with small grey pictures in the images' places."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import PIL.Image

from lskd.evaluate.benchmark import Found, Options
from lskd.types import Item

Json = dict[str, object]
Read = Callable[[Path, Options], Found]

ORIENTATION = 0x0112


def picture(file: Path, width: int = 40, height: int = 30, turned: bool = False) -> Path:
    """Write a picture whose bytes depend on its name; `turned` says in EXIF that it lies on its
    side, so that upright it is `height` x `width`.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    shade = (sum(file.name.encode()) % 200 + 20,) * 3
    exif = PIL.Image.Exif()
    if turned:
        exif[ORIENTATION] = 6
    PIL.Image.new("RGB", (width, height), shade).save(file, exif=exif)
    return file


def put(file: Path, value: object) -> Path:
    """Write a value as a JSON file, or a text as it is."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return file


def put_lines(file: Path, rows: Iterable[object]) -> Path:
    """Write rows as JSON lines; a row that is a text stands as it is."""
    texts = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    return put(file, "".join(f"{text}\n" for text in texts))


def load_lines(file: Path) -> list[Json]:
    """Return the rows of a file of JSON lines."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.strip()]


def reasons(found: Found) -> list[str]:
    """Return why rows made no items."""
    return [fault.reason for fault in found.faults]


def only(found: Found) -> Item:
    """Return the one item of a reading without faults."""
    assert found.faults == ()
    assert len(found.items) == 1
    return found.items[0]


# VCR: one scene of three people and a dog, and a row about it.

SCENE = "film/clip@0"
NAMES = ("person", "person", "dog", "person")
BOXES = ((0, 0, 10, 30), (10, 0, 20, 30), (20, 10, 30, 20), (30, 0, 41.5, 30))


def put_scene(folder: Path, name: str = SCENE, /, **changes: object) -> None:
    """Write an image of VCR and its metadata, 40 x 30 pixels, under vcr1images."""
    picture(folder / f"vcr1images/{name}.jpg")
    metadata = {
        "boxes": [[*box, 0.5 + place / 10] for place, box in enumerate(BOXES)],
        "segms": [[[[1, 2], [3, 4], [5, 6]]] for _ in BOXES],
        "names": list(NAMES),
        "width": 40,
        "height": 30,
    }
    put(folder / f"vcr1images/{name}.json", metadata | changes)


def vcr_row(number: int = 0, split: str = "val", **changes: object) -> Json:
    """Return a row of VCR that points at [1] in its question, then at [0] and [3]."""
    row: Json = {
        "annot_id": f"{split}-{number}",
        "img_fn": f"{SCENE}.jpg",
        "metadata_fn": f"{SCENE}.json",
        "objects": list(NAMES),
        "question": ["Why", "does", [1], "wave", "?"],
        "answer_choices": [["To", [0], "."], ["Cold", "."], ["No", "."], [[3, 0], "ask", "."]],
        "answer_label": 3,
        "rationale_choices": [["A", [2], "."], ["B", "."], ["C", "."], ["D", "."]],
        "rationale_label": 0,
    }
    return row | changes


def put_vcr(folder: Path, *rows: object, split: str = "val") -> Path:
    """Write a folder of VCR that holds one scene and these rows."""
    put_scene(folder)
    put_lines(folder / f"{split}.jsonl", rows)
    return folder
