"""What settings name is looked for on the disk: a mistake in a path is told before any work."""

from pathlib import Path
from typing import Final

from lskd.storage.address import is_url

AFAR: Final = "this is read from the disk and not from a URL: bring it here first"


def is_here(name: str) -> bool:
    """Return whether a text names a file or folder; one too long for a name names none."""
    try:
        return bool(name) and Path(name).exists()
    except OSError:
        return False


def absent(**named: str | None) -> list[str]:
    """Return a sentence for each setting that names nothing on the disk; one that is None may."""
    return [
        f"{key} = {name!r}: {AFAR if is_url(name) else 'no such file or folder'}"
        for key, name in named.items()
        if name is not None and not is_here(name)
    ]
