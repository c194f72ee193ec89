"""Small real pictures, and examples about them."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import PIL.Image
from numpy.typing import NDArray

from lskd.picture import decode, image_id
from lskd.types import Box, Example, Mention, Region


def painted(width: int, height: int, seed: int) -> PIL.Image.Image:
    """Return a picture that is different in each corner, and for each seed."""
    across = PIL.Image.linear_gradient("L").rotate(90).resize((width, height))
    down = PIL.Image.linear_gradient("L").resize((width, height))
    flat = PIL.Image.new("L", (width, height), seed * 37 % 256)
    return PIL.Image.merge("RGB", (across, down, flat))


def saved(folder: Path, name: str, picture: PIL.Image.Image, turned: bool = False) -> Path:
    """Save a picture; `turned` stores it on its side, as a telephone does."""
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    exif = PIL.Image.Exif()
    if turned:
        exif[0x0112] = 6
        picture = picture.transpose(PIL.Image.Transpose.ROTATE_90)
    buffer = io.BytesIO()
    quality = {"quality": 95} if file.suffix == ".jpg" else {}
    picture.save(buffer, {".jpg": "JPEG", ".png": "PNG"}[file.suffix], exif=exif, **quality)
    file.write_bytes(buffer.getvalue())
    return file


REGIONS = (
    Region(0, Box(4, 6, 40, 50), "dog", "a brown dog", 0.9),
    Region(1, Box(50.25, 10, 90.5, 44), "", "the woman in pink", 0.8),
    Region(3, Box(20, 30, 70, 70), "cup", "", 1.0, ((20.0, 30.0, 70.0, 30.0, 45.0, 70.0),)),
)


def about(file: Path, number: int = 0, split: str = "train") -> list[Example]:
    """Return two examples about a picture: one in each style."""
    data = file.read_bytes()
    width, height = decode(data).size
    by_id = Example(
        id=f"{file.stem}-{number}-id",
        image_id=image_id(data),
        path=str(file),
        width=width,
        height=height,
        regions=REGIONS,
        style="id",
        question="Why does [0] look at [3]?",
        answer="[0] is thirsty, and [3] is near.",
        rationale="A dog's tongue hangs out when it is thirsty, as [0]'s does.",
        region_ids=(0, 3),
        mentions=(),
        score=0.875,
        source="test",
        split=split,
    )
    by_description = replace(
        by_id,
        id=f"{file.stem}-{number}-description",
        style="description",
        question="What might [the woman in pink] say to [the dog]?",
        answer="[the woman in pink] says: sit!",
        rationale="Dogs are told so.",
        region_ids=(0, 1),
        mentions=(Mention("the woman in pink", 1), Mention("the dog", 0)),
        score=None,
    )
    return [by_id, by_description]


def some(folder: Path) -> list[Example]:
    """Return four examples about two pictures below `folder`, the second stored on its side."""
    first = saved(folder, "a/first.png", painted(100, 80, 1))
    second = saved(folder, "b/second.jpg", painted(96, 120, 2), turned=True)
    return [*about(first), *about(second, 1, "val")]


def lines(file: Path) -> list[dict[str, Any]]:
    """Return the rows of a file of JSON lines."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]


def seen(file: Path | str) -> PIL.Image.Image:
    """Return the upright pixels of a picture file."""
    return decode(Path(file).read_bytes())


def pixels(picture: PIL.Image.Image) -> NDArray[np.int16]:
    """Return RGB pixels, (height, width, 3), that can be subtracted."""
    return np.asarray(picture.convert("RGB")).astype(np.int16)


def distance(one: PIL.Image.Image, other: PIL.Image.Image) -> float:
    """Return the mean difference of two pictures of one size, 0 to 255."""
    return float(np.abs(pixels(one) - pixels(other)).mean())


def loaded(folder: Path, cache: Path, split: str = "train") -> Any:
    """Return what `datasets.load_dataset` makes of an export's folder."""
    return datasets.load_dataset(str(folder), split=split, cache_dir=str(cache))
