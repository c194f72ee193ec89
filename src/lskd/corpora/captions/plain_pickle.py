"""A pickle of plain data becomes that data; one that names any class or function is refused.

A pickle is a program: `pickle.load` runs whatever it names. Here nothing that a file names is ever
looked up, so lists, dicts, numbers and texts can be read and nothing can be run. Text that Python 2
wrote is read as Latin 1, which takes any byte.
"""

import json
import pickle
from pathlib import Path
from typing import Any

from lskd.errors import UserError

# Whatever a file that is cut off, or no pickle at all, makes the standard library raise.
FAULTS = (
    *(pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError),
    *(AttributeError, OverflowError, MemoryError, RecursionError, UnicodeError),
)


class Refused(pickle.UnpicklingError):
    """A pickle names something to be imported."""


class PlainUnpickler(pickle.Unpickler):
    """Reads what needs no import: lists, tuples, dicts, numbers, texts and the like."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """Refuse."""
        raise Refused(f"it names {module_name}.{global_name}")

    def persistent_load(self, pid: Any) -> Any:
        """Refuse."""
        raise Refused("it names an object outside of the file")


def load(file: Path) -> object:
    """Return what a pickle holds.

    Raises UserError if the file cannot be read, is broken, holds what JSON could not, or names
    anything to be imported.
    """
    try:
        with file.open("rb") as opened:
            value: object = PlainUnpickler(opened, encoding="latin1").load()
        json.dumps(value)
    except Refused as error:
        raise UserError(
            f"{file} is refused: {error}, so to read it could run code; expected a pickle of "
            "lists, dicts, numbers and texts alone"
        ) from error
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror or error}") from error
    except FAULTS as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{file} is no whole pickle of plain data: {why[:120]}") from error
    return value
