"""Triples of which it is known whether they are true: one about each scene of a small world."""

from collections.abc import Sequence
from pathlib import Path

from lskd import table
from lskd.lab.knowledge import ASKS
from lskd.lab.words import answer, question, rationale
from lskd.lab.world import Staged, World, stage
from lskd.run import Run
from lskd.types import Region, Regions, Triple


def put(run: Run, folder: Path, true: Sequence[bool]) -> World:
    """Draw scenes, put a triple about each into a run's tables, and return the world of these.

    The triples are t0, t1, ... in the order of `true`.
    """
    staged = tuple(stage(folder, 0, "train", number) for number in range(len(true)))
    triples = [
        triple(f"t{number}", one, holds)
        for number, (one, holds) in enumerate(zip(staged, true, strict=True))
    ]
    regions = [Regions(one.image_id, (Region(0, one.boxes[0], "", "", 1.0),)) for one in staged]
    table.write(Triple, run.tables.file(Triple, "00000"), triples)
    table.write(Regions, run.tables.file(Regions, "00000"), regions)
    return World(folder, 0, staged)


def triple(name: str, staged: Staged, holds: bool) -> Triple:
    """Return a triple about the first thing of a scene; one that does not hold names nothing."""
    said = f"{answer(staged.scene, 0, ASKS[0])}." if holds else "To fly."
    reason = rationale(staged.scene, 0, "[0]")
    return Triple(name, "", staged.image_id, "id", question("[0]", ASKS[0]), said, reason, (0,))
