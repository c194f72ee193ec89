"""A small house to test in: pictures on disk, and run files with the models of `models`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import PIL.Image

from lskd.execute import Selection, execute
from lskd.progress import Lines
from lskd.run import Run, load

R = TypeVar("R")

TOML = """
[images]
source = "pictures"
shard_size = 4

[models]
teacher = { use = "models:Parrot" }
tagger = "eyes"
narrator = "eyes"
proposer = "eyes"
captioner = "eyes"
answerer = "eyes"
eyes = { use = "models:Eyes", boxes = 2 }
critic = { use = "models:Judge" }

[dialogue]
questions = 2

[corpus]
threshold = 0.8
"""


def picture(file: Path, seed: int, size: tuple[int, int] = (64, 48)) -> Path:
    """Write a picture of noise, of its own for each seed."""
    file.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 255, (size[1] // 8, size[0] // 8, 3))
    PIL.Image.fromarray(noise.astype(np.uint8)).resize(size).save(file)
    return file


def build(folder: Path, count: int = 6) -> Path:
    """Write pictures and a run file, and return the run file."""
    for number in range(count):
        picture(folder / "pictures" / f"{number:03d}.png", number)
    file = folder / "small.toml"
    file.write_text(TOML)
    return file


def run(file: Path, *changes: str, selection: Selection | None = None) -> Run:
    """Run a run file and return the run."""
    loaded = load(file, changes)
    execute(loaded, selection or Selection(), Lines("plain"))
    return loaded


def rows(run: Run, record: type[R], stage: str | None = None) -> list[R]:
    """Return all rows of a table."""
    shards = run.tables.shards(record, stage)
    return [row for shard in shards for row in run.tables.read(record, shard, stage)]


def files(folder: Path, ending: str = ".parquet") -> Sequence[tuple[str, int]]:
    """Return the tables of a folder with the time of their writing."""
    found = [file for file in folder.rglob(f"*{ending}") if "hf" not in file.parts]
    return sorted((str(file.relative_to(folder)), file.stat().st_mtime_ns) for file in found)
