"""What commands print is what was written, words in square brackets included."""

import contextlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.table import Table
from typer.main import get_command
from typer.testing import CliRunner

import house
from lskd.cli import app
from lskd.cli.help import written
from lskd.cli.options import console

FRAME = str.maketrans(dict.fromkeys("│╭╮╰╯─", " "))
WIDE = {"COLUMNS": "2000"}  # no text is broken at a column's edge


def commands(group: Any, *before: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command with the words that call it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *before, name)
        else:
            yield (*before, name), command


EVERY = dict(commands(get_command(app)))


def told_of(function: Any) -> list[str]:
    """Return the help texts of a function's options and arguments, as its code has them."""
    marks = [
        one
        for parameter in inspect.signature(function).parameters.values()
        for one in getattr(parameter.annotation, "__metadata__", ())
    ]
    return [one.help for one in marks if one.help]


def joined(text: str) -> str:
    return " ".join(text.translate(FRAME).split())


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_the_help_of_a_command_is_its_docstring_and_what_is_said_of_its_options(
    words: tuple[str, ...],
) -> None:
    function = EVERY[words].callback
    said = joined(CliRunner().invoke(app, [*words, "--help"], env=WIDE).stdout)
    assert joined(inspect.getdoc(function) or "") in said
    for text in told_of(function):
        assert joined(text) in said


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_every_option_says_what_it_does(words: tuple[str, ...]) -> None:
    assert [one.name for one in EVERY[words].params if not one.help] == []


def test_the_help_of_a_command_comes_back_as_its_code_has_it() -> None:
    for command in EVERY.values():
        assert joined(written(command.help)) == joined(inspect.getdoc(command.callback) or "")


def test_the_list_of_commands_has_the_first_sentence_of_each() -> None:
    for before in ((), ("lab",)):
        said = joined(CliRunner().invoke(app, [*before, "--help"], env=WIDE).stdout)
        for words, command in EVERY.items():
            if words[:-1] == before:
                first = (inspect.getdoc(command.callback) or "").split("\n\n")[0]
                assert joined(f"{words[-1]} {first}") in said


def test_a_table_shows_words_in_brackets_and_between_colons(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = Table("[bold]", "b", title="[red] of [0]")
    shown.add_row("why is [0] at [/tmp/x]?", "[evaluate] :smile:")
    console().print(shown)
    said = capsys.readouterr().out
    for text in ("[bold]", "[red] of [0]", "why is [0] at [/tmp/x]?", "[evaluate] :smile:"):
        assert text in said


def test_a_folder_in_brackets_is_shown_where_a_plan_names_it(tmp_path: Path) -> None:
    house.build(tmp_path, 2)
    asked = ["plan", "small.toml", "--out", "[odd]"]
    with contextlib.chdir(tmp_path):
        result = CliRunner().invoke(app, asked, env=WIDE)
    assert result.exit_code == 0, result.stderr
    assert "[odd]/images" in result.stdout


def test_a_wrong_option_is_told_as_it_was_given() -> None:
    result = CliRunner().invoke(app, ["plan", "x.toml", "--[evaluate]"], env=WIDE)
    assert result.exit_code == 2
    assert "No such option: --[evaluate]" in joined(result.stderr)
