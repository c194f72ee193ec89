"""Every command in README.md and on the pages is run, and every setting on them can be read."""

import tomllib
from collections.abc import Iterator

import pytest
from docs_blocks import every_block, every_command
from docs_home import Home, opened
from docs_ways import WAYS

SHOWN = {command.text: command.place for command in reversed(every_command())}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Give a reader's folder; what one command makes is there for the next."""
    with opened(tmp_path_factory.mktemp("reader")) as made:
        yield made


def test_every_command_of_the_pages_has_a_way_to_be_run() -> None:
    without = [f"{place}: {text}" for text, place in SHOWN.items() if text not in WAYS]
    assert not without, "say in docs_ways.py how these are run"


def test_no_way_is_for_a_command_that_stands_nowhere() -> None:
    assert not set(WAYS) - set(SHOWN)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(text, id=place, marks=pytest.mark.check if WAYS[text].long else ())
        for text, place in SHOWN.items()
        if text in WAYS
    ],
)
@pytest.mark.timeout(900)
def test_a_command_of_the_pages_does_what_it_is_for(home: Home, text: str) -> None:
    WAYS[text].run(home)


def test_every_block_of_settings_is_toml() -> None:
    for block in every_block():
        if block.language == "toml":
            assert tomllib.loads(block.text), f"{block.page}:{block.line}"


def test_every_block_of_python_compiles() -> None:
    for block in every_block():
        if block.language == "python":
            compile(block.text, f"{block.page}:{block.line}", "exec")


def test_every_block_says_what_it_is_or_is_commands() -> None:
    known = {"", "sh", "bash", "console", "toml", "python", "text", "json", "bibtex"}
    assert {block.language for block in every_block()} <= known
