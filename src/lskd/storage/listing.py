"""The files that a URL stands for: one, those that match a pattern, or those in a folder."""

import posixpath
from collections.abc import Collection

from lskd.errors import UserError
from lskd.storage.address import on, told
from lskd.storage.files import read_url

SIGNS = "*?["
LISTS = (".txt", ".lst")


def files_at(url: str, endings: Collection[str]) -> list[str]:
    """Return the URLs of the files that a URL stands for, in order.

    In a folder they are those with one of the `endings` (lower case, as ".jpg"), or else the
    Parquet files; a text file stands for the names on its lines, relative to itself. Raises
    UserError if there is no such file or folder.
    """
    system, name = on(url)
    scheme = url.partition(":")[0]
    try:
        with told(url):
            if any(sign in name for sign in SIGNS):
                found = system.glob(name)
            elif system.info(name)["type"] == "directory":
                found = wanted(system.find(name), endings)
            elif posixpath.splitext(name)[1].lower() in LISTS:
                return listed(url)
            else:
                found = [name]
    except FileNotFoundError as error:
        raise UserError(f"{url}: no such file or folder") from error
    return [f"{scheme}://{str(file).lstrip('/')}" for file in sorted(found)]


def wanted(names: Collection[str], endings: Collection[str]) -> list[str]:
    """Return the names with one of the endings, or else those of Parquet files."""
    found = [name for name in names if posixpath.splitext(name)[1].lower() in endings]
    return found or [name for name in names if name.lower().endswith(".parquet")]


def listed(url: str) -> list[str]:
    """Return the URLs that a text file lists, a line each, relative to the file.

    Raises UserError if it is not UTF-8 text.
    """
    try:
        lines = read_url(url).decode("utf-8-sig").splitlines()
    except UnicodeError as error:
        raise UserError(f"{url} is not UTF-8 text: {error}") from error
    return [beside(url, line.strip()) for line in lines if line.strip()]


def beside(url: str, name: str) -> str:
    """Return the URL of a file that is named from the folder of another."""
    return name if "://" in name else f"{url.rpartition('/')[0]}/{name}"
