"""A small run written by hand, whose every number can be counted on the fingers."""

from collections.abc import Iterable
from pathlib import Path

import PIL.Image

from lskd.facts import RunFacts, StageFacts
from lskd.picture import image_id
from lskd.table import Tables, write
from lskd.types import (
    Annotation,
    Box,
    Concepts,
    Copy,
    Dialogue,
    Example,
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

STAGES = (
    "images",
    "concepts",
    "narratives",
    "regions",
    "dialogue",
    "generate",
    "parse",
    "score",
    "corpus",
)
MAKERS: dict[type, str] = {
    Image: "images",
    Copy: "images",
    Annotation: "images",
    Concepts: "concepts",
    Narratives: "narratives",
    Regions: "regions",
    Dialogue: "dialogue",
    Reply: "generate",
    Triple: "parse",
    Score: "score",
    Example: "corpus",
}
CAT = "What is [0] about to do?", "[0] will jump.", "[0] crouches and looks up at [1]."
DOG = (
    "Why does [a brown dog] bark?",
    "[a brown dog] wants out.",
    "[a brown dog] stands at the door.",
)


def tables(folder: Path) -> Tables:
    """Return the tables of a run whose stages lie in `folder`; none is made."""
    return Tables({stage: folder / stage for stage in STAGES}, MAKERS)


def put(house: Tables, shard: str, rows: Iterable[object], stage: str | None = None) -> None:
    """Write rows of any kind into a shard, each kind into its table."""
    kinds: dict[type, list[object]] = {}
    for row in rows:
        kinds.setdefault(type(row), []).append(row)
    for kind, some in kinds.items():
        write(kind, house.file(kind, shard, stage), some)


def facts(done: int = 2, threshold: float | None = 0.5, notices: tuple[str, ...] = ()) -> RunFacts:
    """Return what is said of a run with `done` of two shards."""
    return RunFacts(
        name="small",
        created="2026-11-20T08:30:00+00:00",
        version="0.1.0",
        notices=notices,
        settings='seed = 0\n\n[corpus]\nthreshold = 0.5\nsource = "```"\n',
        stages=tuple(StageFacts(name, done, 2, None) for name in STAGES),
        threshold=threshold,
    )


def photo(file: Path, size: tuple[int, int], colour: str) -> Image:
    """Write a picture of one colour and return its row."""
    PIL.Image.new("RGB", size, colour).save(file)
    return Image(image_id(file.read_bytes()), str(file), *size)


def region(number: int, box: Box, label: str, description: str) -> Region:
    """Return a region."""
    return Region(number, box, label, description, 1.0)


def reply(image: Image, style: Style, text: str, tokens: int | None, price: float | None) -> Reply:
    """Return a teacher's reply about an image."""
    asked = (Message("system", "Be brief."), Message("user", "Write exactly 3 triples"))
    return Reply(
        id=f"{image.id}-{style}-0",
        image_id=image.id,
        style=style,
        turn=0,
        messages=asked,
        text=text,
        model="tiny",
        finish="stop",
        input_tokens=tokens,
        output_tokens=None if tokens is None else 10,
        price=price,
        seconds=2.0,
    )


def triple(
    of: Reply, number: int, said: tuple[str, str, str], mentions: tuple[Mention, ...] = ()
) -> Triple:
    """Return a triple that a reply holds; it names region 0."""
    return Triple(f"{of.id}-{number}", of.id, of.image_id, of.style, *said, (0,), mentions)


def example(of: Triple, image: Image, regions: tuple[Region, ...], score: float) -> Example:
    """Return the example that a triple becomes."""
    return Example(
        id=of.id,
        image_id=image.id,
        path=image.path,
        width=image.width,
        height=image.height,
        regions=regions,
        style=of.style,
        question=of.question,
        answer=of.answer,
        rationale=of.rationale,
        region_ids=of.region_ids,
        mentions=of.mentions,
        score=score,
        source="lskd",
        split="train",
    )


def full(folder: Path) -> Tables:
    """Write a finished run of two shards: two images, three regions, three triples, two kept.

    Two parts of replies and one file were rejected.
    """
    house = tables(folder / "run")
    red = photo(folder / "red.png", (64, 48), "red")
    blue = photo(folder / "blue.png", (100, 200), "blue")
    cat = region(0, Box(0, 0, 32, 48), "cat", "a cat on the left")
    ball = region(1, Box(32, 0, 64, 24), "ball", "a ball at the top")
    dog = region(0, Box(0, 0, 100, 200), "dog", "a brown dog")

    first = reply(red, "id", "Question: What is [0] ...", 100, 0.25)
    cats = [triple(first, 0, CAT), triple(first, 1, ("Is [0] asleep?", "No.", "[0] looks up."))]
    put(house, "00000", [red, Regions(red.id, (cat, ball)), first, *cats])
    put(
        house,
        "00000",
        [Score(cats[0].id, red.id, 0.9, None, None), Score(cats[1].id, red.id, 0.2, None, None)],
    )
    put(house, "00000", [example(cats[0], red, (cat, ball), 0.9)])
    put(house, "00000", [Reject(f"{folder}/note.txt", "not an image", "")], "images")
    put(house, "00000", [Reject(first.id, "names unknown region 7", "Why is [7] red?")], "parse")
    low = Reject(cats[1].id, "scores below the threshold", "0.200000 < 0.500000")
    put(house, "00000", [low], "corpus")

    second = reply(blue, "description", "Question: Why does ...", None, None)
    dogs = triple(second, 0, DOG, (Mention("a brown dog", 0),))
    put(house, "00001", [blue, Regions(blue.id, (dog,)), second, dogs])
    put(
        house, "00001", [Score(dogs.id, blue.id, 0.5, None, None), example(dogs, blue, (dog,), 0.5)]
    )
    put(house, "00001", [Reject(second.id, "names unknown region 12", "Who is [12]?")], "parse")
    return house
