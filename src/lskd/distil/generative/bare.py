"""A file of questions, with answers or without: rows that nobody has answered are read, too.

In: JSON lines in the form of files of answers (`lskd.human.answers`), of which "system" and
"answer" may both be left out. Out: those rows; what nobody has answered is of the system `NOBODY`.
"""

import json
from pathlib import Path

from lskd.human import answers
from lskd.human.answers import Given
from lskd.textfile import text_of

NOBODY = "(nobody)"
UNSAID = "-"  # a row of a file of answers has to say something
LEFT_OUT = ("system", "answer")


def read(file: Path) -> Given:
    """Return the rows of a file; raises UserError if it cannot be read as UTF-8 text."""
    text = text_of(file)
    return answers.parse("\n".join(map(_filled, text.split("\n"))), file.name)


def _filled(line: str) -> str:
    """Return a row of a file of answers; one that has neither system nor answer gets both."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return line  # it is refused with its place, as it stands
    if not isinstance(row, dict) or any(name in row for name in LEFT_OUT):
        return line
    return json.dumps({**row, "system": NOBODY, "answer": UNSAID})
