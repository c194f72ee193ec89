"""Time, memory and bytes of a corpus as large as the paper's: 250,000 images, 4.5 million triples.

    python bench/scale.py                                 # 10,000, 50,000 and 250,000 images
    python bench/scale.py --images 2000 10000 --folder /fast/disk

The rows that models would have made are written first and not counted: of each image its
descriptors and six replies with three triples each. Then parse, score (without weights), corpus,
the export (paths, no pictures) and the report are run, each size in a process of its own. For each
stage: seconds, seconds of CPU, bytes left on disk, resident memory in the first and the last
tenth of its time; for stages that work shard by shard also images a second of CPU in both (the
export and the report go through whole tables, and their rate is not measured). Bars: from 100,000
images on (until then libraries and sketches fill up) the last tenth has at most 5 % more memory
than the first, and at least 95 % of its rate; seconds of CPU an image at the largest size are at
most 10 % above those at the smallest.

Neighbours slow a processor's core, even in seconds of its own time, by a third and more. So a small
fixed piece of work is timed every two seconds, and rates, and seconds where sizes are compared, are
told for the speed of that work's fastest tenth in the whole measurement.
"""

import argparse
import contextlib
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lskd import table
from lskd.events import Event
from lskd.execute import Selection, execute
from lskd.progress import Lines
from lskd.run import Run, load
from lskd.types import (
    Box,
    Concept,
    Concepts,
    Dialogue,
    Exchange,
    Image,
    Message,
    Narratives,
    Region,
    Regions,
    Reply,
)

SIZES = (10_000, 50_000, 250_000)
WARM = 100_000  # images from which on memory and rates are judged
SHARD = 256
STAGES = ("parse", "score", "corpus", "dataset", "report")
REGIONS, TURNS, STYLES = 4, 3, ("id", "description")
RUNS = Path(__file__).parents[1] / "runs"
PAGE = resource.getpagesize()
TICK_SECONDS = 0.05
REFERENCE_SECONDS = 2.0
MOST_GROWTH, LEAST_RATE, MOST_BEND = 0.05, 0.95, 0.10
WORDS = [
    f"{start}{end}"
    for start in "ba de fi go lu mi no pe ra so".split()
    for end in "ck ll mp nd ng rk rt sh st tch ve xon ber der ler mer ner per ter".split()
]


def phrase(chance: random.Random, count: int) -> str:
    """Return so many words."""
    return " ".join(chance.choices(WORDS, k=count))


def reply(image: str, regions: tuple[Region, ...], turn: int, style: str, seed: int) -> Reply:
    """Return a reply of three triples that name regions, half of whose words were described."""
    chance = random.Random(seed)
    said = []
    for _ in range(3):
        one, other = chance.sample(regions, 2)
        name, second = (
            (f"[{one.id}]", f"[{other.id}]")
            if style == "id"
            else (f"[{one.description}]", f"[{other.description}]")
        )
        said.append(
            f"Question: Why would {name} {phrase(chance, 6)} near {second}?\n"
            f"Answer: {name} {phrase(chance, 8)} {one.label}.\n"
            f"Rationale: {second} is {other.label} and {phrase(chance, 10)}.\n"
        )
    return Reply(
        id=f"{image}-{style}-{turn}",
        image_id=image,
        style="id" if style == "id" else "description",
        turn=turn,
        messages=(Message("user", f"Image {image}: write three triples. {phrase(chance, 40)}"),),
        text="\n".join(said),
        model="synthetic",
        finish="stop",
        input_tokens=900,
        output_tokens=160,
        price=0.001,
        seconds=1.0,
    )


def write_shard(run: Run, number: int, images: int) -> None:
    """Write what models would have made for one shard."""
    chance = random.Random(number)
    names = [f"{number * SHARD + place:016x}" for place in range(images)]
    regions = {
        name: tuple(
            Region(
                k,
                Box(9 * k, 9, 9 * k + 90, 200),
                WORDS[(k * 31 + number) % len(WORDS)],
                f"{phrase(chance, 3)} {k}",
                0.9 - 0.1 * k,
            )
            for k in range(REGIONS)
        )
        for name in names
    }
    label = (Concept("field", 0.5),)
    rows: dict[type, list[object]] = {
        Reply: [
            reply(name, regions[name], turn, style, hash((number, name, turn, style)))
            for name in names
            for style in STYLES
            for turn in range(TURNS)
        ],
        Dialogue: [Dialogue(n, (Exchange(f"Is {phrase(chance, 3)}?", "yes"),)) for n in names],
        Regions: [Regions(name, regions[name]) for name in names],
        Narratives: [Narratives(name, (phrase(chance, 12),)) for name in names],
        Concepts: [Concepts(name, label, label, label) for name in names],
        Image: [Image(name, f"/pictures/{name}.jpg", 640, 480) for name in names],
    }
    for record, kept in rows.items():
        stage = "generate" if record is Reply else run.tables.makers[record]
        table.write(record, run.tables.file(record, f"{number:05d}", stage), kept)


def resident() -> float:
    """Return the memory that this process holds now, in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 1e6


def reference() -> float:
    """Return the CPU seconds that a fixed piece of work takes now."""
    before = time.thread_time()
    said = json.dumps([{"words": WORDS[k : k + 9], "place": [k, 2 * k, 0.5]} for k in range(100)])
    for _ in range(6):
        sorted((str(row["words"]).split(), row["place"]) for row in json.loads(said))
    return time.thread_time() - before


@dataclass(frozen=True, slots=True)
class Taken:
    """What a stage took: seconds, bytes on disk, MB and rates in its first and last tenth.

    `slow` is what the reference took meanwhile on average, in seconds, `fast` its fastest tenth.
    Rates are images in a reference's time of CPU, None where the stage works on whole tables.
    """

    stage: str
    wall: float
    cpu: float
    slow: float
    fast: float
    bytes: int
    first_mb: float
    last_mb: float
    first_rate: float | None
    last_rate: float | None


@dataclass
class Meter:
    """Notes memory and the reference all the time, and the CPU time at the end of each shard."""

    memory: list[float] = field(default_factory=list)
    references: list[float] = field(default_factory=list)
    shards: list[tuple[int, float]] = field(default_factory=list)

    def heard(self, event: Event) -> None:
        """Note the end of a shard: its images, and the CPU since the one before, in references."""
        if event.what == "ended" and event.shard:
            self.shards.append((event.images, event.cpu / statistics.fmean(self.references[-3:])))

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Note memory within the block, from a thread."""
        done = threading.Event()
        self.references += [reference() for _ in range(3)]

        def note() -> None:
            due = time.monotonic()
            while not done.wait(TICK_SECONDS):
                self.memory.append(resident())
                if time.monotonic() >= due:
                    self.references.append(reference())
                    due += REFERENCE_SECONDS

        thread = threading.Thread(target=note)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def memory_of(self, tenth: slice) -> float:
        """Return the median of memory in a part of the time."""
        return statistics.median(self.memory[tenth] or [resident()])

    def rate_of(self, tenth: slice) -> float | None:
        """Return images for each reference's time of CPU over some of the shards, if any."""
        part = self.shards[tenth]
        return sum(n for n, _ in part) / max(1e-9, sum(cpu for _, cpu in part)) if part else None


def measured(run: Run, stage: str) -> Taken:
    """Run one stage and return what it took; rates are without its first shard, a warming up."""
    meter = Meter()
    wall, cpu = time.monotonic(), time.process_time()
    with meter.running():
        execute(run, Selection(only=stage), Lines("plain"), (meter.heard,))
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    del meter.shards[:1]
    tenth, times = max(1, len(meter.shards) // 10), max(1, len(meter.memory) // 10)
    folder = run.folders[stage]
    return Taken(
        stage=stage,
        wall=wall,
        cpu=cpu,
        slow=statistics.fmean(meter.references),
        fast=statistics.quantiles(meter.references, n=10, method="inclusive")[0],
        bytes=sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
        first_mb=meter.memory_of(slice(None, times)),
        last_mb=meter.memory_of(slice(-times, None)),
        first_rate=meter.rate_of(slice(None, tenth)),
        last_rate=meter.rate_of(slice(-tenth, None)),
    )


def work(images: int, folder: Path) -> None:
    """Write the rows, run the stages, and print what each took as a line of JSON."""
    changes = [
        "images.source=/pictures",
        "images.annotations=[]",
        "corpus.threshold=0.2",
        'dataset.pictures="none"',
    ]
    run = load(RUNS / "photos.toml", changes, folder / "run")
    for number, start in enumerate(range(0, images, SHARD)):
        write_shard(run, number, min(SHARD, images - start))
    table.release()
    for stage in STAGES:
        print(json.dumps(asdict(measured(run, stage))), flush=True)


def size(images: int, folder: Path) -> list[Taken]:
    """Measure one size in a process of its own, in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        command = [sys.executable, __file__, "--work", str(images), "--folder", temporary]
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        said = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
    return [Taken(**json.loads(line)) for line in said.stdout.splitlines()]


def cost(images: int, stages: list[Taken], fast: float) -> float:
    """Return the milliseconds of CPU an image where the reference takes `fast` seconds."""
    return sum(1e3 * one.cpu * fast / one.slow for one in stages) / images


def shown(images: int, stages: list[Taken], fast: float) -> list[str]:
    """Print the table of one size, `fast` being the reference's time; return the missed bars."""
    triples = images * len(STYLES) * TURNS * 3
    print(f"\n{images:,} images, {triples:,} triples")
    print(f"{'stage':8}{'seconds':>9}{'CPU s':>9}{'MB disk':>9}{'MB first':>10}{'last':>8}", end="")
    print(f"{'images/CPU s first':>20}{'last':>8}")
    missed = []
    for one in stages:
        rates = f"{'not measured':>28}"
        if one.first_rate is not None and one.last_rate is not None:
            rates = f"{one.first_rate / fast:20.0f}{one.last_rate / fast:8.0f}"
            if one.last_rate < LEAST_RATE * one.first_rate:
                missed.append(f"{images:,} images: {one.stage} slowed down")
        print(f"{one.stage:8}{one.wall:9.1f}{one.cpu:9.1f}{one.bytes / 1e6:9.1f}", end="")
        print(f"{one.first_mb:10.0f}{one.last_mb:8.0f}{rates}")
        if one.last_mb > (1 + MOST_GROWTH) * one.first_mb:
            missed.append(
                f"{images:,} images: {one.stage} grew by {one.last_mb - one.first_mb:.0f} MB"
            )
    wall, cpu = sum(one.wall for one in stages), sum(one.cpu for one in stages)
    print(f"{'all':8}{wall:9.1f}{cpu:9.1f}{sum(one.bytes for one in stages) / 1e6:9.1f}", end="")
    print(
        f"   {1e3 * cpu / images:.2f} CPU ms an image, {cost(images, stages, fast):.2f} undisturbed"
    )
    return missed if images >= WARM else []


def main() -> None:
    """Measure each size, print the tables, and say whether the bars are met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--work", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        # Lines about progress go to standard error; standard output is for the parent.
        work(given.work, given.folder)
        return
    missed: list[str] = []
    taken: dict[int, list[Taken]] = {}
    for images in sorted(given.images):
        taken[images] = size(images, given.folder)
        fast = min(one.fast for one in taken[images])
        missed += shown(images, taken[images], fast)
    fast = min(one.fast for stages in taken.values() for one in stages)
    costs = [cost(images, stages, fast) for images, stages in taken.items()]
    if costs[-1] > (1 + MOST_BEND) * costs[0]:
        missed.append(f"CPU an image rises by {costs[-1] / costs[0] - 1:.0%} from least to most")
    print("bars: " + ("; ".join(["MISSED", *missed]) if missed else "met"))
    raise SystemExit(1 if missed else 0)


if __name__ == "__main__":
    main()
