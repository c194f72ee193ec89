"""Records as Arrow columns, and back.

A record is a dataclass or NamedTuple whose fields are scalars, Literals, `X | None`, tuples of one
kind, or records. Columns are made and taken apart whole, field by field: row by row, each through
a dict, is ten times as much work there and twice as much back (`bench/tables.py`).
"""

import functools
import itertools
import operator
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import pyarrow as pa

R = TypeVar("R")
SCALARS: Mapping[Any, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
}


@functools.cache
def columns(record: type) -> tuple[tuple[str, Any], ...]:
    """Return the name and type of each field of a record or NamedTuple."""
    return tuple(typing.get_type_hints(record).items())


def optional(hint: Any) -> Any | None:
    """Return X if `hint` is `X | None`, else None."""
    if (
        isinstance(hint, types.UnionType)
        and len(hint.__args__) == 2
        and type(None) in hint.__args__
    ):
        return next(kind for kind in hint.__args__ if kind is not type(None))
    return None


def is_scalar(hint: Any) -> bool:
    """Return whether values of a type are stored as they are."""
    return hint in SCALARS or typing.get_origin(hint) is typing.Literal


def arrow_field(name: str, hint: Any) -> pa.Field:
    """Return the column of a field: a scalar, Literal, X | None, tuple[X, ...] or a record."""
    inner = optional(hint)
    return pa.field(name, arrow_type(inner or hint), nullable=inner is not None)


def arrow_type(hint: Any) -> pa.DataType:
    """Return the Arrow type of a field that is never None."""
    if is_scalar(hint):
        return SCALARS.get(hint, pa.string())
    if typing.get_origin(hint) is tuple:
        return pa.list_(arrow_type(typing.get_args(hint)[0]))
    return pa.struct([arrow_field(name, kind) for name, kind in columns(hint)])


@functools.cache
def schema(record: type) -> pa.Schema:
    """Return the columns of a record's table."""
    return pa.schema([arrow_field(name, hint) for name, hint in columns(record)])


def arrow_of(record: type[R], rows: Sequence[R]) -> pa.Table:
    """Return records as a table."""
    kind: type = record
    return pa.Table.from_arrays(_fields(kind, rows), schema=schema(kind))


def records_of(record: type[R], content: pa.Table) -> list[R]:
    """Return the records of a table, whose columns are those of `schema`."""
    if not content.num_rows:
        return []
    kind: type = record
    kept = (
        _values(column.chunk(0), hint)
        for column, (_, hint) in zip(content.combine_chunks().columns, columns(kind), strict=True)
    )
    return list(map(record, *kept))


def _fields(record: type, rows: Sequence[Any]) -> list[pa.Array]:
    """Return an array for each field of records that are all there."""
    return [
        _array(list(map(operator.attrgetter(name), rows)), hint) for name, hint in columns(record)
    ]


def _array(values: list[Any], hint: Any) -> pa.Array:
    inner = optional(hint)
    if is_scalar(inner or hint):
        return pa.array(values, arrow_type(inner or hint))
    if inner is not None:
        return _array_with_none(values, inner)
    if typing.get_origin(hint) is tuple:
        ends = pa.array(_ends(values), pa.int32())
        item = typing.get_args(hint)[0]
        inside = _array([one for value in values for one in value], item)
        return pa.ListArray.from_arrays(ends, inside, type=arrow_type(hint))
    return pa.StructArray.from_arrays(_fields(hint, values), fields=list(arrow_type(hint)))


def _array_with_none(values: list[Any], inner: Any) -> pa.Array:
    """Return an array of tuples or records, some of which are not there."""
    first = next((value for value in values if value is not None), None)
    if first is None:
        return pa.array(values, arrow_type(inner))
    # Something stands for what is not there: fields that are never None must not be so under it.
    filled = _array([first if value is None else value for value in values], inner)
    missing = pa.array([value is None for value in values])
    if typing.get_origin(inner) is tuple:
        return pa.ListArray.from_arrays(filled.offsets, filled.values, filled.type, mask=missing)
    return pa.StructArray.from_arrays(
        filled.flatten(), fields=list(arrow_type(inner)), mask=missing
    )


def _ends(values: Sequence[Sequence[Any]]) -> Iterator[int]:
    """Yield where each of several tuples begins in one row of all, and last where that ends."""
    end = 0
    yield end
    for value in values:
        end += len(value)
        yield end


def _values(array: pa.Array, hint: Any) -> list[Any]:
    inner = optional(hint)
    if is_scalar(inner or hint):
        if array.null_count or (inner or hint) not in (int, float):
            found: list[Any] = array.to_pylist()
            return found
        return array.to_numpy().tolist()  # type: ignore[no-any-return]
    if inner is not None:
        there = iter(_values(array.drop_null(), inner))
        return [next(there) if valid else None for valid in array.is_valid().to_pylist()]
    if typing.get_origin(hint) is tuple:
        ends = array.offsets.to_numpy().tolist()
        first = ends[0]
        item = typing.get_args(hint)[0]
        inside = _values(array.values.slice(first, ends[-1] - first), item)
        return [tuple(inside[a - first : b - first]) for a, b in itertools.pairwise(ends)]
    fields = (_values(array.field(n), kind) for n, (_, kind) in enumerate(columns(hint)))
    return list(map(hint, *fields))
