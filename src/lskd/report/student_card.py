"""A student that a run trained gets its model card: README.md in its folder.

In: what a run says of itself, and its tables. Out: the texts of the cards. The card is written with
the run's report, so that it has the figures of the run's evaluation, or at the end of a run on
given examples, which has no report; a figure, a licence or a source that the run does not have is
said to be unknown.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from lskd.facts import RunFacts
from lskd.report.markdown import rendered
from lskd.report.provenance import provenance
from lskd.storage.address import located, url_of
from lskd.table import Tables, draft
from lskd.types import Example, GenerativeStudent, Outcome, Student

TEMPLATE = "student_card.md.txt"
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
MADE = (
    *("concepts", "narratives", "regions", "dialogue", "generate", "score"),
    *("distil", "generative"),
)
UNKNOWN = ("", "unknown")


@dataclass(frozen=True, slots=True)
class Kind:
    """A stage that trains students: the record it writes, and how its students answer."""

    stage: str
    record: type[Student] | type[GenerativeStudent]
    does: str
    task: str


KINDS = (
    Kind("distil", Student, "ranks answers that are given", "visual-question-answering"),
    Kind(
        "generative", GenerativeStudent, "writes an answer and its rationale", "image-text-to-text"
    ),
)


@dataclass(frozen=True, slots=True)
class Learnt:
    """What a student was trained on: examples by their source, and pictures."""

    examples: int
    pictures: int
    sources: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Licences:
    """What the run's settings say of licences; "" is an unknown one."""

    texts: str
    images: str
    image_source: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of the student's evaluation, and that of the model that it is compared with."""

    outcome: Outcome
    base: Outcome | None


@dataclass(frozen=True, slots=True)
class Card:
    """A card: where it belongs, and its text."""

    file: Path
    text: str


def write_cards(run: RunFacts, tables: Tables, folder: Path) -> None:
    """Write the card of each student that lies in the run's folder; raises UserError as `cards`."""
    for card in cards(run, tables, folder):
        with draft(card.file) as unfinished:
            unfinished.write_text(card.text, encoding="utf-8")


def cards(run: RunFacts, tables: Tables, folder: Path) -> Iterator[Card]:
    """Yield the card of each student that lies in the run's folder.

    Students of a parent have theirs from the parent. Raises UserError if a table cannot be read.
    """
    sections = tomllib.loads(run.settings)
    for kind in KINDS:
        home = tables.folders.get(kind.stage)
        if home is None or home.parent != folder:
            continue
        rows = [
            row for shard in tables.shards(kind.record) for row in tables.read(kind.record, shard)
        ]
        for row in rows:
            if (made := located(row.folder)).is_dir() or url_of(made) is not None:
                text = student_card(run, tables, kind, row, sections)
                yield Card(made / "README.md", text)


def student_card(
    run: RunFacts,
    tables: Tables,
    kind: Kind,
    row: Student | GenerativeStudent,
    sections: Mapping[str, Any],
) -> str:
    """Return the text of a student's card; `sections` are the run's settings."""
    settings = sections.get(kind.stage, {})
    return rendered(
        TEMPLATE,
        run=run,
        kind=kind,
        row=row,
        base=base_of(settings),
        hub_base=HUB_NAME.fullmatch(base_of(settings)) and not Path(base_of(settings)).exists(),
        settings=tomli_w.dumps(settings).strip(),
        learnt=learnt(tables),
        licences=licences(sections.get("dataset", {})),
        origin=provenance(run, tables, MADE),
        figures=tuple(figures(tables, row.folder, sections)),
        hundred=hundred,
    )


def base_of(settings: Mapping[str, Any]) -> str:
    """Return what a student was trained from, or "" if the settings do not say."""
    student = settings.get("student", {})
    return str(settings.get("weights") or student.get("checkpoint") or "")


def learnt(tables: Tables) -> Learnt:
    """Return how many examples a run has, of how many pictures, and from where."""
    pictures: set[str] = set()  # of all shards: imports may have an image in several
    sources = Counter[str]()
    for shard in tables.shards(Example):
        for image, source in tables.stored(Example, shard, "image_id", "source"):
            pictures.add(image)
            sources[source] += 1
    return Learnt(sources.total(), len(pictures), tuple(sorted(sources.items())))


def licences(dataset: Mapping[str, Any]) -> Licences:
    """Return what the section [dataset] says of licences."""
    said = [str(dataset.get(name, "")) for name in ("licence", "image_licence", "image_source")]
    return Licences(*("" if one in UNKNOWN else one for one in said))


def figures(tables: Tables, folder: str, sections: Mapping[str, Any]) -> Iterator[Figure]:
    """Yield the official figures of a student on whole benchmarks, by the run's evaluation."""
    stage = tables.makers.get(Outcome)
    entries = sections.get("evaluate", {}).get("models", {})
    names = [name for name, entry in entries.items() if is_of(entry, folder)]
    if stage is None or stage not in tables.folders or not names:
        return
    rows = [row for shard in tables.shards(Outcome) for row in tables.read(Outcome, shard)]
    whole = [row for row in rows if row.official and not row.slicing]
    first = next(iter(entries))
    for row in (one for one in whole if one.model == names[0]):
        yield Figure(row, None if first == names[0] else same(whole, first, row))


def is_of(entry: Mapping[str, Any], folder: str) -> bool:
    """Return whether a model of the evaluation is the student in a folder."""
    named = entry.get("model", {}).get("folder")
    return named is not None and located(str(named)).resolve() == located(folder).resolve()


def same(rows: Sequence[Outcome], model: str, of: Outcome) -> Outcome | None:
    """Return another model's figure of the same measure on the same items, or None."""
    wanted = (of.benchmark, of.split, of.task, of.metric, of.audited)
    found = (one for one in rows if one.model == model)
    return next(
        (
            one
            for one in found
            if (one.benchmark, one.split, one.task, one.metric, one.audited) == wanted
        ),
        None,
    )


def hundred(value: float | None) -> str:
    """Return a share of a hundred with one digit, or "unknown"."""
    return "unknown" if value is None else f"{100 * value:.1f}"
