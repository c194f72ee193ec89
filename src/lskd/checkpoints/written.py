"""Weights become files, whole or not at all; a full disk is told in one line.

In: tensors by name, or what torch pickles. Out: a file of safetensors, or of torch.
"""

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from lskd import table
from lskd.errors import UserError, cannot_write

NUMBER = re.compile(r"\(os error (\d+)\)")  # as libraries in Rust tell what the system refused


def write_tensors(file: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a file of safetensors; raises UserError if it cannot be written."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with table.draft(file) as unfinished:
        try:
            save_file(plain, unfinished, metadata={"format": "pt"})
        except SafetensorError as error:
            raise _refused(error) or OSError(str(error)) from error


def write_pickle(file: Path, content: Any) -> None:
    """Write a file of torch; raises UserError if it cannot be written."""
    # Through a file of Python's, which says why it cannot write; torch's own does not.
    with table.draft(file) as unfinished, unfinished.open("wb") as opened:
        try:
            torch.save(content, opened)
        except RuntimeError as error:  # what torch makes of an OSError that it meets while closing
            cause = error.__context__ if isinstance(error.__context__, OSError) else None
            raise cause or OSError(str(error).splitlines()[0]) from error


@contextmanager
def folder_of(folder: Path, last: str) -> Iterator[Path]:
    """Give a folder to write files in; when the block ends well they move into `folder`.

    The one called `last`, which is removed before, comes last: where it lies the rest is whole.
    Raises UserError if they cannot be written.
    """
    draft = folder / ".draft"
    try:
        shutil.rmtree(draft, ignore_errors=True)
        (folder / last).unlink(missing_ok=True)
        yield draft
        for path in sorted(draft.iterdir(), key=lambda path: path.name == last):
            path.replace(folder / path.name)
    except UserError:
        raise
    except Exception as error:  # tokenizers raise nothing more exact
        cause = _refused(error)
        if cause is None:
            raise
        raise cannot_write(folder, cause) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _refused(error: Exception) -> OSError | None:
    """Return what the system refused, also where a library tells it by an error of its own."""
    if isinstance(error, OSError):
        return error
    found = NUMBER.search(str(error))
    return OSError(int(found[1]), os.strerror(int(found[1]))) if found else None
