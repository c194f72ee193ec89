"""A run of the lab with scores and a corpus by the truth, and a studio about it that is served."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab_house import RUN, run_file

import studio_server
from lskd import execute, progress, table
from lskd.human.store import Store
from lskd.lab.annotators import verdicts
from lskd.lab.world import World
from lskd.run import Run, load
from lskd.studio import campaigns
from lskd.studio.app import create
from lskd.studio.desk import lay
from lskd.studio.safety import Safety
from lskd.types import Example, Image, Regions, Sample, Score, Triple

STUDY = RUN.parent / "lab" / "study.toml"


def judged_by_truth(made: World, folder: Path, items: int) -> Run:
    """Return a run whose critic knows the truth: it keeps what is acceptable, and nothing else.

    Of its sample `items` triples are left in it, those first that a critic is evaluated on.
    """
    run = load(run_file(made, folder, STUDY), [], folder / "out")
    execute.execute(run, execute.Selection(until="sample"), progress.display("plain"))
    left = items
    for shard in run.tables.shards(Triple):
        regions = run.tables.read(Regions, shard)
        images = {image.id: image for image in run.tables.read(Image, shard)}
        known = list(verdicts(run.tables.read(Triple, shard), regions, made))
        scores = [
            Score(one.id, one.image_id, 0.6 * holds.answer + 0.4 * holds.rationale, None, None)
            for one, holds in known
        ]
        of_image = {row.image_id: row.regions for row in regions}
        kept = [
            example(one, images[one.image_id], of_image[one.image_id])
            for one, holds in known
            if holds.acceptable
        ]
        sample = sorted(run.tables.read(Sample, shard), key=lambda row: row.purpose)[:left]
        left -= len(sample)
        table.write(Score, run.tables.file(Score, shard), scores)
        table.write(Example, run.tables.file(Example, shard), kept)
        table.write(Sample, run.tables.file(Sample, shard), sample)
    return run


def example(triple: Triple, image: Image, regions: tuple[object, ...]) -> Example:
    kept = {name: getattr(triple, name) for name in Triple.__slots__ if name != "reply_id"}
    return Example(
        **kept,
        path=image.path,
        width=image.width,
        height=image.height,
        regions=regions,  # type: ignore[arg-type]
        score=1.0,
        source="lskd",
        split="train",
    )


@contextmanager
def studio(run: Run, folder: Path, token: str | None = None) -> Iterator[tuple[str, Store]]:
    """Serve a studio about a run with a store of its own; gives the address that it prints."""
    store = Store(f"sqlite:///{folder / 'people.sqlite'}")
    campaigns.opened(run, store)
    app = create(lay(run, store, safety=Safety(token=token)))
    path = "/" if token is None else f"/enter/{token}"
    try:
        with studio_server.served(app) as address:
            yield f"{address}{path}", store
    finally:
        store.close()
