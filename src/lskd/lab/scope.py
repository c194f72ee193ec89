"""What a model of the lab can be asked about: drawn scenes, and nothing else.

In: what a student was trained from, and a picture. Out: a line for whoever asks it about another
picture. A base of the lab has `pretrain.json` beside its weights, and a world `world.json`.
"""

import importlib.resources
import json
from pathlib import Path
from typing import Final

from lskd.lab import world

PRETRAINED: Final = "pretrain.json"
OWN: Final = ("lskd", "lab")  # the package that ships bases


def outside(base: str, picture: Path | None) -> str | None:
    """Return why a student says nothing of a picture; None if the lab has nothing against it.

    `base` names what the student was trained from. Whether a picture is a drawn scene is known of
    those alone that lie in the folder of a world; None is one that lies nowhere, as an upload does.
    """
    if not is_of_lab(base) or (picture is not None and is_in_world(picture)):
        return None
    named = "this picture" if picture is None else picture
    return (
        f"this student knows drawn scenes of the lab alone, and {named} lies in no world of it: "
        "a photograph is outside of what it has seen, and its answer means nothing"
    )


def is_of_lab(base: str) -> bool:
    """Return whether a base was trained on the lab's scenes from nothing, as its note says."""
    for folder in _places(Path(base)):
        try:
            told = json.loads((folder / PRETRAINED).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        return isinstance(told, dict) and "scenes" in told.get("plan", ())
    return False


def is_in_world(picture: Path) -> bool:
    """Return whether a picture lies in the folder of a world, or somewhere below it."""
    return any((folder / world.NOTE).is_file() for folder in picture.resolve().parents)


def _places(base: Path) -> list[Path]:
    """Return where a base may lie: where its name says, or in this lskd if it ships with it."""
    shipped = Path(str(importlib.resources.files("lskd.lab"))) / base.name
    return [base, shipped] if base.parts[-3:-1] == OWN else [base]
