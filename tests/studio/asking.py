"""A studio to ask in: a run of two pictures in hand-made tables, tiny students, a real server."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import PIL.Image

import checkpoints
import studio_server
from lskd import table
from lskd.human.store import Store
from lskd.picture import image_id
from lskd.run import Run
from lskd.stages import STAGES
from lskd.studio.app import create
from lskd.studio.desk import Desk, lay
from lskd.studio.safety import Safety
from lskd.types import Box, Image, Region, Regions, Triple

SIZE = (320, 200)
BOXES = (Box(20, 20, 120, 180), Box(160.5, 40, 300, 160))
OUTLINE = (160.5, 40.0, 300.0, 100.0, 230.0, 160.0)
SAID = (
    ("what is [0] ?", "a person", "it stands", (0,)),
    ("what is [1] ?", "a dog", "it barks", (1,)),
    ("does [0] feel comfortable ?", "yes", "it smiles", (0,)),
    ("what is [7] ?", "a cup", "it is small", (7,)),
)


def photo(file: Path, colour: str, kind: str = "PNG") -> Path:
    """Write a picture with two squares."""
    pixels = PIL.Image.new("RGB", SIZE, colour)
    pixels.paste("tomato", (20, 20, 120, 180))
    pixels.paste("royalblue", (161, 40, 300, 160))
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels.save(file, kind)
    return file


def run_of(folder: Path) -> Run:
    """Write the tables of a run of two pictures; regions and triples are about the first."""
    run = Run("small", folder, 0, {}, {one.name: folder / one.name for one in STAGES}, ())
    files = [photo(folder.parent / "photos" / f"{name}.png", name) for name in ("beige", "linen")]
    images = [Image(image_id(file.read_bytes()), str(file), *SIZE) for file in files]
    first = images[0].id
    regions = (
        Region(0, BOXES[0], "person", "a red person", 0.9),
        Region(1, BOXES[1], "dog", "a blue dog", 0.8, (OUTLINE,)),
    )
    triples = [
        Triple(f"{first}-{n}", f"{first}-r", first, "id", question, answer, rationale, ids)
        for n, (question, answer, rationale, ids) in enumerate(SAID)
    ]
    for record, rows in ((Image, images), (Regions, [Regions(first, regions)]), (Triple, triples)):
        table.write(record, run.tables.file(record, "00000"), rows)
    return run


def desk_of(folder: Path, students: Sequence[Path], with_run: bool = True) -> Desk:
    """Return a desk whose uploads are at most 200,000 bytes."""
    run = run_of(folder / "run") if with_run else None
    store = Store(f"sqlite:///{folder / 'people.sqlite'}")
    return lay(run, store, students, Safety(upload=200_000, pixels=1_000_000))


def students_in(folder: Path, names: Sequence[str]) -> list[Path]:
    """Write tiny students."""
    return [checkpoints.write_student(folder / name) for name in names]


@contextmanager
def served(desk: Desk) -> Iterator[str]:
    """Serve a studio on a free port of this machine; gives its address."""
    try:
        with studio_server.served(create(desk)) as address:
            yield address
    finally:
        desk.store.close()


@contextmanager
def client(address: str) -> Iterator[httpx.Client]:
    """Give a client that shows the studio's csrf token, as its pages do."""
    with httpx.Client(base_url=address, timeout=60) as visitor:
        visitor.get("/ask")
        visitor.headers["X-Lskd-Csrf"] = visitor.cookies["lskd_csrf"]
        yield visitor
