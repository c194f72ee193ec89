"""Records as Arrow columns: the same tables as row by row, and the same records back."""

import io
from dataclasses import dataclass
from typing import Literal, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from lskd import table
from lskd.columns import arrow_of, records_of, schema


class Point(NamedTuple):
    x: float
    y: float | None


@dataclass(frozen=True, slots=True)
class Mark:
    name: str
    at: Point
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    kind: Literal["a", "b"]
    count: int
    sure: bool
    note: str | None
    many: int | None
    best: Mark | None
    marks: tuple[Mark, ...]
    lines: tuple[tuple[int, ...], ...]
    maybe: tuple[float, ...] | None


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
NUMBERS = st.floats(allow_nan=False)
POINTS = st.builds(Point, NUMBERS, st.none() | NUMBERS)
MARKS = st.builds(Mark, TEXTS, POINTS, st.lists(TEXTS, max_size=2).map(tuple))
ROWS = st.builds(
    Row,
    st.sampled_from(["a", "b"]),
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    st.none() | TEXTS,
    st.none() | st.integers(-9, 9),
    st.none() | MARKS,
    st.lists(MARKS, max_size=3).map(tuple),
    st.lists(st.lists(st.integers(0, 9), max_size=2).map(tuple), max_size=2).map(tuple),
    st.none() | st.lists(NUMBERS, max_size=2).map(tuple),
)


@given(st.lists(ROWS, max_size=5))
def test_a_table_is_the_one_that_arrow_makes_row_by_row(rows: list[Row]) -> None:
    by_row = pa.Table.from_pylist([table.plain(row) for row in rows], schema=schema(Row))
    assert arrow_of(Row, rows).equals(by_row)


@given(st.lists(ROWS, max_size=5), st.integers(0, 5), st.integers(0, 5))
def test_records_come_back_from_any_part_of_a_table_and_from_tables_put_together(
    rows: list[Row], start: int, count: int
) -> None:
    content = arrow_of(Row, rows)
    assert records_of(Row, content) == rows
    assert records_of(Row, content.slice(start, count)) == rows[start : start + count]
    both = pa.concat_tables([content, content.slice(start)])
    assert records_of(Row, both) == [*rows, *rows[start:]]


@given(st.lists(ROWS, max_size=5))
def test_a_table_can_be_stored_whatever_is_none_in_it(rows: list[Row]) -> None:
    stored = io.BytesIO()
    pq.write_table(arrow_of(Row, rows), stored)
    assert records_of(Row, pq.read_table(io.BytesIO(stored.getvalue()))) == rows


def test_what_is_not_a_number_stays_one_and_none_stays_none() -> None:
    rows = [Point(float("nan"), None), Point(1.0, float("nan"))]
    first, second = records_of(Point, arrow_of(Point, rows))
    assert first.x != first.x and first.y is None
    assert second.x == 1.0 and second.y != second.y
