"""A folder that `datasets.load_dataset` reads and the hub's viewer shows, pictures inside.

A row is one triple, or one image with all of its triples. `image` is the original file, `marked`
the same with regions drawn, where an example names regions by id; in style "description" it is
plain. A file stores a picture about once, however many rows show it; `load_dataset` unpacks that in
its cache, so a large corpus is better streamed, or written with a row for each image.
"""

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from lskd.export import shards
from lskd.export.folder import BOTH, Written, export
from lskd.export.pictures import LOOK, Album, File, Look
from lskd.table import plain
from lskd.types import Example, Region, Style

Rows = Literal["triple", "image"]

NUMBERS = pa.list_(pa.float64())
REGION = pa.struct(
    [
        ("id", pa.int64()),
        ("bbox", NUMBERS),
        ("label", pa.string()),
        ("description", pa.string()),
        ("score", pa.float64()),
        ("polygons", pa.list_(NUMBERS)),
    ]
)
MENTION = pa.struct([("phrase", pa.string()), ("region_id", pa.int64())])
TRIPLE = [
    ("id", pa.string()),
    ("question", pa.string()),
    ("answer", pa.string()),
    ("rationale", pa.string()),
    ("style", pa.string()),
    ("region_ids", pa.list_(pa.int64())),
    ("mentions", pa.list_(MENTION)),
    ("score", pa.float64()),
]
ABOUT = [
    ("image_id", pa.string()),
    ("regions", pa.list_(REGION)),
    ("width", pa.int64()),
    ("height", pa.int64()),
    ("source", pa.string()),
    ("split", pa.string()),
]


def schema(look: Look = LOOK, rows: Rows = "triple") -> pa.Schema:
    """Return the columns of an export; `bbox` is x0, y0, x1, y1 in pixels of the upright image."""
    pictures = [("image", shards.IMAGE)]
    if look.pictures == "marked":
        pictures.append(("marked", shards.IMAGE))
    triples = TRIPLE if rows == "triple" else [("triples", pa.list_(pa.struct(TRIPLE)))]
    return pa.schema([*pictures, *triples, *ABOUT])


def features_yaml(look: Look = LOOK, rows: Rows = "triple") -> str:
    """Return the lines that the YAML at the top of a card needs, for the same settings."""
    return shards.features_yaml(schema(look, rows))


def write(
    examples: Iterable[Example],
    out: Path,
    look: Look = LOOK,
    styles: tuple[Style, ...] = BOTH,
    rows: Rows = "triple",
    readme: str = "",
    shard_bytes: int = 500_000_000,
) -> Written:
    """Write `out`/data/train-00000-of-0000N.parquet, a series for each split, and `out`/README.md.

    With pictures "none" the `image` column has paths only. With rows "image" the examples must come
    image by image, as a run's shards have them: those that follow each other become one row, whose
    `marked` has the regions that any of them names. Raises UserError if `out` cannot be written or
    holds something else.
    """
    album = Album(look)
    with export(out, "hf") as draft:
        folder = draft.path / "data"
        files = shards.Shards(folder, schema(look, rows), shard_bytes)
        chosen = draft.chosen(examples, styles)
        folder.mkdir()

        def add(group: Iterable[Example]) -> None:
            good = [example for example in group if draft.attempt(example, album.checked)]
            if not good:
                return
            first = good[0]
            pictures = columns(album, good)
            said: dict[str, Any] = triple(first)
            if rows == "image":
                said = {"triples": [triple(example) for example in good]}
            shown = [picture["bytes"] for picture in pictures.values() if picture["bytes"]]
            files.add(first.split, {**pictures, **said, **about(first)}, shown)
            draft.rows += 1

        if rows == "image":
            for _, group in itertools.groupby(chosen, key=about):
                add(group)
        else:
            for example in chosen:
                add([example])
        files.close()
        if readme:
            (draft.path / "README.md").write_text(readme, encoding="utf-8")
    return draft.written()


def columns(album: Album, group: Sequence[Example]) -> dict[str, Any]:
    """Return the columns of pictures for examples of one image, which must be in order."""
    example = group[0]
    if album.look.pictures == "none":
        return {"image": {"bytes": None, "path": album.reference(example)}}
    found = {"image": picture(album.original(example))}
    if album.look.pictures == "marked":
        wanted = {region.id for each in group for region in album.shown(each)}
        regions = tuple(region for region in example.regions if region.id in wanted)
        found["marked"] = picture(album.marked(example, regions))
    return found


def picture(file: File) -> dict[str, Any]:
    """Return a cell that holds a picture; its path is a name only, so no folder is given away."""
    return {"bytes": file.data, "path": file.name}


def triple(example: Example) -> dict[str, Any]:
    """Return what an example says."""
    return {
        "id": example.id,
        "question": example.question,
        "answer": example.answer,
        "rationale": example.rationale,
        "style": example.style,
        "region_ids": list(example.region_ids),
        "mentions": [plain(mention) for mention in example.mentions],
        "score": example.score,
    }


def about(example: Example) -> dict[str, Any]:
    """Return what examples of one image share."""
    return {
        "image_id": example.image_id,
        "regions": [region_row(region) for region in example.regions],
        "width": example.width,
        "height": example.height,
        "source": example.source,
        "split": example.split,
    }


def region_row(region: Region) -> dict[str, Any]:
    """Return a region as a row of a list column."""
    return {
        "id": region.id,
        "bbox": list(region.box),
        "label": region.label,
        "description": region.description,
        "score": region.score,
        "polygons": [list(polygon) for polygon in region.polygons],
    }
