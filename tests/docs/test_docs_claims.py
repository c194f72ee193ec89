"""What the pages point to is there: tests, files of the repository, classes and settings."""

import ast
import importlib
import re
import tomllib
from pathlib import Path

import pytest
from docs_blocks import ROOT, Block, every_block, pages
from typer.main import get_command

from lskd.cli import app
from lskd.runfile import TOP
from lskd.stages import STAGES

TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
USE = re.compile(r"\b(lskd(?:\.\w+)+):([A-Z]\w+)")
INLINE = re.compile(r"(?<!`)`(lskd [^`\n]+)`(?!`)")
FILES = re.compile(r"`((?:runs|recipes|src|tests|examples|bench)/[\w./-]*\w)`")


def texts() -> list[tuple[str, str]]:
    """Return the name and text of each page."""
    return [(str(page.relative_to(ROOT)), page.read_text(encoding="utf-8")) for page in pages()]


def names_in(file: Path) -> set[str]:
    """Return the names of the tests in a file."""
    found = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    return {node.name for node in found if isinstance(node, ast.FunctionDef)}


def test_every_test_that_is_named_exists() -> None:
    named = [(page, *found) for page, text in texts() for found in TEST.findall(text)]
    assert len(named) > 20
    for page, file, name in named:
        assert name in names_in(ROOT / file), f"{page}: {file} has no {name}"


def test_every_defect_of_the_release_has_a_test_beside_it() -> None:
    page = (ROOT / "docs" / "differences.md").read_text(encoding="utf-8")
    tables = re.findall(r"^\| in (?:the release|LAVIS) .*\n(?:\|.*\n)+", page, re.MULTILINE)
    rows = [row for table in tables for row in table.splitlines()[2:]]
    assert len(rows) >= 18
    for row in rows:
        assert TEST.search(row), row


def test_every_file_that_is_named_is_in_the_repository() -> None:
    named = [(page, name) for page, text in texts() for name in FILES.findall(text)]
    assert len(named) > 30
    for page, name in named:
        assert (ROOT / name).exists(), f"{page}: {name}"


def test_every_class_that_is_named_can_be_imported() -> None:
    named = [(page, *found) for page, text in texts() for found in set(USE.findall(text))]
    assert len(named) > 10
    for page, module, name in named:
        assert hasattr(importlib.import_module(module), name), f"{page}: {module}:{name}"


def test_every_option_in_running_text_is_one_of_its_command() -> None:
    named = [(page, said) for page, text in texts() for said in INLINE.findall(text)]
    assert len(named) > 40
    for page, said in named:
        command = get_command(app)
        words = said.split()[1:]
        while words and hasattr(command, "commands") and words[0] in command.commands:
            command = command.commands[words.pop(0)]
        # A group is named as such only to say that all commands have an option.
        assert not hasattr(command, "commands") or said.startswith("lskd --"), f"{page}: {said}"
        known = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
        given = {word.split("=")[0] for word in words if word.startswith("--")}
        assert given <= known | {"--help"}, f"{page}: {said}"


SETTINGS = [block for block in every_block() if block.language == "toml"]
MODEL = {"title", "model", "protocol"}  # a file of `lskd evaluate`, which is no run file


def test_the_pages_have_settings() -> None:
    assert len(SETTINGS) > 10


@pytest.mark.parametrize("block", SETTINGS, ids=lambda block: f"{block.page}:{block.line}")
def test_sections_of_a_run_file_on_a_page_have_known_settings(block: Block) -> None:
    known = {stage.name: set(stage.settings.model_fields) for stage in STAGES}
    sections = tomllib.loads(block.text)
    assert set(sections) <= {*known, *TOP} or set(sections) == MODEL
    for name in set(sections) & set(known):
        assert set(sections[name]) <= known[name], name
