"""A module becomes its mutants: copies of its source, each with one small mistake.

The mistakes are those of cosmic-ray's operators: another comparison or arithmetic operator, a
number one up or one down, `and` for `or`, a condition turned, a minus, `not` or `~` gone, a loop
that never runs, `break` for `continue`, another exception caught, a decorator gone. Left out is
what no test needs to find: annotations and the arguments of decorators; operators of another kind
(bits for arithmetic, `is` for `==`), which mostly fail at the first call and would flatter the
tests; and what does not compile.
"""

import ast
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

# `mutants.py` installs it, for itself.
from cosmic_ray.ast import ast_nodes, get_ast  # type: ignore[import-not-found]
from cosmic_ray.operators.provider import OperatorProvider  # type: ignore[import-not-found]

KINDS = (
    {"Add", "Sub", "Mul", "Div", "FloorDiv", "Mod", "Pow"},
    {"BitOr", "BitAnd", "BitXor", "Sub"},
    {"Eq", "NotEq", "Lt", "LtE", "Gt", "GtE"},
    {"Is", "IsNot"},
    {"Delete", "USub"},
    {"Delete", "Not"},
    {"Delete", "Invert"},
)
# These two want to be told which variable.
UNUSED = {"VariableReplacer", "VariableInserter"}

Position = tuple[int, int]  # line from 1, column from 0


@dataclass(frozen=True, slots=True)
class Mutant:
    """A source with one mistake: in `line`, which read `was` and now reads `becomes`."""

    operator: str
    line: int
    was: str
    becomes: str
    source: str


def mutants(source: str, most: int, rng: random.Random) -> tuple[int, list[Mutant]]:
    """Return how many mutants a source has, and at most `most` of them, in order of their lines.

    Those that do not compile are counted among the first, but never returned.
    """
    told = _descriptions(ast.parse(source))
    tree = get_ast(source)
    places = [
        (start, name, node, operator, index)
        for name, operator in _operators()
        for node in ast_nodes(tree)
        if node.parent is None or node.parent.type != "parameters"  # a bare "*" multiplies nothing
        for index, (start, _) in enumerate(operator.mutation_positions(node))
        if not any(low <= start < high for low, high in told)
    ]
    found: list[Mutant] = []
    for _, name, node, operator, index in rng.sample(places, len(places)):
        if len(found) == most:
            break
        with _mistaken(node, operator, index):
            changed = tree.get_code()
        assert tree.get_code() == source
        if changed != source and _compiles(changed):
            found.append(Mutant(name, *_difference(source, changed), changed))
    return len(places), sorted(found, key=lambda one: (one.line, one.becomes))


@contextmanager
def _mistaken(node: Any, operator: Any, index: int) -> Iterator[None]:
    """Have a node of a parso tree changed within the block; to parse anew would take long."""
    family = node.parent.children if node.parent else []
    siblings = list(family)
    children = [(one, list(one.children)) for one in ast_nodes(node) if hasattr(one, "children")]
    values = [(one, one.value) for one in ast_nodes(node) if hasattr(one, "value")]
    place = next((number for number, one in enumerate(siblings) if one is node), None)
    new = operator.mutate(node, index)
    if place is not None and new is not node:
        family[place : place + 1] = [] if new is None else [new]
    try:
        yield
    finally:
        family[:] = siblings
        for one, before in children:
            one.children[:] = before
        for one, value in values:
            one.value = value


def _operators() -> Iterator[tuple[str, Any]]:
    """Yield cosmic-ray's operators that make mistakes of a kind."""
    provider = OperatorProvider()
    for name in provider:
        _, *swapped = name.split("_")
        alike = len(swapped) != 2 or any(set(swapped) <= kind for kind in KINDS)
        alike &= swapped[:1] != ["Sub"] or not swapped[1].startswith("Bit")  # sets, the other way
        if alike and name not in UNUSED:
            yield name, provider[name]()


def _descriptions(tree: ast.Module) -> list[tuple[Position, Position]]:
    """Return where annotations and decorators (but for their "@") stand, from and to."""
    told: list[ast.expr | None] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            told += node.decorator_list
        if isinstance(node, ast.arg | ast.AnnAssign):
            told.append(node.annotation)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            told.append(node.returns)
    return [
        ((one.lineno, one.col_offset), (one.end_lineno or 0, one.end_col_offset or 0))
        for one in told
        if one is not None
    ]


def _compiles(source: str) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


def _difference(before: str, after: str) -> tuple[int, str, str]:
    """Return the first line that differs, and both readings of the lines that do."""
    old, new = before.splitlines(), after.splitlines()
    pairs = list(zip(old, new, strict=False))
    first = next((n for n, (one, other) in enumerate(pairs) if one != other), len(pairs))
    back = list(zip(reversed(old[first:]), reversed(new[first:]), strict=False))
    same = next((n for n, (one, other) in enumerate(back) if one != other), len(back))
    was, becomes = (lines[first : len(lines) - same] for lines in (old, new))
    return first + 1, " ".join(map(str.strip, was)), " ".join(map(str.strip, becomes))
