"""A studio to compare in: a run with a few accepted triples, a file of another system, a server."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import PIL.Image

import studio_server
from lskd import table
from lskd.human.answers import written
from lskd.human.store import Store
from lskd.human.teacher import TEACHER
from lskd.picture import image_id
from lskd.run import Run
from lskd.stages import STAGES
from lskd.studio.app import create
from lskd.studio.desk import Desk, lay
from lskd.studio.duels import taught
from lskd.studio.safety import Safety
from lskd.types import Box, Example, Image, Region

SIZE = (640, 420)
REGIONS = (
    Region(0, Box(40, 60, 250, 380), "person", "a red person", 0.9),
    Region(1, Box(330, 90, 600, 330), "dog", "a blue dog", 0.8),
)
STUDENT = "tiny-student"
TOKEN = "a token that is long enough"
VISITORS: list[httpx.Client] = []  # closed with the studio that they visit
SAID = (
    ("What is [0] doing?", "[0] is waiting for [1].", "[0] looks at [1], which is far away."),
    ("Why is [1] wet?", "[1] swam in the lake.", "Drops hang on [1], and water is near."),
    ("Where are [0] and [1]?", "They are at a lake.", "Reeds and sand are around [0] and [1]."),
)


def run_of(folder: Path, pictures: int) -> Run:
    """Write the images and examples of a run: three accepted triples a picture."""
    run = Run("small", folder / "run", 0, {}, {s.name: folder / "run" / s.name for s in STAGES}, ())
    images: list[Image] = []
    examples: list[Example] = []
    for number in range(pictures):
        file = folder / "photos" / f"{number:03d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = PIL.Image.new("RGB", SIZE, (198, 190 + number, 172))
        pixels.paste((188, 88, 74), (60, 80, 230, 370))
        pixels.paste((84, 112, 168), (350, 110, 580, 310))
        pixels.save(file)
        image = Image(image_id(file.read_bytes()), str(file), *SIZE)
        images.append(image)
        examples += [example(image, place, *said) for place, said in enumerate(SAID)]
    table.write(Image, run.tables.file(Image, "00000"), images)
    table.write(Example, run.tables.file(Example, "00000"), examples)
    return run


def example(image: Image, place: int, question: str, answer: str, rationale: str) -> Example:
    """Return an accepted triple."""
    return Example(
        id=f"{image.id}-{place}",
        image_id=image.id,
        path=image.path,
        width=image.width,
        height=image.height,
        regions=REGIONS,
        style="id",
        question=question,
        answer=answer,
        rationale=rationale,
        region_ids=(0, 1),
        mentions=(),
        score=0.9,
        source="lskd",
        split="train",
    )


def student_file(run: Run, system: str = STUDENT) -> dict[str, str]:
    """Return a file of answers of another system to the teacher's questions."""
    lines = []
    for line in written(taught(run)):
        row = json.loads(line)
        row |= {"system": system, "answer": f"Perhaps {row['answer'].lower()}", "rationale": ""}
        lines.append(json.dumps(row))
    return {"name": "answers.jsonl", "text": "\n".join(lines)}


def desk_of(folder: Path, pictures: int = 2, token: str | None = None) -> Desk:
    """Return a desk with a run and an empty store."""
    store = Store(f"sqlite:///{folder / 'people.sqlite'}")
    return lay(run_of(folder, pictures), store, safety=Safety(token=token))


@contextmanager
def served(desk: Desk) -> Iterator[str]:
    """Serve a studio on a free port of this machine; gives its address."""
    with studio_server.served(create(desk)) as address:
        try:
            yield address
        finally:
            for one in [one for one in VISITORS if str(one.base_url).rstrip("/") == address]:
                VISITORS.remove(one)
                one.close()


def visitor(address: str, entrance: str = "/api/csrf") -> httpx.Client:
    """Return a browser without scripts that came in by an entrance, a judge's link for one."""
    client = httpx.Client(base_url=address, timeout=20)
    VISITORS.append(client)
    client.get(entrance).raise_for_status()
    client.headers["X-Lskd-Csrf"] = client.get("/api/csrf").json()["csrf"]
    return client


def begun(owner: httpx.Client, run: Run, **changes: Any) -> dict[str, Any]:
    """Begin a campaign of the teacher against the student."""
    body = {"name": "comparison", "first": TEACHER, "second": STUDENT, "judges": 3}
    body |= {"files": [student_file(run)]} | changes
    answer = owner.post("/api/compare/campaigns/upload", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def invited(owner: httpx.Client, name: str, campaign: str = "comparison") -> str:
    """Return the path of a new judge's link."""
    answer = owner.post(f"/api/compare/{campaign}/links", json={"name": name})
    path: str = answer.raise_for_status().json()["path"]
    return path


def agreed(judge: httpx.Client, campaign: str = "comparison") -> httpx.Client:
    """Agree to the consent text, as its page does."""
    text = judge.get(f"/compare?campaign={campaign}").text
    digest = text.partition('data-digest="')[2][:16]
    path = f"/api/compare/{campaign}/consent"
    judge.post(path, json={"digest": digest}).raise_for_status()
    return judge


def judges(
    address: str, owner: httpx.Client, names: Sequence[str], campaign: str = "comparison"
) -> list[httpx.Client]:
    """Return judges who agreed."""
    links = [invited(owner, name, campaign) for name in names]
    return [agreed(visitor(address, link), campaign) for link in links]
