"""A folder as a reader of the pages has it: run files, a few photographs, tiny weights, a server.

Commands run in it one after the other and share what they make, as a reader's do. What a command
builds on is made when it is first asked for.
"""

import contextlib
import csv
import importlib
import json
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import PIL.Image
import PIL.ImageDraw
from typer.testing import CliRunner

import buckets
import checkpoints
import generative_students
import house
import launched
from chat.server import Server
from forked import at_work
from lskd.cli import app
from lskd.run import load
from lskd.types import Sample

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
SOURCE = "images.source=my-photos"
COUNT = 4  # photographs
SIZE = (200, 150)


@dataclass
class Home:
    """The folder, the server that speaks the OpenAI protocol, and what was made so far."""

    folder: Path
    server: Server
    kept: contextlib.ExitStack  # what is open as long as the folder is used
    made: set[str] = field(default_factory=set)
    places: str = ""  # the address of an S3 server, once there is one

    def lskd(self, *words: str, code: int = 0) -> str:
        """Run a command in this folder and return what it printed; fail on another exit code."""
        with contextlib.chdir(self.folder):
            result = CliRunner().invoke(app, words, env={"COLUMNS": "200"})
        said = result.stdout + result.stderr
        told = f"lskd {' '.join(words)}\n{said[-4000:]}\n{result.exception!r}"
        assert result.exit_code == code, told
        return said

    def once(self, name: str, make: Callable[[], object]) -> None:
        """Make something that commands share, unless it is there."""
        if name not in self.made:
            make()
            self.made.add(name)

    def run(self, file: str, *words: str) -> None:
        """Have a run made, once."""
        self.once(f"run {file}", lambda: self.lskd("run", f"runs/{file}", *words))

    def world(self) -> None:
        """Have the lab's run, small, with the world that it is about, once."""
        words = ("lab", "run", "runs/lab.toml", *SMALL_WORLD, *SMALL_LAB)
        self.once("lab", lambda: self.lskd(*words))

    def student(self) -> None:
        """Have a student that ranks, where the pages have one."""
        places = ("student", "photos", "mine")
        self.once("student", lambda: [self.ranks(self.folder / f"out/{one}") for one in places])

    @staticmethod
    def ranks(run: Path) -> None:
        made = run / "distil" / "student"
        if not made.exists():
            checkpoints.write_student(made)

    @contextlib.contextmanager
    def s3(self) -> Iterator[None]:
        """Have an S3 server with the photographs in a bucket, and its keys within the block."""
        if not self.places:
            self.places = self.kept.enter_context(buckets.served())
            bucket = buckets.bucket(self.places, "bucket")
            with buckets.machine(buckets.environment(self.places, self.folder)):
                system = buckets.s3fs.S3FileSystem()
                system.put(str(self.folder / "my-photos"), f"{bucket}/photos", recursive=True)
        with buckets.machine(buckets.environment(self.places, self.folder)):
            yield

    def writer(self) -> None:
        """Have a student that writes, where the pages have one."""
        made = self.folder / "out/generative/generative/student"
        base = self.folder / "writer"
        self.once("writer", lambda: generative_students.write_generative_student(made, base))

    def judge(self, run: str) -> None:
        """Write what two people think of the sample of a run, as judgments.csv."""
        with contextlib.chdir(self.folder):
            loaded = load(Path(run), [SOURCE])
            samples = house.rows(loaded, Sample)
        assert samples
        with (self.folder / "judgments.csv").open("w", newline="") as opened:
            writer = csv.writer(opened)
            writer.writerow(["triple_id", "annotator", "qa", "rationale"])
            for number, sample in enumerate(samples):
                for person in ("ann", "bob"):
                    good = number % 2
                    writer.writerow([sample.triple_id, person, 3 if good else 1, 2 if good else ""])

    def served(self, *words: str, **variables: str) -> str:
        """Start a command that serves, wait for its first line, end it, and return that line."""
        with at_work(*words, folder=self.folder, **variables) as started:
            line = started.line()
            started.signal(signal.SIGINT)
            done = started.ended()
        assert done.returncode == 130, done.stderr
        return line

    def launched(self, *words: str, launcher: tuple[str, ...]) -> str:
        """Run a command by several processes."""
        return launched.lskd(self.folder, *words, launcher=launcher)


SMALL_WORLD = ("--scenes", "12", "--tests", "6")
# Everything of runs/lab.toml at its smallest: nothing is learnt in so few steps.
SMALL_LAB = tuple(
    word
    for change in (
        "sample.train=40",
        "sample.evaluate=12",
        "critic.epochs=1",
        "distil.steps=2",
        "distil.batch=8",
        "evaluate.resamples=20",
        *(
            f"evaluate.benchmarks.{name}.limit=4"
            for name in ("vcr", "sherlock", "visualcomet", "aokvqa", "snli_ve", "visual7w")
        ),
    )
    for word in ("--set", change)
)


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[Home]:
    """Give a reader's folder, with a server that is there as long."""
    with Server() as server, contextlib.ExitStack() as kept:
        furnish(folder)
        yield Home(folder, server, kept)


def furnish(folder: Path) -> None:
    """Write what a reader has before the first command."""
    for name in ("runs", "recipes", "examples"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "src").symlink_to(ROOT / "src")
    shutil.copy(ROOT / "Makefile", folder)
    photographs(folder)
    for name, source in (("others", "photos"), ("movies", "data/vcr/vcr1images")):
        text = f'extends = "photos.toml"\n[images]\nsource = "{source}"\n'
        (folder / "runs" / f"{name}.toml").write_text(text)
    checkpoints.write_stage1(folder / "tiny")
    generative_students.write_base(folder / "writer")
    sys.path.append(str(TESTS / "verbalize"))
    world = importlib.import_module("verbalizer_world")
    world.build(folder / "said")
    recipe = world.recipe(folder / "said", "captioner", folder / "writer")
    shutil.copy(recipe, folder / "recipes" / "captioner.toml")
    (folder / "data").mkdir()
    for name in ("vcr", "aokvqa"):
        (folder / "data" / name).symlink_to(folder / "out/lab/world/gold/test" / name)


def photographs(folder: Path) -> None:
    """Write pictures, COCO's boxes and captions of them, and one picture to ask about."""
    images: list[dict[str, object]] = []
    boxes: list[dict[str, object]] = []
    captions: list[dict[str, object]] = []
    (folder / "my-photos").mkdir()
    for number in range(COUNT):
        file = folder / "my-photos" / f"{number}.jpg"
        scene(number).save(file)
        size = {"width": SIZE[0], "height": SIZE[1]}
        images.append({"id": number, "file_name": file.name, **size})
        for side in range(2):
            box = [20 + 100 * side, 40, 70, 80]
            common = {"image_id": number, "iscrowd": 0, "area": 5600}
            boxes.append({"id": len(boxes), "category_id": 1 + side, "bbox": box, **common})
        captions.append({"id": number, "image_id": number, "caption": "A dog near a person."})
    categories = [{"id": 1, "name": "person"}, {"id": 2, "name": "dog"}]
    found = {"images": images, "annotations": boxes, "categories": categories}
    (folder / "instances.json").write_text(json.dumps(found))
    said = {"images": images, "annotations": captions}
    (folder / "captions.json").write_text(json.dumps(said))
    shutil.copytree(folder / "my-photos", folder / "photos")
    PIL.Image.new("RGB", (240, 320), "teal").save(folder / "photo.jpg")


def scene(number: int) -> PIL.Image.Image:
    """Return a picture in which OpenCV finds two areas worth looking at, each time another."""
    colours = ("crimson", "navy", "gold", "purple")
    found = PIL.Image.new("RGB", SIZE, "lightgrey")
    pen = PIL.ImageDraw.Draw(found)
    pen.ellipse((20, 40, 90, 120), fill=colours[number % 4])
    pen.rectangle((120, 40, 190, 120 - 3 * number), fill=colours[(number + 1) % 4])
    return found
