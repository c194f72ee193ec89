"""What the paper reports, from `paper.toml` beside this file: tables and figures, row by row."""

import functools
import importlib.resources
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reported:
    """A table or a figure of the paper; a row has a number for each column, None where it has none.

    Numbers are percent but for Sherlock's, from -100 to 100. A figure that gives no numbers has no
    rows, and `note` says what it shows.
    """

    name: str
    title: str
    section: str
    columns: tuple[str, ...]
    rows: Mapping[str, tuple[float | None, ...]]
    note: str = ""

    def value(self, row: str, column: str) -> float | None:
        """Return a number of the paper, or None where it gives none."""
        if row not in self.rows:
            return None
        return self.rows[row][self.columns.index(column)]


@functools.cache
def reported() -> Mapping[str, Reported]:
    """Return all that the paper reports, by name, in its order."""
    text = importlib.resources.files("lskd.reproduce").joinpath("paper.toml").read_text("utf-8")
    found = (_read(entry) for entry in tomllib.loads(text)["table"])
    return {one.name: one for one in found}


def _read(entry: Mapping[str, object]) -> Reported:
    columns = entry["columns"]
    rows = entry.get("rows", {})
    assert isinstance(columns, list) and isinstance(rows, dict)
    for name, values in rows.items():
        assert len(values) == len(columns), name
    return Reported(
        name=str(entry["name"]),
        title=str(entry["title"]),
        section=str(entry["section"]),
        columns=tuple(columns),
        rows={
            name: tuple(None if math.isnan(value) else float(value) for value in values)
            for name, values in rows.items()
        },
        note=str(entry.get("note", "")),
    )
