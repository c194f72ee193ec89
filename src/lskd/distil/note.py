"""`student.toml`: who a student is, and how it is to be asked."""

from dataclasses import dataclass
from pathlib import Path

from lskd import __version__
from lskd.distil.wording import Wording
from lskd.errors import UserError
from lskd.marking import MarkStyle
from lskd.storage.address import shown
from lskd.tomlfile import read_note, write_note

FILE = "student.toml"


@dataclass(frozen=True, slots=True)
class About:
    """What the note says.

    `use` is the class that reads the folder. `marking` and `image`, a side in pixels, are how
    pictures are to be shown, `text` and `tokens`, the longest text, how it is to be spoken to;
    `base` is what the student was trained from, `fingerprint` a hash of all that decided its
    weights. `coordinates` names the way in which regions are told in prompts
    (`lskd.writing.coordinates`) instead of drawn, None where they are drawn. `whole` tells that it
    learnt whole texts, so that it may go on from an answer to a rationale by itself.
    """

    use: str
    marking: MarkStyle
    image: int
    tokens: int
    base: str
    seed: int
    fingerprint: str
    text: Wording
    coordinates: str | None = None
    whole: bool = False
    lskd: str = __version__


def write(folder: Path, about: About) -> None:
    """Write the note; raises UserError if the disk is full."""
    write_note(folder / FILE, about)


def read(folder: Path) -> About:
    """Return what a student's note says; raises UserError if it has none, or a strange one."""
    path = folder / FILE
    if not path.is_file():
        raise UserError(
            f"{shown(folder)} is no student: it has no {FILE}; give a folder that the stage distil "
            "or generative has made, as out/<run>/distil/student, or a run file whose answerer is "
            "a vision-language model, as runs/hosted.toml"
        )
    return read_note(path, About)
