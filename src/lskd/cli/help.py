"""Help is shown as it was written.

In: commands whose help texts name regions, sections and arguments in square brackets. Out: the same
for a renderer that takes [words] for its markup and would leave them out.
"""

from typing import Any

from rich.markup import escape, render
from typer.core import TyperGroup


class AsWritten(TyperGroup):
    """A group of commands; groups within it are such too: `typer.Typer(cls=AsWritten)`."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        plain(self)
        for command in self.commands.values():
            if not isinstance(command, AsWritten):  # it has done so itself
                plain(command)


def written(text: str) -> str:
    """Return a text of a command as its code has it."""
    return render(text, emoji=False).plain


def plain(command: Any) -> None:
    """Escape what a command says of itself and of its parameters."""
    for part in (command, *command.params):
        part.help = escape(part.help or "")
    command.epilog = escape(command.epilog or "")
