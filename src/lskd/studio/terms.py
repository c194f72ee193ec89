"""What people are told and promised before they work: instructions, consent, Prolific's ways.

A text file becomes a `Consent`. Its form is plain: paragraphs apart by blank lines, a line that
begins with "# " is a heading, lines that begin with "- " are a list.
"""

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from lskd.errors import UserError

OWN_TEXT = Path(__file__).parent / "templates" / "consent.txt"
LONGEST = 50_000  # characters of a text that people are asked to read
COMPLETED = "https://app.prolific.com/submissions/complete?cc={code}"
WISHED = 20
CODE = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a text: a heading, a paragraph, or a list of several lines."""

    kind: Literal["heading", "paragraph", "list"]
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Consent:
    """What a person agrees to before they work, word for word; a changed text is asked anew."""

    text: str

    @property
    def digest(self) -> str:
        """Return a hash of the text."""
        return hashlib.blake2b(self.text.encode(), digest_size=8).hexdigest()

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Return the text in parts, as a page shows it."""
        paragraphs = re.split(r"\n\s*\n", self.text.strip())
        return tuple(_block([line.strip() for line in one.splitlines()]) for one in paragraphs)


@dataclass(frozen=True, slots=True)
class Prolific:
    """How participants of Prolific come and go (its external studies, by link).

    Each labels `wished` items; then `code` tells Prolific that they are done, by a visit to `url`,
    in which "{code}" stands for it. `study` is the only study whose participants are let in, or
    None for any. Raises UserError for a code or a URL that cannot work.
    """

    code: str
    wished: int = WISHED
    study: str | None = None
    url: str = COMPLETED

    def __post_init__(self) -> None:
        if not CODE.fullmatch(self.code):
            raise UserError(
                f"completion code {self.code!r}: 1 to 64 letters, digits, - or _ are wanted, as "
                "Prolific shows them"
            )
        if self.wished < 1:
            raise UserError(f"{self.wished} items for each participant: 1 or more are wanted")
        if urlsplit(self.url).scheme not in ("https", "http") or not urlsplit(self.url).netloc:
            raise UserError(f"completion URL {self.url!r}: give one such as {COMPLETED}")

    @property
    def completed(self) -> str:
        """Return the address that tells Prolific that a participant is done."""
        return self.url.replace("{code}", self.code)


@dataclass(frozen=True, slots=True)
class Terms:
    """What people work under; `prolific` is None where nobody comes from there."""

    consent: Consent = field(default_factory=lambda: read_consent(OWN_TEXT))
    prolific: Prolific | None = None


def read_consent(file: Path) -> Consent:
    """Return the text of a file; raises UserError if it is not there, is empty or is no text."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"the consent text cannot be read from {file}: {error}") from error
    if not text.strip() or len(text) > LONGEST or "\0" in text:
        raise UserError(
            f"{file} has {len(text)} characters: 1 to {LONGEST} of text that people can read are "
            "wanted"
        )
    return Consent(text)


def _block(lines: list[str]) -> Block:
    if len(lines) == 1 and lines[0].startswith("# "):
        return Block("heading", (lines[0][2:],))
    if all(line.startswith("- ") for line in lines):
        return Block("list", tuple(line[2:] for line in lines))
    return Block("paragraph", (" ".join(lines),))
