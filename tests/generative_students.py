"""Folders of tiny students that write, with random weights, for all tests that ask one."""

from pathlib import Path

import tiny_writers
from lskd.distil.generative import student
from lskd.distil.note import About
from lskd.distil.wording import Wording
from lskd.writing.blip2 import Blip2Writer

USE = "lskd.distil.generative.student:GenerativeStudent"


def write_base(folder: Path, language: tiny_writers.Language = "t5") -> Path:
    """Write a tiny BLIP-2 that writes: 32 x 32 pixels."""
    return Path(tiny_writers.write_blip2_writer(folder, language))


def write_generative_student(
    folder: Path, base: Path, tokens: int = 6, coordinates: str | None = None
) -> Path:
    """Write a student over a base, as it is before it has learnt anything."""
    about = About(
        use=USE,
        marking="clear",
        image=tiny_writers.SIDE,
        tokens=tokens,
        base=str(base),
        seed=0,
        fingerprint="f",
        text=Wording(),
        coordinates=coordinates,
    )
    student.write(folder, Blip2Writer(str(base), device="cpu"), about)
    return folder
