"""What an experiment is, as data: the runs that it needs, what is measured, what the paper says."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lskd.evaluate.metrics import Values

if TYPE_CHECKING:
    from lskd.reproduce.bench import Bench

Rule = Callable[[Values], Values]


@dataclass(frozen=True, slots=True)
class Arm:
    """A child of the lab's run: the settings of a file, made up to a stage.

    `file` is its name in the folder of run files, without ending; `examples` names the corpus of
    another maker that it is trained on ("" for that of the lab).
    """

    row: str
    file: str
    until: str
    examples: str = ""

    @property
    def name(self) -> str:
        """Return what its folder is called."""
        return f"{self.file}-{self.examples}" if self.examples else self.file


@dataclass(frozen=True)
class Tally:
    """What one seed's items add up to, image by image: `sums` is (images, parts)."""

    images: tuple[str, ...]
    sums: Values


@dataclass(frozen=True)
class Cell:
    """A figure to be had: what each seed tallies, and the rule that makes a number of totals.

    `rule` takes (..., parts) and returns (...,); `digits` behind the point are worth telling.
    Whatever is measured lies `within` these numbers, and so does its interval.
    """

    rule: Rule
    seeds: tuple[Tally, ...]
    digits: int = 1
    within: tuple[float, float] = (0.0, 100.0)


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its 95 % interval, and what each seed alone gives.

    `images` is how many were drawn again for the interval; None where that is not known.
    """

    value: float
    low: float
    high: float
    seeds: tuple[float, ...]
    digits: int = 1
    images: int | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """What the paper says of a difference, and what was found of it.

    `said` is a sentence without its end. `paper` is its difference, None where it gives no number;
    it says that `found` is above 0. Without `learned` the lab could hardly have come out
    otherwise, and `why` tells why. `beyond` claims are no claims of the paper.
    """

    said: str
    found: Figure
    paper: float | None
    learned: bool
    why: str = ""
    beyond: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a table: the paper's numbers and the lab's, None where there is none."""

    title: str
    paper: tuple[float | None, ...]
    found: tuple[Figure | None, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """What an experiment gave; `chart` is an SVG picture or ""."""

    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    claims: tuple[Claim, ...]
    notes: tuple[str, ...] = ()
    chart: str = ""


@dataclass(frozen=True, slots=True)
class Experiment:
    """A table or figure: which runs it needs beside the lab's own, and how it is measured.

    `paper` names it in `paper.toml`, "" for what is beyond the paper. `learned` says that the lab
    could have come out otherwise; if not, `why` says what decided it beforehand. `trains` says that
    a model is trained for it beyond the lab's own run. `shared` are runs that many experiments
    compare theirs with.
    """

    name: str
    title: str
    learned: bool
    measure: Callable[["Bench", "Experiment"], Measured]
    paper: str = ""
    why: str = ""
    arms: tuple[Arm, ...] = ()
    shared: tuple[Arm, ...] = ()
    trains: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """An experiment with what it gave, or why it was not run."""

    experiment: Experiment
    measured: Measured | None
    missing: str = ""
