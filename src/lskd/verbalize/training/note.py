"""`verbalizer.toml`: what a trained verbalizer is, and how it is to be asked.

It lies beside what the writer itself has saved (`lskd.writing.note`), and is written after that.
"""

from dataclasses import dataclass
from pathlib import Path

from lskd import __version__
from lskd.errors import UserError
from lskd.marking import MarkStyle
from lskd.tomlfile import read_note, write_note
from lskd.verbalize.training.settings import Kind

FILE = "verbalizer.toml"


@dataclass(frozen=True, slots=True)
class About:
    """What the note says.

    `prompt` is what stands before a description, word for word. `marking` is the style of a box,
    `drawn` whether there is one. Texts are written with `beams`, or drawn from the fewest tokens
    that make `top_p`, up to `tokens` new tokens. `fingerprint` is a hash of all that decided it.
    """

    kind: Kind
    prompt: str
    marking: MarkStyle
    drawn: bool
    beams: int
    top_p: float
    tokens: int
    seed: int
    fingerprint: str
    corpora: tuple[str, ...]
    steps: int
    lskd: str = __version__


def write(folder: Path, about: About) -> None:
    """Write the note; raises UserError if the disk is full."""
    write_note(folder / FILE, about)


def read(folder: Path, kind: Kind | None = None) -> About:
    """Return what a verbalizer's note says.

    Raises UserError if there is none, a strange one, or one of another kind than `kind`.
    """
    path = folder / FILE
    if not path.is_file():
        wanted = kind or "captioner"
        raise UserError(
            f"{folder} is no trained verbalizer: it has no {FILE}; give a folder that "
            f"`lskd {wanted}` has made, as out/<recipe>/{wanted}"
        )
    about = read_note(path, About)
    if kind is not None and about.kind != kind:
        raise UserError(f"{folder} is a {about.kind}; needed is a {kind}")
    return about
