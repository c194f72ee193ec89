"""A studio to judge in: a run with a sample in hand-made tables, a real server, visitors."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import PIL.Image
import PIL.ImageDraw

import studio_server
from lskd import table
from lskd.human.store import Store
from lskd.picture import image_id
from lskd.run import Run
from lskd.stages import STAGES
from lskd.studio import campaigns
from lskd.studio.app import create
from lskd.studio.campaigns import Gold
from lskd.studio.desk import Desk, lay
from lskd.studio.terms import Prolific, Terms
from lskd.types import Box, Image, Mention, Region, Regions, Sample, Triple

SIZE = (480, 320)
BOXES = (Box(40, 60, 180, 300), Box(220, 120, 440, 290), Box(10, 5, 60, 50))


def photo(file: Path, number: int, size: tuple[int, int]) -> Path:
    pixels = PIL.Image.new("RGB", size, (235 - 3 * number, 225, 200 + number))
    pen = PIL.ImageDraw.Draw(pixels)
    pen.rectangle((40, 60, 180, 300), fill="indianred")
    pen.ellipse((220, 120, 440, 290), fill="steelblue")
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels.save(file)
    return file


def triple(image: str, number: int) -> Triple:
    name = f"{image}-{number}"
    if number % 4 == 3:
        mentions = (Mention("the red door", 0), Mention("the blue lake", 1))
        question, answer = "Where does [the red door] lead?", "To [the blue lake]."
        reason = "Nothing else is near [the red door]."
        return Triple(name, "r", image, "description", question, answer, reason, (0, 1), mentions)
    question, answer = f"Why is [0] beside [1], {number}?", "[0] waits for <b>[1]</b>."
    return Triple(name, "r", image, "id", question, answer, f"[1] is near, {number}.", (0, 1))


def run_of(folder: Path, count: int = 14, gold: int = 2, size: tuple[int, int] = SIZE) -> Run:
    """Write the tables of a run with `count` triples in the sample and `gold` beside it."""
    run = Run("small", folder / "run", 3, {}, {s.name: folder / "run" / s.name for s in STAGES}, ())
    files = [photo(folder / "photos" / f"{n}.png", n, size) for n in range(4)]
    images = [Image(image_id(file.read_bytes()), str(file), *size) for file in files]
    parts = [Region(n, box, "lamp", f"lamp {n}", 0.9) for n, box in enumerate(BOXES)]
    triples = [triple(images[n % 4].id, n) for n in range(count + gold)]
    samples = [Sample(one.id, one.image_id, "train") for one in triples[:count]]
    table.write(Image, run.tables.file(Image, "00000"), images)
    regions = [Regions(one.id, tuple(parts)) for one in images]
    table.write(Regions, run.tables.file(Regions, "00000"), regions)
    table.write(Triple, run.tables.file(Triple, "00000"), triples)
    table.write(Sample, run.tables.file(Sample, "00000"), samples)
    return run


def desk_of(
    folder: Path, run: Run, gold: Gold | None = None, prolific: Prolific | None = None
) -> Desk:
    """Return a desk at which the sample of a run is put to people."""
    store = Store(f"sqlite:///{folder / 'people.sqlite'}")
    campaigns.opened(run, store, gold)
    return lay(run, store, terms=Terms(prolific=prolific))


@contextmanager
def served(desk: Desk, port: int = 0) -> Iterator[str]:
    """Serve a studio on a port of this machine, else on a free one; gives its address."""
    try:
        with studio_server.served(create(desk), port) as address:
            yield address
    finally:
        desk.store.close()


@contextmanager
def visitor(address: str) -> Iterator[httpx.Client]:
    """Give a client that shows the studio's token against forged requests, as its pages do."""
    with httpx.Client(base_url=address, timeout=60) as client:
        client.get("/api/csrf")
        client.headers["X-Lskd-Csrf"] = client.cookies["lskd_csrf"]
        yield client


@contextmanager
def person(
    desk: Desk, address: str, name: str, agrees: bool = True, campaign: str = "judge"
) -> Iterator[httpx.Client]:
    """Give the client of an annotator who came by their link and agreed to the text."""
    with visitor(address) as client:
        assert client.get(f"/a/{desk.store.enrol(name).token}").status_code == 200
        if agrees:
            body = {"digest": desk.terms.consent.digest}
            assert client.post(f"/api/annotate/{campaign}/consent", json=body).status_code == 204
        yield client
