"""Files in which other tools keep what people said become judgments for a campaign.

In: the JSON export of Label Studio, a CSV of any platform, or a file that the critic could read.
Out: judgments, and what of the files is of no use.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lskd.critique import judgments
from lskd.errors import UserError
from lskd.human import label_studio_export, sheet
from lskd.human.label_studio_export import Drawn
from lskd.human.work import Claim, Posed
from lskd.types import Judgment, Reject

READ = (".json", ".csv", ".parquet", ".jsonl")


@dataclass(frozen=True, slots=True)
class Said:
    """What a file holds; `drawn` are regions as people left them, which Label Studio alone has."""

    judgments: tuple[Judgment, ...]
    drawn: tuple[Drawn, ...]
    rejects: tuple[Reject, ...]


def columns(given: Sequence[str]) -> sheet.Columns:
    """Return the columns of a CSV from texts as qa=Answer.qa; raises UserError for others."""
    names = sheet.Columns.__slots__
    theirs: dict[str, str] = {}
    for text in given:
        name, _, column = text.partition("=")
        if name not in names or not column:
            known = ", ".join(names)
            raise UserError(f"--column {text!r}: as qa=Answer.qa, for one of {known}")
        if name in theirs:
            raise UserError(f"--column names {name} twice")
        theirs[name] = column
    return sheet.Columns(**theirs)


def read(file: Path, named: sheet.Columns = sheet.OURS) -> Said:
    """Return what people said, from a file whose ending tells the form.

    `.json` is Label Studio's, `.csv` has columns that are `named` so, `.parquet` and `.jsonl` have
    the columns that the critic reads. Raises UserError for a file that is no such thing.
    """
    form = file.suffix.lower()
    if form not in READ:
        raise UserError(f"{file}: expected a file that ends in one of {', '.join(READ)}")
    if form == ".json":
        export = label_studio_export.read(file)
        return Said(export.judgments, export.drawn, export.rejects)
    if form == ".csv":
        results = sheet.read(file, named)
        return Said(results.judgments, (), results.rejects)
    given = judgments.read(file)
    return Said(given.judgments, (), given.rejects)


def moved(drawn: Iterable[Drawn], posed: Sequence[Posed]) -> int:
    """Return how many annotations leave other regions than their items have."""
    before = {one.id: frozenset(one.what.regions) for one in posed if isinstance(one.what, Claim)}
    return sum(frozenset(one.regions.regions) != before.get(one.triple_id) for one in drawn)
