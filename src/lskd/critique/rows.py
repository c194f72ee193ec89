"""Judgments and the tables of a run become the rows that a critic is trained and evaluated on.

A judged triple has the purpose that its sample gives it. One that is no longer in the sample, since
that was drawn again among more triples, has the purpose of its image, or trains if the image has
none: no image is ever on both sides, and no judgment is lost.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

from lskd.critique.judgments import Given
from lskd.critique.labels import Label, labelled, rejected
from lskd.critique.view import Look, permuted
from lskd.errors import UserError
from lskd.storage.address import is_url
from lskd.table import Tables
from lskd.types import Image, Judgment, Regions, Reject, Sample, Triple, View

Purpose = Literal["train", "evaluate"]


@dataclass(frozen=True, slots=True)
class Row:
    """A judged triple as a critic is shown it, and what people think of it."""

    purpose: Purpose
    view: View
    text: str
    label: Label


@dataclass(frozen=True, slots=True)
class Rows:
    """All that can be learned from some judgments, and those from which nothing can."""

    rows: tuple[Row, ...]
    rejects: tuple[Reject, ...]

    def of(self, purpose: Purpose) -> list[Row]:
        """Return the rows of one purpose."""
        return [row for row in self.rows if row.purpose == purpose]


class _Found(NamedTuple):
    """A triple, and what the tables have of its image."""

    triple: Triple
    image: Image | None
    regions: Regions | None


def rows_of(
    given: Given, tables: Tables, samples: Sequence[Sample], look: Look, annotators: int
) -> Rows:
    """Return the rows of judged triples, in the order of their ids.

    Memory holds these and one shard. Raises UserError if there are judgments, but none of a triple
    of this run.
    """
    found = _found(tables, {judgment.triple_id for judgment in given.judgments})
    known, rejects = _known(given.judgments, found)
    if given.judgments and not known:
        raise UserError(
            f"none of {len(given.judgments)} judgments is of a triple of this run; the first is: "
            f"{rejects[0].reason} ({rejects[0].source}): give the file that belongs to this run"
        )
    labels = labelled(known, annotators)
    purposes: dict[str, Purpose] = {sample.image_id: sample.purpose for sample in samples}
    rows: list[Row] = []
    for label in sorted(labels.labels, key=lambda label: label.triple_id):
        triple, image, regions = found[label.triple_id]
        if image is None or regions is None:
            rejects.append(_lost(label, f"its image {triple.image_id} is in no table"))
            continue
        if not is_url(image.path) and not Path(image.path).is_file():
            rejects.append(_lost(label, f"its image is gone: there is no {image.path}"))
            continue
        purpose = purposes.get(image.id, "train")
        rows.append(Row(purpose, look.view(triple, image, regions), look.words(triple), label))
    if look.pictures == "permuted" and rows:
        others = permuted([row.view.image for row in rows])
        rows = [
            replace(row, view=replace(row.view, image=others[row.view.image.id])) for row in rows
        ]
    return Rows(tuple(rows), (*given.rejects, *rejects, *labels.rejects))


def _found(tables: Tables, judged: set[str]) -> Mapping[str, _Found]:
    found: dict[str, _Found] = {}
    for shard in tables.shards(Triple) if judged else ():
        triples = [triple for triple in tables.read(Triple, shard) if triple.id in judged]
        if not triples:
            continue
        images = {image.id: image for image in tables.read(Image, shard)}
        regions = {row.image_id: row for row in tables.read(Regions, shard)}
        for one in triples:
            found[one.id] = _Found(one, images.get(one.image_id), regions.get(one.image_id))
    return found


def _known(
    judgments: Iterable[Judgment], found: Mapping[str, _Found]
) -> tuple[list[Judgment], list[Reject]]:
    """Return judgments of triples that are there, and rejects of the others."""
    known: list[Judgment] = []
    rejects: list[Reject] = []
    for judgment in judgments:
        if judgment.triple_id not in found:
            rejects.append(rejected(judgment, "no triple of this run has this id"))
            continue
        image_id = found[judgment.triple_id].triple.image_id
        if judgment.image_id not in ("", image_id):
            rejects.append(rejected(judgment, f"its triple is about image {image_id}"))
            continue
        known.append(judgment)
    return known, rejects


def _lost(label: Label, reason: str) -> Reject:
    return Reject(label.triple_id, reason, f"judged by {label.annotators} annotators")
