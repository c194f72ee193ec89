"""ms-swift's training format: messages, pictures and boxes on a JSON line for each example.

Boxes stand beside the messages, in pixels, and `<ref-object>` and `<bbox>` in the texts are filled
from them in order: ms-swift writes them as each model wants them. Picture paths are absolute, as
it asks for; so the folder cannot be moved.
"""

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from lskd.export.conversation import TALK, Talk, Turn, conversation
from lskd.export.folder import JsonFiles, Written, export
from lskd.export.pictures import LOOK, Album, Look
from lskd.storage.address import is_url
from lskd.types import Example

IMAGE = "<image>"
REFERENCE = "<ref-object>"
BOX = "<bbox>"
RESERVED = (IMAGE, REFERENCE, BOX, "<video>", "<audio>")


def write(examples: Iterable[Example], out: Path, look: Look = LOOK, talk: Talk = TALK) -> Written:
    """Write `out`/train.jsonl, one for each split, and `out`/images.

    Rows have `objects` unless no text can hold a box: marked pictures and naming "tag". Raises
    UserError if `out` cannot be written or holds something else.
    """
    album = Album(look)
    marked = look.pictures == "marked"
    with export(out, "swift") as draft:

        def row(example: Example) -> dict[str, object]:
            turns = conversation(example, talk, marked, RESERVED)
            placed = album.placed(example, draft.path)
            # Joined to an absolute path, as of pictures "none", the folder falls away.
            picture = placed if is_url(placed) else str(out.absolute() / placed)
            messages = [{"role": turn.role, "content": filled(turn)} for turn in turns]
            messages[0]["content"] = IMAGE + messages[0]["content"]
            made: dict[str, object] = {"messages": messages, "images": [picture]}
            if talk.naming == "box" or not marked:
                made["objects"] = objects(turns)
            return made

        with closing(JsonFiles(draft.path, listed=False)) as files:
            for example, made in draft.each(draft.chosen(examples, talk.styles), row):
                files.add(example.split, made)
    return draft.written()


def filled(turn: Turn) -> str:
    """Return the text of a turn, with a sign where each phrase and box goes."""
    return "".join(
        part if isinstance(part, str) else (REFERENCE if part.phrase else "") + BOX
        for part in turn.parts
    )


def objects(turns: Iterable[Turn]) -> dict[str, object]:
    """Return the phrases and boxes that the signs of all turns stand for, in order."""
    places = [part for turn in turns for part in turn.parts if not isinstance(part, str)]
    return {
        "ref": [place.phrase for place in places if place.phrase],
        "bbox": [[float(corner) for corner in place.region.box] for place in places],
        "bbox_type": "real",
    }
