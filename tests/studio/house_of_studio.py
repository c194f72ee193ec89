"""A small run written by hand, and a studio about it that runs on a free port."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import fastapi
import httpx
import PIL.Image
import PIL.ImageDraw

import studio_server
from lskd import table
from lskd.picture import image_id
from lskd.run import Run, load
from lskd.studio import app
from lskd.studio.desk import Desk
from lskd.types import (
    Box,
    Concept,
    Concepts,
    Copy,
    Dialogue,
    Example,
    Exchange,
    Image,
    Mention,
    Message,
    Narratives,
    Region,
    Regions,
    Reject,
    Reply,
    Score,
    Style,
    Triple,
)

THINGS = ("cat", "door", "lamp", "kite", "stool", "bottle")
COLOURS = ("#b5533c", "#3c6fb5", "#3cb572", "#b5a13c")
SIZE = (160, 120)


@dataclass(frozen=True)
class Served:
    """A studio that runs: its address, and what it was started with."""

    url: str
    desk: Desk
    app: fastapi.FastAPI

    @contextlib.contextmanager
    def client(self, signed: bool = True) -> Iterator[httpx.Client]:
        """Give a client of its own cookies, with the token of forms if it is `signed`."""
        with httpx.Client(base_url=self.url, trust_env=False, timeout=30) as client:
            if signed:
                client.headers["X-Lskd-Csrf"] = client.get("/api/csrf").json()["csrf"]
            yield client


@contextlib.contextmanager
def serve(laid: Desk) -> Iterator[Served]:
    """Run a studio on a free loopback port, in a thread."""
    made = app.create(laid)
    with studio_server.served(made) as url:
        yield Served(url, laid, made)


def paint(file: Path, number: int) -> Image:
    """Draw a picture of two things, and return its row."""
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = PIL.Image.new("RGB", SIZE, "#d8d2c4")
    pen = PIL.ImageDraw.Draw(pixels)
    pen.rectangle((20 + number, 40, 59 + number, 99), fill=COLOURS[number % 4])
    pen.ellipse((100, 30, 139, 69), fill=COLOURS[(number + 1) % 4])
    pixels.save(file)
    return Image(image_id(file.read_bytes()), str(file), *SIZE)


def triples_of(number: int, image: Image) -> list[Triple]:
    """Return three triples; the second names its region by a phrase."""
    thing = THINGS[number % len(THINGS)]
    texts: tuple[tuple[Style, str, str, str], ...] = (
        ("id", f"What will [0] do with the {thing}?", "[0] will move it.", "[0] is near [1]."),
        ("description", "Why is [a round thing] here?", "It was put there.", "It looks round."),
        ("id", "Is [1] <b>bold</b>?", 'No & "never".', "[1] is plain, and [7] is nothing."),
    )
    mentions = ((), (Mention("a round thing", 1),), ())
    return [
        Triple(
            id=f"{image.id}-{style}-0-{place}",
            reply_id=f"{image.id}-{style}-0",
            image_id=image.id,
            style=style,
            question=question,
            answer=answer,
            rationale=rationale,
            region_ids=(0, 1),
            mentions=mentions[place],
        )
        for place, (style, question, answer, rationale) in enumerate(texts)
    ]


def rows(number: int, image: Image) -> Iterator[tuple[str, object]]:
    """Yield all rows about an image with the stages that made them. Every fifth has one region."""
    thing = THINGS[number % len(THINGS)]
    regions = (
        Region(0, Box(20.0 + number, 40, 60.0 + number, 100), thing, f"a {thing} <i>here</i>", 0.9),
        Region(1, Box(100, 30, 140, 70), "ball", "a round thing", 0.8),
    )[: 1 if number % 5 == 4 else 2]
    yield "images", image
    yield "images", Copy(image.id, f"{image.path}.copy.png")
    yield (
        "concepts",
        Concepts(image.id, (Concept("kitchen", 0.5),), (Concept(thing, 0.7),), ()),
    )
    yield "narratives", Narratives(image.id, (f"A {thing} stands in kitchen number {number}.",))
    yield "regions", Regions(image.id, regions)
    yield "dialogue", Dialogue(image.id, (Exchange("Is it day?", f"Yes, it is day {number}."),))
    for style in ("id", "description"):
        yield (
            "generate",
            Reply(
                id=f"{image.id}-{style}-0",
                image_id=image.id,
                style=style,
                turn=0,
                messages=(Message("user", f"A {thing}.\nAsk about it."),),
                text=f"Question: the reply about the {thing}, word for word",
                model="a-teacher",
                finish="stop",
                input_tokens=7,
                output_tokens=9,
                price=None,
                seconds=1.5,
            ),
        )
    for place, triple in enumerate(triples_of(number, image)):
        accept = round((number * 3 + place) % 20 / 20, 3)
        yield "parse", triple
        yield "score", Score(triple.id, image.id, accept, accept, None)
        if accept >= 0.5:
            kept = {name: getattr(triple, name) for name in Triple.__slots__ if name != "reply_id"}
            example = Example(
                **kept, path=image.path, width=160, height=120, regions=regions,
                score=accept, source="lskd", split="train",
            )  # fmt: skip
            yield "corpus", example
        else:
            yield "corpus", Reject(triple.id, "scores below the threshold", f"{accept} < 0.5")
    if number % 3 == 0:
        yield "parse", Reject(f"{image.id}-id-0", f"names region {number + 5}", f"[{number + 5}]")


TOML = """
[images]
source = "pictures"
[models]
teacher = { use = "models:Parrot" }
tagger = "eyes"
narrator = "eyes"
proposer = "eyes"
captioner = "eyes"
answerer = "eyes"
eyes = { use = "models:Eyes" }
critic = { use = "models:Judge" }
[corpus]
threshold = 0.5
"""


def run_of(folder: Path, count: int = 30, shard_size: int = 8) -> Run:
    """Write the tables of a small run, and return it."""
    images = [paint(folder / "pictures" / f"{n:03d}.png", n) for n in range(count)]
    file = folder / "small.toml"
    file.write_text(TOML)
    run = load(file, out=folder / "out")
    for first in range(0, count, shard_size):
        put(run, f"{first // shard_size:05d}", list(enumerate(images))[first : first + shard_size])
    return run


def put(run: Run, shard: str, images: list[tuple[int, Image]]) -> None:
    """Write a shard of all tables."""
    tables: dict[tuple[str, type], list[object]] = {}
    for number, image in images:
        for stage, row in rows(number, image):
            tables.setdefault((stage, type(row)), []).append(row)
    for (stage, kind), some in tables.items():
        table.write(kind, run.tables.file(kind, shard, stage), some)
