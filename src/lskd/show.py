"""Every row about one image."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lskd.errors import UserError
from lskd.run import Run
from lskd.types import (
    Copy,
    Fit,
    GenerativeStudent,
    Image,
    Outcome,
    Record,
    Regions,
    Reject,
    Student,
)


@dataclass(frozen=True, slots=True)
class Row:
    """A row and the stage that made it."""

    stage: str
    record: Record


def find(run: Run, wanted: str) -> tuple[str, Image]:
    """Return the shard and the row of an image, by its id, its path or the end of its path.

    Raises UserError if there is none, or several.
    """
    matches: list[tuple[str, Image]] = []
    for shard in run.tables.shards(Image):
        rows = run.tables.read(Image, shard)
        copies = {c.image_id for c in run.tables.read(Copy, shard) if ends(c.path, wanted)}
        matches += [
            (shard, row)
            for row in rows
            if row.id == wanted or ends(row.source or row.path, wanted) or row.id in copies
        ]
    if len(matches) == 1:
        return matches[0]
    if not matches:
        raise UserError(f"no image {wanted!r} in {run.folders['images']}: give its id or file name")
    several = ", ".join(row.path for _, row in matches[:3])
    raise UserError(
        f"{wanted!r} fits {len(matches)} images ({several}, ...): give more of the path"
    )


def ends(path: str, wanted: str) -> bool:
    """Return whether a path ends in the parts of `wanted`."""
    parts = Path(wanted).parts
    return bool(parts) and Path(path).parts[-len(parts) :] == parts


def rows(run: Run, shard: str, image: Image) -> Iterator[Row]:
    """Yield every row about an image, in the order of the stages."""
    for stage in run.stages():
        for record in stage.writes:
            found: list[Record] = run.tables.read(record, shard, stage.name)
            for row in found:
                if about(row, image):
                    yield Row(stage.name, row)


def about(row: Record, image: Image) -> bool:
    """Return whether a row is about an image."""
    if isinstance(row, Image):
        return row.id == image.id
    if isinstance(row, Reject):
        # Ids of replies and triples begin with that of their image.
        return row.source in (image.path, image.source) or row.source.startswith(image.id)
    # A critic, a student and a figure are about no image in particular.
    if isinstance(row, Fit | Student | GenerativeStudent | Outcome):
        return False
    return row.image_id == image.id


def regions(run: Run, shard: str, image: Image) -> Regions:
    """Return the regions of an image; none if they are not made yet."""
    found = [row for row in run.tables.read(Regions, shard) if row.image_id == image.id]
    return found[0] if found else Regions(image.id, ())
