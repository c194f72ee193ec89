"""The folder of an imported corpus, which counts as one when it is whole.

In: the folder that its tables are to lie in. Out: on a disk a hidden one, which takes that place in
one step. No place at a URL can do so: there a file beside the tables says that some are missing.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from lskd import table
from lskd.drafts import drafted
from lskd.errors import UserError, cannot_write
from lskd.storage import files
from lskd.storage.address import shown, url_of

UNFINISHED = "unfinished.txt"
SAID = "lskd import is at work here, or was interrupted: then the same command begins anew\n"


@contextlib.contextmanager
def filled(folder: Path) -> Iterator[Path]:
    """Give where to write the tables of a corpus; when the block ends well they are in `folder`.

    What an interrupted import has left is removed first. Raises UserError if there is a corpus, or
    it cannot be written.
    """
    check_free(folder)
    if url_of(folder) is not None:
        with table.draft(folder / UNFINISHED) as note:
            note.write_text(SAID, encoding="utf-8")
        for part in (folder / "example", folder / "reject"):
            for name in files.names(part, ".parquet"):
                files.remove(part / name)
        yield folder
        files.remove(folder / UNFINISHED)
        return
    try:
        with drafted(folder.parent) as draft:
            yield draft / folder.name
            check_free(folder)  # another import may have ended meanwhile
            (draft / folder.name).replace(folder)
    except OSError as error:
        raise cannot_write(folder, error) from error


def check_free(folder: Path) -> None:
    """Raise UserError if there is a corpus in a folder, or anything else that is not ours."""
    if is_begun(folder):
        return
    if folder.exists() or files.names(folder / "example", ".parquet"):
        raise UserError(
            f"{shown(folder)} is there already: give another folder with --out, or remove it"
        )


def check_whole(folder: Path) -> None:
    """Raise UserError if the corpus in a folder is not whole."""
    if is_begun(folder):
        raise UserError(
            f"{shown(folder)} is not whole: `lskd import` is at work there, or was interrupted; "
            "then give the same command again"
        )


def is_begun(folder: Path) -> bool:
    """Return whether an import has begun at a place, and has not ended."""
    return url_of(folder) is not None and files.exists(folder / UNFINISHED)
