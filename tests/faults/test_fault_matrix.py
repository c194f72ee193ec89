"""The matrix in the documentation is what its rows say, and each row has its test."""

import ast
from pathlib import Path

from faults import matrix
from faults.matrix import FAULTS, Fault, page
from forked import TESTS


def test_the_page_of_faults_is_made_from_the_rows() -> None:
    assert (TESTS.parent / "docs" / "faults.md").read_text() == page()


def test_every_fault_names_a_test_that_exists() -> None:
    for fault in FAULTS:
        file, _, name = fault.test.partition("::")
        assert name in functions(TESTS / file), fault.test


def test_every_line_that_the_page_quotes_is_held_against_what_is_said() -> None:
    for name, fault in vars(matrix).items():
        if isinstance(fault, Fault) and fault.said:
            file = TESTS / fault.test.partition("::")[0]
            assert name in names(file), f"{file} does not ask for what {name} says"


def names(file: Path) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Name)}


def functions(file: Path) -> set[str]:
    tree = ast.parse(file.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
