"""What a run file gives a training to begin with: is it there? Looked at without torch."""

from pathlib import Path
from typing import Protocol

from lskd.blip2.size import SIZES
from lskd.errors import UserError
from lskd.presence import absent

VOCABULARY = "vocab.txt"


class Given(Protocol):
    """The settings of a training that say what it begins with."""

    @property
    def weights(self) -> str:
        """Return the path of the weights."""
        ...

    @property
    def frozen(self) -> str | None:
        """Return the path of the vision tower, if that is apart."""
        ...

    @property
    def size(self) -> str | None:
        """Return the name of a published size, or a folder that has a config.json."""
        ...

    @property
    def vocabulary(self) -> str | None:
        """Return the path of BERT's vocab.txt, if it does not lie with the weights."""
        ...


def missing(given: Given, section: str) -> list[str]:
    """Return a sentence for each thing that a training cannot begin without, and that is not there.

    `section` is that of the run file.
    """
    found = absent(weights=given.weights, frozen=given.frozen, vocabulary=given.vocabulary)
    if given.size is not None and given.size not in SIZES and not Path(given.size).is_dir():
        found.append(no_size(given.size))
    if not found:
        try:
            vocabulary_of(given.vocabulary, given.weights, section)
        except UserError as error:
            found.append(str(error))
    return found


def files_of(given: Given, *others: str | None) -> list[Path]:
    """Return the files that a training begins with, and others it is given, that are there."""
    names = (given.weights, given.frozen, given.size, given.vocabulary, *others)
    found: list[Path] = []
    for path in (Path(name) for name in names if name is not None):
        found += sorted(path.iterdir()) if path.is_dir() else [path]
    return [path for path in found if path.is_file()]


def no_size(named: str) -> str:
    """Return what is said of a size that is none."""
    return f"size = {named!r}: expected {', '.join(SIZES)}, or a folder that has a config.json"


def vocabulary_of(named: str | None, weights: str, section: str) -> Path:
    """Return BERT's vocab.txt: a file, or that of a folder; None stands for the folder `weights`.

    Raises UserError, naming the section of the run file, if there is none.
    """
    given = Path(weights if named is None else named)
    path = given / VOCABULARY if given.is_dir() else given
    if (named is None and path.name != VOCABULARY) or not path.is_file():
        raise UserError(
            f"no vocabulary at {given}: set vocabulary in [{section}] to BERT's vocab.txt "
            "(bert-base-uncased), or to a folder that has it"
        )
    return path
