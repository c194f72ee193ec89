"""`critic.toml`: who a critic is, how it is to be shown triples, and how good it is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lskd import __version__
from lskd.critique.evaluation import Quality
from lskd.critique.view import Look
from lskd.errors import UserError
from lskd.storage.address import shown
from lskd.tomlfile import read_note, write_note

FILE = "critic.toml"
Rating = Literal["qa", "rationale"]


@dataclass(frozen=True, slots=True)
class About:
    """What the note says.

    `use` is the class that reads the folder, `base` what the critic was trained from, `ratings` the
    parts of its verdict that were trained. `temperature` divides its logits. `training` is a hash
    of all that decided its weights, `digest` of all that decided this folder, `judgments` of the
    labels alone. `judged` triples were learned from or held out, of which a share was `accepted`.
    """

    use: str
    base: str
    seed: int
    ratings: tuple[Rating, ...]
    temperature: float
    judged: int
    accepted: float
    judgments: str
    training: str
    digest: str
    look: Look
    quality: Quality
    lskd: str = __version__


def write(folder: Path, about: About) -> None:
    """Write the note; raises UserError if the disk is full."""
    write_note(folder / FILE, about)


def read(folder: Path) -> About:
    """Return what a critic's note says; raises UserError if it has none, or a strange one."""
    path = folder / FILE
    if not path.is_file():
        raise UserError(
            f"{shown(folder)} is no critic: it has no {FILE}; give a folder that the stage critic "
            "has made, as out/<run>/critic/model"
        )
    return read_note(path, About)
