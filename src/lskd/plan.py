"""What a run would make, what it would read from a parent, and what its teachers would cost."""

import inspect
from dataclasses import asdict, dataclass
from typing import Any

from lskd import images
from lskd.errors import UserError
from lskd.run import Run
from lskd.sources import counted
from lskd.stage import Cost, Model, Shard, Stage, named
from lskd.storage.address import shown
from lskd.types import Image

SAMPLE_SHARDS = 2
PER_MILLION = 1_000_000
PAYING = ("lskd.chat.", "lskd.verbalize.remote:")  # where those of ours are that pay


@dataclass(frozen=True, slots=True)
class Estimate:
    """What models would be asked, and the price; None where the settings name no prices.

    `measured` says that the token counts come from prompts of this run, not from typical ones;
    `most` that there may be fewer calls.
    """

    calls: int
    input_tokens: int
    output_tokens: int
    price: float | None
    measured: bool
    most: bool


@dataclass(frozen=True, slots=True)
class Step:
    """What would happen to one stage: where, and how many images are done and to do.

    `state` is "make", "continue", "done" or "remake if changed" (stages on whole tables).
    """

    stage: str
    folder: str
    inherited: bool
    state: str
    images_done: int
    images_left: int
    estimate: Estimate | None


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps of a run over `images` images; `price` is the sum of known prices.

    A run on given examples reads no images of its own: it has 0.
    """

    images: int
    steps: tuple[Step, ...]
    price: float | None

    def as_json(self) -> dict[str, Any]:
        """Return the plan as JSON."""
        return asdict(self)


def pays(model: Model) -> bool:
    """Return whether a model buys replies: whether its class keeps a journal of them.

    Most of ours are known not to without being imported, which takes seconds.
    """
    if model.use.startswith("lskd.") and not model.use.startswith(PAYING):
        return False
    return "journal" in inspect.signature(named(model.use)).parameters


def price(cost: Cost) -> float | None:
    """Return what calls cost at the prices per million in their model's settings, or None."""
    given, got = setting(cost.model, "input_price"), setting(cost.model, "output_price")
    if given is None or got is None:
        return None
    discount = setting(cost.model, "discount")
    spent = cost.input_tokens * given + cost.output_tokens * got
    return spent * (1.0 if discount is None else discount) / PER_MILLION


def setting(model: Model, name: str) -> float | None:
    """Return a number among a model's settings, or its class's default, or None."""
    parameter = inspect.signature(named(model.use)).parameters.get(name)
    value = model.keys.get(name, parameter.default if parameter else None)
    return float(value) if isinstance(value, int | float) else None


def estimate(run: Run, stage: Stage[Any], left: int) -> Estimate | None:
    """Return what `left` images would cost in a stage, or None if it pays for nothing."""
    if stage.cost is None:
        return None
    ready = [
        Shard(name, run.tables)
        for name in run.tables.shards(Image)
        if all(run.tables.has(record, name) for record in stage.reads)
    ][:SAMPLE_SHARDS]
    costs = [one for one in stage.cost(run.settings[stage.name], ready, left) if pays(one.model)]
    if not costs:
        return None
    prices = [found for one in costs if (found := price(one)) is not None]
    return Estimate(
        calls=sum(one.calls for one in costs),
        input_tokens=sum(one.input_tokens for one in costs),
        output_tokens=sum(one.output_tokens for one in costs),
        price=sum(prices) if len(prices) == len(costs) else None,
        measured=all(one.measured for one in costs),
        most=any(one.most for one in costs),
    )


def step(run: Run, stage: Stage[Any], total: int, known: int) -> Step:
    """Return what would happen to one stage, of `total` source images of which `known` were met.

    Raises UserError if its folder holds what was made with other settings.
    """
    run.check(stage)
    tables = run.tables
    remade = stage.is_whole(run.settings[stage.name]) and not stage.grows
    there = {shard: tables.count(Image, shard) for shard in tables.shards(Image)}
    unmet = max(0, total - known)
    if stage.grows:
        done, left = min(total, known), unmet
    elif remade:
        done = left = 0
    else:
        missing = set(run.missing(stage))
        left = sum(n for shard, n in there.items() if shard in missing) + unmet
        done = sum(n for shard, n in there.items() if shard not in missing)
    state = "done" if not left else "continue" if done else "make"
    folder = run.folders[stage.name]
    return Step(
        stage=stage.name,
        folder=shown(folder),
        inherited=run.inherits(stage.name),
        state="remake if changed" if remade else state,
        images_done=done,
        images_left=left,
        estimate=estimate(run, stage, left) if left else None,
    )


def has_images(run: Run) -> bool:
    """Return whether any picture of a run is known, or at hand."""
    settings = run.settings.get("images")
    if not isinstance(settings, images.Settings) or run.tables.shards(Image):
        return True
    try:
        return counted(settings.source) > 0
    except UserError:
        return False


def plan(run: Run, limit: int | None) -> Plan:
    """Return what would be made; nothing is read but file names and a few finished shards."""
    settings = run.settings.get("images")
    there = counted(settings.source) if isinstance(settings, images.Settings) else 0
    total = min(there, limit) if limit is not None else there
    known = len(images.known_paths(run.tables))
    steps = tuple(step(run, stage, total, known) for stage in run.stages())
    asked = [one.estimate for one in steps if one.estimate]
    prices = [one.price for one in asked if one.price is not None]
    return Plan(total, steps, sum(prices) if asked and len(prices) == len(asked) else None)
