"""Time `mark` against the release's way: a full-size RGBA composite for each region.

Prints the median of interleaved repetitions and their ratio. `python bench/marking.py`
"""

import random
import statistics
import time
from collections.abc import Callable, Sequence

import PIL.Image
import PIL.ImageDraw

from lskd.marking import colour, mark
from lskd.types import Box, Region

SIZE = (640, 480)
REGIONS = 5
REPETITIONS = 200
FILLS = ("#ff05cd20", "#ff800020", "#862d2d20", "#ff800020", "#862d2d20")


def layered(pixels: PIL.Image.Image, regions: Sequence[Region]) -> PIL.Image.Image:
    """Return the picture marked in the release's way; ids 0 to 4 only."""
    for region in regions:
        layer = PIL.Image.new("RGBA", pixels.size, (0, 0, 0, 0))
        PIL.ImageDraw.Draw(layer).rectangle(
            region.box, fill=FILLS[region.id], outline=colour(region.id, "release"), width=2
        )
        pixels = PIL.Image.alpha_composite(pixels.convert("RGBA"), layer).convert("RGB")
    return pixels


def scene(chance: random.Random) -> tuple[PIL.Image.Image, list[Region]]:
    """Return a picture of noise and regions that take up 1 to 25 % of it each."""
    width, height = SIZE
    pixels = PIL.Image.frombytes("RGB", SIZE, chance.randbytes(width * height * 3))
    regions = []
    for number in range(REGIONS):
        across, down = chance.uniform(0.1, 0.5) * width, chance.uniform(0.1, 0.5) * height
        x0, y0 = chance.uniform(0, width - across), chance.uniform(0, height - down)
        regions.append(Region(number, Box(x0, y0, x0 + across, y0 + down), "", "", 1.0))
    return pixels, regions


def main() -> None:
    """Print milliseconds and ratios."""
    pixels, regions = scene(random.Random(0))
    ways: dict[str, Callable[[], PIL.Image.Image]] = {
        "the release's way": lambda: layered(pixels, regions),
        'mark, "release"': lambda: mark(pixels, regions, "release"),
        'mark, "clear"': lambda: mark(pixels, regions, "clear"),
    }
    same = layered(pixels, regions).tobytes() == mark(pixels, regions, "release").tobytes()
    print(f"{REGIONS} regions, {SIZE[0]} x {SIZE[1]}, {REPETITIONS} repetitions; equal: {same}")
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(REPETITIONS):
        for way, work in ways.items():
            start = time.perf_counter()
            work()
            seconds[way].append(time.perf_counter() - start)
    medians = {way: statistics.median(times) for way, times in seconds.items()}
    slowest = medians["the release's way"]
    for way, median in medians.items():
        print(f"{way:20} {1000 * median:7.3f} ms   {slowest / median:5.1f}x")


if __name__ == "__main__":
    main()
