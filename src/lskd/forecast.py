"""What a whole corpus would take: time, memory, storage and price, stage by stage.

In: a run, the number of images, and perhaps a cluster. Out: for each stage four figures, each with
where it comes from: measured in this run (its trace, its tables, its replies), else shipped with
the package (`rates.toml`), else not known. Nothing is made, no server is asked.

Time grows with the images. The part of a shard's time that waits for a server is not divided by
workers, since all of them ask the same one. A stage on whole tables is made by one process.
Workers are those of `lskd run --executor ray`: what one takes, its section says (`lskd.resources`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from lskd import events, plan
from lskd.cluster import Cluster
from lskd.crew import Crew, alone, crew
from lskd.errors import UserError
from lskd.events import TRACE
from lskd.fingerprint import all_models
from lskd.pace import Pace, pace
from lskd.rates import Rate, rates
from lskd.run import Run
from lskd.stage import Stage
from lskd.storage.address import shown
from lskd.types import Image, Reply

UNKNOWN = "nothing measured, no figure is shipped: run some images through it first"
SAMPLE_SHARDS = 2  # whose replies are read for their price
# Their work follows the judgments, or the benchmark, and not the number of images; a training's
# follows its steps.
FIXED = frozenset({"sample", "critic", "evaluate"})
# The page shows as many triples of a large run as of a small one.
SMALL = frozenset({*FIXED, "report"})


@dataclass(frozen=True, slots=True)
class Figure:
    """A number and where it comes from; None if it is not known, and then `how` says why."""

    value: float | None
    how: str

    @property
    def known(self) -> bool:
        """Return whether there is a number."""
        return self.value is not None


@dataclass(frozen=True, slots=True)
class Line:
    """One stage: seconds with `workers` at once, bytes of memory of one, bytes on disk, price.

    `parent` is the folder of the run that it is taken over from, "" for a stage of the run itself.
    """

    stage: str
    workers: int
    time: Figure
    memory: Figure
    storage: Figure
    price: Figure
    parent: str = ""


@dataclass(frozen=True, slots=True)
class Forecast:
    """The stages of a run over `images` images, one after another, and their sums.

    `cluster` is None where the images go through `lskd run` on one machine, in one process.
    `seconds`, `bytes` and `price` are sums of what is known, `memory` the largest of one process;
    `unknown` says, a line each, what they are without.
    """

    images: int
    cluster: Cluster | None
    lines: tuple[Line, ...]
    seconds: float
    memory: float
    bytes: float
    price: float
    unknown: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the forecast as JSON."""
        return asdict(self)


def forecast(run: Run, images: int, cluster: Cluster | None = None) -> Forecast:
    """Return what `images` images would take, from nothing on.

    Raises UserError for a run that makes no images of its own.
    """
    if "images" not in run.settings:
        raise UserError(
            f"--images {images}: {run.name} is made of given examples and reads no images; "
            "plan the run that made them"
        )
    lines = tuple(line(run, stage, images, cluster) for stage in run.stages())
    return Forecast(
        images=images,
        cluster=cluster,
        lines=lines,
        seconds=summed(one.time for one in lines),
        memory=max((one.memory.value or 0.0 for one in lines), default=0.0),
        bytes=summed(one.storage for one in lines),
        price=summed(one.price for one in lines),
        unknown=tuple(text for one in lines for text in refusals(one)),
    )


def refusals(one: Line) -> Iterator[str]:
    """Yield a line for each reason why figures of a stage are not known, with their names."""
    figures = {
        "time": one.time,
        "memory": one.memory,
        "storage": one.storage,
        "price": one.price,
    }
    reasons: dict[str, list[str]] = {}
    for name, figure in figures.items():
        if not figure.known:
            reasons.setdefault(figure.how, []).append(name)
    for how, names in reasons.items():
        yield f"{one.stage}: {', '.join(names)} not known: {how}"


def summed(figures: Iterable[Figure]) -> float:
    """Return the sum of what is known."""
    return sum(figure.value for figure in figures if figure.value is not None)


def line(run: Run, stage: Stage[Any], images: int, cluster: Cluster | None) -> Line:
    """Return what one stage would take."""
    told = pace(events.read(run.folders[stage.name] / TRACE))
    measured = told if told is not None and told.images else None
    used = [model.use for model in all_models(run.settings[stage.name])]
    shipped = next((r for r in rates() if r.fits(stage.name, used, run.settings[stage.name])), None)
    at_work = crew(run, stage, images, cluster, measured, shipped)
    return Line(
        stage=stage.name,
        workers=max(1, at_work.workers),
        time=shipped_time(run, stage, images, at_work, shipped)
        if measured is None
        else measured_time(run, stage, images, at_work, measured),
        memory=memory_of(measured, shipped),
        storage=storage_of(run, stage, images, measured, shipped),
        price=price_of(run, stage, images, measured),
        parent=shown(run.folders[stage.name].parent) if run.inherits(stage.name) else "",
    )


def shipped_time(
    run: Run, stage: Stage[Any], images: int, by: Crew, shipped: Rate | None
) -> Figure:
    """Return the seconds that a stage would take with such workers, by a shipped rate."""
    if shipped is None:
        return Figure(None, UNKNOWN)
    if not by.workers:
        return Figure(None, by.why)
    count = samples(run, stage) if shipped.each == "sample" else images
    bound = ", a lower bound" if shipped.bound else ""
    how = f"shipped{bound}: {shipped.source}{by.supposed}"
    return Figure(count * shipped.seconds / by.workers, how)


def samples(run: Run, stage: Stage[Any]) -> int:
    """Return how many samples a training takes: steps of a batch, or epochs of what is judged."""
    settings = run.settings[stage.name]
    epochs = getattr(settings, "epochs", None)
    if epochs is not None:
        return int(epochs * getattr(run.settings.get("sample"), "train", 0))
    return int(getattr(settings, "steps", 0) * getattr(settings, "batch", 0))


def measured_time(run: Run, stage: Stage[Any], images: int, by: Crew, measured: Pace) -> Figure:
    """Return the seconds that a stage would take with such workers, by its own trace."""
    if not by.workers:
        return Figure(None, by.why)
    how = f"measured on {measured.images:,} images of this run"
    waits = measured.share("waiting")
    took = measured.seconds * waits + alone(run, stage, measured) * (1 - waits) / by.workers
    if stage.name in FIXED or stage.together:
        how += "; does not grow with images"
        if by.workers > 1:
            how += "; taken for the work of one process"
        how += by.supposed
        return Figure(took + measured.apart, how)
    if waits >= 0.005:
        how += f"; waits for a server {waits:.0%} of the time"
    return Figure(took / measured.images * images + measured.apart, f"{how}{by.supposed}")


def memory_of(measured: Pace | None, shipped: Rate | None) -> Figure:
    """Return the bytes that one process of a stage holds at most."""
    if measured is not None and measured.memory is not None:
        return Figure(measured.memory, f"measured on {measured.images:,} images of this run")
    if shipped is not None and shipped.memory is not None:
        bound = ", a lower bound" if shipped.bound else ""
        return Figure(shipped.memory, f"shipped{bound}: {shipped.source}")
    return Figure(None, UNKNOWN)


def storage_of(
    run: Run, stage: Stage[Any], images: int, measured: Pace | None, shipped: Rate | None
) -> Figure:
    """Return the bytes that a stage's folder would have."""
    if measured is not None:
        there: float = measured.bytes
        if not stage.writes:
            files = run.folders[stage.name].rglob("*")
            there = sum(file.stat().st_size for file in files if file.is_file())
        how = f"measured on {measured.images:,} images of this run"
        if stage.name in SMALL or stage.together:
            return Figure(there, f"{how}; does not grow with images")
        return Figure(there / measured.images * images, how)
    if shipped is not None and shipped.bytes is not None:
        count = 1 if stage.name in SMALL else images
        return Figure(shipped.bytes * count, f"shipped: {shipped.source}")
    return Figure(None, UNKNOWN)


def price_of(run: Run, stage: Stage[Any], images: int, measured: Pace | None) -> Figure:
    """Return what a stage's replies would cost."""
    paying = [model for model in all_models(run.settings[stage.name]) if plan.pays(model)]
    if not paying:
        return Figure(0.0, "buys no replies")
    if (found := by_replies(run, stage, images)) is not None:
        return found
    if measured is not None and measured.paid is not None:
        if measured.paid.price is None:
            return Figure(None, f"{paying[0].use} names no input_price and output_price")
        each = measured.paid.price / measured.images
        return Figure(each * images, f"paid for {measured.images:,} images of this run")
    guess = plan.estimate(run, stage, images)
    if guess is None:
        return Figure(None, f"nothing was paid yet and {stage.name} cannot tell its prompts before")
    if guess.price is None:
        return Figure(None, f"{paying[0].use} names no input_price and output_price")
    whose = "prompts of this run" if guess.measured else "typical prompts"
    return Figure(guess.price, f"estimated from {whose}, at the prices of the settings")


def by_replies(run: Run, stage: Stage[Any], images: int) -> Figure | None:
    """Return the price by the replies of a few shards, or None if there are none with a price."""
    if Reply not in stage.writes:
        return None
    shards = run.tables.shards(Reply, stage.name)[:SAMPLE_SHARDS]
    count = sum(run.tables.count(Image, shard) for shard in shards)
    replies = [reply for shard in shards for reply in run.tables.read(Reply, shard, stage.name)]
    prices = [reply.price for reply in replies if reply.price is not None]
    if not count or len(prices) < len(replies) or not replies:
        return None
    return Figure(sum(prices) / count * images, f"paid for {count:,} images of this run")
