"""Pictures in which a region's colour decides what is true of it, and people who see that."""

import random
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import PIL.Image
import torch
from table_house import House

from lskd import picture, table
from lskd.blip2 import weights
from lskd.blip2.size import QFormerSize, Size, VisionSize
from lskd.blip2.stage1 import new_student
from lskd.types import Box, Image, Judgment, Region, Regions, Triple

torch.set_num_threads(1)  # more only wait for each other on tensors this small

WORDS = "what is it red blue so because i see a cat the sky question answer rationale".split()
COLOURS = {"red": (200, 30, 30), "blue": (30, 30, 200)}
SIDE = 28


def write_base(folder: Path) -> Path:
    """Write the smallest stage-1 model, with random weights, and its vocabulary."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in _base().items():
        (folder / name).write_bytes(data)
    return folder


@cache
def _base() -> dict[str, bytes]:
    """Return the files of that model: it is made once, for many tests."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"[]0123.?:"]
    words = [*special, *WORDS]
    size = Size(
        VisionSize("eva", SIDE, 14, width=32, depth=2, heads=2, mlp=64),
        QFormerSize(
            width=32,
            depth=2,
            heads=2,
            mlp=64,
            queries=2,
            vocabulary=len(words) + 1,
            positions=48,
            cross_every=1,
        ),
        embedding=8,
    )
    with torch.random.fork_rng():
        torch.manual_seed(3)
        student = new_student(size)
        for name, weight in student.named_parameters():
            # What is drawn for loading over it is too small to learn from in a hundred steps.
            if weight.ndim >= 2:
                torch.nn.init.normal_(weight, std=0.2 if "query" in name else 0.15)
    with tempfile.TemporaryDirectory() as made:
        weights.save(student, Path(made))
        (Path(made) / "vocab.txt").write_text("\n".join(words) + "\n")
        return {file.name: file.read_bytes() for file in Path(made).iterdir()}


def paint(file: Path, colour: str, rng: np.random.Generator) -> Image:
    """Write a picture of one colour with noise on it."""
    noise = rng.integers(-25, 25, (24, 24, 3))
    pixels = (np.array(COLOURS[colour]) + noise).astype(np.uint8)
    file.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(pixels).save(file)
    return Image(picture.image_id(file.read_bytes()), str(file), 24, 24)


def triple(name: str, image_id: str, said: str, reason: str) -> Triple:
    answer = f"it is {said}."
    return Triple(name, "r", image_id, "id", "what is [0]?", answer, reason, (0,))


def fill(house: House, images: int, shard_size: int = 40) -> dict[str, tuple[bool, bool]]:
    """Write tables of images with four triples each; return whether each triple's parts are true.

    A question is answered by the right or the wrong colour, and a rationale is sound if it begins
    with "because".
    """
    noise = np.random.default_rng(house.seed)
    truth: dict[str, tuple[bool, bool]] = {}
    for start in range(0, images, shard_size):
        rows: list[Image] = []
        regions: list[Regions] = []
        triples: list[Triple] = []
        for number in range(start, min(images, start + shard_size)):
            colour = ("red", "blue")[number % 2]
            image = paint(house.folder / "pictures" / f"{number}.png", colour, noise)
            rows.append(image)
            regions.append(
                Regions(image.id, (Region(0, Box(4, 4, 20, 20), "thing", "a thing", 1.0),))
            )
            for said in COLOURS:
                for reason in ("because i see it.", "a cat."):
                    one = triple(f"{image.id}-{said}-{reason[0]}", image.id, said, reason)
                    triples.append(one)
                    truth[one.id] = (said == colour, reason.startswith("because"))
        shard = f"{start // shard_size:05d}"
        house.put(Image, shard, rows)
        house.put(Regions, shard, regions)
        house.put(Triple, shard, triples)
    return truth


def opinions(truth: dict[str, tuple[bool, bool]], seed: int = 0) -> list[Judgment]:
    """Return what two people think, who agree on what is wrong and not on how good the rest is."""
    rng = random.Random(seed)
    found = []
    for name, (qa, rationale) in truth.items():
        for person in ("ann", "bob"):
            rating = rng.choice((2, 3)) if qa else 1
            reason = None if not qa else rng.choice((2, 3)) if rationale else 1
            found.append(Judgment(name, name.partition("-")[0], person, rating, reason))
    return found


def write(file: Path, judgments: Sequence[Judgment]) -> Path:
    """Write a file of judgments."""
    table.write(Judgment, file, judgments)
    return file
