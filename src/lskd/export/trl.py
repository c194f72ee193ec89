"""TRL's format for vision: a list of pictures and messages of typed parts, in Parquet.

`datasets.load_dataset("parquet", data_files=...)` or `load_dataset(OUT)` gives what `SFTTrainer`
takes. Boxes in the texts are shares of the picture's sides.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa

from lskd.export.conversation import TALK, Talk, conversation, said
from lskd.export.folder import Written, export
from lskd.export.pictures import LOOK, Album, Look
from lskd.export.shards import IMAGE, Shards
from lskd.types import Example

PART = pa.struct([("type", pa.string()), ("text", pa.string())])
MESSAGE = pa.struct([("role", pa.string()), ("content", pa.list_(PART))])
SCHEMA = pa.schema(
    [("id", pa.string()), ("images", pa.list_(IMAGE)), ("messages", pa.list_(MESSAGE))]
)
# A processor would take it in a text for a picture of its own.
RESERVED = ("<image>",)


def write(
    examples: Iterable[Example],
    out: Path,
    look: Look = LOOK,
    talk: Talk = TALK,
    shard_bytes: int = 500_000_000,
) -> Written:
    """Write `out`/data/train-00000-of-0000N.parquet, a series for each split.

    With pictures "none" the picture is a path only. Raises UserError if `out` cannot be written or
    holds something else.
    """
    album = Album(look)
    with export(out, "trl") as draft:
        folder = draft.path / "data"
        files = Shards(folder, SCHEMA, shard_bytes)
        folder.mkdir()

        def row(example: Example) -> dict[str, Any]:
            turns = conversation(example, talk, look.pictures == "marked", RESERVED)
            messages: list[dict[str, Any]] = [
                {"role": turn.role, "content": [{"type": "text", "text": said(example, turn)}]}
                for turn in turns
            ]
            messages[0]["content"].insert(0, {"type": "image", "text": None})
            return {"id": example.id, "images": [cell(album, example)], "messages": messages}

        for example, made in draft.each(draft.chosen(examples, talk.styles), row):
            files.add(example.split, made, [made["images"][0]["bytes"] or b""])
        files.close()
    return draft.written()


def cell(album: Album, example: Example) -> dict[str, Any]:
    """Return the picture of an example as a value of the column."""
    if album.look.pictures == "none":
        return {"bytes": None, "path": album.reference(example)}
    file = album.view(example)
    return {"bytes": file.data, "path": file.name}
