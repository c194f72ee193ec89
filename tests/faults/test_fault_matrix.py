"""The matrix in the documentation is what its rows say, and each row has its test."""

import ast
from pathlib import Path

from faults.matrix import FAULTS, page
from forked import TESTS


def test_the_page_of_faults_is_made_from_the_rows() -> None:
    assert (TESTS.parent / "docs" / "faults.md").read_text() == page()


def test_every_fault_names_a_test_that_exists() -> None:
    for fault in FAULTS:
        file, _, name = fault.test.partition("::")
        assert name in functions(TESTS / file), fault.test


def functions(file: Path) -> set[str]:
    tree = ast.parse(file.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
