"""Toys for the student's tests: pictures of coloured squares, a tiny base, a corpus on disk."""

import os
import random
import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import PIL.Image
import torch

from lskd import table
from lskd.blip2 import weights
from lskd.blip2.size import QFormerSize, Size, VisionSize
from lskd.blip2.stage1 import Stage1, new_student
from lskd.distil.stage import STAGE, Settings
from lskd.facts import RunFacts
from lskd.picture import image_id
from lskd.stage import Context
from lskd.table import Tables
from lskd.types import Box, Example, Mention, Region, Reject

torch.set_num_threads(1)  # more only wait for each other on tensors this small

COLOURS = {
    "red": (200, 30, 30),
    "green": (30, 160, 30),
    "blue": (40, 60, 220),
    "white": (250, 250, 250),
}
WORDS = (
    "[PAD] [UNK] [CLS] [SEP] [MASK] [ ] 0 1 2 3 4 5 ? . : what colour is it because looks so "
    "question answer rationale the thing left right near " + " ".join(COLOURS)
).split()
SIDE = 56


def vocabulary(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "vocab.txt"
    file.write_text("\n".join(WORDS) + "\n")
    return file


def size(image: int = SIDE, width: int = 24) -> Size:
    return Size(
        VisionSize("eva", image, 14, width=width, depth=2, heads=2, mlp=2 * width),
        QFormerSize(
            width=width,
            depth=2,
            heads=2,
            mlp=2 * width,
            queries=4,
            vocabulary=len(WORDS) + 1,
            positions=48,
            cross_every=1,
        ),
        embedding=16,
    )


def student(seed: int = 3, scale: float = 0.1, of: Size | None = None) -> Stage1:
    """Return a student with weights large enough that views and texts make a difference."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = new_student(of or size(), dropout=0.0)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1:
                large = 1.0 if name.endswith("query_tokens") else scale
                weight.copy_(torch.randn(weight.shape, generator=generator) * large)
    return model


def base(folder: Path, model: Stage1 | None = None) -> Path:
    """Write a base as a folder with its vocabulary."""
    weights.save(model or student(), folder)
    vocabulary(folder)
    return folder


def squares(file: Path, colours: Sequence[str], own: int, side: int) -> tuple[Region, ...]:
    """Write a grey picture with a square of each colour, and return their regions.

    A pixel is the picture's own, so that equal squares are still two pictures.
    """
    picture = PIL.Image.new("RGB", (side, side), (120, 120, 120))
    picture.putpixel((0, 0), (own % 256, own // 256 % 256, own // 65536))
    regions = []
    step = side // 2
    for number, colour in enumerate(colours):
        x, y = number % 2 * step + step // 7, number // 2 * step + step // 7
        box = Box(x, y, x + step * 5 // 7, y + step * 5 // 7)
        picture.paste(COLOURS[colour], (x, y, x + step * 5 // 7, y + step * 5 // 7))
        regions.append(Region(number, box, "square", f"a {colour} square", 1.0))
    file.parent.mkdir(parents=True, exist_ok=True)
    picture.save(file)
    return tuple(regions)


def examples(
    folder: Path, pictures: int, seed: int = 0, side: int = SIDE, each: int = 3
) -> list[Example]:
    """Write pictures of squares; return two examples by id and one by phrase about each."""
    rng = random.Random(seed)
    made = []
    for number in range(pictures):
        colours = rng.sample(sorted(COLOURS), each)
        file = folder / f"{seed}-{number:03}.png"
        regions = squares(file, colours, 256 * seed + number, side)
        of = image_id(file.read_bytes())
        for named in rng.sample(range(each), 2):
            made.append(about(file, of, regions, named, colours[named], side))
        made.append(by_phrase(made[-1], colours[0]))
    return made


def about(
    file: Path, of: str, regions: tuple[Region, ...], named: int, answer: str, side: int = SIDE
) -> Example:
    return Example(
        id=f"{file.stem}-{named}",
        image_id=of,
        path=str(file),
        width=side,
        height=side,
        regions=regions,
        style="id",
        question=f"What colour is [{named}]?",
        answer=f"[{named}] is {answer}.",
        rationale=f"Because [{named}] looks {answer}.",
        region_ids=(named,),
        mentions=(),
        score=0.9,
        source="toys",
        split="train",
    )


def by_phrase(example: Example, colour: str) -> Example:
    return replace(
        example,
        id=f"{example.id}-phrase",
        style="description",
        question="What colour is [the thing left]?",
        answer=f"[the thing left] is {colour}.",
        rationale="It looks so.",
        region_ids=(0,),
        mentions=(Mention("the thing left", 0),),
    )


@dataclass(frozen=True)
class House:
    """A corpus on disk, and the stage's place beside it."""

    root: Path

    @property
    def folder(self) -> Path:
        return self.root / "distil"

    @property
    def tables(self) -> Tables:
        folders = {"corpus": self.root / "corpus", "distil": self.folder}
        return Tables(folders, {Example: "corpus", Reject: "distil"})

    def fill(self, *shards: Sequence[Example]) -> None:
        for number, rows in enumerate(shards):
            table.write(Example, self.tables.file(Example, f"{number:05}"), rows)

    def context(self, said: list[str] | None = None, seed: int = 0) -> Context:
        lines = [] if said is None else said
        return Context(
            stage="distil",
            folder=self.folder,
            seed=seed,
            journal_file=self.root / "journal.sqlite",
            facts=_no_facts,
            say=lines.append,
        )

    def distil(self, said: list[str] | None = None, seed: int = 0, **changes: Any) -> list[Reject]:
        """Run the stage and return its rejects."""
        assert STAGE.whole is not None
        parts = STAGE.whole(settings(self.root, **changes), self.context(said, seed), self.tables)
        return [row for _, rows in parts for row in rows if isinstance(row, Reject)]


class Fatal(list[str]):
    """Lines, of which one ends this process as kill -9 does."""

    def __init__(self, last: str) -> None:
        super().__init__()
        self.last = last

    def append(self, line: str) -> None:
        if line.startswith(self.last):
            os.kill(os.getpid(), signal.SIGKILL)
        super().append(line)


def settings(root: Path, **changes: Any) -> Settings:
    """Return settings for a short training of the base in `root`."""
    given: dict[str, Any] = {
        "weights": str(root / "base"),
        "image": SIDE,
        "tokens": 48,
        "steps": 6,
        "batch": 4,
        "precision": "float32",
        "learning_rate": 1e-3,
        "save_every": 2,
        "log_every": 3,
        "workers": 1,
        "dropout": 0.1,
    }
    return Settings(**(given | changes))


def house(root: Path, pictures: int = 4) -> House:
    """Return a house with a base and one shard of examples."""
    made = House(root)
    base(root / "base")
    made.fill(examples(root / "pictures", pictures))
    return made


def _no_facts() -> RunFacts:
    raise AssertionError("distil asks for no facts")
