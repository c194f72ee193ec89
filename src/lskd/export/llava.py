"""LLaVA's training format: a JSON list of conversations for each split, and a folder of pictures.

Paths are from the export's folder: train with `--image_folder OUT`. With pictures "none" they are
those of the originals.
"""

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from lskd.export.conversation import TALK, Talk, conversation, said
from lskd.export.folder import JsonFiles, Written, export
from lskd.export.pictures import LOOK, Album, Look
from lskd.types import Example

IMAGE = "<image>"


def write(examples: Iterable[Example], out: Path, look: Look = LOOK, talk: Talk = TALK) -> Written:
    """Write `out`/train.json, one for each split, and `out`/images.

    Boxes are shares of the picture's sides, to three places. A picture is written once for each
    distinct view. Raises UserError if `out` cannot be written or holds something else.
    """
    album = Album(look)
    with export(out, "llava") as draft:

        def row(example: Example) -> dict[str, object]:
            turns = conversation(example, talk, look.pictures == "marked", [IMAGE])
            texts = [said(example, turn) for turn in turns]
            texts[0] = f"{IMAGE}\n{texts[0]}"
            speakers = ["human" if turn.role == "user" else "gpt" for turn in turns]
            return {
                "id": example.id,
                "image": album.placed(example, draft.path),
                "conversations": [
                    {"from": speaker, "value": text}
                    for speaker, text in zip(speakers, texts, strict=True)
                ],
            }

        with closing(JsonFiles(draft.path, listed=True)) as files:
            for example, made in draft.each(draft.chosen(examples, talk.styles), row):
                files.add(example.split, made)
    return draft.written()
