"""How much a base model sees in pre-training, part by part, and where each part is trained."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from lskd.errors import UserError
from lskd.lab.pretrain import note
from lskd.training.recipe import Precision, Recipe

Part = Literal["patches", "tints", "standing", "names", "captions", "plain", "matching"]
# The parts in their order, and how the settings of each in a plan begin.
PARTS: dict[Part, str] = {
    "patches": "patch",
    "tints": "tint",
    "standing": "standing",
    "names": "name",
    "captions": "caption",
    "plain": "plain",
    "matching": "match",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is seen: scenes, and steps of each part with batches and rates; 0 skips a part.

    `first` is the number of the first scene, so that a training that starts from another sees new
    ones. What was learnt is evaluated on `held_back` further ones. Raises UserError where there are
    none of either.
    """

    scenes: int = 20_000
    patch_steps: int = 3_200
    patch_batch: int = 128
    patch_rate: float = 2e-3
    tint_steps: int = 1_000
    tint_batch: int = 128
    tint_rate: float = 2e-3
    standing_steps: int = 2_000
    standing_batch: int = 64
    standing_rate: float = 1e-3
    name_steps: int = 800
    name_batch: int = 32
    name_rate: float = 1e-3
    caption_steps: int = 1_500
    caption_batch: int = 32
    caption_rate: float = 1e-3
    plain_steps: int = 1_400
    plain_batch: int = 32
    plain_rate: float = 1e-3
    match_steps: int = 9_000
    match_batch: int = 64
    match_rate: float = 1e-3
    held_back: int = 256
    first: int = 0
    precision: Precision = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("scenes", "held_back"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} = {getattr(self, name)}: 1 is the least")


def changed(plan: Plan, changes: Sequence[str]) -> Plan:
    """Return a plan with "key=value" changes; raises UserError for what it cannot have."""
    given: dict[str, object] = asdict(plan)
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals or key not in given:
            raise UserError(f"--set {change!r}: expected KEY=VALUE, of {', '.join(given)}")
        given[key] = value
    try:
        return TypeAdapter(Plan).validate_python(given)
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"--set {first['loc'][0]}={first['input']}: {first['msg']}") from error


def folders(plan: Plan, training: Path, start: str | None) -> dict[Part, Path]:
    """Return where each part is trained; `start` is the digest of what the first one begins with.

    A name tells all that the part's weights come from, those of the parts before it among them, so
    that none goes on from what another training has left in the same folder.
    """
    given = asdict(plan)
    of = {name: given[name] for name in ("scenes", "first", "precision", "seed")}
    of["start"] = start
    found: dict[Part, Path] = {}
    for part, prefix in PARTS.items():
        of |= {name: value for name, value in given.items() if name.startswith(f"{prefix}_")}
        found[part] = training / f"{part}-{note.digest(**of)}"
    return found


def steps_of(plan: Plan, part: Part) -> int:
    """Return the steps of a part; 0 skips it."""
    steps: int = getattr(plan, f"{PARTS[part]}_steps")
    return steps


def recipe_of(plan: Plan, part: Part) -> Recipe:
    """Return how a part is trained."""
    steps = steps_of(plan, part)
    return Recipe(
        steps=steps,
        batch=getattr(plan, f"{PARTS[part]}_batch"),
        warmup=steps // 20,
        learning_rate=getattr(plan, f"{PARTS[part]}_rate"),
        weight_decay=0.05,
        clip=1.0,
        precision=plan.precision,
        seed=plan.seed,
        log_every=200,
    )
