"""A URL, the working folder that stands for it here, and the file system that it is on.

A working folder tells by its path which place it stands for, so nothing has to be looked up, and
another process or host finds the same place: `.../lskd-places/s3/bucket/run` is "s3://bucket/run".
"""

import contextlib
import importlib
import logging
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lskd.errors import MissingExtra, UserError

PLACES = "lskd-places"
WORK = "LSKD_WORK"  # the variable that names the folder of all working folders
# pathlib makes one slash of two.
URL = re.compile(r"([a-z][a-z0-9+.-]+):/{1,3}(?=[^/])(.*)", re.DOTALL)
EXTRAS: Mapping[str, tuple[str, str]] = {
    "s3": ("s3fs", "s3"),
    "s3a": ("s3fs", "s3"),
    "gs": ("gcsfs", "gs"),
    "gcs": ("gcsfs", "gs"),
    "az": ("adlfs", "az"),
    "abfs": ("adlfs", "az"),
    "abfss": ("adlfs", "az"),
    "hf": ("huggingface_hub", "models"),
}
KEYS: Mapping[str, str] = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_ENDPOINT_URL for another server)",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": (
        "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY "
        "(or AZURE_STORAGE_CONNECTION_STRING, as for another server)"
    ),
    "models": "HF_TOKEN",
}
# A server that does not answer is told of within a minute or two, not a quarter of an hour.
S3 = {
    "config_kwargs": {
        "connect_timeout": 10,
        "read_timeout": 30,
        "retries": {"mode": "standard", "max_attempts": 5},
    }
}
AZ = {"connection_timeout": 10, "read_timeout": 30}
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "s3": S3,
    "s3a": S3,
    "az": AZ,
    "abfs": AZ,
    "abfss": AZ,
}
# What tells of itself in logs when a library is used.
LOGS: Mapping[str, tuple[str, ...]] = {"gcsfs": ("gcsfs", "google"), "adlfs": ("adlfs", "azure")}
SECRET = re.compile("secret|token|key|password|credential|connection_string", re.IGNORECASE)
# How those libraries tell that nobody has told them who is asking.
NOBODY = re.compile(
    "Unable to locate credentials|Must provide either a connection_string|Anonymous caller"
)


def is_url(name: str | Path) -> bool:
    """Return whether a name is that of a place on a file system that fsspec knows."""
    return URL.match(str(name)) is not None


def located(name: str | Path) -> Path:
    """Return the path by which the house knows a folder or file: for a URL, its working folder.

    Raises UserError for a URL that holds a password or leads out of its place.
    """
    found = URL.match(str(name))
    if found is None:
        return Path(name)
    scheme, rest = found.groups()
    if scheme == "file":
        return Path("/" + rest)
    if re.match("[^/@]*:[^/@]*@", rest):
        raise UserError(
            f"{scheme}://...: a URL with a password: give the credentials in the environment"
        )
    parts = rest.rstrip("/").split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise UserError(f"{scheme}://{rest}: a part of it is empty or made of dots alone")
    return home() / PLACES / scheme / Path(*parts)


def home() -> Path:
    """Return the folder of all working folders: `$LSKD_WORK`, or by the XDG convention."""
    if named := os.environ.get(WORK):
        return Path(named).absolute()
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "lskd"


def url_of(path: Path) -> str | None:
    """Return the URL that a path stands for, or None if it stands for itself."""
    parts = path.parts
    if PLACES not in parts:
        return None
    scheme, *rest = parts[parts.index(PLACES) + 1 :]
    return f"{scheme}://{'/'.join(rest)}" if rest else None


def here(path: Path) -> Path:
    """Return a path as this machine has it: another's working folder may lie elsewhere."""
    url = url_of(path)
    return path if url is None else located(url)


def shown(path: Path) -> str:
    """Return a path as its user knows it: the URL that it stands for, or itself."""
    return url_of(path) or str(path)


def on(url: str, seen: bool = False) -> tuple[Any, str]:
    """Return the file system that a URL is on, and the name of the file or folder there.

    What others write is found at once. With `seen` the file was found already and its content is
    wanted, so that its folder need not be listed for each file in it.

    Raises MissingExtra if the library for it is not installed, UserError for an unknown one.
    """
    found = URL.match(url)
    assert found is not None
    scheme, rest = found.groups()
    library, extra = EXTRAS.get(scheme, ("fsspec", "s3"))
    try:
        fsspec = importlib.import_module("fsspec")
        with told(url):
            options = {"use_listings_cache": False, **OPTIONS.get(scheme, {})}
            quiet(library)
            system = google(options) if library == "gcsfs" else fsspec.filesystem(scheme, **options)
            if scheme == "hf" and not seen:
                system.dircache.clear()  # it keeps listings whatever it is told
            return system, rest
    except ImportError as error:
        raise MissingExtra(f"{scheme}://", library, extra) from error


def google(options: Mapping[str, Any]) -> Any:
    """Return the file system of gs://, of gcsfs's plain class.

    The one that fsspec takes first asks Google, by other means, for the kind of each bucket. In one
    kind (zonal) it then uploads so that others see what is not whole, and replaces a lock.
    """
    plain = importlib.import_module("gcsfs.core").GCSFileSystem
    timeout = importlib.import_module("aiohttp").ClientTimeout(
        total=None, sock_connect=10, sock_read=30
    )
    return plain(requests_timeout=timeout, **options)


def quiet(library: str) -> None:
    """Keep a library's own log off the terminal: what went wrong is told in one line of ours.

    Where logs are collected they have it still.
    """
    for log in map(logging.getLogger, LOGS.get(library, ())):
        if not log.handlers:
            log.addHandler(logging.NullHandler())


@contextlib.contextmanager
def told(url: str) -> Iterator[None]:
    """Turn what a file system's library says into one line, but that there is no such file.

    Raises FileNotFoundError as it is, UserError for anything else.
    """
    try:
        yield
    except (FileNotFoundError, FileExistsError, UserError, ImportError):
        raise
    # Each library has its own kinds of errors, and they have nothing in common.
    except Exception as error:
        if type(error).__name__ == "ResourceNotFoundError":  # what adlfs leaves of Azure's
            raise FileNotFoundError(url) from error
        raise UserError(explained(url, error)) from error


@contextlib.contextmanager
def written(url: str) -> Iterator[None]:
    """Do as `told` does, and tell too where there is nothing to write to."""
    try:
        with told(url):
            yield
    except FileNotFoundError as error:
        raise UserError(f"{url}: there is no such bucket to write to: make it first") from error


def explained(url: str, error: Exception) -> str:
    """Return what is wrong with a place, and what to do."""
    scheme = url.partition(":")[0]
    keys = KEYS.get(EXTRAS.get(scheme, ("", ""))[1], "those that its library documents")
    kind = type(error).__name__
    if "Credentials" in kind or NOBODY.search(str(error)):
        return f"{url}: no credentials: set {keys} in the environment"
    text = getattr(error, "strerror", None) or str(error) or kind
    said = " ".join(discreet(str(text)).split())[:300]
    if is_refusal(error):
        return f"{url}: access is refused ({said}): check {keys} in the environment"
    if isinstance(error, ValueError) and "rotocol" in said:
        return f"{url}: no file system is called {scheme!r}; known: {', '.join(EXTRAS)}"
    return (
        f"{url} cannot be reached ({said}); what was finished is kept, and the same command goes "
        "on once this is mended"
    )


def is_refusal(error: Exception) -> bool:
    """Return whether a server has refused the credentials, or what they may not do."""
    asked = getattr(error, "response", None)
    status = {getattr(error, "code", 0), getattr(error, "status_code", 0)}
    status.add(getattr(asked, "status_code", 0))
    refused = isinstance(error, PermissionError) or not status.isdisjoint((401, 403))
    return refused or str(error).startswith("Forbidden: ")


def discreet(text: str) -> str:
    """Return a text without the values of secrets in the environment."""
    for name, value in os.environ.items():
        if SECRET.search(name):
            # A connection string is a list of names and values, one of which is the key.
            for part in (value, *re.findall("(?:Key|Signature)=([^;]+)", value)):
                text = text.replace(part, "***") if len(part) >= 8 else text
    return text
