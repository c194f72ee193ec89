"""A text file becomes its text, or one line on why it cannot be read."""

from pathlib import Path

from lskd.errors import UserError


def text_of(file: Path) -> str:
    """Return the text of a file; raises UserError if it cannot be read as UTF-8 text."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror or error}") from error
    except UnicodeError as error:
        raise UserError(f"{file} is not UTF-8 text: {error}") from error
