"""The numbers of a run, as records and as JSON. What is not made or not known is None, never 0."""

import dataclasses
import math
from dataclasses import dataclass

from lskd.report.diversity import Diversity
from lskd.report.sketch import Bins, Count, Spread

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True, slots=True)
class Rows:
    """How many rows each table has; None for a table of which no shard is finished."""

    images: int | None
    copies: int | None
    concepts: int | None
    narratives: int | None
    described: int | None
    dialogues: int | None
    replies: int | None
    triples: int | None
    scores: int | None
    examples: int | None


@dataclass(frozen=True, slots=True)
class Rejected:
    """What a stage left out: how often, and the most frequent reasons (numbers written as "#")."""

    stage: str
    count: int
    reasons: tuple[Count, ...]


@dataclass(frozen=True, slots=True)
class Usage:
    """What the replies of one model to one stage took; a sum is None if no reply tells.

    `silent_tokens` and `silent_price` count the replies that do not tell: where they are not 0, a
    sum is a lower bound. `seconds` adds up the waiting for each reply; many wait at the same time.
    """

    stage: str
    model: str
    replies: int
    failed: int
    seconds: float
    input_tokens: int | None
    output_tokens: int | None
    price: float | None
    silent_tokens: int
    silent_price: int


@dataclass(frozen=True, slots=True)
class Places:
    """Where regions lie and what they are.

    `heat` counts, row by row from the top, the regions that cover the middle of each cell of the
    image, whatever its shape; a region too small for that counts where its own middle is. `areas`
    is the histogram of a region's share of its image's area. `unplaced` regions are in neither,
    because their image has no row.
    """

    regions: int
    per_image: Spread
    labels: tuple[Count, ...]
    heat: tuple[tuple[int, ...], ...]
    areas: Bins
    unplaced: int


@dataclass(frozen=True, slots=True)
class Asked:
    """Triples by the word that asks, and how many of them were kept (None before `corpus`)."""

    kind: str
    count: int
    kept: int | None


@dataclass(frozen=True, slots=True)
class Writing:
    """What triples of one style, or of both, look like; lengths are in words."""

    name: str
    triples: int
    kept: int | None
    question: Spread
    answer: Spread
    rationale: Spread
    regions_named: Spread


@dataclass(frozen=True, slots=True)
class Scores:
    """How triples were scored; `lowest_kept` and `kept` may be unknown.

    `kept` is a share of the triples of those shards that `corpus` has finished.
    """

    bins: Bins
    mean: float | None
    missing: int
    lowest_kept: float | None
    kept: float | None


@dataclass(frozen=True, slots=True)
class Statistics:
    """All numbers of a run. Triples are kept if they are examples; `diversity` may be left out."""

    rows: Rows
    rejects: tuple[Rejected, ...]
    places: Places
    teacher: Usage
    models: tuple[Usage, ...]
    finishes: tuple[Count, ...]
    asked: tuple[Asked, ...]
    writing: tuple[Writing, ...]
    scores: Scores
    diversity: tuple[Diversity, ...]


def as_json(statistics: Statistics) -> Json:
    """Return the numbers as JSON: records become objects, tuples lists, NaN and infinity null."""
    return _plain(dataclasses.asdict(statistics))


def _plain(value: object) -> Json:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{type(value).__name__} cannot be JSON")
