"""Memory and speed of a whole run: many small pictures, the embedded default, one process.

    python bench/pipeline.py --images 20000

The first ten shards go through all stages, then the rest: so every library is loaded and every
page written once when the memory is first read. Prints, for each stage of the rest, images a second
and the growth of resident memory within it, and for the whole the memory after the tenth shard and
after the last; the bar is 50 MB between these two.
"""

import argparse
import contextlib
import json
import random
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import PIL.Image
import PIL.ImageDraw

from lskd.execute import Selection, execute
from lskd.run import load

SHARD = 256
TENTH = 10 * SHARD
RUNS = Path(__file__).parents[1] / "runs"
KINDS = ("person", "dog", "cup", "car", "bicycle", "chair", "bottle", "kite")
PAGE = resource.getpagesize()


def resident() -> float:
    """Return the memory that this process holds now, in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 1e6


def pictures(folder: Path, count: int, rng: random.Random) -> Path:
    """Write small pictures of rectangles and a COCO json that says where they are."""
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    categories = [{"id": k, "name": name} for k, name in enumerate(KINDS, start=1)]
    for number in range(count):
        picture = PIL.Image.new("RGB", (96, 72), tuple(rng.randrange(200) for _ in range(3)))
        pen = PIL.ImageDraw.Draw(picture)
        for _ in range(rng.randint(2, 4)):
            x, y, width, height = rng.randrange(60), rng.randrange(40), 24, 28
            pen.rectangle((x, y, x + width, y + height), tuple(rng.randrange(256) for _ in "rgb"))
            annotations.append(
                {
                    "id": len(annotations),
                    "image_id": number,
                    "category_id": rng.randint(1, len(KINDS)),
                    "bbox": [x, y, width, height],
                }
            )
        # The number stands in a pixel, so that no two files are equal.
        picture.putpixel((0, 0), (number % 256, number // 256 % 256, number // 65536))
        picture.save(folder / f"{number:06d}.png")
        images.append({"id": number, "file_name": f"{number:06d}.png", "width": 96, "height": 72})
    boxes = folder.parent / "boxes.json"
    boxes.write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": categories})
    )
    return boxes


@dataclass
class Reading:
    """What was measured in one stage: seconds, and memory in MB before and after."""

    name: str
    started: float = field(default_factory=time.monotonic)
    before: float = field(default_factory=resident)
    images: int = 0
    after: float = 0.0
    seconds: float = 0.0

    def tick(self, count: int) -> None:
        """Count images."""
        self.images += count

    def say(self, text: str) -> None:
        """Ignore what a stage tells."""


@dataclass
class Meter:
    """A display that measures."""

    readings: list[Reading] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str, total: int | None) -> Iterator[Reading]:
        """Measure one stage."""
        reading = Reading(name)
        yield reading
        reading.seconds = time.monotonic() - reading.started
        reading.after = resident()
        self.readings.append(reading)

    def line(self, stage: str, text: str) -> None:
        """Ignore what a run tells."""


def table(meter: Meter, tenth: float, last: float) -> None:
    """Print the readings of the rest, and the growth from the tenth shard to the last."""
    print(f"{'stage':11} {'images/s':>9} {'seconds':>8} {'MB after':>9} {'growth':>7}")
    for one in meter.readings:
        rate = f"{one.images / one.seconds:9.0f}" if one.images else " " * 9
        growth = one.after - one.before
        print(f"{one.name:11} {rate} {one.seconds:8.1f} {one.after:9.1f} {growth:7.1f}")
    total = sum(one.seconds for one in meter.readings)
    count = max(one.images for one in meter.readings)
    print(f"all stages  {count / total:9.0f} {total:8.1f}")
    print(f"after the tenth shard {tenth:.1f} MB, after the last {last:.1f} MB: ", end="")
    print(f"{last - tenth:+.1f} MB (bar: 50)")


def main() -> None:
    """Make the pictures, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        folder = Path(name) / "pictures"
        folder.mkdir()
        boxes = pictures(folder, given.images, random.Random(0))
        changes = [f"images.source={folder}", f"images.annotations={boxes}"]
        execute(load(RUNS / "photos.toml", changes), Selection(limit=TENTH), Meter())
        tenth, meter = resident(), Meter()
        execute(load(RUNS / "photos.toml", changes), Selection(), meter)
        table(meter, tenth, resident())


if __name__ == "__main__":
    main()
