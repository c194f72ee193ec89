"""A run's examples get their dataset card: README.md with the front matter that `datasets` reads.

What the tables and settings do not say, above all licences and prices, is said to be unknown.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import tomli_w

from lskd.export.folder import BOTH
from lskd.export.hf import Rows
from lskd.facts import RunFacts
from lskd.report.census import KEPT, measure
from lskd.report.markdown import rendered
from lskd.report.provenance import provenance
from lskd.table import Tables
from lskd.types import Style

IDENTIFIER = re.compile(r"[a-z0-9][a-z0-9.\-]*")  # how the hub writes licences: "cc-by-4.0"
SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)
TASKS = ("image-text-to-text", "visual-question-answering")
TAGS = ("commonsense", "region-grounded", "rationales", "synthetic", "lskd")
MADE: Mapping[str, str] = {
    "images": "Pictures are read upright and named by a hash of their bytes; copies are kept once.",
    "concepts": "A model names the places, objects and concepts of each image.",
    "narratives": "Each image is described as a whole.",
    "regions": "Places worth talking about are boxed, numbered from 0 and described.",
    "dialogue": "Short questions about each image are asked by a teacher and answered by a model.",
    "generate": "A teacher that is told all this writes questions, answers and rationales.",
    "parse": "Its replies become triples that name regions; what cannot be used is set aside.",
    "score": "Each triple is scored for how well it agrees with the image or its descriptions.",
    "corpus": "Triples that score enough become the examples of this dataset.",
}


@dataclass(frozen=True, slots=True)
class Source:
    """Where images or texts come from, and under which licence; "" is an unknown one."""

    name: str
    licence: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """What the folder of a dataset holds: so many rows, each a triple or an image with all of its.

    `splits` are those of its files, by the names that loaders know; `styles` those of the texts.
    """

    count: int
    rows: Rows = "triple"
    splits: tuple[str, ...] = ("train",)
    styles: tuple[Style, ...] = BOTH

    @property
    def data_files(self) -> tuple[tuple[str, str], ...]:
        """Return each split with the pattern of its files."""
        return tuple((split, f"data/{split}-*.parquet") for split in self.splits)


@dataclass(frozen=True, slots=True)
class Step:
    """A stage as the card tells it: what it does, and its section of the run file as TOML."""

    name: str
    does: str
    settings: str


def size_category(rows: int) -> str:
    """Return the hub's word for a number of rows."""
    return next((word for limit, word in SIZES if rows < limit), "10M<n<100M")


def licence_fields(licence: str) -> tuple[tuple[str, str], ...]:
    """Return the front matter of a licence: the hub's identifier, or "other" and a name."""
    if not licence.strip():
        return (("license", "unknown"),)
    if IDENTIFIER.fullmatch(licence.strip()):
        return (("license", licence.strip()),)
    return (("license", "other"), ("license_name", licence.strip()))


def made_by(run: RunFacts) -> Iterator[Step]:
    """Yield what each stage did, with its settings."""
    sections = tomllib.loads(run.settings)
    for stage in run.stages:
        settings = sections.get(stage.name)
        if stage.name in MADE:
            text = tomli_w.dumps(settings).strip() if isinstance(settings, dict) else ""
            does = MADE[stage.name] if stage.done else "This stage has made nothing."
            yield Step(stage.name, does, text)


def card(
    run: RunFacts,
    tables: Tables,
    licence: str,
    sources: Sequence[Source],
    held: Held,
    features_yaml: str = "",
    language: str = "en",
) -> str:
    """Return the dataset card of a run's examples, as the text of README.md.

    `licence` is that of the texts, as the hub writes it or in words; `sources` tell those of the
    images, and `held` what lies beside the card. `features_yaml` is the block `dataset_info` of the
    front matter, as the Parquet export gives it.

    Raises UserError if a table cannot be read.
    """
    statistics = measure([stage.name for stage in run.stages], tables, scopes=(KEPT,))
    return rendered(
        "card.md.txt",
        run=run,
        statistics=statistics,
        licence=licence.strip(),
        licence_fields=licence_fields(licence),
        sources=sources,
        held=held,
        size=size_category(held.count),
        tasks=TASKS,
        tags=TAGS,
        language=language,
        features=features_yaml.strip("\n"),
        made_by=list(made_by(run)),
        origin=provenance(run, tables, MADE),
    )
