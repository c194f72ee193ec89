"""What people said leaves as files: Parquet tables of records, JSON lines of everything, or CSV.

The Parquet file and the CSV file of judgments can both stand at `critic.judgments` of a run file.
All files are written whole or not at all.
"""

import csv
import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path

from lskd import table
from lskd.errors import UserError
from lskd.human.store import Store
from lskd.human.work import CampaignKind
from lskd.types import Comparison, Judgment

RECORDS: Mapping[CampaignKind, type[Judgment] | type[Comparison]] = {
    "judge": Judgment,
    "compare": Comparison,
}


def write(store: Store, campaign: str, file: Path, gold: bool = False) -> int:
    """Write a campaign to a file whose ending tells the form, and return the number of rows.

    `.parquet` and `.csv` hold the labels that count, those of gold items only if wanted; `.jsonl`
    holds every entry, skips, flags and what was undone included, and always gold items too.
    """
    form = FORMS.get(file.suffix.lower())
    if form is None:
        raise UserError(f"cannot export to {file.name!r}: the endings are {', '.join(FORMS)}")
    return form(store, campaign, file, gold)


def parquet(store: Store, campaign: str, file: Path, gold: bool) -> int:
    """Write the labels that count as a table of `Judgment` or `Comparison`."""
    rows = labels(store, campaign, gold)
    table.write(RECORDS[store.found(campaign).kind], file, rows)
    return len(rows)


def as_csv(store: Store, campaign: str, file: Path, gold: bool) -> int:
    """Write the labels that count, a column a field; what is None is empty."""
    rows = labels(store, campaign, gold)
    names = [field.name for field in fields(RECORDS[store.found(campaign).kind])]
    with table.draft(file) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(table.plain(row) for row in rows)
    return len(rows)


def json_lines(store: Store, campaign: str, file: Path, gold: bool) -> int:
    """Write every entry, one a line, in the order in which they were made."""
    number = 0
    with table.draft(file) as unfinished, unfinished.open("w", encoding="utf-8") as out:
        for entry in store.entries(campaign):
            out.write(json.dumps(table.plain(entry), ensure_ascii=False) + "\n")
            number += 1
    return number


def labels(store: Store, campaign: str, gold: bool) -> list[Judgment] | list[Comparison]:
    """Return the labels of a campaign that count, as the records of its kind."""
    if store.found(campaign).kind == "judge":
        return list(store.judgments(campaign, gold))
    return list(store.comparisons(campaign, gold))


FORMS: Mapping[str, Callable[[Store, str, Path, bool], int]] = {
    ".parquet": parquet,
    ".csv": as_csv,
    ".jsonl": json_lines,
}
