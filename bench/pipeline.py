"""Memory and speed of a whole run: many small pictures, the embedded default, one process.

    python bench/pipeline.py --images 20000

Prints, for each stage, images a second and the resident memory when the tenth shard was done and
when the last was; the bar is 50 MB between the two.
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
    """What was measured in one stage: seconds, and memory in MB at the tenth and the last shard."""

    name: str
    started: float = field(default_factory=time.monotonic)
    images: int = 0
    tenth: float | None = None
    last: float | None = None
    seconds: float = 0.0

    def tick(self, count: int) -> None:
        """Count images and look at the memory."""
        self.images += count
        if self.tenth is None and self.images >= TENTH:
            self.tenth = resident()

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
        reading.last = resident()
        self.readings.append(reading)

    def line(self, stage: str, text: str) -> None:
        """Ignore what a run tells."""


def table(meter: Meter) -> None:
    """Print the readings, and the largest growth."""
    print(f"{'stage':11} {'images/s':>9} {'MB at 10th':>11} {'MB at last':>11} {'growth':>8}")
    growths = []
    for one in meter.readings:
        rate = one.images / one.seconds if one.images else float("nan")
        growth = float("nan") if one.tenth is None or one.last is None else one.last - one.tenth
        growths.append(growth)
        print(
            f"{one.name:11} {rate:9.0f} {one.tenth or float('nan'):11.1f} "
            f"{one.last or float('nan'):11.1f} {growth:8.1f}"
        )
    total = sum(one.seconds for one in meter.readings)
    count = max(one.images for one in meter.readings)
    first = next(one.tenth for one in meter.readings if one.tenth is not None)
    final = meter.readings[-1].last or float("nan")
    worst = max(g for g in growths if g == g)
    print(f"whole run   {count / total:9.0f} {first:11.1f} {final:11.1f} {final - first:8.1f}")
    print("The growth of the whole run includes the libraries that later stages load.")
    print(f"largest growth within a stage: {worst:.1f} MB (bar: 50)")


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
        meter = Meter()
        execute(load(RUNS / "photos.toml", changes), Selection(), meter)
        table(meter)


if __name__ == "__main__":
    main()
