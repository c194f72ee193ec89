"""What a TOML file says becomes a record, or one line on what is wrong with it; and back.

In: a path, and a record or its kind. Out: the record, or the file.
"""

import tomllib
from pathlib import Path
from typing import Any, TypeVar

import tomli_w
from pydantic import TypeAdapter, ValidationError

from lskd import table
from lskd.errors import UserError

T = TypeVar("T")


def write_note(path: Path, value: Any) -> None:
    """Write a record, but for what is None; raises UserError if the disk is full."""
    with table.draft(path) as unfinished:
        unfinished.write_text(tomli_w.dumps(_known(table.plain(value))), encoding="utf-8")


def read_note(path: Path, kind: type[T]) -> T:
    """Return what a file says; raises UserError if it is strange or cannot be read."""
    try:
        return TypeAdapter(kind).validate_python(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(f"{path}: {where}: {first['msg']}") from error
    except (OSError, ValueError, UserError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error


def _known(values: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is None, for which TOML has no word."""
    kept = {name: value for name, value in values.items() if value is not None}
    return {n: _known(v) if isinstance(v, dict) else v for n, v in kept.items()}
