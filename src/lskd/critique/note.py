"""`critic.toml`: who a critic is, how it is to be shown triples, and how good it is."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tomli_w
from pydantic import TypeAdapter, ValidationError

from lskd import __version__, table
from lskd.critique.evaluation import Quality
from lskd.critique.view import Look
from lskd.errors import UserError

FILE = "critic.toml"
Rating = Literal["qa", "rationale"]


@dataclass(frozen=True, slots=True)
class About:
    """What the note says.

    `use` is the class that reads the folder, `base` what the critic was trained from, `ratings` the
    parts of its verdict that were trained. `temperature` divides its logits. `training` is a hash
    of all that decided its weights, `digest` of all that decided this folder, `judgments` of the
    labels alone. `judged` triples were learned from or held out, of which a share was `accepted`.
    """

    use: str
    base: str
    seed: int
    ratings: tuple[Rating, ...]
    temperature: float
    judged: int
    accepted: float
    judgments: str
    training: str
    digest: str
    look: Look
    quality: Quality
    lskd: str = __version__


def write(folder: Path, about: About) -> None:
    """Write the note; raises UserError if the disk is full."""
    with table.draft(folder / FILE) as unfinished:
        unfinished.write_text(tomli_w.dumps(_known(table.plain(about))), encoding="utf-8")


def read(folder: Path) -> About:
    """Return what a critic's note says; raises UserError if it has none, or a strange one."""
    path = folder / FILE
    if not path.is_file():
        raise UserError(
            f"{folder} is no critic: it has no {FILE}; give a folder that the stage critic has "
            "made, as out/<run>/critic/model"
        )
    try:
        return TypeAdapter(About).validate_python(tomllib.loads(path.read_text(encoding="utf-8")))
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
